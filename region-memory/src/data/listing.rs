//! Listings, page by page.
//!
//! A cursor is a number of places in a dense array that are still to be listed; they are listed from
//! the end. Removing an element moves the last one, which was listed before, into its place: so what
//! has not been listed never moves to where the listing has been, and what stays is not missed.

use region_core::{
    Cursor, Error, ErrorKind, MARKER_KEY, Page, PageTerms, RegionPath, Result, ScanItem, Segment,
    Show,
};

use super::Data;

/// The number of entries that are counted under one lock.
const COUNTED_PER_STEP: usize = 4096;

/// The most places that a page looks at under one lock. Bytes are shared, not copied, so their
/// number does not matter.
const LARGEST_PAGE: usize = 4096;

impl Data {
    pub(crate) fn scan(&self, path: &RegionPath, terms: &PageTerms) -> Result<Page<ScanItem>> {
        let cursor = terms.cursor.as_ref().map(places).transpose()?;
        let Some(node) = self.node(path) else {
            return Ok(Page::end());
        };
        let state = node.state.read();
        let view = self.look(&node, &state);
        let Some(entries) = state.alive(&view) else {
            return Ok(Page::end());
        };
        Ok(page(cursor, terms.limit, entries.len(), |at| {
            let (key, slot) = entries.get_index(at).filter(|(key, _)| ***key != *MARKER_KEY)?;
            let item = ScanItem::new(String::from(&**key), slot.freshness(view.at)?);
            Some(item.bytes((terms.show == Show::Entries).then(|| slot.bytes.clone())))
        }))
    }

    pub(crate) fn children(&self, path: &RegionPath, terms: &PageTerms) -> Result<Page<Segment>> {
        let cursor = terms.cursor.as_ref().map(places).transpose()?;
        let Some(node) = self.node(path) else {
            return Ok(Page::end());
        };
        let state = node.state.read();
        let view = self.look(&node, &state);
        let Some(children) = state.children.alive(&view.lineage) else {
            return Ok(Page::end());
        };
        Ok(page(cursor, terms.limit, children.len(), |at| children.get_index(at).cloned()))
    }

    /// A few entries at a time, so that nobody waits long for the region. An entry that is moved to
    /// make up for one that is removed meanwhile may be counted twice, but no more than there are.
    pub(crate) fn len(&self, path: &RegionPath) -> u64 {
        let Some(node) = self.node(path) else { return 0 };
        let (mut fresh, mut left) = (0, usize::MAX);
        loop {
            let state = node.state.read();
            let view = self.look(&node, &state);
            let Some(entries) = state.alive(&view) else { return 0 };
            let to = left.min(entries.len());
            left = to.saturating_sub(COUNTED_PER_STEP);
            let counted = entries.get_range(left..to).into_iter().flat_map(|part| part.iter());
            let counted = counted.filter(|(key, _)| ***key != *MARKER_KEY);
            fresh += counted.filter(|(_, slot)| slot.is_fresh(view.at)).count();
            if left == 0 {
                return fresh.min(entries.len()) as u64;
            }
        }
    }
}

fn page<T>(
    cursor: Option<usize>,
    limit: usize,
    len: usize,
    item: impl Fn(usize) -> Option<T>,
) -> Page<T> {
    // A page of nothing would be asked for again for ever.
    let limit = limit.max(1);
    let mut left = cursor.unwrap_or(len).min(len);
    let last = left.saturating_sub(LARGEST_PAGE);
    let mut items = Vec::with_capacity(limit.min(left - last));
    while left > last && items.len() < limit {
        left -= 1;
        items.extend(item(left));
    }
    let next = (left > 0).then(|| Cursor::from_bytes((left as u64).to_le_bytes()));
    Page::new(items, next)
}

fn places(cursor: &Cursor) -> Result<usize> {
    let bytes = cursor.as_bytes().try_into().map(u64::from_le_bytes);
    let places = bytes.ok().and_then(|places| usize::try_from(places).ok());
    places.ok_or_else(|| Error::new(ErrorKind::Protocol, "not a cursor of this store"))
}
