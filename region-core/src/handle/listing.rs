//! Listings, page by page.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};

use crate::engine::Context;
use crate::error::Result;
use crate::path::Segment;
use crate::region::Listing;
use crate::store::{Cursor, Entry, Page, PageTerms, ScanItem, Show};
use crate::value::serializer::Value;

/// The number of items that one page asks for.
const PAGE: usize = 256;

pub(super) fn keys(region: Arc<Context>) -> Listing<String> {
    entries_as(region, Show::Keys, |_, item| Some(item.key))
}

pub(super) fn entries<V: Value>(region: Arc<Context>) -> Listing<(String, Arc<V>)> {
    entries_as(region, Show::Entries, |region, item| {
        let entry = Entry::new(item.bytes?, item.freshness);
        let value = region.decode_or_miss(&item.key, &entry)?;
        Some((item.key, Arc::new(value)))
    })
}

fn entries_as<T: Send + 'static>(
    region: Arc<Context>,
    show: Show,
    choose: impl Fn(&Context, ScanItem) -> Option<T> + Copy + Send + Sync + 'static,
) -> Listing<T> {
    pages(move |cursor| {
        let region = Arc::clone(&region);
        async move {
            let page = region.scan(PageTerms::new(PAGE).cursor(cursor).show(show)).await;
            let page = page.map_err(region.during("scan"))?;
            let fresh = page.items.into_iter().filter(|item| item.freshness.is_fresh());
            let items = fresh.filter_map(|item| choose(&region, item)).collect();
            Ok(Page { items, next: page.next })
        }
    })
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
