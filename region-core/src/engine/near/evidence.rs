//! The state of a region that the store showed last: the evidence for values that are served without trust.
//!
//! Trust ends with the connection that would tell of changes. Evidence does not: it remembers when the
//! values of a region were last known to be the store's, and so for how long a policy may still serve
//! them. It ends by whatever was heard or done since that may concern the region, and own writes take
//! their keys from it. It lies beside trust: nothing that is trusted hangs on it.

use std::sync::Arc;
use std::time::Duration;

use crate::sync::Mutex;
use tokio::time::Instant;

use super::known::{Marks, Moment, Shown, Validity};
use super::losses::Losses;
use super::own_writes::{OwnWrites, WriteId};
use super::region::{Judgement, NearRegion};
use super::values::NearEntry;
use crate::store::ChangedKey;

/// The evidence about one region.
#[derive(Debug, Default)]
pub(super) struct Evidence(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// True if a policy may serve values of the region without trust. Otherwise nothing is kept.
    is_kept: bool,
    seen: Option<Arc<Seen>>,
    /// Raised by pushes about the region's own entries, and by own verbs that cover them.
    epoch: u64,
    verbs_under_way: u32,
    writes: OwnWrites,
}

/// The state that one answer showed.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// `None`: that the region holds nothing.
    shown: Option<Shown>,
    asked: Asked,
    /// The own write that was answered so: what it wrote is part of what was shown.
    answered: Option<WriteId>,
    /// The time at which this was last known to be the state of the store.
    known_at: Instant,
    /// True if the sources of the answer tell of all that happened after it.
    is_followed: bool,
}

/// The state of the evidence before a call was sent whose answer may become evidence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    epoch: u64,
    /// The number of begins and ends of own writes.
    writes: u64,
    under: Marks,
    at: Instant,
}

/// Evidence that is young enough for a policy.
pub(super) struct Unverified {
    seen: Arc<Seen>,
}

impl NearRegion {
    /// Notes that a call is about to be sent. `None`: its answer will not be evidence.
    pub(super) fn asked(&self) -> Option<Asked> {
        let state = self.evidence().0.lock();
        let under = self.heard_marks();
        let is_wanted = state.is_kept && state.verbs_under_way == 0 && under.is_lineage_settled();
        let (epoch, writes) = (state.epoch, state.writes.clock());
        is_wanted.then(|| Asked { epoch, writes, under, at: Instant::now() })
    }

    /// Takes up what the answer showed to the call that was sent at `asked`, the own write `answered` or a
    /// read; `None`: that the region holds nothing.
    pub(super) fn witness(&self, asked: Asked, shown: Option<&Shown>, answered: Option<WriteId>) {
        let new = Seen {
            is_followed: shown.is_some_and(|shown| shown.sources.is_some()),
            shown: shown.cloned(),
            asked,
            answered,
            known_at: asked.at,
        };
        let mut state = self.evidence().0.lock();
        if !self.has_standing(&state, &new) {
            return;
        }
        let known = state.seen.as_ref().filter(|known| self.has_standing(&state, known));
        if known.is_none_or(|known| new.is_later_than(known)) {
            state.seen = Some(Arc::new(new));
        }
    }

    /// Returns the evidence if it is no older than `longest`.
    pub(super) fn unverified(&self, longest: Duration) -> Option<Unverified> {
        if longest.is_zero() {
            return None;
        }
        let state = self.evidence().0.lock();
        let seen = state.seen.as_ref().filter(|seen| self.has_standing(&state, seen))?;
        let is_young = seen.known_until(self.losses()).elapsed() <= longest;
        is_young.then(|| Unverified { seen: Arc::clone(seen) })
    }

