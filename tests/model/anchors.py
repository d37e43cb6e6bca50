"""Random-schedule model of a tree that lies on two servers: the root on one, what is below the anchor on the other.

Each server is atomic by itself, and nothing spans both. Whoever reads asks both at once, in any order, or trusts what it
knows of the root. Scripts below the anchor take the root's ids as *claimed* by the caller: read before, maybe old by now.
A claim that is old may make a miss. It never makes an old value valid, and never takes the place of what is newer: the
server below records the claim that it accepted last, and another is refused unless it was read after that record was
seen. A record that is lost protects nothing until the next claim: then a miss may follow. The root's server tells of
changes before it answers what comes after them; a reply that was overtaken by that is used, and not trusted.
A touch drops the entries of the inner regions first: a value of an outer region is made of inner ones.
A value is the time at which its load read the source, or the oldest of what it was made of. Checks promise 1, 3 and 4, that
a value is stale for no longer than its window by a clock of its own server, that a put or a removal that was done is seen,
and that nothing newer is replaced while the record is there.
Mutations switch a mechanism off and must be caught.
usage: anchors.py [seeds] [mutation]
"""
import copy, random, sys

ROOT, ANCHOR, LEAF = 'r', 'r.a', 'r.a.b'
BELOW = [ANCHOR, LEAF]
WINDOW = 30

def around(region): return [p for p in (ROOT, ANCHOR, LEAF) if region == p or region.startswith(p + '.')]
def side(region): return 'above' if region == ROOT else 'below'

class State:
    """what a server holds; a failover puts an older one in its place"""
    def __init__(s): s.tree = {}; s.soft = {}; s.d = {}; s.lease = {}; s.parent = {}; s.record = {}

