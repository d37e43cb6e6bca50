use std::time::Duration;

use crate::protocol::call::{Call, millis, tombstone_id};
use crate::protocol::layout::{Anchor, Kind, Located, tombstone, tombstone_work, work_list};
use crate::protocol::reclaim::reply::Child;
use crate::protocol::scripts::SCRIPTS;
use redis::Cmd;

/// The number of keys that a child has in a call, what its list becomes among them.
const KEYS_OF_CHILD: usize = 5;

/// Takes up to `limit` pieces of the work that is due in the work list of a hash tag: nobody else takes them for `claim`.
pub(crate) fn take(tag: &str, limit: usize, claim: Duration) -> Cmd {
    let mut call = Call::new(&SCRIPTS.take, Anchor::ROOT, 1);
    call.arg(work_list(tag));
    call.arg(limit);
    call.arg(millis(claim));
    call.done()
}

/// Removes a member of the work list that is no work.
pub(crate) fn remove(tag: &str, member: &[u8]) -> Cmd {
    let mut command = redis::cmd("ZREM");
    command.arg(work_list(tag)).arg(member);
    command
}

/// Lists up to `limit` members of the tombstone `id` of the region at `path`.
pub(crate) fn list(path: Located<'_>, id: &str, limit: usize) -> Cmd {
    let mut command = redis::cmd("ZRANGE");
    command.arg(tombstone(path.tag(), id)).arg(0).arg(limit.saturating_sub(1));
    command
}

/// Frees children that the tombstone `id` of the region at `path` holds, and takes `others` off it, which are
/// no children.
pub(crate) fn reclaim(path: Located<'_>, id: &str, children: &[Child], others: &[Vec<u8>]) -> Cmd {
    let keys = 2 + path.region.depth() + KEYS_OF_CHILD * children.len();
    let mut call = Call::new(&SCRIPTS.reclaim, path.anchor, keys);
    let of_children: Vec<_> = children.iter().map(|_| tombstone_id()).collect();
    call.arg(work_list(path.tag()));
    call.arg(tombstone(path.tag(), id));
    call.path(Kind::Ids, path);
    for (child, id) in children.iter().zip(&of_children) {
        for kind in [Kind::Ids, Kind::Entries, Kind::Leases, Kind::Children] {
            call.key(kind, child.path.as_str());
        }
        call.arg(tombstone(path.tag(), id));
    }
    call.arg(tombstone_work(path.text(), id));
    call.arg(children.len());
    for (Child { path, member }, id) in children.iter().zip(&of_children) {
        call.arg(&**member);
        call.arg(tombstone_work(path.as_str(), id));
    }
    others.iter().for_each(|other| call.arg(&**other));
    call.done()
}

/// Drops up to `limit` children of the region at `path` that have ended from its list.
pub(crate) fn prune(path: Located<'_>, limit: usize) -> Cmd {
    let (region, tag, id) = (path.text(), path.tag(), tombstone_id());
    let mut call = Call::new(&SCRIPTS.prune, path.anchor, 6 + path.region.depth());
    call.arg(work_list(tag));
    for kind in [Kind::Children, Kind::Entries, Kind::Leases] {
        call.key(kind, region);
    }
    call.arg(tombstone(tag, &id));
    let parent = path.region.prefixes().rev().nth(1);
    call.key(Kind::Children, parent.unwrap_or(region));
    call.path(Kind::Ids, path);
    call.arg(limit);
    call.arg(&id);
    call.done()
}