    /// Judges `entry`, at `key`, by evidence that was young enough a moment ago.
    pub(super) fn judge_unverified(
        &self,
        unverified: &Unverified,
        entry: &mut NearEntry,
        key: &str,
    ) -> Judgement {
        let state = self.evidence().0.lock();
        let seen = &unverified.seen;
        let is_current = state.seen.as_ref().is_some_and(|current| Arc::ptr_eq(current, seen));
        if !is_current
            || !self.has_standing(&state, seen)
            || state.writes.cover(key, seen.asked.writes, seen.answered)
        {
            return Judgement::Doubted;
        }
        let by = |shown: &Shown| self.judge_by(&shown.lineage, shown.ring.as_ref(), entry, key);
        match seen.shown.as_ref().map(by) {
            Some(Validity::Valid) => Judgement::Valid,
            Some(Validity::Outdated) | None => Judgement::Outdated,
        }
    }

    /// Returns true if nothing was heard or done since that may concern all of the region.
    fn has_standing(&self, state: &State, seen: &Seen) -> bool {
        // For how long values were covered is part of the time until which they were known.
        let now = self.heard_marks();
        state.verbs_under_way == 0
            && state.epoch == seen.asked.epoch
            && now.is_lineage_settled()
            && now.lineage == seen.asked.under.lineage
            && !self.losses().has_lost_all_since(seen.asked.under.engine)
    }

    /// Counts an own write of `key` that is about to be sent.
    pub(super) fn begin_write(&self, key: ChangedKey) -> WriteId {
        let mut state = self.evidence().0.lock();
        let state = &mut *state;
        if let Some(seen) = state.seen.as_mut().filter(|seen| seen.is_followed) {
            // From now on pushes may be kept back, for the write's answer would show what they tell.
            let known_at = seen.known_until(self.losses());
            *seen = Arc::new(Seen { known_at, is_followed: false, ..Seen::clone(seen) });
        }
        let since = state.seen.as_ref().map(|seen| seen.asked.writes);
        match state.is_kept {
            true => state.writes.begin(key, since),
            false => state.writes.begin_unnamed(),
        }
    }
}

impl Evidence {
    /// Has evidence kept from now on.
    pub(super) fn keep(&self) {
        self.0.lock().is_kept = true;
    }

    /// Ends it: a push has told of a change of the region's own entries.
    pub(super) fn end(&self) {
        let mut state = self.0.lock();
        state.epoch += 1;
        state.seen = None;
    }

    /// Counts an own verb that covers the region's own entries, before it is sent.
    pub(super) fn begin_verb(&self) {
        let mut state = self.0.lock();
        state.epoch += 1;
        state.verbs_under_way += 1;
        state.seen = None;
    }

    /// Ends the count of such a verb.
    pub(super) fn end_verb(&self) {
        let mut state = self.0.lock();
        state.epoch += 1;
        state.verbs_under_way -= 1;
    }

    /// Ends the count of an own write.
    pub(super) fn end_write(&self, write: WriteId) {
        self.0.lock().writes.end(write);
    }
}

impl Seen {
    /// The time until which this was known to be the state of the store.
    fn known_until(&self, losses: &Losses) -> Instant {
        let sources = self.shown.as_ref().and_then(|shown| shown.sources);
        let Some(sources) = sources.filter(|_| self.is_followed) else { return self.known_at };
        let told_until = |source| losses.told_until(source, self.asked.under.engine);
        match (told_until(sources.lineage), told_until(sources.ring)) {
            (Some(one), Some(other)) => self.known_at.max(one.min(other)),
            _ => self.known_at,
        }
    }

    /// Returns true if this is a later state of the store than `known`, or the same one and asked for later.
    fn is_later_than(&self, known: &Self) -> bool {
        let is_asked_later = self.asked.at >= known.asked.at;
        let (Some(mine), Some(theirs)) = (&self.shown, &known.shown) else { return is_asked_later };
        let (Some(ring), Some(other)) = (&mine.ring, &theirs.ring) else { return is_asked_later };
        if mine.lineage != theirs.lineage {
            return is_asked_later;
        }
        // A replica that lags may be asked later and show what is earlier.
        match (ring.knows(other.last()), other.knows(ring.last())) {
            (true, false) => true,
            (false, true) => false,
            (true, true) | (false, false) => is_asked_later,
        }
    }
}

