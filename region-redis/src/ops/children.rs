//! Listing children.

use redis::Pipeline;
use region_core::{Page, PageTerms, Result, Segment};
use tokio::time::Instant;

use crate::net::request::{Lane, Request, Retry, Tracking};
use crate::ops::ask::ReplyForm;
use crate::ops::read::path_ids;
use crate::ops::scan::position;
use crate::protocol::children::{children, is_list_of, page, stamp};
use crate::protocol::layout::Located;
use crate::protocol::read::{ids, time};
use crate::topology::shard::Shard;

impl Shard {
    pub(crate) async fn children(
        &self,
        at: Located<'_>,
        terms: PageTerms,
        deadline: Instant,
    ) -> Result<Page<Segment>> {
        let cursor = position(terms.cursor.as_ref())?;
        let request = |count: Option<&str>| {
            let mut commands = Pipeline::with_capacity(4);
            commands.add_command(ids(at, count));
            commands.add_command(stamp(at));
            commands.add_command(page(at, cursor, terms.limit));
            commands.add_command(time());
            Request::new(commands, Lane::Main, Tracking::No, Retry::Safe)
        };
        let (ids, mut replies, _) =
            self.ask(at.region, at.here().len(), deadline, ReplyForm::PerCommand, request).await?;
        let (stamp, page) = (replies.next_of_type()?, replies.next_of_type()?);
        let now = replies.time()?;
        let ids = path_ids(at, &ids)?;
        let (Some(ids), Some(stamp), Some(page)) = (ids, stamp, page) else {
            return Ok(Page::end());
        };
        if !is_list_of(&ids, stamp) {
            return Ok(Page::end());
        }
        let (items, next) = children(page, now).ok_or_else(|| replies.unexpected())?;
        Ok(Page::new(items, next))
    }
}
