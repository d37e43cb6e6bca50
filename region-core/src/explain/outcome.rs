//! The outcome of a read, by what is known.

use super::{NearValidity, ReadOutcome};
use crate::policy::OnOutage;
use crate::stats::MissReason;

/// The near cache's knowledge of a value that it holds, or of the record that there is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NearFacts {
    pub(crate) is_absence: bool,
    pub(crate) validity: NearValidity,
    /// The policy allows it to be served although nothing would tell of a change.
    pub(crate) is_served_unverified: bool,
    /// The policy allows it to be served while the store does not serve.
    pub(crate) is_served_in_outage: bool,
    /// The store has just shown that it is still valid.
    pub(crate) is_shown_valid: bool,
}

/// The answer of the store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StoreFacts {
    Value,
    Nothing(MissReason),
    Outage,
    /// Another error.
    Failure,
}

/// The outcome of a read that finds this.
pub(crate) fn outcome(
    near: Option<NearFacts>,
    store: StoreFacts,
    on_outage: OnOutage,
) -> ReadOutcome {
    let served = |hit| match near {
        Some(NearFacts { is_absence: true, .. }) => ReadOutcome::Miss(MissReason::Absent),
        _ => hit,
    };
    if near.is_some_and(|near| near.validity == NearValidity::Valid) {
        return served(ReadOutcome::NearHit);
    }
    let doubted = near.filter(|near| near.validity == NearValidity::Doubted);
    if doubted.is_some_and(|near| near.is_served_unverified) {
        return served(ReadOutcome::UnverifiedNearHit);
    }
    match (store, on_outage) {
        (StoreFacts::Value, _) if doubted.is_some_and(|near| near.is_shown_valid) => {
            ReadOutcome::VerifiedNearHit
        }
        (StoreFacts::Value, _) => ReadOutcome::StoreHit,
        (StoreFacts::Nothing(reason), _) => ReadOutcome::Miss(reason),
        (StoreFacts::Outage, _) if doubted.is_some_and(|near| near.is_served_in_outage) => {
            served(ReadOutcome::UnverifiedNearHit)
        }
        (StoreFacts::Outage, OnOutage::Miss) => ReadOutcome::Miss(MissReason::Unavailable),
        (StoreFacts::Outage, OnOutage::Error) | (StoreFacts::Failure, _) => ReadOutcome::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_situation_has_its_outcome() {
        let near = |validity| NearFacts {
            is_absence: false,
            validity,
            is_served_unverified: false,
            is_served_in_outage: false,
            is_shown_valid: false,
        };
        let (valid, doubted) = (near(NearValidity::Valid), near(NearValidity::Doubted));
        let shown = NearFacts { is_shown_valid: true, ..doubted };
        let unverified = NearFacts { is_served_unverified: true, ..doubted };
        let in_outage = NearFacts { is_served_in_outage: true, ..doubted };
        let outdated = NearFacts {
            is_absence: false,
            validity: NearValidity::Outdated,
            is_served_unverified: true,
            is_served_in_outage: true,
            is_shown_valid: true,
        };
        let absent = StoreFacts::Nothing(MissReason::Absent);
        let fenced = StoreFacts::Nothing(MissReason::Fenced);
        let (value, outage) = (StoreFacts::Value, StoreFacts::Outage);
        let table = [
            (None, value, ReadOutcome::StoreHit),
            (None, absent, ReadOutcome::Miss(MissReason::Absent)),
            (None, fenced, ReadOutcome::Miss(MissReason::Fenced)),
            (Some(outdated), fenced, ReadOutcome::Miss(MissReason::Fenced)),
            (None, outage, ReadOutcome::Miss(MissReason::Unavailable)),
            (None, StoreFacts::Failure, ReadOutcome::Error),
            (Some(valid), absent, ReadOutcome::NearHit),
            (Some(valid), outage, ReadOutcome::NearHit),
            (Some(doubted), value, ReadOutcome::StoreHit),
            (Some(doubted), outage, ReadOutcome::Miss(MissReason::Unavailable)),
            (Some(shown), value, ReadOutcome::VerifiedNearHit),
            (Some(shown), absent, ReadOutcome::Miss(MissReason::Absent)),
            (Some(unverified), absent, ReadOutcome::UnverifiedNearHit),
            (Some(unverified), outage, ReadOutcome::UnverifiedNearHit),
            (Some(in_outage), value, ReadOutcome::StoreHit),
            (Some(in_outage), outage, ReadOutcome::UnverifiedNearHit),
            (Some(outdated), value, ReadOutcome::StoreHit),
            (Some(outdated), outage, ReadOutcome::Miss(MissReason::Unavailable)),
        ];
        for (at, (near, store, expected)) in table.into_iter().enumerate() {
            assert_eq!(outcome(near, store, OnOutage::Miss), expected, "line {at}");
        }
        assert_eq!(outcome(Some(doubted), outage, OnOutage::Error), ReadOutcome::Error);
        let served = outcome(Some(in_outage), outage, OnOutage::Error);
        assert_eq!(served, ReadOutcome::UnverifiedNearHit);
        let is_absent = |near| NearFacts { is_absence: true, ..near };
        for (near, store) in [(valid, outage), (unverified, value), (in_outage, outage)] {
            let read = outcome(Some(is_absent(near)), store, OnOutage::Error);
            assert_eq!(read, ReadOutcome::Miss(MissReason::Absent));
        }
        let unheld = outcome(Some(is_absent(in_outage)), value, OnOutage::Error);
        assert_eq!(unheld, ReadOutcome::StoreHit);
    }
}
