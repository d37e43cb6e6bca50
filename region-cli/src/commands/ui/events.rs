//! The stream of events that a page listens to: server-sent events.
//!
//! `now` is a picture, once a second; `line` a change; `left_out` the number of changes that this page was too slow for.

use std::convert::Infallible;

use axum::response::sse::Event;
use futures_util::Stream;
use futures_util::stream::unfold;
use serde::Serialize;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};

use super::live::{Live, Picture};
use crate::commands::watch::Line;

/// What one page has still to be told. Nothing of it grows: see [`Live`].
struct Page {
    lines: broadcast::Receiver<Line>,
    pictures: watch::Receiver<Picture>,
    /// The number of changes that have become no lines, as far as this page was told.
    told_left_out: u64,
    /// It counts among the pages that are open.
    _permit: OwnedSemaphorePermit,
}

/// The events for one page. The first is a picture.
pub(crate) fn stream(
    live: &Live,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
    let (lines, mut pictures) = live.follow();
    let told_left_out = pictures.borrow().left_out;
    pictures.mark_changed();
    let page = Page { lines, pictures, told_left_out, _permit: permit };
    unfold(page, |mut page| async {
        let event = page.next().await?;
        Some((Ok(event), page))
    })
}

impl Page {
    /// Waits for the next event; `None` once there will be none.
    async fn next(&mut self) -> Option<Event> {
        tokio::select! {
            // A picture comes once a second, so it keeps no line waiting.
            biased;
            changed = self.pictures.changed() => {
                changed.ok()?;
                Some(self.picture())
            }
            line = self.lines.recv() => match line {
                Ok(line) => Some(event("line", &line)),
                Err(RecvError::Lagged(count)) => Some(left_out(count)),
                Err(RecvError::Closed) => None,
            },
        }
    }

    /// The event for the newest picture. Before it the page is told of changes that no page gets.
    fn picture(&mut self) -> Event {
        let left_out = self.pictures.borrow().left_out;
        match left_out - std::mem::replace(&mut self.told_left_out, left_out) {
            0 => event("now", &self.pictures.borrow().now),
            count => {
                self.pictures.mark_changed();
                self::left_out(count)
            }
        }
    }
}

fn left_out(count: u64) -> Event {
    event("left_out", &json!({"count": count}))
}

fn event(name: &str, data: &impl Serialize) -> Event {
    // JSON has no line breaks but escaped ones.
    Event::default().event(name).data(serde_json::to_string(data).unwrap_or_default())
}
