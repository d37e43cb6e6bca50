//! The commands on keys that the store uses, and no more of their options than it uses.

mod hashes;
mod keys;
mod sorted;
mod strings;

use crate::execution::Execution;
use crate::reply::Reply;

/// The result of a command; an error is a reply too.
pub(crate) type Done = Result<Reply, Reply>;

/// What a command does to keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
    /// It writes, and may need more memory.
    Grow,
}

/// A command on keys.
pub(crate) struct Command {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The least number of arguments, the name included.
    pub(crate) least: usize,
    /// All arguments are keys, rather than the first alone.
    pub(crate) all_keys: bool,
    pub(crate) run: fn(&mut Execution, &[Vec<u8>]) -> Done,
}

macro_rules! commands {
    ($($name:literal $kind:ident $least:literal $all:literal $run:path,)*) => {
        const COMMANDS: &[Command] = &[$(Command {
            name: $name,
            kind: Kind::$kind,
            least: $least,
            all_keys: $all,
            run: $run,
        },)*];
    };
}

commands! {
    "GET" Read 2 false strings::get,
    "MGET" Read 2 true strings::mget,
    "SET" Grow 3 false strings::set,
    "INCR" Grow 2 false strings::incr,
    "DEL" Write 2 true keys::del,
    "UNLINK" Write 2 true keys::del,
    "EXISTS" Read 2 true keys::exists,
    "PTTL" Read 2 false keys::pttl,
    "PEXPIRE" Write 3 false keys::pexpire,
    "PEXPIREAT" Write 3 false keys::pexpireat,
    "PERSIST" Write 2 false keys::persist,
    "RENAME" Write 3 true keys::rename,
    "HGET" Read 3 false hashes::hget,
    "HMGET" Read 3 false hashes::hmget,
    "HSET" Grow 4 false hashes::hset,
    "HDEL" Write 3 false hashes::hdel,
    "HLEN" Read 2 false hashes::hlen,
    "HEXISTS" Read 3 false hashes::hexists,
    "HSTRLEN" Read 3 false hashes::hstrlen,
    "HRANDFIELD" Read 2 false hashes::hrandfield,
    "HSCAN" Read 3 false hashes::hscan,
    "ZADD" Grow 4 false sorted::zadd,
    "ZREM" Write 3 false sorted::zrem,
    "ZCARD" Read 2 false sorted::zcard,
    "ZSCORE" Read 3 false sorted::zscore,
    "ZRANGE" Read 4 false sorted::zrange,
    "ZREVRANGE" Read 4 false sorted::zrevrange,
    "ZRANGEBYSCORE" Read 4 false sorted::zrangebyscore,
    "ZPOPMIN" Write 2 false sorted::zpopmin,
    "ZSCAN" Read 3 false sorted::zscan,
    "TIME" Read 1 false keys::time,
}

/// The command with this name.
pub(crate) fn find(name: &[u8]) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name.as_bytes().eq_ignore_ascii_case(name))
}

/// An argument as a whole number.
fn int(arg: &[u8]) -> Result<i64, Reply> {
    let number = std::str::from_utf8(arg).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| Reply::error("ERR value is not an integer or out of range"))
}

/// An argument that has to be there.
fn arg(args: &[Vec<u8>], at: usize) -> Result<&[u8], Reply> {
    args.get(at).map(Vec::as_slice).ok_or_else(syntax)
}

fn syntax() -> Reply {
    Reply::error("ERR syntax error")
}

/// Returns whether an option of a command is this one.
fn is(arg: &[u8], option: &str) -> bool {
    arg.eq_ignore_ascii_case(option.as_bytes())
}

/// The next cursor, and names with their values.
type Page<'v, T> = (u64, Vec<(&'v [u8], T)>);

/// The elements of a listing from a cursor on: about `COUNT` of them, and the next cursor. They stand in the order of
/// a hash, so that those which stay are listed whatever comes and goes; few are listed at once, as by a server.
fn page<'v, T>(
    args: &[Vec<u8>],
    elements: impl Iterator<Item = (&'v [u8], T)>,
) -> Result<Page<'v, T>, Reply> {
    const FEW: usize = 128;
    const DEFAULT: i64 = 10;
    let cursor: u64 = std::str::from_utf8(arg(args, 1)?)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Reply::error("ERR invalid cursor"))?;
    let count = match args.get(2) {
        None => DEFAULT,
        Some(option) if is(option, "COUNT") => int(arg(args, 3)?)?,
        Some(_) => return Err(syntax()),
    };
    let count = usize::try_from(count).ok().filter(|count| *count > 0).ok_or_else(syntax)?;
    let mut all: Vec<_> = elements.map(|(name, value)| (place(name), name, value)).collect();
    if all.len() <= FEW {
        return Ok((0, all.into_iter().map(|(_, name, value)| (name, value)).collect()));
    }
    all.sort_by(|one, other| (one.0, one.1).cmp(&(other.0, other.1)));
    let mut page = Vec::new();
    for (place, name, value) in all.into_iter().skip_while(|(place, ..)| *place < cursor) {
        if page.len() >= count {
            return Ok((place, page));
        }
        page.push((name, value));
    }
    Ok((0, page))
}

/// The place of an element in listings: never 0.
fn place(name: &[u8]) -> u64 {
    let digest = sha1_smol::Sha1::from(name).digest().bytes();
    u64::from_be_bytes(std::array::from_fn(|at| digest[at])) >> 16 | 1
}
