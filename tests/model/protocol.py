"""Random-schedule model of the design's protocol: incarnations, leases, change rings, armed tracking, epochs.

One server, two clients (one with a near cache), a path of three regions, two keys. Checks promise 1 (no stale fill),
3 (loss is a miss), 4 (own writes seen), 5 (after the push was handled) and that a near cache outlives a rollback of the
server (a failover to an older copy) without serving what the new history has replaced.
A region's hash carries the life it was filled in and a ring: the last RING changes, each a random id and the key that
changed (a hash that begins anew has one change, of all keys). The ids make an id of the hash itself unnecessary. Mutations switch a mechanism off and must be caught.
The mutations of the code that are like these are listed in mutations.toml beside this file.
usage: tests/model/protocol.py [seeds] [mutation]
"""
import copy, random, sys

PATH = ['r', 'r.a', 'r.a.b']
KEYS = ['k', 'm']
RING = 3
ALL = '*'

class Server:
    def __init__(s, rng):
        s.rng = rng; s.i = {}; s.d = {}; s.lease = {}; s.track = {}; s.t = 0; s.clients = []; s.snap = None; s.count = 0
        s.inv_log = []          # (exec time, scope, by) scope: ('tree', region) ('own', region) ('key', region, key)
    def tick(s): s.t += 1; return s.t
    def new(s):
        if 'counted-ids' in MUT: s.count += 1; return s.count
        return s.rng.getrandbits(60)
    def arm(s, c, key): s.track.setdefault(key, set()).add(c.id)
    def modified(s, by, key):
        for cid in s.track.pop(key, set()):
            if by is None or cid != by.id: s.clients[cid].chan.append(('push', key, s.t))   # NOLOOP: silent for own
    def trees(s, path): return None if any(p not in s.i for p in path) else tuple(s.i[p] for p in path)
    def stamp(s, r):
        d = s.d.get(r); return None if d is None else (d['life'], tuple(d['ring']))
    # commands: each atomic
    def mget(s, c, path):
        for p in path: s.arm(c, ('i', p))
        return s.trees(path)
    def hmget(s, c, path, k):
        s.arm(c, ('d', path[-1])); d = s.d.get(path[-1])
        return s.stamp(path[-1]), (d['e'].get(k) if d and k else None)
    def rearm(s, c, path):
        if 'no-rearm' in MUT: return
        for p in path: s.arm(c, ('i', p))
        s.arm(c, ('d', path[-1]))
    def begin(s, c, path, k):
        for p in path:
            if p not in s.i: s.i[p] = s.new(); s.modified(c, ('i', p))
        L = s.trees(path); d = s.d.get(path[-1])
        v = d['e'].get(k) if d and d['life'] == L else None
        tok = None
        if v is None and (path[-1], k) not in s.lease: tok = s.new(); s.lease[(path[-1], k)] = (tok, L)
        s.rearm(c, path)
        return L, v, tok, s.t
    def change(s, c, path, k):
        d = s.d[path[-1]]; before = d['ring'][-1][0]
        d['ring'].append((s.new(), k))
        if 'ring-loses' in MUT and len(d['ring']) > RING: d['ring'] = [d['ring'][0]] + d['ring'][-RING + 1:]
        else: d['ring'] = d['ring'][-RING:]
        s.modified(c, ('d', path[-1])); s.rearm(c, path)
        return before
    def write(s, c, path, k, val, guard):
        """fills; answers (stamp, the id of the change before) or None if fenced"""
        L = s.trees(path); gl, tok = guard; held = s.lease.get((path[-1], k))
        if L is None or (L != gl and 'no-lineage-guard' not in MUT): return None
        if (held is None or held[0] != tok) and 'no-lease-guard' not in MUT: return None
        s.lease.pop((path[-1], k), None); d = s.d.get(path[-1])
        if d is None or d['life'] != L:
            s.d[path[-1]] = {'life': L, 'ring': [(s.new(), ALL)], 'e': {}}
        s.d[path[-1]]['e'][k] = val
        before = s.change(c, path, k)
        return s.stamp(path[-1]), before
    def remove(s, c, path, k):
        s.lease.pop((path[-1], k), None); d = s.d.get(path[-1])
        if d: d['e'].pop(k, None); s.change(c, path, k)
        s.inv_log.append((s.t, ('key', path[-1], k), c.id)); return [s.inv_log[-1]]
    def drop(s, c, r):
        for key in [x for x in s.lease if x[0] == r]: s.lease.pop(key)
        if s.d.pop(r, None) is not None: s.modified(c, ('d', r))
    def invalidate(s, c, path):
        r = path[-1]; s.i[r] = s.new(); s.modified(c, ('i', r)); s.drop(c, r)
        s.inv_log.append((s.t, ('tree', r), c.id)); return [s.inv_log[-1]]
    def touch(s, c, path):
        for r in path:
            if 'touch-keeps-leases' in MUT:
                if s.d.pop(r, None) is not None: s.modified(c, ('d', r))
            else: s.drop(c, r)
        made = [(s.t, ('own', r), c.id) for r in path]; s.inv_log += made
        return made
    def evict(s):
        pool = [('i', p) for p in s.i] + [('d', p) for p in s.d]
        if pool:
            kind, p = s.rng.choice(pool); (s.i if kind == 'i' else s.d).pop(p); s.modified(None, (kind, p))
    def snapshot(s): s.snap = (copy.deepcopy((s.i, s.d, s.lease)), s.t, s.count)
    def rollback(s):
        """a failover to a copy as old as the snapshot: what came after is undone, all connections end"""
        if s.snap is None: return False
        (s.i, s.d, s.lease), t, s.count = copy.deepcopy(s.snap); s.track = {}
        lost = [x for x in s.inv_log if x[0] > t]; s.inv_log = [x for x in s.inv_log if x[0] <= t]
        for c in s.clients:
            c.chan = [m for m in c.chan if m[0] == 'lost'] + [('lost',)]; c.own = [o for o in c.own if o[1] <= t]
        return True