impl Unverified {
    /// The state of the region that it shows.
    pub(super) fn moment(&self) -> Option<Moment> {
        self.seen.shown.as_ref()?.moment()
    }
}

#[cfg(test)]
mod tests {
    use super::super::registry::Registry;
    use super::*;
    use crate::lineage::{Incarnations, Lineage};
    use crate::path::RegionPath;
    use crate::store::{Change, ChangeId, ChangeRing};

    const BOUND: Duration = Duration::from_secs(9);

    fn region() -> Arc<NearRegion> {
        let region = Arc::new(Registry::new()).intern(&RegionPath::parse("r.a").unwrap());
        region.evidence().keep();
        region
    }

    fn shown(lineage: &Arc<Lineage>, ids: &[u32]) -> Shown {
        let change = |&id| Change::new(ChangeId::from_bits(id), ChangedKey::of("k"));
        let ring = ChangeRing::from_changes(ids.iter().map(change));
        Shown { lineage: Arc::clone(lineage), ring, sources: None }
    }

    fn lineage() -> Arc<Lineage> {
        Arc::new(Lineage::new([Incarnations::random()]).unwrap())
    }

    fn last(region: &NearRegion) -> Option<Moment> {
        region.unverified(BOUND)?.moment()
    }

    #[test]
    fn the_later_state_is_kept_whatever_the_order_of_the_answers() {
        let (one, other) = (lineage(), lineage());
        let (first, second) = (shown(&one, &[1]), shown(&one, &[1, 2]));
        let (region, asked) = (region(), |region: &NearRegion| region.asked().unwrap());
        let early = asked(&region);
        region.witness(asked(&region), Some(&second), None);
        region.witness(asked(&region), Some(&first), None);
        assert_eq!(last(&region), second.moment(), "a replica that lags");
        region.witness(early, Some(&shown(&other, &[3])), None);
        assert_eq!(last(&region), second.moment(), "an answer that comes late");
        region.witness(asked(&region), Some(&shown(&other, &[3])), None);
        assert_eq!(last(&region), shown(&other, &[3]).moment());
        region.witness(early, None, None);
        assert!(last(&region).is_some());
        region.witness(asked(&region), None, None);
        assert_eq!(last(&region), None, "the region is gone");
    }

    #[test]
    fn an_own_verb_under_way_leaves_no_evidence() {
        let (region, lineage) = (region(), lineage());
        let before = region.asked().unwrap();
        region.witness(before, Some(&shown(&lineage, &[1])), None);
        region.evidence().begin_verb();
        assert!(last(&region).is_none() && region.asked().is_none());
        region.evidence().end_verb();
        region.witness(before, Some(&shown(&lineage, &[1])), None);
        assert!(last(&region).is_none());
        region.witness(region.asked().unwrap(), Some(&shown(&lineage, &[1])), None);
        assert!(last(&region).is_some());
    }

    #[test]
    fn nothing_is_kept_that_no_policy_asks_for() {
        let region = Arc::new(Registry::new()).intern(&RegionPath::parse("r.a").unwrap());
        assert!(region.asked().is_none());
        // A write from before is known all the same.
        let write = region.begin_write(ChangedKey::of("k"));
        region.evidence().keep();
        region.witness(region.asked().unwrap(), Some(&shown(&lineage(), &[1])), None);
        let unverified = region.unverified(BOUND).unwrap();
        let covers = |region: &NearRegion| {
            let state = region.evidence().0.lock();
            state.writes.cover("other", unverified.seen.asked.writes, None)
        };
        assert!(covers(&region));
        region.evidence().end_write(write);
        assert!(covers(&region));
    }
}
