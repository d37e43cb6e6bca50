//! The pushes of a connection that tell of its own writes.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use region_core::{Event, RegionPath};

use crate::net::pushes::Pushes;

/// Keeps back the pushes that tell a connection of its own writes, so that a write whose answer is trusted does
/// not end that trust at once.
///
/// A write reads the region's hash before it changes it, on a connection that is tracked: so the server pushes
/// the change to this connection too, once, right after the reply. Pushes do not say whose change they tell of.
/// Hence as many are kept back as writes are done. A push that comes while a write is under way may be
/// another's; it is kept back too, for the answer of the write shows that change: and if it turns out that the
/// write has changed nothing, or nobody knows, it is told then. Else the write's own push, which comes next, is
/// told in its place.
///
/// `NOLOOP` would not do: with it a server says nothing of a key either that it evicts to make room for a
/// command of the same client, and tells of no later change of it (Redis 7.0, Valkey 8.0).
#[derive(Debug, Default)]
pub(crate) struct OwnPushes(Mutex<HashMap<RegionPath, Expected>>);

/// The writes to the entries of one region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Expected {
    /// Writes that are under way.
    under_way: u32,
    /// Pushes that came meanwhile and are kept back; never more than writes are under way.
    early: u32,
    /// Pushes that are still to come, of writes that are done.
    due: u32,
}

/// The fate of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Push {
    Told,
    KeptBack,
}

impl Expected {
    fn begin(&mut self) {
        self.under_way += 1;
    }

    fn pushed(&mut self) -> Push {
        if self.due > 0 {
            self.due -= 1;
        } else if self.early < self.under_way {
            self.early += 1;
        } else {
            return Push::Told;
        }
        Push::KeptBack
    }

    /// A write is done.
    fn done(&mut self) {
        self.under_way -= 1;
        match self.early {
            0 => self.due += 1,
            _ => self.early -= 1,
        }
    }

    /// A write has changed nothing, or it is not known. Returns what becomes of a push that was kept back.
    fn given_up(&mut self) -> Push {
        self.under_way -= 1;
        if self.early <= self.under_way {
            return Push::KeptBack;
        }
        self.early -= 1;
        Push::Told
    }
}

impl OwnPushes {
    /// Returns whether a push of the region's entries is kept back.
    pub(crate) fn keeps_back(&self, region: &RegionPath) -> bool {
        let mut all = self.0.lock();
        let Some(expected) = all.get_mut(region) else { return false };
        let push = expected.pushed();
        if *expected == Expected::default() {
            all.remove(region);
        }
        push == Push::KeptBack
    }

    fn change<T>(&self, region: &RegionPath, change: impl FnOnce(&mut Expected) -> T) -> T {
        let mut all = self.0.lock();
        let expected = all.entry(region.clone()).or_default();
        let changed = change(expected);
        if *expected == Expected::default() {
            all.remove(region);
        }
        changed
    }
}

/// A write that is under way. Dropped before it is known to be done, it is given up.
#[derive(Debug)]
pub(crate) struct OwnWrite {
    expected: Arc<OwnPushes>,
    pushes: Arc<Pushes>,
    region: RegionPath,
    is_done: bool,
}

impl OwnWrite {
    /// Begins a write to a region's entries over the connection with these own pushes.
    pub(crate) fn begin(
        expected: &Arc<OwnPushes>,
        pushes: &Arc<Pushes>,
        region: &RegionPath,
    ) -> Self {
        expected.change(region, Expected::begin);
        Self {
            expected: Arc::clone(expected),
            pushes: Arc::clone(pushes),
            region: region.clone(),
            is_done: false,
        }
    }

    /// The server has changed the region's entries.
    pub(crate) fn done(mut self) {
        self.is_done = true;
        self.expected.change(&self.region, Expected::done);
    }
}

impl Drop for OwnWrite {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        if self.expected.change(&self.region, Expected::given_up) == Push::Told {
            self.pushes.tell(&Event::Entries(self.region.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each step by a letter: `w`rite begins, a `p`ush comes, a write is `d`one, a write is `g`iven up. Returns the
    /// steps at which a push was told, and what is expected after all.
    fn told(steps: &str) -> (Vec<usize>, Expected) {
        let (mut expected, mut told) = (Expected::default(), Vec::new());
        for (at, step) in steps.chars().enumerate() {
            let push = match step {
                'w' => {
                    expected.begin();
                    Push::KeptBack
                }
                'p' => expected.pushed(),
                'd' => {
                    expected.done();
                    Push::KeptBack
                }
                _ => expected.given_up(),
            };
            if push == Push::Told {
                told.push(at);
            }
            assert!(expected.early <= expected.under_way, "{steps} at {at}");
        }
        (told, expected)
    }

    #[test]
    fn as_many_pushes_are_kept_back_as_writes_are_done() {
        let cases: [(&str, &[usize]); 14] = [
            ("p", &[0]),
            ("wdp", &[]),
            ("wpd", &[]),
            ("wdpp", &[3]),
            ("wpdp", &[3]),
            ("wppd", &[2]),
            ("wg", &[]),
            ("wgp", &[2]),
            ("wpg", &[2]),
            ("wwdpdp", &[]),
            ("wwppdd", &[]),
            ("wwpgd", &[]),
            ("wwpdg", &[]),
            ("wwppdg", &[5]),
        ];
        for (steps, expected) in cases {
            let (told, left) = told(steps);
            assert_eq!(told, expected, "{steps}");
            assert_eq!(left, Expected::default(), "{steps}");
        }
    }

    /// Whatever the order, a push of another's change is told once no write is under way, its own or one of the
    /// connection's in its place.
    #[test]
    fn no_change_of_anothers_is_kept_back_for_good() {
        fn orders(left: [usize; 4], steps: &mut String, check: &mut impl FnMut(&str)) {
            if left == [0; 4] {
                return check(steps);
            }
            for (at, step) in ['w', 'd', 'g', 'p'].into_iter().enumerate() {
                let begun = steps.matches('w').count();
                let ended = steps.matches(['d', 'g']).count();
                if left[at] == 0 || (step == 'd' || step == 'g') && ended >= begun {
                    continue;
                }
                let mut fewer = left;
                fewer[at] -= 1;
                steps.push(step);
                orders(fewer, steps, check);
                steps.pop();
            }
        }
        for (writes, done, pushes) in [(1, 1, 2), (2, 2, 3), (3, 2, 3), (3, 2, 4), (3, 0, 2)] {
            let left = [writes, done, writes - done, pushes];
            orders(left, &mut String::new(), &mut |steps| {
                let (told, left) = told(steps);
                // Where a write's own push is still due, it is kept back when it comes.
                let kept_back = pushes - told.len() + left.due as usize;
                assert_eq!((kept_back, left.under_way, left.early), (done, 0, 0), "{steps}");
            });
        }
    }
}
