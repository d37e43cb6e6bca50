use redis::Cmd;
use region_core::RegionPath;

use crate::protocol::layout::{Kind, NameBuffer};

/// The most that is listed in one step: the server does nothing else meanwhile.
const LARGEST_PAGE: usize = 1_000;

/// Reads the stamp of a list of children: the first by its score.
pub(crate) fn stamp(path: &RegionPath) -> Cmd {
    let mut command = Cmd::new();
    command.arg("ZRANGE").arg(NameBuffer::default().of(Kind::Children, path.as_str()));
    command.arg(0).arg(0);
    command
}

/// Lists a page of children, each with the time at which it ends.
pub(crate) fn page(path: &RegionPath, cursor: u64, limit: usize) -> Cmd {
    let mut command = Cmd::new();
    command.arg("ZSCAN").arg(NameBuffer::default().of(Kind::Children, path.as_str()));
    command.arg(cursor).arg("COUNT").arg(limit.clamp(1, LARGEST_PAGE));
    command
}
