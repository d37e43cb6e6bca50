use redis::Cmd;

use crate::protocol::call::{Call, Count};
use crate::protocol::layout::{Kind, Located, NameBuffer};
use crate::protocol::scripts::SCRIPTS;

/// What is to be put below an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needed {
    /// For how long it lives, in milliseconds; `None`: for ever.
    pub(crate) millis: Option<u64>,
    pub(crate) show: Show,
}

/// For how long an anchor is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListFor {
    /// For as long as what was put there lives.
    Needed,
    /// For a while: something is about to be put there, if nothing prevents it.
    AWhile,
}

/// The place of an anchor among the children of its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    Shown,
    /// It holds a marker alone.
    Hidden,
    /// It is not listed: nothing is put there yet.
    Unlisted,
}

/// Reads the ids above the anchor of a region, and the count of writes if it matters.
pub(crate) fn ids_above(at: Located<'_>, count: Option<&str>) -> Cmd {
    let (mut command, mut names) = (redis::cmd("MGET"), NameBuffer::new(at.anchor));
    for region in at.region.prefixes().take(at.above()) {
        command.arg(names.of(Kind::Ids, region));
    }
    count.into_iter().for_each(|count| {
        command.arg(count);
    });
    command
}

/// Keeps the regions above the anchor of a region.
pub(crate) fn hold(at: Located<'_>, needed: Needed, list_for: ListFor, count: Count<'_>) -> Cmd {
    let mut call = Call::new(&SCRIPTS.hold, at.anchor, 1 + at.above());
    call.arg(count.key);
    at.region.prefixes().take(at.above()).for_each(|region| call.key(Kind::Ids, region));
    call.arg(count.floor);
    call.ids(at.above());
    call.tombstone();
    match needed.millis {
        Some(millis) => call.arg(millis),
        None => call.arg(""),
    }
    call.arg(match needed.show {
        Show::Shown => "S",
        Show::Hidden => "H",
        Show::Unlisted => "",
    });
    call.arg(if list_for == ListFor::AWhile { "F" } else { "" });
    call.arg(at.anchor_segment());
    call.done()
}
