//! What lies above an anchor: asked of the shard of the root.

use redis::{Pipeline, Value};
use region_core::{Result, Source, Timestamp};
use tokio::time::Instant;

use crate::net::connections::Connections;
use crate::net::link::Response;
use crate::net::request::{Lane, Request, Retry, Tracking};
use crate::ops::ask::ReplyForm;
use crate::ops::one;
use crate::protocol::hold::{HoldReply, ListFor, Needed, Show, hold, ids_above};
use crate::protocol::layout::{Claim, Id, Located};
use crate::protocol::reply::{Replies, borrowed, bytes};
use crate::session::listed::Life;
use crate::topology::shard::Shard;

/// The least time by which an anchor stays listed longer than what is put there needs: as the script has it.
const MARGIN: u64 = 60 * 60 * 1000;

/// The longest time, in milliseconds, for which what is above is kept before something is put below.
const FIRST: u64 = 60 * 60 * 1000;

/// The regions above an anchor, as their slot showed them.
#[derive(Debug)]
pub(crate) struct Above {
    pub(crate) claim: Claim,
    /// The connection whose pushes tell of later changes; `None` if nobody tells.
    pub(crate) source: Option<Source>,
}

impl Shard {
    /// Reads the ids above the anchor of a region. They show what this process has changed there.
    pub(crate) async fn read_above(&self, at: Located<'_>, deadline: Instant) -> Result<Above> {
        let request = |count: Option<&str>| {
            let mut commands = Pipeline::with_capacity(1);
            commands.add_command(ids_above(at, count));
            Request::new(commands, Lane::Main, Tracking::Read, Retry::Safe)
        };
        let form = ReplyForm::PerCommand;
        let (ids, _, source) = self.ask(at.region, at.above(), deadline, form, request).await?;
        Ok(Above { claim: claim_of(at, ids)?, source })
    }

    /// As [`read_above`](Self::read_above); creates what does not exist, and sees to it that it lives, and the
    /// anchor stays listed, for as long as something below needs it, or for a while.
    pub(crate) async fn keep_above(
        &self,
        at: Located<'_>,
        needed: Needed,
        deadline: Instant,
    ) -> Result<Above> {
        let above = self.read_above(at, deadline).await?;
        if self.is_kept(at, &above.claim, Life::Any, needed) {
            return Ok(above);
        }
        // For the whole time once it is put: that may be prevented.
        let millis = needed.millis.unwrap_or(FIRST).min(FIRST);
        let needed = Needed { millis: Some(millis), ..needed };
        self.hold(at, Life::Any, needed, ListFor::AWhile, deadline).await
    }

    /// Keeps what is above for the whole time that something needs which has been put into this life of the anchor.
    pub(crate) async fn keep_above_after(
        &self,
        at: Located<'_>,
        claim: &Claim,
        tree: Id,
        needed: Needed,
        deadline: Instant,
    ) -> Result<()> {
        let life = Life::Of(tree);
        if self.is_kept(at, claim, life, needed) {
            return Ok(());
        }
        self.hold(at, life, needed, ListFor::Needed, deadline).await.map(drop)
    }

    /// Returns whether what is above lives, and an anchor of this life is listed, for as long as something needs it.
    fn is_kept(&self, at: Located<'_>, claim: &Claim, life: Life, needed: Needed) -> bool {
        let Some(now) = self.primary_progress.clock.now() else { return false };
        let is_listed = || self.listed.has(at, claim, life, needed, now.latest);
        claim.lives_for(needed.millis, now.latest) && (needed.show == Show::Unlisted || is_listed())
    }

    /// Creates the regions above an anchor, lets them live as long as is needed, and lists the anchor.
    async fn hold(
        &self,
        at: Located<'_>,
        life: Life,
        needed: Needed,
        list_for: ListFor,
        deadline: Instant,
    ) -> Result<Above> {
        let before = self.primary_progress.clock.now();
        if let Some(parent) = at.parent_above() {
            self.tags.note(self.locate(&parent).tag());
        }
        let request = |connections: &Connections| {
            let count = connections.write_count();
            let command = hold(at, needed, list_for, count);
            let request = one(command, Lane::Main, Retry::Safe).counted(count);
            Request { tracking: Tracking::Read, ..request }
        };
        let Response { values, connections, source, .. } =
            self.primary.call(deadline, request).await?;
        let replies = Replies::new(&connections.server, values).within()?;
        let HoldReply { ids } = HoldReply::parse(replies)?;
        let claim = claim_of(at, ids)?;
        self.check_for_loss(&connections);
        if let Some(before) = before.filter(|_| needed.show != Show::Unlisted) {
            let until = needed.millis.map(|millis| {
                let listed_for = millis.saturating_mul(2).max(millis.saturating_add(MARGIN));
                Timestamp::from_millis(before.earliest.as_millis().saturating_add(listed_for))
            });
            self.listed.note(at, &claim, life, needed, until);
        }
        Ok(Above { claim, source })
    }
}

/// The claim of the regions above an anchor, by what their keys hold.
///
/// # Errors
/// If the root was created by a process with other anchors.
fn claim_of(at: Located<'_>, ids: Vec<Value>) -> Result<Claim> {
    at.anchor.check(ids.first().and_then(borrowed))?;
    Ok(Claim::new(ids.into_iter().map(bytes).collect()))
}
