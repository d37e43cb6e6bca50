//! The commands of each operation.

use std::time::Duration;

use redis::Cmd;
use region_core::{
    LeaseTerms, LeaseToken, Lifetime, MAX_DEPTH, Op, Put, RegionPath, RegionTtl, TakeLease, Verb,
    When, Write,
};

use crate::protocol::layout::{Kind, NameBuffer};
use crate::protocol::scripts::{SCRIPTS, Script};

/// The most that is listed in one step: the server does nothing else meanwhile.
const LARGEST_PAGE: usize = 10_000;

/// Bytes of a new id.
const ID: usize = 8;

/// Bytes of a region's new `tree` and `own`.
const IDS: usize = 2 * ID;

/// About how long names are.
const NAME_BYTES: usize = 64;

/// The count of one connection's writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count<'k> {
    /// The key that holds it.
    pub(crate) key: &'k str,
    /// The highest count that a server has answered over the connection: a write whose count is not
    /// higher is refused. Zero refuses nothing.
    pub(crate) floor: u64,
}

/// Makes a connection's count ready, and retires those of connections that were given up. Answers the
/// count. It may be sent again at any time; the count rises by one each time. Without being refreshed it
/// lives for `lifetime`.
pub(crate) fn prepare<N: AsRef<str>>(count: &str, retired: &[N], lifetime: Duration) -> Cmd {
    let mut call = Call::new(&SCRIPTS.prepare, 1 + retired.len());
    call.arg(count);
    retired.iter().for_each(|retired| call.arg(retired.as_ref()));
    call.arg(millis(lifetime));
    call.command
}

/// Makes a connection's count live for `lifetime` from now on. Answers 0 if there is none.
pub(crate) fn refresh(count: &str, lifetime: Duration) -> Cmd {
    let mut command = Cmd::new();
    command.arg("PEXPIRE").arg(count).arg(millis(lifetime));
    command
}

/// Deletes counts; `None` if there are none.
pub(crate) fn forget(counts: &[String]) -> Option<Cmd> {
    let mut command = Cmd::new();
    command.arg("DEL").arg(counts);
    (!counts.is_empty()).then_some(command)
}

/// Writes the calls of scripts.
struct Call {
    command: Cmd,
    names: NameBuffer,
}

impl Call {
    fn new(script: &Script, keys: usize) -> Self {
        let mut command = Cmd::with_capacity(keys + 16, (keys + 6) * NAME_BYTES);
        command.arg("EVALSHA").arg(&script.digest).arg(keys);
        Self { command, names: NameBuffer::default() }
    }

    fn key(&mut self, kind: Kind, path: &str) {
        self.command.arg(self.names.of(kind, path));
    }

    /// The keys of a region and all its ancestors, from the root down.
    fn path(&mut self, kind: Kind, path: &RegionPath) {
        path.prefixes().for_each(|prefix| self.key(kind, prefix));
    }

    fn arg(&mut self, arg: impl redis::ToRedisArgs) {
        self.command.arg(arg);
    }

    /// Random bytes: new ids.
    fn random(&mut self, len: usize) {
        let mut bytes = [0_u8; MAX_DEPTH * IDS];
        rand::fill(&mut bytes[..len]);
        self.arg(&bytes[..len]);
    }

    /// An id for a grave.
    fn grave(&mut self) {
        let digits = |at: u32| b"0123456789abcdefghijklmnopqrstuv"[at as usize % 32];
        let mut random: u64 = rand::random();
        let id: [u8; 12] = std::array::from_fn(|_| {
            let digit = digits((random & 31) as u32);
            random >>= 5;
            digit
        });
        self.arg(&id[..]);
    }
}

/// `MGET` of the ids along the path, and of the count of writes if it matters.
pub(crate) fn ids(path: &RegionPath, count: Option<&str>) -> Cmd {
    let mut command = Cmd::with_capacity(path.depth() + 2, (path.depth() + 1) * NAME_BYTES);
    let mut names = NameBuffer::default();
    command.arg("MGET");
    for prefix in path.prefixes() {
        command.arg(names.of(Kind::Ids, prefix));
    }
    if let Some(count) = count {
        command.arg(count);
    }
    command
}

