use std::time::Duration;

use redis::Cmd;
use region_core::RegionPath;

use crate::protocol::call::{Call, millis, tombstone_id};
use crate::protocol::layout::{Kind, tombstone, tombstone_work, work_list};
use crate::protocol::reclaim::reply::Child;
use crate::protocol::scripts::SCRIPTS;

/// The number of keys that a child has in a call, what its list becomes among them.
const KEYS_OF_CHILD: usize = 5;

/// Takes up to `limit` pieces of the work that is due below a root: nobody else takes them for `claim`.
pub(crate) fn take(root: &str, limit: usize, claim: Duration) -> Cmd {
    let mut call = Call::new(&SCRIPTS.take, 1);
    call.arg(work_list(root));
    call.arg(limit);
    call.arg(millis(claim));
    call.done()
}

/// Removes a member of the work list that is no work.
pub(crate) fn remove(root: &str, member: &[u8]) -> Cmd {
    let mut command = redis::cmd("ZREM");
    command.arg(work_list(root)).arg(member);
    command
}

/// Lists up to `limit` members of the tombstone `id` of the region at `path`.
pub(crate) fn list(path: &RegionPath, id: &str, limit: usize) -> Cmd {
    let mut command = redis::cmd("ZRANGE");
    command.arg(tombstone(path.as_str(), id)).arg(0).arg(limit.saturating_sub(1));
    command
}

/// Frees children that the tombstone `id` of the region at `path` holds, and takes `others` off it, which are
/// no children.
pub(crate) fn reclaim(path: &RegionPath, id: &str, children: &[Child], others: &[Vec<u8>]) -> Cmd {
    let mut call = Call::new(&SCRIPTS.reclaim, 2 + path.depth() + KEYS_OF_CHILD * children.len());
    let of_children: Vec<_> = children.iter().map(|_| tombstone_id()).collect();
    call.arg(work_list(path.as_str()));
    call.arg(tombstone(path.as_str(), id));
    call.path(Kind::Ids, path);
    for (Child { path, .. }, id) in children.iter().zip(&of_children) {
        for kind in [Kind::Ids, Kind::Entries, Kind::Leases, Kind::Children] {
            call.key(kind, path.as_str());
        }
        call.arg(tombstone(path.as_str(), id));
    }
    call.arg(tombstone_work(path.as_str(), id));
    call.arg(children.len());
    for (Child { path, member }, id) in children.iter().zip(&of_children) {
        call.arg(&**member);
        call.arg(tombstone_work(path.as_str(), id));
    }
    others.iter().for_each(|other| call.arg(&**other));
    call.done()
}

/// Drops up to `limit` children of the region at `path` that have ended from its list.
pub(crate) fn prune(path: &RegionPath, limit: usize) -> Cmd {
    let (region, id) = (path.as_str(), tombstone_id());
    let mut call = Call::new(&SCRIPTS.prune, 6 + path.depth());
    call.arg(work_list(region));
    for kind in [Kind::Children, Kind::Entries, Kind::Leases] {
        call.key(kind, region);
    }
    call.arg(tombstone(region, &id));
    let parent = path.prefixes().rev().nth(1);
    call.key(Kind::Children, parent.unwrap_or(region));
    call.path(Kind::Ids, path);
    call.arg(limit);
    call.arg(&id);
    call.done()
}
