//! The roots below which something may have to be freed.

use std::collections::HashMap;

use parking_lot::Mutex;
use region_core::RegionPath;
use tokio::sync::Notify;

/// The most roots that are looked after.
const MOST_ROOTS: usize = 1024;

/// The roots of the regions that this process has changed, each with whether it has work of late.
#[derive(Debug, Default)]
pub(crate) struct UsedRoots {
    roots: Mutex<HashMap<Box<str>, HasWork>>,
    work: Notify,
}

/// Says whether something may have become work since a root was last looked at.
type HasWork = bool;

impl UsedRoots {
    /// Notes a region that is in use.
    pub(crate) fn note(&self, region: &RegionPath) {
        let Some(root) = region.prefixes().next() else { return };
        let mut roots = self.roots.lock();
        if !roots.contains_key(root) && roots.len() < MOST_ROOTS {
            // Others may have left something there.
            roots.insert(root.into(), true);
            self.work.notify_one();
        }
    }

    /// Says that there is something to free below the root of this region.
    pub(crate) fn wake(&self, region: &RegionPath) {
        let Some(root) = region.prefixes().next() else { return };
        if let Some(has_work) = self.roots.lock().get_mut(root) {
            *has_work = true;
            self.work.notify_one();
        }
    }

    /// Waits until there may be something to free. It may be dropped at any time.
    pub(crate) async fn woken(&self) {
        self.work.notified().await;
    }

    /// All roots.
    pub(crate) fn all(&self) -> Vec<Box<str>> {
        let mut roots = self.roots.lock();
        roots.values_mut().for_each(|has_work| *has_work = false);
        roots.keys().cloned().collect()
    }

    /// The roots with work since they were asked for last.
    pub(crate) fn with_work(&self) -> Vec<Box<str>> {
        let mut roots = self.roots.lock();
        let with_work = roots
            .iter_mut()
            .filter_map(|(root, has_work)| std::mem::take(has_work).then(|| root.clone()));
        with_work.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_roots_with_work_are_looked_at_between_rounds() {
        let roots = UsedRoots::default();
        let [a, b] = ["a.x", "b.y"].map(|path| RegionPath::parse(path).unwrap());
        roots.wake(&a);
        assert!(roots.with_work().is_empty(), "it is not known");
        roots.note(&a);
        roots.note(&b);
        assert_eq!(roots.with_work().len(), 2, "others may have left something");
        roots.note(&a);
        assert!(roots.with_work().is_empty());
        roots.wake(&b);
        assert_eq!(roots.with_work(), [Box::<str>::from("b")]);
        roots.wake(&b);
        assert_eq!(roots.all().len(), 2);
        assert!(roots.with_work().is_empty(), "all were looked at");
    }
}