/// `HMGET` of the stamp and entries.
pub(crate) fn entries(path: &RegionPath, keys: &[&str]) -> Cmd {
    let mut command = Cmd::with_capacity(keys.len() + 3, keys.len() * 32 + 128);
    command.arg("HMGET").arg(NameBuffer::default().of(Kind::Entries, path.as_str())).arg("");
    keys.iter().for_each(|key| {
        command.arg(*key);
    });
    command
}

pub(crate) fn begin(path: &RegionPath, keys: &[&str], terms: LeaseTerms, count: Count<'_>) -> Cmd {
    let mut call = Call::new(&SCRIPTS.begin, path.depth() + 3);
    call.key(Kind::Entries, path.as_str());
    call.key(Kind::Leases, path.as_str());
    call.arg(count.key);
    call.path(Kind::Ids, path);
    call.arg(count.floor);
    call.random(path.depth() * IDS);
    call.arg(&terms.token.to_bits().to_le_bytes()[..]);
    call.arg(millis(terms.duration).max(1));
    call.arg(match terms.take {
        TakeLease::UnlessFresh => "U",
        TakeLease::Always => "A",
        TakeLease::Extend => "E",
    });
    keys.iter().for_each(|key| call.arg(*key));
    call.command
}

pub(crate) fn write(path: &RegionPath, write: &Write<'_>, count: Count<'_>) -> Cmd {
    let puts = write.ops.iter().any(|op| matches!(op, Op::Put(_)));
    let script = if puts { &SCRIPTS.write } else { &SCRIPTS.free };
    let mut call = Call::new(script, 3 + path.depth());
    call.key(Kind::Entries, path.as_str());
    call.key(Kind::Leases, path.as_str());
    call.arg(count.key);
    call.path(Kind::Ids, path);
    call.arg(count.floor);
    call.random(path.depth() * IDS);
    call.arg(path.as_str());
    call.grave();
    match write.region_ttl {
        RegionTtl::Leave => call.arg("L"),
        RegionTtl::Start(after) => call.arg(format!("S{}", millis(after).max(1))),
        RegionTtl::Restart(after) => call.arg(format!("R{}", millis(after).max(1))),
    }
    guard(&mut call, write);
    write.ops.iter().for_each(|op| operation(&mut call, op));
    call.command
}

/// The puts of `write`, if it may be an ordinary one: puts alone, and no more than fit on the stack of
/// a script.
pub(crate) fn puts_alone<'w>(write: &Write<'w>) -> Option<Vec<&'w Put<'w>>> {
    const MOST: usize = 1000;
    if write.guard.is_some() || write.region_ttl != RegionTtl::Leave || write.ops.len() > MOST {
        return None;
    }
    let put = |op: &'w Op<'w>| match op {
        Op::Put(put) if put.when == When::Always => Some(put),
        _ => None,
    };
    write.ops.iter().map(put).collect()
}

