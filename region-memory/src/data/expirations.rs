use parking_lot::RwLock;
use region_core::Timestamp;
use smallvec::SmallVec;

/// The number of expirations that a region remembers separately; beyond that, neighbours are merged.
const KEPT: usize = 16;

/// The scale on which gaps between expirations are weighed against their age.
const GAP_SCALE: u64 = 1024;

/// When a region was expired: from the first expiration that an entry has not seen it is stale, and
/// later ones must not prolong that.
#[derive(Default)]
pub(crate) struct Expirations(RwLock<SmallVec<[Expiration; 1]>>);

#[derive(Clone, Copy)]
struct Expiration {
    /// Its place in the store's count of expirations.
    number: u64,
    at: Timestamp,
}

impl Expirations {
    pub(crate) fn add(&self, number: u64, at: Timestamp) {
        let mut kept = self.0.write();
        let place = kept.partition_point(|earlier| earlier.number < number);
        kept.insert(place, Expiration { number, at });
        if kept.len() > KEPT {
            merge_closest(&mut kept, at);
        }
    }

    /// When the first one after the number `seen` was.
    pub(crate) fn first_after(&self, seen: u64) -> Option<Timestamp> {
        self.0.read().iter().find(|expiration| expiration.number > seen).map(|first| first.at)
    }

    /// A copy for a replica.
    #[cfg(feature = "testing")]
    pub(crate) fn copy(&self) -> Self {
        Self(RwLock::new(self.0.read().clone()))
    }
}

/// Takes the two that are closest, in relation to how long ago they were, for one at the time of the
/// earlier: what was expired between them is gone a little sooner, and never comes back.
fn merge_closest(kept: &mut SmallVec<[Expiration; 1]>, now: Timestamp) {
    let millis = |duration: std::time::Duration| duration.as_millis() as u64;
    let weight = |at: &usize| {
        let gap = millis(kept[at + 1].at.since(kept[*at].at));
        gap.saturating_mul(GAP_SCALE) / millis(now.since(kept[*at].at)).max(1)
    };
    if let Some(closest) = (0..kept.len() - 1).min_by_key(weight) {
        let earlier = kept.remove(closest);
        kept[closest].at = kept[closest].at.min(earlier.at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn the_first_one_unseen_counts() {
        let expirations = Expirations::default();
        assert_eq!(expirations.first_after(0), None);
        expirations.add(2, at(20));
        expirations.add(1, at(10));
        expirations.add(5, at(50));
        let first = |seen| expirations.first_after(seen);
        assert_eq!([first(0), first(1), first(2), first(4)], [10, 20, 50, 50].map(|t| Some(at(t))));
        assert_eq!(first(5), None);
    }

    #[test]
    fn however_many_there_were_none_is_taken_for_a_later_one() {
        const MANY: u64 = 10_000;
        let expirations = Expirations::default();
        for number in 1..=MANY {
            expirations.add(number, at(number * 1_000));
        }
        assert_eq!(expirations.0.read().len(), KEPT);
        for seen in 0..MANY {
            let true_age = (MANY - (seen + 1)) * 1_000;
            let age = MANY * 1_000 - expirations.first_after(seen).unwrap().as_millis();
            assert!(age >= true_age, "after {seen}: {age} < {true_age}");
            assert!(age <= true_age * 4 + 1_000, "after {seen}: {age} is far from {true_age}");
        }
        assert_eq!(expirations.first_after(MANY), None);
    }
}
