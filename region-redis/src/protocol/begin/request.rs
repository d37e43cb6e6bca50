use redis::Cmd;
use region_core::{LeaseTerms, TakeLease};

use crate::protocol::call::{Call, Count, millis};
use crate::protocol::layout::{Kind, Located};
use crate::protocol::scripts::SCRIPTS;

pub(crate) fn begin(path: Located<'_>, keys: &[&str], terms: &LeaseTerms, count: Count<'_>) -> Cmd {
    let names = 2 + count.keys() + path.here().len();
    let mut call = Call::at(&SCRIPTS.begin, path, names);
    call.key(Kind::Entries, path.text());
    call.key(Kind::Leases, path.text());
    call.arg(count.key);
    call.path(Kind::Ids, path);
    call.end_keys(path);
    count.receipt.into_iter().for_each(|receipt| call.arg(receipt));
    call.arg(count.floor);
    call.ids(path.region.depth());
    call.arg(&terms.token.to_bits().to_le_bytes()[..]);
    call.arg(millis(terms.duration).max(1));
    call.arg(match terms.take {
        TakeLease::UnlessFresh => "U",
        TakeLease::Always => "A",
        TakeLease::Extend => "E",
    });
    keys.iter().for_each(|key| call.arg(*key));
    call.done()
}
