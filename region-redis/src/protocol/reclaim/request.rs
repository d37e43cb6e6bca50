use redis::Cmd;
use region_core::{RegionPath, Timestamp};

use crate::protocol::call::Call;
use crate::protocol::layout::{Kind, work_list};
use crate::protocol::scripts::SCRIPTS;

/// The most pieces of work that are asked for at once.
const MOST_DUE: usize = 16;

/// Asks for what the reclaimer has to look at by now, below a root.
pub(crate) fn due(root: &str, now: Timestamp) -> Cmd {
    let mut command = redis::cmd("ZRANGEBYSCORE");
    command.arg(work_list(root)).arg("-inf").arg(now.as_millis());
    command.arg("LIMIT").arg(0).arg(MOST_DUE);
    command
}

/// Removes a member of the work list that is no work.
pub(crate) fn remove(root: &str, member: &[u8]) -> Cmd {
    let mut command = redis::cmd("ZREM");
    command.arg(work_list(root)).arg(member);
    command
}

/// Frees up to `limit` children that the tombstone `id` of the region at `path` holds.
pub(crate) fn reclaim(path: &RegionPath, id: &str, limit: usize) -> Cmd {
    let mut call = Call::new(&SCRIPTS.reclaim, path.depth());
    call.path(Kind::Ids, path);
    call.arg(id);
    // At least two: the first is the stamp, which is no child.
    call.arg(limit.max(2));
    call.tombstone();
    call.done()
}

/// Drops up to `limit` children of the region at `path` that have ended from its list.
pub(crate) fn prune(path: &RegionPath, limit: usize) -> Cmd {
    let mut call = Call::new(&SCRIPTS.prune, path.depth());
    call.path(Kind::Ids, path);
    call.arg(limit);
    call.tombstone();
    call.done()
}