/// The ordinary write.
pub(crate) fn put_alone(path: &RegionPath, puts: &[&Put<'_>], count: Count<'_>) -> Cmd {
    let mut call = Call::new(&SCRIPTS.put, 3 + path.depth());
    call.key(Kind::Entries, path.as_str());
    call.key(Kind::Leases, path.as_str());
    call.arg(count.key);
    call.path(Kind::Ids, path);
    call.arg(count.floor);
    for put in puts {
        call.arg(put.key);
        lifetimes(&mut call, put);
        call.arg(&put.bytes[..]);
    }
    call.command
}

fn guard(call: &mut Call, write: &Write<'_>) {
    let Some(guard) = &write.guard else { return call.arg("") };
    call.arg(guard.keys.len());
    call.arg(guard.lineage.life_bytes());
    match guard.lineage.soft_mark() {
        0 => call.arg(""),
        mark => call.arg(&mark.to_le_bytes()[..]),
    }
    call.arg(&guard.token.to_bits().to_le_bytes()[..]);
    guard.keys.iter().for_each(|key| call.arg(*key));
}

fn operation(call: &mut Call, op: &Op<'_>) {
    match op {
        Op::Put(op) => put(call, op),
        Op::Remove { key } => ["R", key].into_iter().for_each(|arg| call.arg(arg)),
        Op::Take { key } => ["T", key].into_iter().for_each(|arg| call.arg(arg)),
    }
}

fn put(call: &mut Call, put: &Put<'_>) {
    call.arg(match &put.when {
        When::Always => "P",
        When::Absent => "B",
        When::AbsentOrHolding(_) => "H",
    });
    call.arg(put.key);
    lifetimes(call, put);
    call.arg(&put.bytes[..]);
    if let When::AbsentOrHolding(held) = &put.when {
        call.arg(&held[..]);
    }
}

fn lifetimes(call: &mut Call, put: &Put<'_>) {
    match put.fresh_for {
        Lifetime::Unlimited => call.arg(""),
        Lifetime::Millis(millis) => call.arg(millis.get()),
    }
    call.arg(millis(put.stale_for));
}

pub(crate) fn end(path: &RegionPath, verb: Verb, count: Count<'_>) -> Cmd {
    let text = path.as_str();
    match verb {
        Verb::Invalidate => {
            let mut call = Call::new(&SCRIPTS.invalidate, 4);
            for kind in [Kind::Ids, Kind::Entries, Kind::Leases] {
                call.key(kind, text);
            }
            call.arg(count.key);
            call.arg(count.floor);
            call.random(IDS);
            call.arg(text);
            call.grave();
            call.command
        }
        Verb::Touch => {
            let mut call = Call::new(&SCRIPTS.touch, 2 * path.depth() + 1);
            call.arg(count.key);
            for kind in [Kind::Entries, Kind::Leases] {
                call.path(kind, path);
            }
            call.arg(count.floor);
            call.command
        }
        Verb::InvalidateAndTouch => {
            let mut call = Call::new(&SCRIPTS.invalidate_and_touch, 2 * path.depth() + 2);
            call.arg(count.key);
            call.key(Kind::Ids, text);
            for kind in [Kind::Entries, Kind::Leases] {
                call.path(kind, path);
            }
            call.arg(count.floor);
            call.random(IDS);
            call.arg(text);
            call.grave();
            call.command
        }
        Verb::Expire => {
            let mut call = Call::new(&SCRIPTS.expire, 2);
            call.key(Kind::Ids, text);
            call.arg(count.key);
            call.arg(count.floor);
            call.random(ID);
            call.command
        }
    }
}

/// Gives back the leases of `keys` that `token` holds.
pub(crate) fn release(path: &RegionPath, keys: &[String], token: LeaseToken) -> Cmd {
    let mut call = Call::new(&SCRIPTS.release, 1);
    call.key(Kind::Leases, path.as_str());
    call.arg(&token.to_bits().to_le_bytes()[..]);
    keys.iter().for_each(|key| call.arg(key));
    call.command
}

/// Reclaims up to `limit` children that the grave `id` of the region at `path` holds.
pub(crate) fn reclaim(path: &RegionPath, id: &str, limit: usize) -> Cmd {
    let mut call = Call::new(&SCRIPTS.reclaim, path.depth());
    call.path(Kind::Ids, path);
    call.arg(id);
    call.arg(path.as_str());
    // At least two: a single field may be the stamp, which is no child.
    call.arg(limit.max(2));
    call.grave();
    call.command
}

/// Counts a page of fresh entries.
pub(crate) fn len(path: &RegionPath, cursor: u64, limit: usize) -> Cmd {
    let mut call = Call::new(&SCRIPTS.len, path.depth() + 1);
    call.key(Kind::Entries, path.as_str());
    call.path(Kind::Ids, path);
    call.arg(cursor);
    call.arg(limit.max(1));
    call.command
}

/// Lists a page of a region's hash.
pub(crate) fn scan(path: &RegionPath, kind: Kind, cursor: u64, limit: usize) -> Cmd {
    let mut command = Cmd::new();
    command.arg("HSCAN").arg(NameBuffer::default().of(kind, path.as_str()));
    command.arg(cursor).arg("COUNT").arg(limit.clamp(1, LARGEST_PAGE));
    command
}

/// Reads the stamp of a region's hash.
pub(crate) fn stamp(path: &RegionPath, kind: Kind) -> Cmd {
    let mut command = Cmd::new();
    command.arg("HGET").arg(NameBuffer::default().of(kind, path.as_str())).arg("");
    command
}

/// Asks for the server's time.
pub(crate) fn time() -> Cmd {
    redis::cmd("TIME")
}

/// Whole milliseconds, within what the layout's six bytes hold.
fn millis(duration: Duration) -> u64 {
    const MOST: u64 = (1 << 47) - 1;
    u64::try_from(duration.as_millis()).unwrap_or(MOST).min(MOST)
}

#[cfg(test)]
mod tests {
    use redis::Value;
    use region_core::LeaseToken;
    use servers::{Flavor, TestServer};

    use super::*;
    use crate::protocol::scripts::with_sources;

    const COUNT: &str = "rc1:w{1}";
    const LIFETIME: Duration = Duration::from_secs(60);

    /// All commands that write, each with a count whose floor is `floor`.
    fn writing(path: &RegionPath, floor: u64) -> Vec<Cmd> {
        let count = Count { key: COUNT, floor };
        let put = Put::new("k", "other");
        let terms = LeaseTerms::new(LeaseToken::from_bits(1), Duration::from_secs(9));
        let terms = terms.take(TakeLease::Always);
        let write = |ops: &[Op<'_>]| super::write(path, &Write::new(ops), count);
        vec![
            put_alone(path, &[&put], count),
            write(&[Op::Put(put.clone())]),
            write(&[Op::Remove { key: "k" }]),
            begin(path, &["k"], terms, count),
            end(path, Verb::Expire, count),
            end(path, Verb::Touch, count),
            end(path, Verb::Invalidate, count),
            end(path, Verb::InvalidateAndTouch, count),
        ]
    }

    async fn run(connection: &mut redis::aio::MultiplexedConnection, command: &Cmd) -> Value {
        let mut pipeline = redis::Pipeline::new();
        pipeline.add_command(command.clone());
        let pipeline = with_sources(&pipeline);
        let answers = connection.send_packed_commands(&pipeline, 0, 1).await.unwrap();
        answers.into_iter().next().unwrap()
    }

    /// Bug: a write that reached a server late, or one that had lost earlier writes of its connection, was
    /// done all the same. Effect: an older value won, and the loss went unseen. Fix: a write whose count is
    /// not above the floor is refused before it changes anything.
    #[tokio::test]
    async fn a_write_over_a_retired_connection_changes_nothing() {
        for flavor in [Flavor::Redis, Flavor::Valkey] {
            let server = TestServer::start(flavor);
            let client = redis::Client::open(server.url()).unwrap();
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            let path = RegionPath::parse("r.a").unwrap();
            run(&mut connection, &prepare::<&str>(COUNT, &[], LIFETIME)).await;
            for command in writing(&path, 1) {
                let done = run(&mut connection, &command).await;
                assert!(!matches!(done, Value::ServerError(_)), "{done:?}");
            }
            server.command(&["FLUSHALL"]);
            run(&mut connection, &writing(&path, 0)[1]).await;
            run(&mut connection, &prepare("rc1:w{2}", &[COUNT], LIFETIME)).await;
            let digest = || {
                let digest = server.command(&["DEBUG", "DIGEST"]).text();
                (digest, server.command(&["EXISTS", COUNT]).text())
            };
            let before = digest();
            for command in writing(&path, 1) {
                match run(&mut connection, &command).await {
                    Value::ServerError(error) => assert_eq!(error.code(), "REGIONLOST"),
                    other => panic!("not refused: {other:?}"),
                }
                assert_eq!(digest(), before, "nothing has changed");
            }
        }
    }
}
