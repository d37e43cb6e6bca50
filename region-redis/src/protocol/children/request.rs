use crate::protocol::layout::{Kind, Located, NameBuffer};
use redis::Cmd;

/// The most that is listed in one step: the server does nothing else meanwhile.
const LARGEST_PAGE: usize = 1_000;

/// Reads the stamp of a list of children: the first by its score.
pub(crate) fn stamp(path: Located<'_>) -> Cmd {
    let mut command = Cmd::new();
    command.arg("ZRANGE").arg(NameBuffer::new(path.anchor).of(Kind::Children, path.text()));
    command.arg(0).arg(0);
    command
}

/// Lists a page of children, each with the time at which it ends.
pub(crate) fn page(path: Located<'_>, cursor: u64, limit: usize) -> Cmd {
    let mut command = Cmd::new();
    command.arg("ZSCAN").arg(NameBuffer::new(path.anchor).of(Kind::Children, path.text()));
    command.arg(cursor).arg("COUNT").arg(limit.clamp(1, LARGEST_PAGE));
    command
}
