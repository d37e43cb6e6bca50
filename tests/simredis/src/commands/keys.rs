use super::{Done, int, is, syntax};
use crate::execution::Execution;
use crate::reply::Reply;

pub(super) fn del(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    Ok(Reply::count(args.iter().filter(|key| run.remove(key)).count()))
}

pub(super) fn exists(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    Ok(Reply::count(args.iter().filter(|key| run.entry(key).is_some()).count()))
}

pub(super) fn pttl(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    let now = run.millis();
    Ok(match run.entry(&args[0]).map(|entry| entry.expires_at) {
        None => Reply::Int(-2),
        Some(None) => Reply::Int(-1),
        Some(Some(at)) => Reply::Int(i64::try_from(at.saturating_sub(now)).unwrap_or(i64::MAX)),
    })
}

pub(super) fn pexpire(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    let at = i64::try_from(run.millis()).unwrap_or(i64::MAX).saturating_add(int(&args[1])?);
    expire_at(run, &args[0], at, args.get(2))
}

pub(super) fn pexpireat(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    expire_at(run, &args[0], int(&args[1])?, args.get(2))
}

fn expire_at(run: &mut Execution, key: &[u8], at: i64, option: Option<&Vec<u8>>) -> Done {
    if option.is_some_and(|option| !is(option, "GT")) {
        return Err(syntax());
    }
    let (now, at) = (run.millis(), u64::try_from(at).unwrap_or(0));
    let Some(entry) = run.entry(key) else { return Ok(Reply::Int(0)) };
    // A key without an expiry lives longer than any.
    if option.is_some() && entry.expires_at.is_none_or(|present| at <= present) {
        return Ok(Reply::Int(0));
    }
    if at <= now {
        run.remove(key);
    } else {
        entry.expires_at = Some(at);
        run.changed(key);
    }
    Ok(Reply::Int(1))
}

pub(super) fn persist(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    let had = run.entry(&args[0]).and_then(|entry| entry.expires_at.take()).is_some();
    if had {
        run.changed(&args[0]);
    }
    Ok(Reply::Int(i64::from(had)))
}

pub(super) fn rename(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    let Some(entry) = run.entry(&args[0]).cloned() else {
        return Err(Reply::error("ERR no such key"));
    };
    if args[0] == args[1] {
        return Ok(Reply::Simple("OK"));
    }
    run.data.remove(&args[0]);
    run.data.insert(args[1].clone(), entry);
    run.changed(&args[0]);
    run.changed(&args[1]);
    Ok(Reply::Simple("OK"))
}

pub(super) fn time(run: &mut Execution, _: &[Vec<u8>]) -> Done {
    const SECOND: u64 = 1_000_000;
    let parts = [run.now / SECOND, run.now % SECOND];
    Ok(Reply::Array(parts.map(|part| Reply::bulk(part.to_string())).to_vec()))
}
