use redis::Cmd;

use crate::protocol::layout::{Kind, Located, NameBuffer};

/// About how long names and keys are.
const NAME_BYTES: usize = 64;
const KEY_BYTES: usize = 32;

/// `MGET` of the ids along the path, those in this slot, and of the count of writes if it matters.
pub(crate) fn ids(path: Located<'_>, count: Option<&str>) -> Cmd {
    let regions = path.here().len();
    let mut command = Cmd::with_capacity(regions + 2, (regions + 1) * NAME_BYTES);
    let mut names = NameBuffer::new(path.anchor);
    command.arg("MGET");
    for prefix in path.here() {
        command.arg(names.of(Kind::Ids, prefix));
    }
    if let Some(count) = count {
        command.arg(count);
    }
    command
}

/// `MGET` of the count of writes alone.
pub(crate) fn count_alone(count: &str) -> Cmd {
    let mut command = Cmd::with_capacity(2, NAME_BYTES);
    command.arg("MGET").arg(count);
    command
}

/// `HMGET` of the stamp and entries.
pub(crate) fn entries(path: Located<'_>, keys: &[&str]) -> Cmd {
    let mut command = Cmd::with_capacity(keys.len() + 3, keys.len() * KEY_BYTES + 2 * NAME_BYTES);
    command.arg("HMGET").arg(NameBuffer::new(path.anchor).of(Kind::Entries, path.text())).arg("");
    keys.iter().for_each(|key| {
        command.arg(*key);
    });
    command
}

/// Asks for the server's time.
pub(crate) fn time() -> Cmd {
    redis::cmd("TIME")
}
