"""Random-schedule model of dependencies between regions: markers, their lives, and the loads that hang on them.

One server with one replica that lags, two clients, and the regions of a small tree: `r.a` holds the value of a key, which
depends on `r.b.on`. Schedules are dense; keys are lost, and the server falls back to older copies.
A value is the time at which its load read the source. Checks that a read from the primary returns nothing that was loaded
before an end of what it depends on, of a region around that, or of its own region, which the server made before the read
began (promises 1 and 3); that a read from the replica returns nothing that its own client has ended before (promise 4);
that a value is returned as stale only after ends that leave stale values; and that a load is shared only by those who may.
Mutations switch a mechanism off and must be caught.
usage: depends.py [seeds] [mutation]
"""
import copy, random, sys

ROOT, PAGE, ABOVE, ON, BELOW = 'r', 'r.a', 'r.b', 'r.b.on', 'r.b.on.c'
KEY, MARKER = 'k', 'marker'
LIFE, NEEDED = 60, 25       # the lifetime of a new marker, and what has to be left of it for one more value

def around(region):
    """the region and those around it, from the root down"""
    parts = region.split('.')
    return ['.'.join(parts[:n]) for n in range(1, len(parts) + 1)]

class State:
    """what a server holds; a failover puts an older one in its place"""
    def __init__(s): s.tree = {}; s.soft = {}; s.d = {}; s.lease = {}; s.version = 0

class Server:
    def __init__(s, rng):
        s.rng = rng; s.now = 0; s.state = State(); s.replica = copy.deepcopy(s.state); s.snap = None
        s.ends = []         # (time, what, region, client)
    def tick(s): s.now += 1; return s.now
    def new(s): return s.rng.getrandbits(60)
    def trees(s, at, region): return tuple(at.tree.get(p) for p in around(region))
    def softs(s, at, region): return tuple(at.soft.get(p, 0) for p in around(region))
    def lineage(s, region): return s.trees(s.state, region), s.softs(s.state, region)
    def wrote(s, c): s.state.version += 1; c.need = s.state.version

    # commands: each atomic
    def read(s, c, region, key, at=None):
        """the entry and whether it is fresh, or nothing"""
        at = at or s.state; d = at.d.get(region); trees = s.trees(at, region)
        if None in trees or d is None or d['trees'] != trees or key not in d['e']: return None
        value, softs, until = d['e'][key]
        return value, softs == s.softs(at, region) and s.now < until, until - s.now
    def create(s, region):
        for p in around(region): s.state.tree.setdefault(p, s.new())
    def begin(s, c, region, key):
        s.create(region); s.wrote(c); found = s.read(c, region, key); lineage = s.lineage(region); held = s.state.lease.get((region, key))
        if held and held[1] == lineage: return lineage, found, None
        token = s.rng.getrandbits(60); s.state.lease[(region, key)] = (token, lineage)
        return lineage, found, token
    def release(s, region, key, token):
        if s.state.lease.get((region, key), (None,))[0] == token: s.state.lease.pop((region, key))
    def put(s, c, region, key, value, life):
        s.create(region); trees, softs = s.lineage(region)
        if region not in s.state.d or s.state.d[region]['trees'] != trees: s.state.d[region] = {'trees': trees, 'e': {}}
        s.state.d[region]['e'][key] = (value, softs, s.now + life); s.state.lease.pop((region, key), None); s.wrote(c)
    def guarded(s, region, key, guard):
        lineage, token = guard; held = s.state.lease.get((region, key))
        return s.lineage(region) == lineage and held is not None and held[0] == token
    def fill(s, c, region, key, value, life, guard):
        if not s.guarded(region, key, guard): return False
        s.put(c, region, key, value, life); return True
    def swap(s, c, region, key, held, value, spare, life, guard):
        """puts a marker in the place of another one; where that is not there any more, one that nothing hangs on"""
        if guard and not s.guarded(region, key, guard): return None
        found = s.read(c, region, key)
        if found and found[1] and found[0] == held or 'lost-marker-extended' in MUT: s.put(c, region, key, value, life); return value
        if found and found[1]: return None
        s.put(c, region, key, spare, life); return spare
    def replace_stale(s, c, region, key, held, value, life, guard):
        """takes what is there, and puts a marker that nothing hangs on; answers if the stale one was there"""
        if not s.guarded(region, key, guard): return None
        found = s.read(c, region, key); s.put(c, region, key, value, life)
        return bool(found and found[0] == held) or 'lost-marker-followed' in MUT
    def put_if_absent(s, c, region, key, value, life):
        """answers what is there: the fresh entry in the way, or what was put"""
        found = s.read(c, region, key)
        if found and found[1]: return found[0]
        s.put(c, region, key, value, life); return value
    def end(s, c, what, region):
        if what == 'touch':
            for p in around(region): s.drop(p)
        elif what == 'invalidate': s.state.tree[region] = s.new(); s.drop(region)
        else: s.state.soft[region] = s.new()
        if what == 'expire' and 'expire-spares-markers' in MUT and region == ON:
            d = s.state.d.get(region)
            if d and MARKER in d['e']: v, _, until = d['e'][MARKER]; d['e'][MARKER] = (v, s.softs(s.state, region), until)
        s.wrote(c); s.ends.append((s.now, what, region, c.id)); return s.ends[-1]
    def drop(s, region):
        for at in [x for x in s.state.lease if x[0] == region]: s.state.lease.pop(at)
        d = s.state.d.pop(region, None)
        if 'touch-spares-markers' in MUT and d and MARKER in d['e']: s.state.d[region] = {'trees': d['trees'], 'e': {MARKER: d['e'][MARKER]}}

    def lose(s):
        pool = [('tree', p) for p in s.state.tree] + [('d', p) for p in s.state.d] + [('lease', p) for p in s.state.lease]
        if not pool: return
        kind, p = s.rng.choice(pool); getattr(s.state, kind).pop(p)
        if (kind, p) == ('d', ON): s.ends.append((s.now, 'lose', p, None))      # a marker that was lost does not come back
    def roll_back(s):
        """a failover to an older copy; what came after it is undone, ends too: who made them repeats them before it reads"""
        (s.state, t), s.ends = copy.deepcopy(s.snap), [x for x in s.ends if x[0] <= s.snap[1]]
        s.replica = copy.deepcopy(s.state)