def covers(scope, region, key):
    if scope[0] == 'tree': return region == scope[1] or region.startswith(scope[1] + '.')
    if scope[0] == 'own': return region == scope[1]
    return scope[1] == region and scope[2] == key

class Client:
    def __init__(s, cid, srv):
        s.id = cid; s.srv = srv; s.chan = []; s.heard = []; s.own = []
        s.ei = {p: 0 for p in PATH}       # epochs of lineages
        s.ed = {p: 0 for p in PATH}       # epochs of entries
        s.near = {}                        # (region, key) -> value, id of the last change known then
        s.life = {}                        # region -> lineage, epochs it is trusted under
        s.known = {}                       # region -> stamp, epoch it is trusted under
        s.flying = {p: 0 for p in PATH}   # own ends under way: nothing there is trusted meanwhile
    def epi(s, path): return tuple(s.ei[p] for p in path)
    def bump(s, region):
        for p in PATH:
            if p == region or p.startswith(region + '.'): s.ei[p] += 1
    def deliver(s):
        if not s.chan: return False
        m = s.chan.pop(0)
        if m[0] == 'push':
            (kind, r), t = m[1], m[2]
            if kind == 'i': s.bump(r)
            else: s.ed[r] += 1
            s.heard.append((s.srv.t, t - 1))
        elif m[0] == 'lost': s.bump('r'); s.ed = {p: e + 1 for p, e in s.ed.items()}
        else: m[1].reply = m[2]; m[1].ready = True
        return True
    def near_hit(s, path, k):
        """the near value, if the region is trusted and the ring shows no change of it since it was read"""
        r = path[-1]; hit, life, known = s.near.get((r, k)), s.life.get(r), s.known.get(r)
        if s.flying[r] and 'flying-trusted' not in MUT: return None
        if not hit or not life or not known or life[1] != s.epi(path) or known[1] != s.ed[r]: return None
        return s.unchanged(hit, life[0], known[0], k)
    def unchanged(s, hit, L, stamp, k):
        if stamp is None or stamp[0] != L: return None
        ids = [c for c, _ in stamp[1]]
        if hit[1] not in ids: return None if 'ring-overflow-trusted' not in MUT else hit[0]
        since = stamp[1][ids.index(hit[1]) + 1:]
        if 'ring-ignored' in MUT: since = ()
        return None if any(key in (k, ALL) for _, key in since) else hit[0]

