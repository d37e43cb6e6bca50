use std::time::Duration;

use crate::protocol::call::{Call, millis, tombstone_id};
use crate::protocol::layout::{
    Anchor, Kind, Located, NameBuffer, record, tombstone, tombstone_work, work_list,
};
use crate::protocol::reclaim::reply::Child;
use crate::protocol::scripts::SCRIPTS;
use redis::Cmd;

/// The number of keys that a child has in a call, what its list becomes among them.
const KEYS_OF_CHILD: usize = 5;

/// Takes up to `limit` pieces of the work that is due in the work list of a hash tag: nobody else takes them
/// for `claim`.
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
    let keys = 2 + path.here().len() + KEYS_OF_CHILD * children.len();
    let mut call = Call::at(&SCRIPTS.reclaim, path, keys);
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
    call.end_keys(path);
    call.arg(tombstone_work(path.text(), id));
    call.arg(children.len());
    for (Child { path, member }, id) in children.iter().zip(&of_children) {
        call.arg(&**member);
        call.arg(tombstone_work(path.as_str(), id));
    }
    others.iter().for_each(|other| call.arg(&**other));
    call.done()
}

/// Frees an anchor that an ended list of its parent holds, in another slot. Its own list becomes a tombstone.
pub(crate) fn reclaim_anchor(path: Located<'_>) -> Cmd {
    let (region, tag, id) = (path.text(), path.tag(), tombstone_id());
    let mut call = Call::at(&SCRIPTS.reclaim, path, 2 + KEYS_OF_CHILD);
    call.arg(work_list(tag));
    // There is none of the parent's in this slot.
    call.arg(tombstone(tag, ""));
    for kind in [Kind::Ids, Kind::Entries, Kind::Leases, Kind::Children] {
        call.key(kind, region);
    }
    call.arg(tombstone(tag, &id));
    call.end_keys(path);
    call.arg(tombstone_work(region, ""));
    call.arg(1);
    call.arg(path.anchor_segment());
    call.arg(tombstone_work(region, &id));
    call.done()
}

/// Reads when an anchor ends by the list of its parent's children, for each name that it may have there.
pub(crate) fn listed_until(parent: Located<'_>, members: &[String; 2]) -> [Cmd; 2] {
    members.each_ref().map(|member| {
        let mut command = redis::cmd("ZSCORE");
        command.arg(NameBuffer::new(parent.anchor).of(Kind::Children, parent.text())).arg(member);
        command
    })
}

/// Takes an anchor off the list of its parent's children, if its score is still this.
pub(crate) fn unlist(parent: Located<'_>, member: &str, score: f64) -> Cmd {
    let mut call = Call::new(&SCRIPTS.unlist, parent.anchor, 1);
    call.key(Kind::Children, parent.text());
    call.arg(member);
    call.arg(score);
    call.done()
}

/// Asks whether an anchor holds entries or has children, be they of an earlier life.
pub(crate) fn holds_anything(path: Located<'_>) -> Cmd {
    let (mut command, mut names) = (redis::cmd("EXISTS"), NameBuffer::new(path.anchor));
    for kind in [Kind::Entries, Kind::Children] {
        command.arg(names.of(kind, path.text()));
    }
    command
}

/// Reads the record of the claim that was accepted last under a hash tag.
pub(crate) fn read_record(tag: &str) -> Cmd {
    let mut command = redis::cmd("GET");
    command.arg(record(tag));
    command
}

/// Drops up to `limit` children of the region at `path` that have ended from its list.
pub(crate) fn prune(path: Located<'_>, limit: usize) -> Cmd {
    let (region, tag, id) = (path.text(), path.tag(), tombstone_id());
    let mut call = Call::at(&SCRIPTS.prune, path, 6 + path.here().len());
    call.arg(work_list(tag));
    for kind in [Kind::Children, Kind::Entries, Kind::Leases] {
        call.key(kind, region);
    }
    call.arg(tombstone(tag, &id));
    let parent = path.here().rev().nth(1);
    call.key(Kind::Children, parent.unwrap_or(region));
    call.path(Kind::Ids, path);
    call.end_keys(path);
    call.arg(limit);
    call.arg(&id);
    call.done()
}