def covers(end, region):
    _, what, at, _ = end
    if what == 'lose': return region == at
    return region in around(at) if what == 'touch' else region == at or region.startswith(at + '.')

class Client:
    def __init__(s, cid): s.id = cid; s.need = 0; s.done = []; s.loading = None; s.kept = None

class Task:
    def __init__(s, c, gen, out): s.c = c; s.gen = gen; s.out = out; s.cmd = None; s.reply = None
    def step(s):
        try: s.cmd = s.gen.send(s.reply); s.reply = None; return True
        except StopIteration: return False

def look(srv, c, region, key, replica):
    """reads an entry: from the replica, if that has all that this client has written, or else from the primary"""
    if replica:
        at = yield lambda: srv.replica if srv.replica.version >= c.need or 'replica-believed' in MUT else None
        if at is not None: return srv.read(c, region, key, at)
    found = yield lambda: srv.read(c, region, key)
    return found

def standing(marker, i):
    """what became of the dependency that hangs on the marker `i`"""
    if marker is None: return 'gone'
    (mine, previous), is_fresh, _ = marker
    if mine == i: return 'fresh' if is_fresh else 'stale'
    return 'stale' if is_fresh and previous == i else 'gone'

def read(srv, c, replica, out):
    """the value of the key, if it and its dependency hold; either may be read first"""
    out['begin'] = srv.tick(); marker = None; first = srv.rng.random() < .5
    if first: marker = yield from look(srv, c, ON, MARKER, replica)
    found = yield from look(srv, c, PAGE, KEY, replica)
    if not first and found: marker = yield from look(srv, c, ON, MARKER, replica)
    if 'old-marker-serves' in MUT and c.kept and srv.rng.random() < .3: marker = c.kept
    c.kept = marker or c.kept
    out['seen'] = marker
    if not found: return
    (value, on), is_fresh, _ = found
    state = standing(marker, on) if 'markers-unread' not in MUT else 'fresh'
    if state == 'gone': return
    out['v'] = value; out['how'] = 'fresh' if is_fresh and state == 'fresh' else 'stale'

def take(srv, c, seen):
    """a marker that the store is known to hold; one that lives too briefly is extended, one that has expired replaced"""
    if seen and seen[1] and seen[2] >= NEEDED: return seen[0][0]
    for _ in range(3):
        lineage, found, token = yield lambda: srv.begin(c, ON, MARKER)
        if found and found[1] and (found[2] >= NEEDED or token is None):
            if token: yield lambda: srv.release(ON, MARKER, token)
            return found[0][0]
        if token is None: continue
        new = (srv.new(), None) if 'fixed-ids' not in MUT else (7, None)
        if found is None:
            if (yield lambda: srv.fill(c, ON, MARKER, new, LIFE, (lineage, token))): return new[0]
        elif found[1]:                                                          # extended: what hangs on it goes on
            if 'marker-unguarded' in MUT: yield lambda: srv.put(c, ON, MARKER, found[0], LIFE); return found[0][0]
            put = yield lambda: srv.swap(c, ON, MARKER, found[0], found[0], new, LIFE, (lineage, token))
            if put: return put[0]
        else:                                                                   # what hung on it is stale
            if 'replaced-by-itself' in MUT: new = (found[0][0], None)
            was_there = yield lambda: srv.replace_stale(c, ON, MARKER, found[0], new, LIFE, (lineage, token))
            if was_there is False: return new[0]
            if was_there:
                put = yield lambda: srv.swap(c, ON, MARKER, new, (new[0], found[0][0]), (srv.new(), None), LIFE, None)
                if put: return put[0]
    new = (srv.new() if 'fixed-ids' not in MUT else 7, None)
    there = yield lambda: srv.put_if_absent(c, ON, MARKER, new, LIFE)
    return there[0]

