//! Listing children.

use redis::Pipeline;
use region_core::{Page, PageTerms, RegionPath, Result, Segment};

use crate::net::connections::{Lane, Request, Retry, Tracking};
use crate::ops::ask::ReplyForm;
use crate::ops::scan::position;
use crate::protocol::children::{children, is_list_of, page, stamp};
use crate::protocol::layout::PathIds;
use crate::protocol::read::{ids, time};
use crate::protocol::reply::borrowed;
use crate::topology::shard::Shard;

impl Shard {
    pub(crate) async fn children(
        &self,
        region: &RegionPath,
        terms: PageTerms,
    ) -> Result<Page<Segment>> {
        let cursor = position(terms.cursor.as_ref())?;
        let at = self.locate(region);
        let request = |count: Option<&str>| {
            let mut commands = Pipeline::with_capacity(4);
            commands.add_command(ids(at, count));
            commands.add_command(stamp(at));
            commands.add_command(page(at, cursor, terms.limit));
            commands.add_command(time());
            Request::new(commands, Lane::Main, Tracking::No, Retry::Safe)
        };
        let (ids, mut replies, _) =
            self.ask(region, self.deadline(), ReplyForm::PerCommand, request).await?;
        let (stamp, page) = (replies.next_of_type()?, replies.next_of_type()?);
        let now = replies.time()?;
        let ids = PathIds::parse(ids.iter().map(borrowed));
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
