use redis::Cmd;
use region_core::Verb;

use crate::protocol::call::{Call, Count, tombstone_id};
use crate::protocol::layout::{Kind, Located, region_work, tombstone, tombstone_work, work_list};
use crate::protocol::scripts::SCRIPTS;

pub(crate) fn end(path: Located<'_>, verb: Verb, count: Count<'_>) -> Cmd {
    match verb {
        Verb::Invalidate | Verb::InvalidateAndTouch => invalidate(path, verb, count),
        Verb::Touch => {
            let mut call = Call::new(&SCRIPTS.touch, path.anchor, 3 * path.here().len() + 1);
            call.arg(count.key);
            for kind in [Kind::Ids, Kind::Entries, Kind::Leases] {
                call.path(kind, path);
            }
            call.arg(count.floor);
            call.done()
        }
        Verb::Expire => {
            let mut call = Call::new(&SCRIPTS.expire, path.anchor, path.here().len() + 1);
            call.arg(count.key);
            call.path(Kind::Ids, path);
            call.arg(count.floor);
            call.id();
            call.done()
        }
    }
}

/// Drops the entries and the leases of one region, and changes no ids.
pub(crate) fn drop_entries(path: Located<'_>, count: Count<'_>) -> Cmd {
    let kinds = [Kind::Ids, Kind::Entries, Kind::Leases];
    let mut call = Call::new(&SCRIPTS.touch, path.anchor, 1 + kinds.len());
    call.arg(count.key);
    kinds.into_iter().for_each(|kind| call.key(kind, path.text()));
    call.arg(count.floor);
    call.done()
}

fn invalidate(path: Located<'_>, verb: Verb, count: Count<'_>) -> Cmd {
    let (region, id) = (path.text(), tombstone_id());
    let along: Vec<_> = path.here().collect();
    let ancestors = &along[..along.len() - 1];
    let parent = ancestors.last();
    let is_anchor = path.above() > 0 && parent.is_none();
    let (dropped, looked_at, why) = match verb {
        // It is taken off its parent's list, in another slot, once it is seen that nothing is left.
        Verb::InvalidateAndTouch | Verb::Invalidate if is_anchor => (&along[..], &along[..], "N"),
        Verb::InvalidateAndTouch => (&along[..], ancestors, "A"),
        _ => (&along[ancestors.len()..], &ancestors[ancestors.len().saturating_sub(1)..], "P"),
    };
    let segment = parent.and_then(|parent| region.get(parent.len() + 1..));
    let mut call = Call::new(&SCRIPTS.invalidate, path.anchor, 6 + 2 * dropped.len());
    call.arg(count.key);
    call.arg(work_list(path.tag()));
    call.key(Kind::Children, region);
    call.arg(tombstone(path.tag(), &id));
    call.key(Kind::Children, parent.unwrap_or(&region));
    call.key(Kind::Ids, region);
    for kind in [Kind::Entries, Kind::Leases] {
        dropped.iter().for_each(|region| call.key(kind, region));
    }
    call.arg(count.floor);
    call.arg(tombstone_work(region, &id));
    call.arg(region_work(region));
    call.arg(segment.unwrap_or_default());
    call.arg(why);
    looked_at.iter().for_each(|region| call.arg(region_work(region)));
    call.done()
}
