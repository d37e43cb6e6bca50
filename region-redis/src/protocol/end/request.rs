use redis::Cmd;
use region_core::{RegionPath, Verb};

use crate::protocol::call::{Call, Count};
use crate::protocol::layout::Kind;
use crate::protocol::scripts::SCRIPTS;

pub(crate) fn end(path: &RegionPath, verb: Verb, count: Count<'_>) -> Cmd {
    match verb {
        Verb::Invalidate => {
            let mut call = Call::new(&SCRIPTS.invalidate, 4);
            call.arg(count.key);
            call.key(Kind::Ids, path.as_str());
            call.key(Kind::Entries, path.as_str());
            call.key(Kind::Leases, path.as_str());
            call.arg(count.floor);
            call.tombstone();
            call.done()
        }
        Verb::InvalidateAndTouch => {
            let mut call = Call::new(&SCRIPTS.invalidate, 2 * path.depth() + 2);
            call.arg(count.key);
            call.key(Kind::Ids, path.as_str());
            call.path(Kind::Entries, path);
            call.path(Kind::Leases, path);
            call.arg(count.floor);
            call.tombstone();
            call.done()
        }
        Verb::Touch => {
            let mut call = Call::new(&SCRIPTS.touch, 3 * path.depth() + 1);
            call.arg(count.key);
            for kind in [Kind::Ids, Kind::Entries, Kind::Leases] {
                call.path(kind, path);
            }
            call.arg(count.floor);
            call.done()
        }
        Verb::Expire => {
            let mut call = Call::new(&SCRIPTS.expire, path.depth() + 1);
            call.arg(count.key);
            call.path(Kind::Ids, path);
            call.arg(count.floor);
            call.ids(1);
            call.done()
        }
    }
}