class Task:
    def __init__(s, c, gen): s.c = c; s.gen = gen; s.ready = True; s.reply = None; s.cmd = None
    def step(s):
        try: s.cmd = s.gen.send(s.reply); s.ready = False; s.reply = None
        except StopIteration: return False
        return True

def read(c, path, k, near, out):
    out['begin'] = c.srv.tick(); r = path[-1]
    while True:
        if near and (v := c.near_hit(path, k)) is not None: out['v'] = v; return
        ei, ed = c.epi(path), c.ed[r]
        life = c.life.get(r) if near and (not c.flying[r] or 'flying-trusted' in MUT) else None
        held = c.near.get((r, k)) if near else None
        ask = None if held and c.srv.rng.random() < .5 else k        # the stamp alone: verify without the payload
        if life and life[1] == ei:
            L = life[0]; stamp, v = yield lambda: c.srv.hmget(c, path, ask)
            if c.epi(path) != ei: continue
            if stamp is None or stamp[0] != L: c.life.pop(r, None); c.known.pop(r, None); continue
        else:
            L = yield lambda: c.srv.mget(c, path)
            stamp, v = yield lambda: c.srv.hmget(c, path, ask)
        ok = L is not None and stamp is not None and stamp[0] == L
        if near and ok and (c.epi(path) == ei or 'no-epoch' in MUT):
            c.life[r] = (L, c.epi(path) if 'no-epoch' in MUT else ei)
            if c.ed[r] == ed or 'no-epoch' in MUT: c.known[r] = (stamp, c.ed[r])
        if ask is None:
            v = c.unchanged(held, L, stamp, k) if ok else None
            if v is not None: c.near[(r, k)] = (v, stamp[1][-1][0]); out['v'] = v; return
            if ok: c.near.pop((r, k), None); continue
        if not ok: c.near.pop((r, k), None)
        if ok and v is not None and near: c.near[(r, k)] = (v, stamp[1][-1][0])
        out['v'] = v if ok else None; return

def compute(c, path, k, near, out):
    yield from read(c, path, k, near, out)
    if out['v'] is not None: return
    r = path[-1]; ei, ed = c.epi(path), c.ed[r]
    L, v, tok, t = yield lambda: c.srv.begin(c, path, k)
    if v is not None: out['v'] = v; return
    if tok is None: out['v'] = None; return
    val = ('load', t)                      # a value is the time at which its load began
    for _ in range(c.srv.rng.randrange(3)): yield lambda: None      # the load takes a while
    if 'late-lineage' in MUT: L = yield lambda: c.srv.mget(c, path)
    done = yield lambda: c.srv.write(c, path, k, val, (L, tok))
    if done and near:
        stamp, before = done; known = c.known.get(r)
        if c.epi(path) == ei and c.ed[r] == ed:      # nothing was heard: the reply is the newest there is
            c.life[r] = (L, ei); c.known[r] = (stamp, ed); c.near[(r, k)] = (val, stamp[1][-1][0])
    out['v'] = None                        # own value is the load's: not a cache read

def end(c, path, k, how, out):
    out['begin'] = c.srv.tick()
    f = {'inv': lambda: c.srv.invalidate(c, path), 'touch': lambda: c.srv.touch(c, path), 'rm': lambda: c.srv.remove(c, path, k)}[how]
    over = [p for p in PATH if covers((('tree', path[-1]) if how == 'inv' else ('own', p if p in path else None)), p, k)] if how != 'rm' else [path[-1]]
    for p in over: c.flying[p] += 1
    made = yield f
    for p in over: c.flying[p] -= 1
    if 'own-not-bumped' not in MUT:
        if how == 'inv': c.bump(path[-1])
        elif how == 'touch':
            for p in path: c.ed[p] += 1
        else: c.ed[path[-1]] += 1
    out['done'] = c.srv.tick()
    for t, scope, by in made:
        if (t, scope, by) in c.srv.inv_log: c.own.append((out['done'], t, scope))

