//! Listings, page by page.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};

use crate::engine::{Accept, Context, Started};
use crate::error::Result;
use crate::path::{MARKER_KEY, Segment};
use crate::region::Listing;
use crate::store::{Cursor, Entry, Page, PageTerms, ScanItem, Show};
use crate::value::serializer::Value;

/// The number of items that one page asks for.
const PAGE: usize = 256;

pub(super) fn keys(region: Arc<Context>) -> Listing<String> {
    pages(move |cursor| {
        let region = Arc::clone(&region);
        async move {
            let page = scan(&region, cursor, Show::Keys).await?;
            let items = page.items.into_iter().filter(|item| item.key != MARKER_KEY);
            Ok(Page { items: items.map(|item| item.key).collect(), next: page.next })
        }
    })
}

/// Values whose dependencies have ended are left out: the markers are read page by page.
pub(super) fn entries<V: Value>(region: Arc<Context>) -> Listing<(String, Arc<V>)> {
    pages(move |cursor| {
        let region = Arc::clone(&region);
        async move {
            let started = Started::now();
            let page = scan(&region, cursor, Show::Entries).await?;
            let items = page.items.into_iter().filter(|item| item.key != MARKER_KEY);
            let (keys, mut found): (Vec<_>, Vec<_>) = items
                .filter_map(|ScanItem { key, bytes, freshness, .. }| {
                    let entry = Entry::new(bytes?, freshness);
                    let found = region.find_in::<V>(&key, Ok(entry), Accept::Fresh, None);
                    Some((key, found))
                })
                .unzip();
            let resolved = region.resolve_all(&mut found, Accept::Fresh, None, started).await;
            resolved.map_err(region.during("scan"))?;
            let values = keys.into_iter().zip(found);
            let items = values.filter_map(|(key, found)| Some((key, found.fresh()?))).collect();
            Ok(Page { items, next: page.next })
        }
    })
}

/// A page of the fresh entries.
async fn scan(region: &Context, cursor: Option<Cursor>, show: Show) -> Result<Page<ScanItem>> {
    let page = region.scan(PageTerms::new(PAGE).cursor(cursor).show(show)).await;
    let mut page = page.map_err(region.during("scan"))?;
    page.items.retain(|item| item.freshness.is_fresh());
    Ok(page)
}

pub(super) fn children(region: Arc<Context>) -> Listing<Segment> {
    pages(move |cursor| {
        let region = Arc::clone(&region);
        async move {
            let page = region.children(PageTerms::new(PAGE).cursor(cursor)).await;
            page.map_err(region.during("children"))
        }
    })
}

/// The next step of a listing.
enum Position {
    Ask(Option<Cursor>),
    End,
}

/// Streams the items of all pages. After an error the stream ends.
fn pages<T, F, Fut>(next_page: F) -> Listing<T>
where
    T: Send + 'static,
    F: Fn(Option<Cursor>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Page<T>>> + Send,
{
    let start = (next_page, VecDeque::new(), Position::Ask(None));
    stream::unfold(start, |(next_page, mut items, mut position)| async move {
        loop {
            if let Some(item) = items.pop_front() {
                return Some((Ok(item), (next_page, items, position)));
            }
            let Position::Ask(cursor) = position else {
                return None;
            };
            match next_page(cursor).await {
                Ok(page) => {
                    items = page.items.into();
                    position = match page.next {
                        Some(cursor) => Position::Ask(Some(cursor)),
                        None => Position::End,
                    };
                }
                Err(error) => return Some((Err(error), (next_page, items, Position::End))),
            }
        }
    })
    .boxed()
}
