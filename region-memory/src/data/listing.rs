//! Listings, page by page.
//!
//! A cursor is a number of places in a dense array that are still to be listed; they are listed from
//! the end. Removing an element moves the last one, which was listed before, into its place: so what
//! has not been listed never moves to where the listing has been, and what stays is not missed.

use region_core::{Cursor, Error, ErrorKind, Page, RegionPath, Result, ScanItem, Segment};

use super::Data;

impl Data {
    pub(crate) fn scan(
        &self,
        path: &RegionPath,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<ScanItem>> {
        let cursor = cursor.map(|cursor| places(&cursor)).transpose()?;
        let Some(node) = self.node(path) else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        let state = node.state.read();
        let moment = self.moment(&node, &state);
        let Some(entries) = state.alive(&moment) else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        Ok(page(cursor, limit, entries.len(), |at| {
            let (key, slot) = entries.get_index(at)?;
            Some(ScanItem { key: String::from(&**key), entry: slot.entry(moment.at)? })
        }))
    }

    pub(crate) fn children(
        &self,
        path: &RegionPath,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Segment>> {
        let cursor = cursor.map(|cursor| places(&cursor)).transpose()?;
        let Some(node) = self.node(path) else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        let state = node.state.read();
        let moment = self.moment(&node, &state);
        let Some(children) = state.children.alive(&moment.lineage) else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        Ok(page(cursor, limit, children.len(), |at| children.get_index(at).cloned()))
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
    Page { items, next }
}

fn places(cursor: &Cursor) -> Result<usize> {
    let bytes = cursor.as_bytes().try_into().map(u64::from_le_bytes);
    let places = bytes.ok().and_then(|places| usize::try_from(places).ok());
    places.ok_or_else(|| Error::new(ErrorKind::Protocol, "not a cursor of this store"))
}
