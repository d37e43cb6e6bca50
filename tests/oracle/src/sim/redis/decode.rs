//! The changes that a script has made, by its arguments and its reply.

use std::time::Duration;

use region_core::{RegionPath, Verb};
use region_redis::testing::script_name;
use simredis::Reply;

use super::super::value::id_in;
use super::super::world::World;
use crate::history::Effect;

/// The effects of a command that has been executed.
pub(super) fn effects(world: &World, args: &[Vec<u8>], reply: &Reply) -> Vec<Effect> {
    if matches!(reply, Reply::Error(_) | Reply::Null) {
        return Vec::new();
    }
    let Some((name, keys, args)) = call(args) else { return Vec::new() };
    match name {
        "invalidate" => {
            let touches = args.get(4).is_some_and(|why| why == b"A");
            let verb = if touches { Verb::InvalidateAndTouch } else { Verb::Invalidate };
            ended(world, keys.get(5), verb)
        }
        "touch" => ended(world, keys.get((keys.len() - 1) / 3), Verb::Touch),
        "expire" => ended(world, keys.last(), Verb::Expire),
        "put" => puts(world, keys, args),
        "write" | "free" => writes(world, keys, args, reply).unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// The name of the script that is called, its keys and its arguments.
type Call<'a> = (&'static str, &'a [Vec<u8>], &'a [Vec<u8>]);

fn call(args: &[Vec<u8>]) -> Option<Call<'_>> {
    let name = script_name(args.get(1)?)?;
    let keys: usize = text(args.get(2)?)?.parse().ok()?;
    let rest = args.get(3..)?;
    Some((name, rest.get(..keys)?, rest.get(keys..)?))
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// The region of a server's key.
pub(super) fn region(key: &[u8]) -> Option<RegionPath> {
    let rest = text(key)?.strip_prefix("rc1:")?.get(1..)?;
    RegionPath::parse(&rest.replace(['{', '}'], "")).ok()
}

fn ended(world: &World, key: Option<&Vec<u8>>, verb: Verb) -> Vec<Effect> {
    let region = key.and_then(|key| world.region_of(&region(key)?));
    region.map(|region| Effect::Ended { region, verb }).into_iter().collect()
}

fn millis(arg: &[u8]) -> Option<Duration> {
    Some(Duration::from_millis(text(arg)?.parse().ok()?))
}

fn put(world: &World, region: &RegionPath, args: &[Vec<u8>]) -> Option<Effect> {
    let [name, fresh, stale, bytes, ..] = args else { return None };
    let key = world.key_of(region, text(name)?)?;
    let stale_for = millis(stale).unwrap_or_default();
    Some(Effect::Put { key, value: id_in(bytes), fresh_for: millis(fresh), stale_for })
}

fn puts(world: &World, keys: &[Vec<u8>], args: &[Vec<u8>]) -> Vec<Effect> {
    let Some(region) = keys.first().and_then(|key| region(key)) else { return Vec::new() };
    let puts = args.get(3..).unwrap_or_default().chunks(4);
    puts.filter_map(|args| put(world, &region, args)).collect()
}

fn writes(world: &World, keys: &[Vec<u8>], args: &[Vec<u8>], reply: &Reply) -> Option<Vec<Effect>> {
    let Reply::Array(reply) = reply else { return None };
    let Some(Reply::Array(outcomes)) = reply.get(1) else { return None };
    let path = region(keys.first()?)?;
    let mut effects = Vec::new();
    if let (Some(region), [b'S' | b'R', ttl @ ..]) = (world.region_of(&path), &args.get(4)?[..]) {
        effects.push(Effect::RegionTtl { region, ttl: millis(ttl)? });
    }
    let mut at = match text(args.get(6)?)? {
        "" => 7,
        guarded => 10 + guarded.parse::<usize>().ok()?,
    };
    for outcome in outcomes {
        let op = args.get(at)?.first()?;
        match op {
            b'P' | b'B' | b'H' => {
                if matches!(outcome, Reply::Int(1)) {
                    effects.extend(put(world, &path, args.get(at + 1..)?));
                }
                at += if *op == b'H' { 6 } else { 5 };
            }
            _ => {
                let key = world.key_of(&path, text(args.get(at + 1)?)?);
                effects.extend(key.map(|key| Effect::Removed { key }));
                at += 2;
            }
        }
    }
    Some(effects)
}
