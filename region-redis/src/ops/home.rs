//! Operations on a region, wherever its keys lie: in one slot with those of all regions around it, or below an anchor.
//!
//! Below an anchor, the ids above are asked of the slot of the root for each operation, so that all promises hold as
//! in one slot: in parallel with a read, and before what changes something. What changes something takes them as
//! claimed: see `tests/model/anchors.py`.

mod anchors;
mod changes;
mod reads;

use std::borrow::Cow;

use region_core::{Error, Result};

use crate::error::ClaimRefused;
use crate::protocol::layout::Claim;
use crate::session::compared_roots::ComparedRoots;
use crate::topology::shard::{Shard, ShardHandle};

/// The most attempts of a call whose claim is refused, each with one that was read after the one before was
/// refused. Only while regions above end again and again does it take more than two.
const CLAIMS: usize = 64;

/// The shard of a region, and that of the regions above its anchor if they lie in another slot.
pub(crate) struct Home<'s> {
    pub(crate) shard: Cow<'s, ShardHandle>,
    pub(crate) above: Option<ShardHandle>,
    /// The roots whose anchors have been compared, where there are anchors.
    pub(crate) compared: Option<&'s ComparedRoots>,
}

impl Home<'_> {
    /// A claim whose expirations are by the clock of the region's own shard.
    fn by_own_clock(&self, above: &Shard, claim: Claim) -> Claim {
        let [theirs, here] = [above, &self.shard].map(|shard| shard.primary_progress.clock.now());
        claim.by_clock(theirs, here)
    }
}

/// The claims of the attempts of one call.
#[derive(Debug, Default)]
struct Attempts {
    /// The record that refused the last one.
    seen: Vec<u8>,
    made: usize,
}

impl Attempts {
    /// The claim of the next attempt, read after the last one was refused.
    fn claim(&mut self, read: Claim) -> Claim {
        self.made += 1;
        read.after(std::mem::take(&mut self.seen))
    }

    /// Returns what an attempt has answered; `None` if its claim was refused and another may pass.
    fn answered<T>(&mut self, answer: Result<T>) -> Result<Option<T>> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(error) => match ClaimRefused::of(&error) {
                Some(refused) if self.made < CLAIMS => {
                    self.seen.clone_from(&refused.record);
                    Ok(None)
                }
                _ => Err(error),
            },
        }
    }
}

/// The error for regions that do not exist although they have just been created.
fn gone() -> Error {
    let message = "the ids of the regions above the anchor are lost as soon as they are there";
    Error::new(region_core::ErrorKind::Unavailable, message)
}
