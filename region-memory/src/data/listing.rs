//! Listings, page by page.
//!
//! A cursor is a number of places in a dense array that are still to be listed; they are listed from
//! the end. Removing an element moves the last one, which was listed before, into its place: so what
//! has not been listed never moves to where the listing has been, and what stays is not missed.

use region_core::{
    Cursor, Error, ErrorKind, Page, PageTerms, RegionPath, Result, ScanItem, Segment, Show,
};

use super::Data;

impl Data {
    pub(crate) fn scan(&self, path: &RegionPath, terms: &PageTerms) -> Result<Page<ScanItem>> {
        let cursor = terms.cursor.as_ref().map(places).transpose()?;
        let Some(node) = self.node(path) else {
            return Ok(Page::end());
        };
        let state = node.state.read();
        let moment = self.moment(&node, &state);
        let Some(entries) = state.alive(&moment) else {
            return Ok(Page::end());
        };
        Ok(page(cursor, terms.limit, entries.len(), |at| {
            let (key, slot) = entries.get_index(at)?;
            let item = ScanItem::new(String::from(&**key), slot.freshness(moment.at)?);
            Some(item.bytes((terms.show == Show::Entries).then(|| slot.bytes.clone())))
        }))
    }

    pub(crate) fn children(&self, path: &RegionPath, terms: &PageTerms) -> Result<Page<Segment>> {
        let cursor = terms.cursor.as_ref().map(places).transpose()?;
        let Some(node) = self.node(path) else {
            return Ok(Page::end());
        };
        let state = node.state.read();
        let moment = self.moment(&node, &state);
        let Some(children) = state.children.alive(&moment.lineage) else {
            return Ok(Page::end());
        };
        Ok(page(cursor, terms.limit, children.len(), |at| children.get_index(at).cloned()))
    }

    pub(crate) fn len(&self, path: &RegionPath) -> u64 {
        let Some(node) = self.node(path) else { return 0 };
        let state = node.state.read();
        let moment = self.moment(&node, &state);
        let fresh = state
            .alive(&moment)
            .map(|entries| entries.values().filter(|slot| slot.is_fresh(moment.at)).count() as u64);
        fresh.unwrap_or_default()
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
    let mut items = Vec::with_capacity(limit.min(left));
    while left > 0 && items.len() < limit {
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
