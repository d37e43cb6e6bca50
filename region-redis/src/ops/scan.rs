//! Listing and counting entries.

use region_core::{Cursor, Error, ErrorKind, Page, PageTerms, Result, ScanItem, Show};
use tokio::time::Instant;

use crate::net::request::{Lane, Retry};
use crate::ops::ask::ReplyForm;
use crate::ops::one;
use crate::ops::read::path_ids;
use crate::protocol::layout::{Located, PathIds, Validator};
use crate::protocol::reply::{borrowed, bytes, list, number};
use crate::protocol::scan::{Counted, ScanReply, scan};
use crate::time_range::TimeRange;
use crate::topology::shard::Shard;

impl Shard {
    pub(crate) async fn scan(
        &self,
        at: Located<'_>,
        terms: PageTerms,
        deadline: Instant,
    ) -> Result<Page<ScanItem>> {
        let cursor = position(terms.cursor.as_ref())?;
        let counted = Counted::Each(terms.show);
        let lane = if terms.show == Show::Entries { Lane::Large } else { Lane::Main };
        let (ids, reply) = self.scan_step(at, cursor, terms.limit, counted, lane, deadline).await?;
        Ok(page_of(ids.as_ref(), reply, terms.show))
    }

    /// Counts page by page, all within one limit.
    pub(crate) async fn len(&self, at: Located<'_>, deadline: Instant) -> Result<u64> {
        let (mut cursor, mut len) = (0, 0_u64);
        loop {
            let (_, reply) = self
                .scan_step(at, cursor, usize::MAX, Counted::Fresh, Lane::Main, deadline)
                .await?;
            len = number(&reply.page).unwrap_or_default().saturating_add(len);
            cursor = match reply.next {
                Some(next) => position(Some(&next))?,
                None => return Ok(len),
            };
        }
    }

    async fn scan_step(
        &self,
        at: Located<'_>,
        cursor: u64,
        limit: usize,
        counted: Counted,
        lane: Lane,
        deadline: Instant,
    ) -> Result<(Option<PathIds>, ScanReply)> {
        let request =
            |count: Option<&str>| one(scan(at, cursor, limit, counted, count), lane, Retry::Safe);
        let (ids, replies, _) =
            self.ask(at.region, at.here().len(), deadline, ReplyForm::OneScript, request).await?;
        Ok((path_ids(at, &ids)?, ScanReply::parse(replies)?))
    }
}

/// Returns the valid entries of a page of the region with these ids.
pub(crate) fn page_of(ids: Option<&PathIds>, reply: ScanReply, show: Show) -> Page<ScanItem> {
    let stamp = ids.and_then(|ids| ids.stamp(borrowed(&reply.stamp)));
    let (Some(ids), Some(stamp)) = (ids, stamp) else { return Page::end() };
    let validator = Validator::new(ids, stamp.ttl_end, TimeRange::exactly(reply.now));
    let flat = list(reply.page).unwrap_or_default();
    let mut items = Vec::with_capacity(flat.len() / 2);
    let mut flat = flat.into_iter();
    while let (Some(key), Some(stored)) = (flat.next(), flat.next()) {
        let (Some(key), Some(stored)) = (bytes(key), bytes(stored)) else { continue };
        let Ok(key) = String::from_utf8(key) else { continue };
        match show {
            Show::Keys => {
                let freshness = validator.freshness_of(&stored);
                items.extend(freshness.map(|freshness| ScanItem::new(key, freshness)));
            }
            Show::Entries => items.extend(
                validator
                    .entry(stored)
                    .map(|entry| ScanItem::new(key, entry.freshness).bytes(Some(entry.bytes))),
            ),
        }
    }
    Page::new(items, reply.next)
}

/// Returns the position in a listing that a cursor stands for.
pub(crate) fn position(cursor: Option<&Cursor>) -> Result<u64> {
    let Some(cursor) = cursor else { return Ok(0) };
    let text = std::str::from_utf8(cursor.as_bytes()).ok();
    let position = text.and_then(|text| text.parse().ok());
    position.ok_or_else(|| Error::new(ErrorKind::Protocol, "not a cursor of this store"))
}
