use redis::Cmd;
use region_core::Show;

use crate::protocol::call::Call;
use crate::protocol::layout::{Kind, Located};
use crate::protocol::scripts::SCRIPTS;

/// About how many bytes of entries the server looks at in one step: it does nothing else meanwhile.
const PAGE_BYTES: usize = 256 * 1024;

/// The most entries that it looks at in one step.
const LARGEST_PAGE: usize = 2_000;

/// The contents of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// The number of fresh entries.
    Fresh,
    /// Each of them.
    Each(Show),
}

/// Lists or counts a page of entries.
pub(crate) fn scan(
    path: Located<'_>,
    cursor: u64,
    limit: usize,
    counted: Counted,
    count: Option<&str>,
) -> Cmd {
    let keys = path.here().len() + 1 + usize::from(count.is_some());
    let mut call = Call::at(&SCRIPTS.scan, path, keys);
    call.key(Kind::Entries, path.text());
    call.path(Kind::Ids, path);
    count.into_iter().for_each(|count| call.arg(count));
    call.end_keys(path);
    call.arg(path.here().len());
    call.arg(cursor);
    call.arg(limit.clamp(1, LARGEST_PAGE));
    call.arg(PAGE_BYTES);
    call.arg(match counted {
        Counted::Fresh => "L",
        Counted::Each(Show::Keys) => "K",
        Counted::Each(Show::Entries) => "E",
    });
    call.done()
}
