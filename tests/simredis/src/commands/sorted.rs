use super::{Done, arg, int, is, page, syntax};
use crate::data::{SortedSet, Value};
use crate::execution::Execution;
use crate::reply::Reply;

fn sorted<'r>(run: &'r mut Execution, key: &[u8]) -> Result<Option<&'r mut SortedSet>, Reply> {
    match run.entry(key).map(|entry| &mut entry.value) {
        None => Ok(None),
        Some(Value::Sorted(set)) => Ok(Some(set)),
        Some(_) => Err(Reply::wrong_type()),
    }
}

fn score(text: &[u8]) -> Result<f64, Reply> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
    let number = number.filter(|number| !number.is_nan());
    number.ok_or_else(|| Reply::error("ERR value is not a valid float"))
}

/// A score as text.
fn shown(score: f64) -> String {
    if score.is_infinite() {
        return if score > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    format!("{score}")
}

pub(super) fn zadd(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    let (key, mut at, mut only_lower, mut only_present) = (&args[0], 1, false, false);
    loop {
        match args.get(at) {
            Some(option) if is(option, "LT") => only_lower = true,
            Some(option) if is(option, "XX") => only_present = true,
            _ => break,
        }
        at += 1;
    }
    let pairs = &args[at..];
    if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
        return Err(syntax());
    }
    let pairs: Vec<_> = pairs
        .chunks(2)
        .map(|pair| score(&pair[0]).map(|score| (score, &pair[1])))
        .collect::<Result<_, _>>()?;
    let mut set = match sorted(run, key)? {
        Some(set) => std::mem::take(set),
        None if only_present => return Ok(Reply::Int(0)),
        None => SortedSet::default(),
    };
    let (mut added, mut updated) = (0, false);
    for (score, member) in pairs {
        match set.score(member) {
            None if only_present => {}
            None => {
                added += 1;
                set.insert(member, score);
            }
            Some(present) if score == present || only_lower && score > present => {}
            Some(_) => {
                updated = true;
                set.insert(member, score);
            }
        }
    }
    match sorted(run, key)? {
        Some(emptied) => *emptied = set,
        None => run.store(key, Value::Sorted(set)),
    }
    if added > 0 || updated {
        run.changed(key);
    }
    Ok(Reply::count(added))
}

/// Removes members; an empty set goes.
fn drop_members(run: &mut Execution, key: &[u8], members: &[Vec<u8>]) -> Result<usize, Reply> {
    let Some(set) = sorted(run, key)? else { return Ok(0) };
    let removed = members.iter().filter(|member| set.remove(member)).count();
    let is_empty = set.len() == 0;
    if is_empty {
        run.remove(key);
    } else if removed > 0 {
        run.changed(key);
    }
    Ok(removed)
}

pub(super) fn zrem(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    drop_members(run, &args[0], &args[1..]).map(Reply::count)
}

pub(super) fn zcard(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    Ok(Reply::count(sorted(run, &args[0])?.map_or(0, |set| set.len())))
}

pub(super) fn zscore(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    let score = sorted(run, &args[0])?.and_then(|set| set.score(&args[1]));
    Ok(score.map_or(Reply::Null, |score| Reply::bulk(shown(score))))
}

pub(super) fn zrange(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    by_rank(run, args, false)
}

pub(super) fn zrevrange(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    by_rank(run, args, true)
}

fn by_rank(run: &mut Execution, args: &[Vec<u8>], reversed: bool) -> Done {
    let (from, to) = (int(&args[1])?, int(&args[2])?);
    let with_scores = options(&args[3..])?.with_scores;
    let Some(set) = sorted(run, &args[0])? else { return Ok(Reply::Array(Vec::new())) };
    let len = i64::try_from(set.len()).unwrap_or(i64::MAX);
    let place = |rank: i64| usize::try_from(if rank < 0 { (len + rank).max(0) } else { rank });
    let (from, to) = (place(from).map_err(|_| syntax())?, place(to).map_err(|_| syntax())?);
    let mut all: Vec<_> = set.iter().collect();
    if reversed {
        all.reverse();
    }
    let end = all.len().min(to.saturating_add(1));
    Ok(members(all.get(from..end).unwrap_or_default(), with_scores))
}

pub(super) fn zrangebyscore(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    let (least, most) = (Bound::parse(&args[1])?, Bound::parse(&args[2])?);
    let options = options(&args[3..])?;
    let Some(set) = sorted(run, &args[0])? else { return Ok(Reply::Array(Vec::new())) };
    let fits = |(_, score): &(&[u8], f64)| least.is_below(*score) && most.is_above(*score);
    let fitting = set.iter().filter(fits).skip(options.skip).take(options.limit);
    Ok(members(&fitting.collect::<Vec<_>>(), options.with_scores))
}

struct Bound {
    score: f64,
    is_excluded: bool,
}

impl Bound {
    fn parse(text: &[u8]) -> Result<Self, Reply> {
        let (is_excluded, text) = match text.strip_prefix(b"(") {
            Some(text) => (true, text),
            None => (false, text),
        };
        Ok(Self { score: score(text)?, is_excluded })
    }

    fn is_below(&self, other: f64) -> bool {
        self.score < other || !self.is_excluded && self.score == other
    }

    fn is_above(&self, other: f64) -> bool {
        self.score > other || !self.is_excluded && self.score == other
    }
}

struct Options {
    with_scores: bool,
    skip: usize,
    limit: usize,
}

fn options(args: &[Vec<u8>]) -> Result<Options, Reply> {
    let mut options = Options { with_scores: false, skip: 0, limit: usize::MAX };
    let mut at = 0;
    while let Some(option) = args.get(at) {
        at += 1;
        if is(option, "WITHSCORES") {
            options.with_scores = true;
        } else if is(option, "LIMIT") {
            let number = |at| usize::try_from(int(arg(args, at)?)?).map_err(|_| syntax());
            (options.skip, options.limit) = (number(at)?, number(at + 1)?);
            at += 2;
        } else {
            return Err(syntax());
        }
    }
    Ok(options)
}

fn members(members: &[(&[u8], f64)], with_scores: bool) -> Reply {
    let reply = |(member, score): &(&[u8], f64)| {
        let score = with_scores.then(|| Reply::bulk(shown(*score)));
        [Some(Reply::bulk(member)), score].into_iter().flatten()
    };
    Reply::Array(members.iter().flat_map(reply).collect())
}

pub(super) fn zpopmin(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    let count = args.get(1).map_or(Ok(1), |count| int(count))?;
    let count = usize::try_from(count).map_err(|_| syntax())?;
    let Some(set) = sorted(run, &args[0])? else { return Ok(Reply::Array(Vec::new())) };
    let first: Vec<_> = set.iter().take(count).collect();
    let reply = members(&first, true);
    let names: Vec<_> = first.into_iter().map(|(member, _)| member.to_vec()).collect();
    drop_members(run, &args[0], &names)?;
    Ok(reply)
}

pub(super) fn zscan(run: &mut Execution, args: &[Vec<u8>]) -> Done {
    let none = SortedSet::default();
    let set = sorted(run, &args[0])?.map_or(&none, |set| set);
    let (next, page) = page(args, set.iter())?;
    let page = page
        .into_iter()
        .flat_map(|(member, score)| [Reply::bulk(member), Reply::bulk(shown(score))]);
    Ok(Reply::Array(vec![Reply::bulk(next.to_string()), Reply::Array(page.collect())]))
}