def run(seed):
    rng = random.Random(seed); srv = Server(rng); cs = [Client(0, srv), Client(1, srv)]; srv.clients = cs
    tasks, reads, rolled = [], [], []
    for step in range(400):
        srv.tick(); act = rng.random()
        for c in cs:                       # nothing is on the way: all pushes until now were handled
            if not c.chan: c.heard.append((srv.t, srv.t - 1))
        if act < .22:
            if len(tasks) >= 6: continue
            c = rng.choice(cs); path = PATH[:rng.choice((1, 2, 3, 3, 3, 3))]; k = rng.choice(KEYS); near = c.id == 0
            x = rng.random(); out = {'c': c, 'path': path, 'k': k, 'near': near}
            if x < .4: g = read(c, path, k, near, out); out['kind'] = 'read'
            elif x < .8: g = compute(c, path, k, near, out); out['kind'] = 'read'
            else: g = end(c, path, k, rng.choice(['inv', 'touch', 'rm', 'rm', 'rm', 'rm']), out); out['kind'] = 'end'
            t = Task(c, g); t.out = out; tasks.append(t)
        elif act < .224: srv.evict()
        elif act < .228:
            if srv.lease: srv.lease.pop(rng.choice(list(srv.lease)))
        elif act < .232: srv.snapshot()
        elif act < .234:
            # calls under way fail with their connections; what was read before the rollback is checked before it
            bad = check(srv, cs, [r for r in reads if r['kind'] == 'read' and r.get('v')])
            if bad: return bad
            if srv.rollback(): tasks, reads = [], []; [(setattr(c, 'heard', []), setattr(c, 'flying', {p: 0 for p in PATH})) for c in cs]
        else:
            pend = [t for t in tasks if t.ready or t.cmd]; moved = [c for c in cs if c.chan]
            if moved and rng.random() < .5: rng.choice(moved).deliver(); continue
            if not pend: continue
            t = rng.choice(pend)
            if t.ready:
                if not t.step(): tasks.remove(t); reads.append(t.out)
            else:
                cmd, t.cmd = t.cmd, None; rep = cmd(); t.c.chan.append(('reply', t, rep))
    return check(srv, cs, [r for r in reads if r['kind'] == 'read' and r.get('v')])

def check(srv, cs, reads):
    for r in reads:
        load_t, c = r['v'][1], r['c']
        for t, scope, by in srv.inv_log:
            if load_t < t and covers(scope, r['path'][-1], r['k']):
                if not r['near'] and t < r['begin']: return f"P1 client {c.id} read {r['path'][-1]}/{r['k']} loaded at {load_t}, ended at {t}, read began {r['begin']}"
        for done, t, scope in c.own:
            if load_t < t and done < r['begin'] and covers(scope, r['path'][-1], r['k']): return f"P4 client {c.id} saw its own ended value: load {load_t} end {t} done {done} read {r['begin']}"
        if r['near']:
            for t, scope, by in srv.inv_log:
                if by != c.id and load_t < t and covers(scope, r['path'][-1], r['k']) and any(t <= upto and at < r['begin'] for at, upto in c.heard): return f"P5 near read after push: load {load_t} end {t} read {r['begin']}"
    return None

MUT = set()
ALL_MUTATIONS = ['no-lineage-guard', 'no-lease-guard', 'touch-keeps-leases', 'late-lineage', 'no-rearm', 'no-epoch', 'own-not-bumped', 'flying-trusted', 'ring-ignored', 'ring-overflow-trusted', 'counted-ids']
if __name__ == '__main__':
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 20000
    for mut in ([sys.argv[2]] if len(sys.argv) > 2 else [''] + ALL_MUTATIONS):
        MUT.clear(); MUT.update([mut] if mut else []); bad = None
        for seed in range(n):
            bad = run(seed)
            if bad: break
        print(f"{mut or 'design':22} {'seed %d: %s' % (seed, bad) if bad else 'no violation in %d seeds' % n}", flush=True)
