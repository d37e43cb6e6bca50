use rand::seq::IndexedRandom;

use super::{Done, int, is, page, syntax};
use crate::data::{Hash, Value};
use crate::execution::Execution;
use crate::reply::Reply;

fn hash<'r>(run: &'r mut Execution, key: &[u8]) -> Result<Option<&'r mut Hash>, Reply> {
    match run.entry(key).map(|entry| &mut entry.value) {
        None => Ok(None),
        Some(Value::Hash(hash)) => Ok(Some(hash)),
        Some(_) => Err(Reply::wrong_type()),
    }
}

fn field<'r>(run: &'r mut Execution, args: &[Vec<u8>]) -> Result<Option<&'r Vec<u8>>, Reply> {
    Ok(hash(run, &args[0])?.and_then(|hash| hash.get(&args[1])))
}

pub(super) fn hget(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    Ok(Reply::optional(field(run, args)?))
}

pub(super) fn hmget(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    let hash = hash(run, &args[0])?;
    let get = |field: &Vec<u8>| Reply::optional(hash.as_ref().and_then(|hash| hash.get(field)));
    Ok(Reply::Array(args[1..].iter().map(get).collect()))
}

pub(super) fn hset(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    let (key, pairs) = (&args[0], &args[1..]);
    if !pairs.len().is_multiple_of(2) {
        return Err(Reply::error("ERR wrong number of arguments for 'hset' command"));
    }
    if hash(run, key)?.is_none() {
        run.store(key, Value::Hash(Hash::new()));
    }
    let mut added = 0;
    if let Some(hash) = hash(run, key)? {
        for pair in pairs.chunks(2) {
            added += usize::from(hash.insert(pair[0].clone(), pair[1].clone()).is_none());
        }
    }
    run.changed(key);
    Ok(Reply::count(added))
}

pub(super) fn hdel(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    let key = &args[0];
    let Some(hash) = hash(run, key)? else { return Ok(Reply::Int(0)) };
    let removed = args[1..].iter().filter(|field| hash.remove(*field).is_some()).count();
    let is_empty = hash.is_empty();
    if is_empty {
        run.remove(key);
    } else if removed > 0 {
        run.changed(key);
    }
    Ok(Reply::count(removed))
}

pub(super) fn hlen(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    Ok(Reply::count(hash(run, &args[0])?.map_or(0, |hash| hash.len())))
}

pub(super) fn hexists(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    Ok(Reply::Int(i64::from(field(run, args)?.is_some())))
}

pub(super) fn hstrlen(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    Ok(Reply::count(field(run, args)?.map_or(0, Vec::len)))
}

/// With a count that is positive: distinct fields.
pub(super) fn hrandfield(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    let count = int(args.get(1).ok_or_else(syntax)?)?;
    let with_values = args.get(2).is_some_and(|option| is(option, "WITHVALUES"));
    let count = usize::try_from(count).map_err(|_| syntax())?;
    let all: Vec<_> = match hash(run, &args[0])? {
        None => return Ok(Reply::Array(Vec::new())),
        Some(hash) => hash.iter().map(|(field, value)| (field.clone(), value.clone())).collect(),
    };
    let chosen: Vec<_> = all.sample(&mut run.rng, count).collect();
    // Flat, as in RESP2: only scripts ask.
    let reply = |(field, value): &(Vec<u8>, Vec<u8>)| {
        let value = with_values.then(|| Reply::bulk(value));
        [Some(Reply::bulk(field)), value].into_iter().flatten()
    };
    Ok(Reply::Array(chosen.into_iter().flat_map(reply).collect()))
}

pub(super) fn hscan(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    let none = Hash::new();
    let hash = hash(run, &args[0])?.map_or(&none, |hash| hash);
    let elements = hash.iter().map(|(field, value)| (field.as_slice(), value));
    let (next, page) = page(args, elements)?;
    let page = page.into_iter().flat_map(|(field, value)| [Reply::bulk(field), Reply::bulk(value)]);
    Ok(Reply::Array(vec![Reply::bulk(next.to_string()), Reply::Array(page.collect())]))
}
