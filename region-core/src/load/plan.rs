//! The decisions of a load's task, without side effects.

use std::time::Duration;

/// The entry that the store showed together with its answer about the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Fresh,
    Stale,
    Nothing,
}

/// The holder of a key's lease, as the store's answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// This task.
    Us,
    /// Nobody: the store did not grant the lease because it showed a fresh entry.
    Nobody,
    /// The flight that this one comes after, under the lineage that the answer shows.
    Previous,
    /// Another load, here or in another process, for at most so long.
    Other { left: Duration },
}

/// The next step of a task for a flight, once the store has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Return the value that the store showed. The lease is not ours.
    Return,
    /// Return the value and release the lease, which is not needed.
    ReturnAndRelease,
    /// Return the stale value: another load brings the next one.
    ReturnStale,
    /// Load under the lease.
    Load,
    /// Take the result of the previous flight.
    Follow,
    /// Ask again, for the lease whatever entry there is: the one that is there cannot be read.
    InsistOnLease,
    /// Wait for the other load, but not longer than its lease lasts; then ask again.
    WaitAtMost(Duration),
}

/// Decides by the entry that can be read and the holder of the lease.
pub(super) fn decide(shown: Shown, holder: Holder) -> Step {
    match (shown, holder) {
        (Shown::Fresh, Holder::Us) => Step::ReturnAndRelease,
        (Shown::Fresh, _) => Step::Return,
        (_, Holder::Us) => Step::Load,
        (_, Holder::Nobody) => Step::InsistOnLease,
        (_, Holder::Previous) => Step::Follow,
        (Shown::Stale, Holder::Other { .. }) => Step::ReturnStale,
        (Shown::Nothing, Holder::Other { left }) => Step::WaitAtMost(left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT: Duration = Duration::from_secs(3);

    #[test]
    fn every_answer_has_its_step() {
        let other = Holder::Other { left: LEFT };
        let table = [
            (Shown::Fresh, Holder::Us, Step::ReturnAndRelease),
            (Shown::Fresh, Holder::Nobody, Step::Return),
            (Shown::Fresh, Holder::Previous, Step::Return),
            (Shown::Fresh, other, Step::Return),
            (Shown::Stale, Holder::Us, Step::Load),
            (Shown::Stale, Holder::Nobody, Step::InsistOnLease),
            (Shown::Stale, Holder::Previous, Step::Follow),
            (Shown::Stale, other, Step::ReturnStale),
            (Shown::Nothing, Holder::Us, Step::Load),
            (Shown::Nothing, Holder::Nobody, Step::InsistOnLease),
            (Shown::Nothing, Holder::Previous, Step::Follow),
            (Shown::Nothing, other, Step::WaitAtMost(LEFT)),
        ];
        for (shown, holder, step) in table {
            assert_eq!(decide(shown, holder), step, "{shown:?}, {holder:?}");
        }
    }
}