class Servers:
    def __init__(s, rng):
        s.rng = rng; s.now = 0; s.at = {'above': State(), 'below': State()}; s.snap = {}
        s.skew = rng.choice([0, 0, 40, -40])    # the clock above, against the clock below
        s.ends = []                             # (time, what, region, client)
        s.clients = []; s.track = set(); s.replaced = None; s.unprotected = False
    def tick(s): s.now += 1; return s.now
    def new(s): return s.rng.getrandbits(60)
    def changed(s):
        for c in sorted(s.track): s.clients[c].pushes.append(s.now)
        s.track = set()

    # above the anchor: commands on the root's server
    def root_ids(s, c, make=False):
        """the root's ids, which the caller claims below; its connection is told of the next change"""
        st = s.at['above']
        if make and ROOT not in st.tree: st.tree[ROOT] = s.new(); s.changed()
        s.track.add(c.id)
        return None if ROOT not in st.tree else (st.tree[ROOT], st.soft.get(ROOT, (0, 0)))
    def read_root(s, c):
        ids = s.root_ids(c); e = s.at['above'].d.get(ROOT)
        return e[1] if ids and e and e[0] == ids[0] else None
    def begin_root(s, c):
        ids = s.root_ids(c, True); token = s.new(); s.at['above'].lease[ROOT] = (token, ids[0]); return ids[0], token
    def fill_root(s, guard, value):
        st = s.at['above']
        if st.lease.get(ROOT, (None,))[0] != guard[1] or st.tree.get(ROOT) != guard[0]: return
        st.lease.pop(ROOT); st.d[ROOT] = (guard[0], value)

    # below the anchor: commands that are given the root's ids as claimed
    def accept(s, claim, seen):
        """the record that stands in the claim's way, or None: then the claim is the record"""
        st = s.at['below']; there = st.record.get(ANCHOR)
        if there not in (None, claim[0]) and 'stale-claim-replaces' not in MUT:
            if (there != seen) if 'seen-unchecked' not in MUT else seen is None: return there
        st.record[ANCHOR] = claim[0]
    def trees(s, root):
        """the ids below a root of this tree: None for a region that was born under another life of its parent"""
        st = s.at['below']; parent, found = root, []
        for p in BELOW:
            parent = st.tree.get(p) if parent is not None and st.parent.get(p) == parent else None
            found.append(parent)
        return tuple(found)
    def life(s, claim): return (claim[0],) + s.trees(claim[0])
    def mark(s, claim): st = s.at['below']; return (claim[1][0],) + tuple(st.soft.get(p, 0) for p in BELOW)
    def create(s, claim):
        st = s.at['below']; parent = claim[0]
        for p, there in zip(BELOW, s.trees(parent)):
            if there is None: st.tree[p] = s.new(); st.parent[p] = parent; st.soft.pop(p, None)
            parent = st.tree[p]
    def lines(s):
        """what a reader needs, whatever the root's ids turn out to be"""
        st = s.at['below']; d = copy.deepcopy(st.d.get(LEAF))
        return (lambda root, trees=dict(st.tree), parents=dict(st.parent): known(root, trees, parents)), tuple(st.soft.get(p, 0) for p in BELOW), d, s.now
    def begin(s, claim, seen):
        if (there := s.accept(claim, seen)) is not None: return there
        s.create(claim); token = s.new()
        s.at['below'].lease[LEAF] = (token, s.life(claim))
        return (s.life(claim), s.mark(claim)), token
    def store(s, claim, value):
        st = s.at['below']; d = st.d.get(LEAF); life = s.life(claim)
        if d is None or d['life'] != life:
            root = s.at['above'].tree.get(ROOT); current = (root,) + s.trees(root)
            if d is not None and d['life'] == current and d['e'] is not None and not s.unprotected:
                s.replaced = f'{d["e"]} of the present life, by a claim of {claim[0]}'
            st.d[LEAF] = d = {'life': life, 'e': None}
        d['e'] = (value, s.mark(claim), s.now)
    def fill(s, claim, guard, value):
        """the claim is what the guard holds: it was read after the load, and refused if it had changed"""
        (life, mark), token = guard; st = s.at['below']
        if s.accept(claim, None) is not None: return 'fenced'
        held = st.lease.get(LEAF)
        if held is None or held[0] != token or held[1] != life: return 'fenced'
        if s.life(claim) != life or s.mark(claim) != mark: return 'fenced'
        st.lease.pop(LEAF); s.store(claim, value); return 'stored'
    def put(s, c, claim, seen):
        if (there := s.accept(claim, seen)) is not None: return there
        current = (s.at['above'].tree.get(ROOT),); d = s.at['below'].d.get(LEAF)
        if d and d['e'] and d['life'] == current + s.trees(current[0]) and claim[0] != current[0] and not s.unprotected:
            s.replaced = f'{d["e"]} of the present life, by a claim of {claim[0]}'
        s.create(claim); s.at['below'].lease.pop(LEAF, None); s.store(claim, s.now)
        return s.ended('put', LEAF, c)
    def remove(s, c, claim, seen):
        if (there := s.accept(claim, seen)) is not None: return there
        st = s.at['below']; st.lease.pop(LEAF, None); d = st.d.get(LEAF)
        # entries of another life are dropped: without the record these may be the newer ones
        if d and d['life'] == s.life(claim): d['e'] = None
        else: st.d.pop(LEAF, None)
        return s.ended('remove', LEAF, c)
    def ended(s, what, region, c): s.ends.append((s.now, what, region, c.id)); return [s.ends[-1]]
    def end(s, c, what, region):
        st = s.at[side(region)]
        if what == 'expire':
            # the mark, and when: by the clock of the server that holds the region
            st.soft[region] = (s.new(), s.now + s.skew) if region == ROOT else s.new()
        else: st.tree[region] = s.new(); st.d.pop(region, None); st.lease.pop(region, None)
        if region == ROOT: s.changed()
        s.ends.append((s.now, what, region, c.id)); return [s.ends[-1]]
    def touch(s, c, regions):
        made = []
        for region in regions:
            st = s.at[side(region)]; st.d.pop(region, None); st.lease.pop(region, None)
            s.ends.append((s.now, 'touch', region, c.id)); made.append(s.ends[-1])
        return made

    def lose(s):
        st = s.at[s.rng.choice(['above', 'below'])]
        pool = [(m, p) for m in ('tree', 'd', 'lease', 'record') for p in getattr(st, m)]
        if pool:
            m, p = s.rng.choice(pool); getattr(st, m).pop(p)
            if (m, p) == ('tree', ROOT): s.changed()
            # what the record protects has nothing that tells which claim is the newer
            if m == 'record': s.unprotected = True
    def roll_back(s, which):
        """a failover of one server to an older copy; whoever made what is undone repeats it before it reads"""
        s.at[which], t = copy.deepcopy(s.snap[which])
        s.ends = [e for e in s.ends if e[0] <= t or side(e[2]) != which]
        if which == 'above':
            s.track = set()
            for c in s.clients: c.pushes = []; c.root = None

class Client:
    def __init__(s, cid): s.id = cid; s.pushes = []; s.root = None; s.epoch = 0; s.own = []; s.heard = 0
    def deliver(s, tasks):
        s.pushes.pop(0); s.root = None; s.epoch += 1
        for t in tasks:
            if t.c is s: t.after = max(t.after - 1, 0)

class Task:
    def __init__(s, c, gen, out): s.c = c; s.gen = gen; s.out = out; s.cmd = None; s.reply = None; s.after = 0
    def step(s):
        try: s.cmd = s.gen.send(s.reply); s.reply = None; return True
        except StopIteration: return False

