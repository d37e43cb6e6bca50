//! Freeing what lies in another slot than that on which it hangs.

use futures_util::future::try_join_all;
use redis::{Cmd, Pipeline, Value};
use region_core::{Error, ErrorKind, RegionPath, Result};

use crate::net::connections::Connections;
use crate::net::request::{Lane, Request, Retry, Tracking};
use crate::ops::above::Above;
use crate::ops::one;
use crate::protocol::layout::{Claim, Located};
use crate::protocol::reclaim::{
    Child, holds_anything, listed_until, read_record, reclaim_anchor, unlist,
};
use crate::protocol::reply::{Replies, bytes, number};
use crate::topology::shard::{Shard, ShardHandle};

impl Shard {
    /// The claim for work under a hash tag; `None` if all that it hangs on lies in the same slot. It was read after the
    /// record under that tag, so that it may take its place: perhaps nobody else will ever use that tag again.
    pub(super) async fn claim_under(&self, tag: &str) -> Result<Option<Claim>> {
        let Ok(region) = RegionPath::parse(tag) else { return Ok(None) };
        let at = self.locate(&region);
        let Some(slot) = at.slot_above() else { return Ok(None) };
        let above = self.neighbour(slot).ok_or_else(is_gone)?;
        self.claim_after_record(&above, at).await.map(Some)
    }

    /// Frees anchors that an ended list of their parent holds. Returns the members of the list, which are done with;
    /// `None` if some are not.
    pub(super) async fn reclaim_anchors(&self, children: Vec<Child>) -> Option<Vec<Vec<u8>>> {
        let freed = children.iter().map(|child| self.reclaim_anchor(&child.path));
        match try_join_all(freed).await {
            Ok(_) => Some(children.into_iter().map(|child| child.member).collect()),
            Err(error) => {
                tracing::debug!(%error, "anchors are left to be freed later");
                None
            }
        }
    }

    /// Takes anchors of which nothing is left off the lists of their parents, which lie in another slot.
    pub(super) async fn unlist_dead(&self, anchors: &[RegionPath]) {
        let unlisted = anchors.iter().map(|anchor| self.unlist_if_dead(anchor));
        if let Err(error) = try_join_all(unlisted).await {
            // They stay listed, each until it is looked at again.
            tracing::debug!(%error, "dead anchors stay listed");
        }
    }

    /// Whoever puts something into the anchor lists it after that. So a score that was read before nothing was found
    /// in it, and is there still, is of nothing that was put since.
    async fn unlist_if_dead(&self, anchor: &RegionPath) -> Result<()> {
        let at = self.locate(anchor);
        let (Some(slot), Some(parent)) = (at.slot_above(), at.parent_above()) else {
            return Ok(());
        };
        let (above, parent) = (self.neighbour(slot).ok_or_else(is_gone)?, self.locate(&parent));
        let members = [at.anchor_segment().to_owned(), format!(":{}", at.anchor_segment())];
        let commands = listed_until(parent, &members);
        let scores = above.ask_each(&commands).await?;
        let here = self.ask_each(&[holds_anything(at)]).await?;
        if here.first().and_then(number) != Some(0) {
            return Ok(());
        }
        for (member, score) in members.iter().zip(scores) {
            if let Value::Double(score) = score {
                above.ask_each(&[unlist(parent, member, score)]).await?;
            }
        }
        Ok(())
    }

    async fn ask_each(&self, commands: &[Cmd]) -> Result<Vec<Value>> {
        let request = |_: &Connections| {
            let mut pipeline = Pipeline::with_capacity(commands.len());
            commands.iter().for_each(|command| {
                pipeline.add_command(command.clone());
            });
            Request::new(pipeline, Lane::Main, Tracking::No, Retry::Safe)
        };
        Ok(self.primary.call(self.deadline(), request).await?.values)
    }

    async fn reclaim_anchor(&self, anchor: &RegionPath) -> Result<()> {
        let at = self.locate(anchor);
        let home: ShardHandle = self.neighbour(at.slot()).ok_or_else(is_gone)?;
        let claim = home.claim_after_record(self, at).await?;
        let at = at.claiming(Some(&claim));
        let request = |_: &Connections| one(reclaim_anchor(at), Lane::Main, Retry::Safe);
        let answered = home.primary.call(home.deadline(), request).await?;
        Replies::new(&answered.connections.server, answered.values).number()?;
        // Its children come next.
        home.tags.note(at.tag());
        home.tags.wake(at.tag());
        Ok(())
    }

    async fn claim_after_record(&self, above: &Shard, at: Located<'_>) -> Result<Claim> {
        let request = |_: &Connections| one(read_record(at.tag()), Lane::Main, Retry::Safe);
        let answered = self.primary.call(self.deadline(), request).await?;
        let mut replies = Replies::new(&answered.connections.server, answered.values);
        let record = replies.next_of_type()?.and_then(bytes).unwrap_or_default();
        let Above { claim, .. } = above.read_above(at, self.deadline()).await?;
        Ok(claim.after(record))
    }
}

fn is_gone() -> Error {
    Error::new(ErrorKind::Unavailable, "the store is gone")
}
