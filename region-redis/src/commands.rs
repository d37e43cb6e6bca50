//! The commands of each operation.

use std::time::Duration;

use redis::Cmd;
use region_core::{
    LeaseTerms, Lifetime, Op, Put, RegionPath, RegionTimeout, TakeLease, Verb, When, Write,
};

use crate::layout::{self, Kind, NameBuffer};
use crate::scripts::{SCRIPTS, Script};

/// The most that is listed in one step: the server does nothing else meanwhile.
const LARGEST_PAGE: usize = 10_000;

/// Bytes of new ids for one region.
const IDS: usize = 16;

/// Writes the calls of scripts.
struct Call {
    command: Cmd,
    names: NameBuffer,
}

impl Call {
    fn new(script: &Script, keys: usize) -> Self {
        let mut command = Cmd::with_capacity(keys * 2, keys * 96);
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
}

/// `MGET` of the ids along the path, and the count of writes.
pub(crate) fn ids(path: &RegionPath, number: u128) -> Cmd {
    let mut command = Cmd::with_capacity(path.depth() + 2, (path.depth() + 1) * 96);
    let mut names = NameBuffer::default();
    command.arg("MGET");
    for prefix in path.prefixes() {
        command.arg(names.of(Kind::Ids, prefix));
    }
    command.arg(layout::count(number));
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

pub(crate) fn begin(path: &RegionPath, keys: &[&str], terms: LeaseTerms, number: u128) -> Cmd {
    let depth = path.depth();
    let mut call = Call::new(&SCRIPTS.begin, depth + 3);
    call.key(Kind::Entries, path.as_str());
    call.key(Kind::Leases, path.as_str());
    call.path(Kind::Ids, path);
    call.arg(layout::count(number));
    call.arg(depth);
    call.arg(random_ids(depth));
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

pub(crate) fn write(path: &RegionPath, write: &Write<'_>, number: u128) -> Cmd {
    let depth = path.depth();
    let mut call = Call::new(&SCRIPTS.write, 4 + 2 * depth);
    let text = path.as_str();
    call.key(Kind::Entries, text);
    call.key(Kind::Leases, text);
    call.arg(layout::graves(text));
    call.arg(layout::grave_prefix(text));
    call.path(Kind::Ids, path);
    for ancestor in path.prefixes().take(depth - 1) {
        call.key(Kind::Children, ancestor);
    }
    call.arg(layout::count(number));
    call.arg(depth);
    call.arg(random_ids(depth));
    call.arg(text);
    call.arg(grave_id());
    timeout(&mut call, write.timeout);
    guard(&mut call, write);
    write.ops.iter().for_each(|op| operation(&mut call, op));
    call.command
}

fn timeout(call: &mut Call, timeout: RegionTimeout) {
    let (mode, after) = match timeout {
        RegionTimeout::Leave => ("L", Duration::ZERO),
        RegionTimeout::Start(after) => ("S", after),
        RegionTimeout::Restart(after) => ("R", after),
    };
    call.arg(mode);
    call.arg(millis(after).max(1));
}

fn guard(call: &mut Call, write: &Write<'_>) {
    let Some(guard) = &write.guard else {
        ["", "", "", "0"].into_iter().for_each(|none| call.arg(none));
        return;
    };
    call.arg(guard.lineage.life_bytes());
    match guard.lineage.soft_mark() {
        0 => call.arg(""),
        mark => call.arg(&mark.to_le_bytes()[..]),
    }
    call.arg(&guard.token.to_bits().to_le_bytes()[..]);
    call.arg(guard.keys.len());
    guard.keys.iter().for_each(|key| call.arg(*key));
}

fn operation(call: &mut Call, op: &Op<'_>) {
    match op {
        Op::Put(op) => put(call, op),
        Op::Remove { key } => ["R", key].into_iter().for_each(|arg| call.arg(arg)),
        Op::Take { key } => ["T", key].into_iter().for_each(|arg| call.arg(arg)),
        Op::Release { key } => ["L", key].into_iter().for_each(|arg| call.arg(arg)),
    }
}

fn put(call: &mut Call, put: &Put<'_>) {
    call.arg("P");
    call.arg(put.key);
    call.arg(&put.bytes[..]);
    let (when, held) = match &put.when {
        When::Always => ("A", &[][..]),
        When::Absent => ("B", &[][..]),
        When::AbsentOrHolding(bytes) => ("H", &bytes[..]),
    };
    call.arg(when);
    call.arg(held);
    match put.fresh_for {
        Lifetime::Unlimited => call.arg(""),
        Lifetime::Millis(millis) => call.arg(millis.get()),
    }
    call.arg(millis(put.stale_for));
}

pub(crate) fn end(path: &RegionPath, verb: Verb, number: u128) -> Cmd {
    let text = path.as_str();
    let depth = path.depth();
    match verb {
        Verb::Invalidate => {
            let mut call = Call::new(&SCRIPTS.invalidate, 7);
            for kind in [Kind::Ids, Kind::Entries, Kind::Leases, Kind::Children] {
                call.key(kind, text);
            }
            call.arg(layout::graves(text));
            call.arg(layout::grave_prefix(text));
            call.arg(layout::count(number));
            call.arg(random_ids(1));
            call.arg(text);
            call.arg(grave_id());
            call.command
        }
        Verb::Touch => {
            let mut call = Call::new(&SCRIPTS.touch, 3 * depth + 1);
            for kind in [Kind::Ids, Kind::Entries, Kind::Leases] {
                call.path(kind, path);
            }
            call.arg(layout::count(number));
            call.arg(depth);
            call.arg(random_ids(depth));
            call.command
        }
        Verb::Expire => {
            let mut call = Call::new(&SCRIPTS.expire, 2);
            call.key(Kind::Ids, text);
            call.arg(layout::count(number));
            call.arg(&rand::random::<[u8; 8]>()[..]);
            call.command
        }
    }
}

/// Reclaims up to `limit` children that the grave `id` of the region `text` holds.
pub(crate) fn reclaim(path: &RegionPath, id: &str, limit: usize) -> Cmd {
    let text = path.as_str();
    let mut call = Call::new(&SCRIPTS.reclaim, path.depth() + 2);
    call.arg(layout::graves(text));
    call.arg(layout::grave_prefix(text));
    call.path(Kind::Ids, path);
    call.arg(path.depth());
    call.arg(id);
    call.arg(text);
    // At least two: a single field may be the stamp, which is no child.
    call.arg(limit.max(2));
    for kind in [Kind::Ids, Kind::Entries, Kind::Leases, Kind::Children] {
        call.key(kind, text);
    }
    call.arg(grave_id());
    call.command
}

/// Counts a page of fresh entries.
pub(crate) fn len(path: &RegionPath, cursor: u64, limit: usize) -> Cmd {
    let mut call = Call::new(&SCRIPTS.len, path.depth() + 1);
    call.key(Kind::Entries, path.as_str());
    call.path(Kind::Ids, path);
    call.arg(path.depth());
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

fn random_ids(regions: usize) -> Vec<u8> {
    let mut ids = vec![0; regions * IDS];
    rand::fill(&mut ids[..]);
    ids
}

fn grave_id() -> String {
    format!("{:016x}", rand::random::<u64>())
}

/// Whole milliseconds, within what the layout's six bytes hold.
fn millis(duration: Duration) -> u64 {
    const MOST: u64 = (1 << 47) - 1;
    u64::try_from(duration.as_millis()).unwrap_or(MOST).min(MOST)
}
