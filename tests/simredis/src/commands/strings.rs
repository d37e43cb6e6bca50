use super::{Done, arg, int, is, syntax};
use crate::data::{Entry, Value};
use crate::execution::Execution;
use crate::reply::Reply;

pub(super) fn get(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    match run.entry(&args[0]).map(|entry| &entry.value) {
        None => Ok(Reply::Null),
        Some(Value::String(text)) => Ok(Reply::bulk(text)),
        Some(_) => Err(Reply::wrong_type()),
    }
}

pub(super) fn mget(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    let get = |key: &Vec<u8>| match run.entry(key).map(|entry| &entry.value) {
        Some(Value::String(text)) => Reply::bulk(text),
        _ => Reply::Null,
    };
    Ok(Reply::Array(args.iter().map(get).collect()))
}

pub(super) fn set(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    let (key, mut expires_at, mut at) = (&args[0], None, 2);
    while let Some(option) = args.get(at) {
        let present = run.millis();
        if is(option, "KEEPTTL") {
            expires_at = run.entry(key).and_then(|entry| entry.expires_at);
            at += 1;
            continue;
        }
        let time = u64::try_from(int(arg(args, at + 1)?)?).map_err(|_| syntax())?;
        expires_at = match () {
            () if is(option, "PX") => Some(present + time),
            () if is(option, "PXAT") => Some(time),
            () => return Err(syntax()),
        };
        at += 2;
    }
    let entry = Entry { value: Value::String(args[1].clone()), expires_at };
    run.data.insert(key.clone(), entry);
    run.changed(key);
    Ok(Reply::Simple("OK"))
}

pub(super) fn incr(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    let key = &args[0];
    let next = match run.entry(key).map(|entry| &mut entry.value) {
        None => {
            run.store(key, Value::String(b"1".to_vec()));
            return Ok(Reply::Int(1));
        }
        Some(Value::String(text)) => {
            let overflow = || Reply::error("ERR increment or decrement would overflow");
            let next = int(text)?.checked_add(1).ok_or_else(overflow)?;
            *text = next.to_string().into_bytes();
            next
        }
        Some(_) => return Err(Reply::wrong_type()),
    };
    run.changed(key);
    Ok(Reply::Int(next))
}
