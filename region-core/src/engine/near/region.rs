//! The record of one region: what is known of it, and whether that is trusted.

use std::sync::Arc;

use crate::sync::RwLock;

use super::evidence::Evidence;
use super::history::{History, Since};
use super::known::{Known, Marks, Merge, Shown, Sources, Validity, judge};
use super::losses::Losses;
use super::registry::Registry;
use super::round::Rounds;
use super::values::NearEntry;
use super::word::{Mark, Word};
use crate::lineage::Lineage;
use crate::path::RegionPath;
use crate::store::{ChangeRing, Source};

/// The record of one region, which all handles to it, and its near entries, share.
#[derive(Debug)]
pub(crate) struct NearRegion {
    id: u64,
    path: RegionPath,
    parent: Option<Arc<NearRegion>>,
    registry: Arc<Registry>,
    /// Changes with the lineage of this region, and so of all below it.
    lineage: Word,
    /// Changes with the region's own entries.
    ring: Word,
    known: RwLock<Option<Known>>,
    history: RwLock<History>,
    pub(super) rounds: Rounds,
    evidence: Evidence,
}

/// A lineage that is trusted, and the connection that would tell of its end.
#[derive(Clone, Debug)]
pub(super) struct TrustedLineage {
    pub(super) lineage: Arc<Lineage>,
    pub(super) source: Source,
}

/// The result of judging a near entry by what is trusted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Valid,
    /// Valid, which has taken a look at the region's last changes. It stays so for as long as this is the sum of
    /// the region's marks.
    ValidAt(Mark),
    Outdated,
    /// Nothing trusted tells: the store has to be asked.
    Doubted,
}

impl NearRegion {
    pub(super) fn new(
        id: u64,
        path: RegionPath,
        parent: Option<Arc<Self>>,
        registry: Arc<Registry>,
    ) -> Self {
        Self {
            id,
            path,
            parent,
            registry,
            lineage: Word::default(),
            ring: Word::default(),
            known: RwLock::default(),
            history: RwLock::default(),
            rounds: Rounds::default(),
            evidence: Evidence::default(),
        }
    }

    pub(super) fn path(&self) -> &RegionPath {
        &self.path
    }

    /// A number that no other record has.
    #[inline]
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// The marks of now.
    #[inline]
    pub(super) fn marks(&self) -> Marks {
        self.marks_at(self.registry.losses.mark())
    }

    /// The marks of what was heard and done, whether pushes are relied on at present or not.
    pub(super) fn heard_marks(&self) -> Marks {
        self.marks_at(self.registry.losses.word().mark())
    }

    #[inline]
    fn marks_at(&self, engine: Mark) -> Marks {
        let path = self.upwards().map(|region| region.lineage.mark());
        let lineage = path.fold(Mark::default(), Mark::plus);
        Marks { engine, lineage, ring: self.ring.mark() }
    }

