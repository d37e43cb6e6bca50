use redis::Value;
use region_core::{Cursor, Segment, Timestamp};

use crate::protocol::layout::{HIDDEN_CHILD, PathIds};
use crate::protocol::reply::{borrowed, cursor, list};

/// The prefix of a list's stamp: no segment begins with it.
const STAMP: u8 = b'.';

/// Returns whether a list with this stamp belongs to a region with these ids.
pub(crate) fn is_list_of(ids: &PathIds, stamp: Value) -> bool {
    let stamp = list(stamp).and_then(|found| found.into_iter().next());
    let trees = stamp.as_ref().and_then(borrowed).and_then(|stamp| stamp.strip_prefix(&[STAMP]));
    trees.and_then(|trees| ids.strip_trees(trees)) == Some(&[])
}

/// The children of a page that are shown and have not ended by `now`, and the next cursor.
pub(crate) fn children(page: Value, now: Timestamp) -> Option<(Vec<Segment>, Option<Cursor>)> {
    let mut parts = list(page)?.into_iter();
    let next = cursor(&parts.next()?)?;
    let flat = list(parts.next()?)?;
    let segment = |pair: &[Value]| {
        let [name, end] = pair else { return None };
        let is_over = end_of(end)? <= now.as_millis() as f64;
        let name = borrowed(name).filter(|name| !is_over && name.first() != Some(&HIDDEN_CHILD))?;
        Segment::parse(std::str::from_utf8(name).ok()?).ok()
    };
    Some((flat.chunks(2).filter_map(segment).collect(), next))
}

/// A score: milliseconds, or infinite.
fn end_of(score: &Value) -> Option<f64> {
    match score {
        Value::Double(score) => Some(*score),
        score => std::str::from_utf8(borrowed(score)?).ok()?.parse().ok(),
    }
}