def above(srv, c, out, make=False):
    """the root's ids: as trusted, or read"""
    if c.root and out.get('trusts'): return c.root
    out['trusts'] = False; epoch = c.epoch
    ids = yield lambda: srv.root_ids(c, make)
    # an answer that was overtaken is used for this call, and not trusted
    if ids and (c.epoch == epoch or 'no-epoch' in MUT): c.root = ids
    return ids

def known(root, trees, parents):
    found, parent = [], root
    for p in BELOW:
        parent = trees.get(p) if parent is not None and parents.get(p) == parent else None
        found.append(parent)
    return tuple(found)

def value_of(lines, ids):
    """the entry, and whether it is fresh"""
    trees_under, softs, d, now = lines
    if ids is None or d is None or d['e'] is None: return None
    trees = trees_under(ids[0])
    if 'life-without-claim' in MUT: trees = d['life'][1:]
    if None in trees: return None
    if (d['life'] != (ids[0],) + trees) if 'life-without-claim' not in MUT else (d['life'][1:] != trees): return None
    value, mark, put = d['e']
    if mark == (ids[1][0],) + softs: return value, 'fresh'
    since = put
    if 'other-clock' in MUT and mark[1:] == softs: since = max(put, ids[1][1])
    return (value, 'stale') if now < since + WINDOW else None

def read(srv, c, out):
    out['begin'] = srv.tick(); out['heard'] = c.heard; first = srv.rng.random() < .5; lines = ids = None
    if 'root-from-before' in MUT and c.root and srv.rng.random() < .3: ids = c.root
    if not first: lines = yield lambda: srv.lines()
    if ids is None: ids = yield from above(srv, c, out)
    if first: lines = yield lambda: srv.lines()
    found = value_of(lines, ids)
    if found: out['v'], out['how'] = found; out['now'] = lines[3]; out['put'] = lines[2]['e'][2]
    return found

def accepted(srv, c, out, op):
    """what `op` answers to a claim that is not refused; None if others are always ahead: it has not been done"""
    seen = None
    for _ in range(3):
        claim = yield from above(srv, c, out, True)
        answer = yield lambda: op(claim, seen)
        if not isinstance(answer, int): return claim, answer
        # read again, after that record was seen
        seen = answer; out['trusts'] = False; c.root = None
    return None

def compute(srv, c, out):
    if (yield from read(srv, c, out)): return
    begun = yield from accepted(srv, c, out, lambda claim, seen: srv.begin(claim, seen))
    if begun is None: return
    claim, guard = begun
    loaded = srv.tick()
    for _ in range(srv.rng.randrange(4)): yield lambda: None
    if 'late-claim' in MUT:
        (life, mark), token = guard; claim = yield lambda: srv.root_ids(c, True); guard = ((claim[0],) + life[1:], (claim[1][0],) + mark[1:]), token
        held = srv.at['below'].lease.get(LEAF)
        if held and held[0] == token: srv.at['below'].lease[LEAF] = (token, guard[0][0])
    else:
        # the guard holds what is above too: asked for before the script judges the rest
        ids = yield lambda: srv.root_ids(c)
        if ids != claim: return
    yield lambda: srv.fill(claim, guard, loaded)

def put(srv, c, out):
    done = yield from accepted(srv, c, out, lambda claim, seen: srv.put(c, claim, seen))
    if done: note(srv, c, done[1])

def remove(srv, c, out):
    done = yield from accepted(srv, c, out, lambda claim, seen: srv.remove(c, claim, seen))
    if done: note(srv, c, done[1])

def outer(srv, c, out):
    """a value of the root that is made of one of the leaf"""
    guard = yield lambda: srv.begin_root(c)
    inner = {'trusts': False}; loaded = srv.tick()
    found = yield from read(srv, c, inner)
    if found and found[1] == 'stale': return
    yield lambda: srv.fill_root(guard, min(loaded, found[0]) if found else loaded)

def read_outer(srv, c, out):
    out['begin'] = srv.tick(); out['outer'] = True; out['trusts'] = False; v = yield lambda: srv.read_root(c)
    if v is not None: out['v'] = v; out['how'] = 'fresh'

def note(srv, c, made): c.own += [(srv.tick(), e) for e in made]

def end(srv, c, what, region, out):
    made = yield lambda: srv.end(c, what, region)
    note(srv, c, made)

def touch(srv, c, out):
    steps = [list(reversed(BELOW)), [ROOT]]
    if 'outer-first' in MUT: steps.reverse()
    if 'touch-below-only' in MUT: steps = steps[:1]
    made = []
    for regions in steps: made += yield lambda: srv.touch(c, regions)
    out['touched'] = (srv.tick(), made[0][0], c.id)