    /// This record and those of its ancestors.
    #[inline]
    pub(super) fn upwards(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |region| region.parent.as_deref())
    }

    pub(super) fn lineage_word(&self) -> &Word {
        &self.lineage
    }

    pub(super) fn ring_word(&self) -> &Word {
        &self.ring
    }

    pub(super) fn lineage_changed(&self) {
        self.lineage.raise();
    }

    pub(super) fn entries_changed(&self) {
        self.ring.raise();
        self.evidence.end();
    }

    pub(super) fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    pub(super) fn known(&self) -> &RwLock<Option<Known>> {
        &self.known
    }

    pub(super) fn losses(&self) -> &Losses {
        &self.registry.losses
    }

    /// The lineage, if it is trusted at the marks `now`.
    pub(super) fn trusted_lineage(&self, now: Marks) -> Option<TrustedLineage> {
        let known = self.known.read();
        let known = known.as_ref().filter(|known| self.lineage_stands(known, now))?;
        let lineage = Arc::clone(&known.lineage);
        Some(TrustedLineage { lineage, source: known.sources.lineage })
    }

    /// Returns all that is known, if it is trusted at the marks `now`.
    pub(super) fn trusted(&self, now: Marks) -> Option<Shown> {
        let known = self.known.read();
        let known = known.as_ref().filter(|known| self.stands(known, now))?;
        let (lineage, ring) = (Arc::clone(&known.lineage), known.ring.clone());
        Some(Shown { lineage, ring, sources: Some(known.sources) })
    }

    /// Judges `entry`, at `key` of this region, by what is trusted now.
    pub(super) fn judge(&self, entry: &mut NearEntry, key: &str) -> Judgement {
        let now = self.marks();
        if entry.is_verified_at(now.sum()) {
            return Judgement::Valid;
        }
        let known = self.known.read();
        let Some(known) = known.as_ref().filter(|known| self.stands(known, now)) else {
            return Judgement::Doubted;
        };
        match self.judge_by(&known.lineage, known.ring.as_ref(), entry, key) {
            Validity::Valid => Judgement::ValidAt(now.sum()),
            Validity::Outdated => Judgement::Outdated,
        }
    }

    /// Judges `entry`, at `key` of this region, by the lineage and the ring that the store has shown.
    pub(super) fn judge_by(
        &self,
        lineage: &Arc<Lineage>,
        ring: Option<&ChangeRing>,
        entry: &mut NearEntry,
        key: &str,
    ) -> Validity {
        let by_ring = judge(lineage, ring, (&entry.lineage, entry.change), key);
        let Some(ring) = ring.filter(|_| by_ring == Validity::Outdated) else { return by_ring };
        if lineage.digest() != entry.lineage {
            return Validity::Outdated;
        }
        // The ring reaches back over a few changes only.
        let history = self.history.read();
        let Some(now) = history.unchanged_until((lineage, ring), entry.since, key) else {
            return Validity::Outdated;
        };
        (entry.change, entry.since) = (ring.last(), now);
        Validity::Valid
    }

    /// The place in the region's history of what was read when the region had this ring.
    pub(super) fn place(&self, lineage: &Arc<Lineage>, ring: &ChangeRing) -> Since {
        self.history.read().place(lineage, ring).unwrap_or_default()
    }

    /// Notes that an entry of the region is no longer held near.
    pub(super) fn entry_left(self: &Arc<Self>) {
        if self.history.read().is_too_large(self.entries()) {
            self.history.write().fit(self.entries());
        }
    }

    /// About the number of the region's entries: each holds the record, and so do a few others.
    fn entries(self: &Arc<Self>) -> usize {
        Arc::strong_count(self)
    }

    /// Remembers the changes that an answer showed, whatever is trusted: they have happened.
    pub(super) fn remember(self: &Arc<Self>, shown: &Shown) {
        let Some(ring) = &shown.ring else { return };
        if !self.history.read().is_up_to(&shown.lineage, ring) {
            self.history.write().extend(&shown.lineage, ring, self.entries());
        }
    }

    /// Takes up what an answer showed whose call was sent at the marks `under`, or that own change left
    /// behind whose end they are. Returns true if something of it is trusted from now on.
    ///
    /// Late answers do no harm: what was learned under earlier marks is not trusted.
    pub(super) fn learn(self: &Arc<Self>, shown: &Shown, under: Marks) -> bool {
        self.remember(shown);
        let sources = shown.sources.filter(|sources| !self.is_lost(*sources));
        let Some(sources) = sources.filter(|_| under.is_lineage_settled()) else {
            self.doubt_if_behind(self.known.read().as_ref(), shown);
            return false;
        };
        // A ring that was read while an own change was under way may be older than that change.
        let ring = shown.ring.clone().filter(|_| under.ring.is_settled());
        let mut new = Known { lineage: Arc::clone(&shown.lineage), ring, sources, under };
        let mut known = self.known.write();
        // What was trusted stands again once pushes are relied on again.
        let now = self.heard_marks();
        match known.as_ref().map_or(Merge::Replace, |known| known.merge(&new, now)) {
            Merge::Keep => self.doubt_if_behind(known.as_ref(), shown),
            Merge::Replace => *known = Some(new),
            // It came over another connection than the push will. What was found to be valid under these marks
            // may have changed, and would be served after what is newer.
            Merge::Advance => {
                self.ring.raise();
                new.under.ring = new.under.ring.raised();
                *known = Some(new);
            }
            Merge::Contradiction => {
                *known = None;
                self.lineage.raise();
                self.ring.raise();
                return false;
            }
        }
        true
    }

    /// Doubts the entries if an answer, which is not trusted itself, shows a change that what is trusted lacks:
    /// it may be one that no push has told of yet, and what was valid before would be served after what is
    /// newer.
    fn doubt_if_behind(&self, known: Option<&Known>, shown: &Shown) {
        let now = self.heard_marks();
        if known.is_some_and(|known| self.stands(known, now) && known.lacks_change_of(shown)) {
            self.ring.raise();
        }
    }

    fn is_lost(&self, sources: Sources) -> bool {
        let losses = &self.registry.losses;
        losses.is_lost(sources.lineage) || losses.is_lost(sources.ring)
    }

    fn lineage_stands(&self, known: &Known, now: Marks) -> bool {
        now.is_lineage_settled()
            && known.under.lineage == now.lineage
            && self.registry.losses.spared(known.sources.lineage, known.under.engine, now.engine)
    }

    fn stands(&self, known: &Known, now: Marks) -> bool {
        self.lineage_stands(known, now)
            && known.ring.is_some()
            && now.ring.is_settled()
            && known.under.ring == now.ring
            && self.registry.losses.spared(known.sources.ring, known.under.engine, now.engine)
    }
}