def compute(srv, c, replica, out):
    yield from read(srv, c, replica, out)
    if 'v' in out: return
    seen = out.pop('seen')
    lineage, _, token = yield lambda: srv.begin(c, PAGE, KEY)
    if token is None:
        load = c.loading
        if load and load['fence'] == (lineage, srv.state.lease.get((PAGE, KEY), (None,))[0]) and 'shared-by-lease' in MUT:
            # its lease shows that its own region has not ended, but nothing of the other region
            out['v'] = load['v']; out['how'] = 'fresh'; out['shared'] = True
        return
    fence = (lineage, token)
    late = 'late-marker' in MUT
    on = None if late else (yield from take(srv, c, seen))
    loaded = srv.tick(); load = c.loading = {'fence': fence, 'v': loaded}      # the source is read now
    for _ in range(srv.rng.randrange(4)): yield lambda: None
    if late: on = yield from take(srv, c, None)
    yield lambda: srv.fill(c, PAGE, KEY, (loaded, on), 500, fence)
    if c.loading is load: c.loading = None

def end(srv, c, what, region, out):
    made = yield lambda: srv.end(c, what, region)
    c.done.append((srv.tick(), made))

def run(seed):
    rng = random.Random(seed); srv = Server(rng); cs = [Client(0), Client(1)]; tasks, reads = [], []
    for _ in range(300):
        srv.tick(); act = rng.random()
        if act < .25:
            if len(tasks) >= 5: continue
            c = rng.choice(cs); out = {'c': c, 'replica': rng.random() < .4}; x = rng.random()
            if x < .35: gen = read(srv, c, out['replica'], out)
            elif x < .8: gen = compute(srv, c, out['replica'], out)
            else:
                region = rng.choice([ON, ON, ON, ABOVE, BELOW, ROOT, PAGE]); what = rng.choice(['touch', 'touch', 'invalidate', 'expire'])
                gen = end(srv, c, what, region, out)
            tasks.append(Task(c, gen, out))
        elif act < .256: srv.lose()
        elif act < .30: srv.replica = copy.deepcopy(srv.state)
        elif act < .304: srv.snap = (copy.deepcopy(srv.state), srv.now)
        elif act < .306 and srv.snap:
            if bad := check(srv, reads): return bad
            srv.roll_back(); tasks, reads = [], []
            for c in cs: c.need = 0; c.done = [d for d in c.done if d[1] in srv.ends]; c.loading = None; c.kept = None
        elif act < .32:
            for _ in range(rng.randrange(LIFE)): srv.tick()
        elif tasks:
            t = rng.choice(tasks)
            if t.cmd is not None: t.reply, t.cmd = t.cmd(), None
            if not t.step(): tasks.remove(t); reads.append(t.out)
    return check(srv, reads)

def check(srv, reads):
    for r in reads:
        if 'v' not in r: continue
        c = r['c']; ends = srv.ends if not r['replica'] else [made for done, made in c.done if done < r['begin']]
        for e in ends:
            if not r['v'] < e[0] < r['begin'] or not (covers(e, ON) or covers(e, PAGE)): continue
            if r['how'] == 'stale' and e[1] == 'expire': continue
            what = 'shared' if 'shared' in r else 'replica' if r['replica'] else 'read'
            return f"{what} by client {c.id}: {r['how']} value of {r['v']}, {e[1]} of {e[2]} at {e[0]}, began at {r['begin']}"
    return None

MUT = set()
ALL_MUTATIONS = ['markers-unread', 'old-marker-serves', 'late-marker', 'fixed-ids', 'marker-unguarded', 'lost-marker-extended',
    'lost-marker-followed', 'replaced-by-itself', 'touch-spares-markers', 'expire-spares-markers', 'shared-by-lease', 'replica-believed']
if __name__ == '__main__':
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 20000
    for mut in ([sys.argv[2]] if len(sys.argv) > 2 else [''] + ALL_MUTATIONS):
        MUT.clear(); MUT.update([mut] if mut else []); bad = None
        for seed in range(n):
            bad = run(seed)
            if bad: break
        print(f"{mut or 'design':22} {'seed %d: %s' % (seed, bad) if bad else 'no violation in %d seeds' % n}", flush=True)
