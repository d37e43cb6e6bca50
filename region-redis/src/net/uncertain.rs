//! Changes of this process that may not have reached the server.

use std::iter;

use region_core::{Event, RegionPath, Verb};

use crate::net::pushes::Pushes;

/// A change that is asked for. Unless it becomes known that the server has made it, it is told to all who
/// listen: the server may not push it, and what it covers must not be taken for the store's any more.
pub(crate) struct UncertainChange<'a> {
    pushes: &'a Pushes,
    region: &'a RegionPath,
    /// `None`: entries of the region are written.
    verb: Option<Verb>,
    is_known: bool,
}

impl<'a> UncertainChange<'a> {
    /// Begins a write to the region's entries. A single listener knows of its own writes.
    pub(crate) fn write(pushes: &'a Pushes, region: &'a RegionPath) -> Self {
        Self { pushes, region, verb: None, is_known: pushes.has_one_listener() }
    }

    pub(crate) fn end(pushes: &'a Pushes, region: &'a RegionPath, verb: Verb) -> Self {
        Self { pushes, region, verb: Some(verb), is_known: false }
    }

    /// The server has answered.
    pub(crate) fn known(mut self) {
        self.is_known = true;
    }
}

impl Drop for UncertainChange<'_> {
    fn drop(&mut self) {
        if self.is_known {
            return;
        }
        if self.verb.is_some_and(Verb::changes_lineage) {
            self.pushes.tell(&Event::Lineage(self.region.clone()));
        }
        let is_touched = self.verb.is_some_and(Verb::covers_ancestors);
        let regions = iter::successors(Some(self.region.clone()), RegionPath::parent);
        let regions = regions.take(if is_touched { usize::MAX } else { 1 });
        regions.for_each(|region| self.pushes.tell(&Event::Entries(region)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use region_core::Listener;

    use super::*;

    #[derive(Default)]
    struct Heard(Mutex<Vec<Event>>);

    impl Listener for Heard {
        fn heard(&self, event: Event) {
            self.0.lock().push(event);
        }
    }

    fn path(text: &str) -> RegionPath {
        RegionPath::parse(text).unwrap()
    }

    #[test]
    fn what_a_change_covers_is_told_unless_it_is_known() {
        let (pushes, heard) = (Pushes::default(), Arc::new(Heard::default()));
        let _listening = pushes.listen(Arc::clone(&heard) as _);
        let told = || std::mem::take(&mut *heard.0.lock());
        let region = path("r.a");
        let (lineage, own) = (Event::Lineage(path("r.a")), Event::Entries(path("r.a")));
        let outer = Event::Entries(path("r"));
        drop(UncertainChange::write(&pushes, &region));
        assert_eq!(told(), [], "a single listener knows of its own writes");
        let _other = pushes.listen(Arc::new(Heard::default()));
        drop(UncertainChange::write(&pushes, &region));
        assert_eq!(told(), std::slice::from_ref(&own));
        for (verb, events) in [
            (Verb::Invalidate, vec![lineage.clone(), own.clone()]),
            (Verb::Expire, vec![lineage.clone(), own.clone()]),
            (Verb::Touch, vec![own.clone(), outer.clone()]),
            (Verb::InvalidateAndTouch, vec![lineage.clone(), own, outer]),
        ] {
            drop(UncertainChange::end(&pushes, &region, verb));
            assert_eq!(told(), events, "{verb:?}");
            UncertainChange::end(&pushes, &region, verb).known();
        }
        UncertainChange::write(&pushes, &region).known();
        assert_eq!(told(), []);
    }
}