impl Drop for NearRegion {
    fn drop(&mut self) {
        self.registry.forget(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lineage::{Incarnations, Lineage};
    use crate::store::{Change, ChangeId, ChangedKey, Event, Listener};

    fn shown(source: Source) -> Shown {
        let lineage = Lineage::new([Incarnations::random()]).unwrap();
        let ring = Some(ChangeRing::begin(ChangeId::random()));
        let sources = Some(Sources { lineage: source, ring: source });
        Shown { lineage: Arc::new(lineage), ring, sources }
    }

    fn region() -> (Arc<Registry>, Arc<NearRegion>) {
        let registry = Arc::new(Registry::new());
        let region = registry.intern(&RegionPath::parse("r.a").unwrap());
        (registry, region)
    }

    #[test]
    fn an_answer_is_trusted_until_its_marks_have_moved() {
        let (registry, region) = region();
        let under = region.marks();
        assert!(region.learn(&shown(Source::unique()), under));
        assert!(region.trusted(region.marks()).is_some());
        registry.heard(Event::Entries(region.path.clone()));
        assert!(region.trusted(region.marks()).is_none());
        assert!(region.trusted_lineage(region.marks()).is_some());
        registry.heard(Event::Lineage(region.path.clone()));
        assert!(region.trusted_lineage(region.marks()).is_none());
        // A late answer of before brings nothing back.
        region.learn(&shown(Source::unique()), under);
        assert!(region.trusted_lineage(region.marks()).is_none());
    }

    /// A call that was sent after a connection was given up may still be answered over it.
    #[test]
    fn an_answer_over_a_lost_connection_is_not_trusted() {
        let (registry, region) = region();
        let source = Source::unique();
        registry.heard(Event::Lost(source));
        assert!(!region.learn(&shown(source), region.marks()));
        assert!(region.trusted_lineage(region.marks()).is_none());
        assert!(region.learn(&shown(Source::unique()), region.marks()));
    }

    /// Bug: what was found to be valid stayed so for as long as no push came, although an answer over another
    /// connection had shown a later change. Effect: a value was served after a newer one. Fix: such an
    /// answer moves the marks.
    #[test]
    fn an_answer_that_is_ahead_of_the_pushes_moves_the_marks() {
        let (_registry, region) = region();
        let first = shown(Source::unique());
        let mut second = Shown { sources: shown(Source::unique()).sources, ..first.clone() };
        let change = Change::new(ChangeId::random(), ChangedKey::of("k"));
        second.ring.as_mut().unwrap().push(change);
        let under = region.marks();
        assert!(region.learn(&first, under));
        assert!(region.learn(&second, under));
        assert_ne!(region.marks(), under);
        assert_eq!(region.trusted(region.marks()).unwrap().moment(), second.moment());
        // The first moves nothing when it comes again.
        let under = region.marks();
        assert!(region.learn(&first, under));
        assert_eq!(region.marks(), under);
        assert_eq!(region.trusted(under).unwrap().moment(), second.moment());
    }

    /// Bug: an answer that was not trusted, for it was read while an own change was under way, left what was trusted as
    /// it was. Effect: it showed a change whose push was still to come, and the value of before was served after it.
    /// Found by the oracle, seed 71779. Fix: what is trusted is doubted then.
    #[test]
    fn an_answer_that_is_not_trusted_and_ahead_of_the_pushes_ends_trust() {
        let (_registry, region) = region();
        let first = shown(Source::unique());
        let mut second = first.clone();
        let change = Change::new(ChangeId::random(), ChangedKey::of("k"));
        second.ring.as_mut().unwrap().push(change);
        let is_trusted = || region.trusted(region.marks()).is_some();
        region.ring_word().begin_change();
        let under = region.marks();
        region.ring_word().end_change();
        let unheard = Shown { sources: None, ..second.clone() };
        for (later, earlier) in [(&second, under), (&unheard, region.marks())] {
            region.learn(&first, region.marks());
            assert!(is_trusted());
            region.learn(&first, earlier);
            assert!(is_trusted(), "it shows nothing new");
            region.learn(later, earlier);
            assert!(!is_trusted());
        }
    }

    #[test]
    fn two_answers_that_contradict_each_other_are_both_doubted() {
        let (_registry, region) = region();
        let under = region.marks();
        assert!(region.learn(&shown(Source::unique()), under));
        assert!(!region.learn(&shown(Source::unique()), under));
        assert!(region.trusted_lineage(region.marks()).is_none());
    }
}
