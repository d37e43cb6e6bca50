use redis::Cmd;
use region_core::{Lifetime, Op, Put, RegionTtl, Trust, When, Write};

use crate::protocol::call::{Call, Count, millis};
use crate::protocol::layout::{Kind, Located};
use crate::protocol::scripts::{SCRIPTS, Script};

/// A write of any kind.
pub(crate) fn write(path: Located<'_>, write: &Write<'_>, count: Count<'_>) -> Cmd {
    let puts = write.ops.iter().any(|op| matches!(op, Op::Put(_)));
    let script = if puts { &SCRIPTS.write } else { &SCRIPTS.free };
    let mut call = begin(script, path, count);
    call.ids(path.region.depth());
    call.tombstone();
    call.change(write.ops.iter().map(Op::key));
    match write.region_ttl {
        RegionTtl::Leave => call.arg("L"),
        RegionTtl::Start(after) => call.arg(format!("S{}", millis(after).max(1))),
        RegionTtl::Restart(after) => call.arg(format!("R{}", millis(after).max(1))),
    }
    trust(&mut call, path, write.trust);
    guard(&mut call, write);
    write.ops.iter().for_each(|op| operation(&mut call, op));
    call.done()
}

/// Returns the puts of `write` if it consists of unconditional puts alone, without a guard or a region TTL,
/// and there are no more of them than fit on the stack of a script.
pub(crate) fn only_puts<'w>(write: &Write<'w>) -> Option<Vec<&'w Put<'w>>> {
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

/// Puts into a region that is likely to exist.
pub(crate) fn put(path: Located<'_>, puts: &[&Put<'_>], kept: Trust, count: Count<'_>) -> Cmd {
    let mut call = begin(&SCRIPTS.put, path, count);
    call.change(puts.iter().map(|put| put.key));
    trust(&mut call, path, kept);
    for put in puts {
        call.arg(put.key);
        lifetimes(&mut call, put);
        call.arg(&put.bytes[..]);
    }
    call.done()
}

/// The keys of a write, and the floor of its count.
fn begin<'p>(script: &Script, path: Located<'p>, count: Count<'_>) -> Call<'p> {
    let keys = 2 + count.keys() + path.here().len();
    let mut call = Call::at(script, path, keys);
    call.key(Kind::Entries, path.text());
    call.key(Kind::Leases, path.text());
    call.arg(count.key);
    call.path(Kind::Ids, path);
    call.end_keys(path);
    count.receipt.into_iter().for_each(|receipt| call.arg(receipt));
    call.arg(count.floor);
    call
}

/// Asks for the ids and the stamp after the write, if they are of use. Below an anchor its `tree` always is.
fn trust(call: &mut Call<'_>, path: Located<'_>, trust: Trust) {
    let shows_region = trust == Trust::Kept || path.claim.is_some();
    call.arg(if shows_region { "K" } else { "" });
}

fn guard(call: &mut Call<'_>, write: &Write<'_>) {
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

fn operation(call: &mut Call<'_>, op: &Op<'_>) {
    match op {
        Op::Put(put) => conditional_put(call, put),
        Op::Remove { key } => ["R", key].into_iter().for_each(|arg| call.arg(arg)),
        Op::Take { key } => ["T", key].into_iter().for_each(|arg| call.arg(arg)),
    }
}

fn conditional_put(call: &mut Call<'_>, put: &Put<'_>) {
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

fn lifetimes(call: &mut Call<'_>, put: &Put<'_>) {
    match put.fresh_for {
        Lifetime::Unlimited => call.arg(""),
        Lifetime::Millis(millis) => call.arg(millis.get()),
    }
    call.arg(millis(put.stale_for));
}
