//! The hash tags under which something may have to be freed.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The most tags that are looked after.
const MOST_TAGS: usize = 1024;

/// The hash tags of the regions that this process has changed, each with whether it has work of late. A tag has a work
/// list of its own.
#[derive(Debug, Default)]
pub(crate) struct UsedTags {
    tags: Mutex<HashMap<Box<str>, HasWork>>,
    work: Notify,
}

/// Says whether something may have become work since a tag was last looked at.
type HasWork = bool;

impl UsedTags {
    /// Notes a tag that is in use.
    pub(crate) fn note(&self, tag: &str) {
        let mut tags = self.tags.lock();
        if !tags.contains_key(tag) && tags.len() < MOST_TAGS {
            // Others may have left something there.
            tags.insert(tag.into(), true);
            self.work.notify_one();
        }
    }

    /// Says that there is something to free under this tag.
    pub(crate) fn wake(&self, tag: &str) {
        if let Some(has_work) = self.tags.lock().get_mut(tag) {
            *has_work = true;
            self.work.notify_one();
        }
    }

    /// Waits until there may be something to free. It may be dropped at any time.
    pub(crate) async fn woken(&self) {
        self.work.notified().await;
    }

    /// All tags.
    pub(crate) fn all(&self) -> Vec<Box<str>> {
        let mut tags = self.tags.lock();
        tags.values_mut().for_each(|has_work| *has_work = false);
        tags.keys().cloned().collect()
    }

    /// The tags with work since they were asked for last.
    pub(crate) fn with_work(&self) -> Vec<Box<str>> {
        let mut tags = self.tags.lock();
        let with_work = tags
            .iter_mut()
            .filter_map(|(tag, has_work)| std::mem::take(has_work).then(|| tag.clone()));
        with_work.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tags_with_work_are_looked_at_between_rounds() {
        let tags = UsedTags::default();
        tags.wake("a");
        assert!(tags.with_work().is_empty(), "it is not known");
        tags.note("a");
        tags.note("b");
        assert_eq!(tags.with_work().len(), 2, "others may have left something");
        tags.note("a");
        assert!(tags.with_work().is_empty());
        tags.wake("b");
        assert_eq!(tags.with_work(), [Box::<str>::from("b")]);
        tags.wake("b");
        assert_eq!(tags.all().len(), 2);
        assert!(tags.with_work().is_empty(), "all were looked at");
    }
}