def run(seed):
    rng = random.Random(seed); srv = Servers(rng); cs = srv.clients = [Client(0), Client(1)]; tasks, reads, touched = [], [], []
    for _ in range(300):
        srv.tick(); act = rng.random()
        for c in cs:
            if not c.pushes: c.heard = srv.now - 1
        if srv.replaced: return srv.replaced
        if act < .25:
            if len(tasks) >= 5: continue
            c = rng.choice(cs); out = {'c': c, 'trusts': rng.random() < .4}; x = rng.random()
            if x < .3: gen = read(srv, c, out)
            elif x < .6: gen = compute(srv, c, out)
            elif x < .66: gen = put(srv, c, out)
            elif x < .69: gen = remove(srv, c, out)
            elif x < .76: gen = outer(srv, c, out)
            elif x < .82: gen = read_outer(srv, c, out)
            elif x < .88: gen = touch(srv, c, out)
            else:
                region = rng.choice([ROOT, ROOT, ROOT, ANCHOR, LEAF])
                gen = end(srv, c, rng.choice(['invalidate', 'invalidate', 'expire']), region, out)
            tasks.append(Task(c, gen, out))
        elif act < .256: srv.lose()
        elif act < .262: which = rng.choice(['above', 'below']); srv.snap[which] = (copy.deepcopy(srv.at[which]), srv.now)
        elif act < .264 and srv.snap:
            if bad := check(srv, reads, touched): return bad
            srv.roll_back(rng.choice(sorted(srv.snap))); tasks, reads, touched = [], [], []
            for c in cs: c.own = [o for o in c.own if o[1] in srv.ends]
        elif act < .30:
            for _ in range(rng.randrange(20)): srv.tick()
        elif act < .36:
            moved = [c for c in cs if c.pushes]
            if moved: rng.choice(moved).deliver(tasks)
        elif tasks:
            t = rng.choice(tasks)
            if t.cmd is not None:
                # what was pushed before the answer is handled before it; the answer itself may wait
                t.reply, t.cmd, t.after = t.cmd(), None, len(t.c.pushes); continue
            while t.after > 0: t.c.deliver(tasks)
            if not t.step():
                tasks.remove(t); reads.append(t.out)
                if 'touched' in t.out: touched.append(t.out['touched'])
    return srv.replaced or check(srv, reads, touched)

def covers(e, outer):
    # a touch of the root is the second step of one: its value may be made of what was loaded after the first
    if outer: return e[2] == ROOT and e[1] != 'touch'
    return e[2] == LEAF or e[1] in ('invalidate', 'expire')

def check(srv, reads, touched):
    for r in reads:
        if 'v' not in r: continue
        c = r['c']; outer = 'outer' in r
        # what was known without asking may be behind others, until the push that tells of it
        ends = srv.ends if not r['trusts'] else [e for done, e in c.own if done < r['begin']] + [e for e in srv.ends if e[2] != ROOT or e[0] <= r['heard']]
        for e in ends:
            if not r['v'] < e[0] < r['begin'] or not covers(e, outer): continue
            if e[1] == 'expire' and (outer or r['how'] == 'stale'): continue
            return f"client {c.id}: {r['how']} value of {r['v']}, {e[1]} of {e[2]} at {e[0]}, began at {r['begin']}"
        for done, first, by in touched:
            if outer and r['v'] < first and done < r['begin']: return f"client {c.id}: the root's value is of {r['v']}, touched from {first} to {done}"
        if r['how'] == 'stale':
            # each server's clock runs as the other's, and shows another time
            expired = [e[0] for e in srv.ends if e[1] == 'expire' and e[0] >= r['put']]
            if expired and r['now'] >= min(expired) + WINDOW: return f"client {c.id}: stale at {r['now']}, expired at {min(expired)}"
    return None

MUT = set()
ALL_MUTATIONS = ['life-without-claim', 'late-claim', 'stale-claim-replaces', 'seen-unchecked', 'outer-first', 'touch-below-only', 'other-clock',
    'root-from-before', 'no-epoch']
if __name__ == '__main__':
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 20000
    for mut in ([sys.argv[2]] if len(sys.argv) > 2 else [''] + ALL_MUTATIONS):
        MUT.clear(); MUT.update([mut] if mut else []); bad = None
        for seed in range(n):
            bad = run(seed)
            if bad: break
        print(f"{mut or 'design':22} {'seed %d: %s' % (seed, bad) if bad else 'no violation in %d seeds' % n}", flush=True)
