//! Changes of this process that the server may not push to all who listen, or too late.

use std::iter;

use region_core::{Event, RegionPath, Trust, Verb};

use crate::net::pushes::Pushes;

/// A change that is asked for. It is told to all who listen, unless the server has made it, and the only one who listens
/// has asked for it. The server may not push a change at all; and what another cache of this process has read from
/// a replica, or over another connection, it pushes later than it answers the change.
pub(crate) struct PendingChange<'a> {
    pushes: &'a Pushes,
    region: &'a RegionPath,
    /// `None`: entries of the region are written.
    verb: Option<Verb>,
    /// Who asks for it keeps answers, and so listens.
    trust: Trust,
    is_known: bool,
}

impl<'a> PendingChange<'a> {
    /// Begins a write to the region's entries. A single listener knows of its own writes, done or not.
    pub(crate) fn write(pushes: &'a Pushes, region: &'a RegionPath, trust: Trust) -> Self {
        let mut change = Self { pushes, region, verb: None, trust, is_known: false };
        change.is_known = change.is_of_the_only_listener();
        change
    }

    pub(crate) fn end(
        pushes: &'a Pushes,
        region: &'a RegionPath,
        verb: Verb,
        trust: Trust,
    ) -> Self {
        Self { pushes, region, verb: Some(verb), trust, is_known: false }
    }

    /// The server has answered.
    pub(crate) fn known(mut self) {
        self.is_known = self.is_of_the_only_listener();
    }

    fn is_of_the_only_listener(&self) -> bool {
        self.trust == Trust::Kept && self.pushes.has_one_listener()
    }
}

impl Drop for PendingChange<'_> {
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
    fn what_a_change_covers_is_told_to_several_listeners() {
        let (pushes, heard) = (Pushes::default(), Arc::new(Heard::default()));
        let _listening = pushes.listen(Arc::clone(&heard) as _);
        let _other = pushes.listen(Arc::new(Heard::default()));
        let told = || std::mem::take(&mut *heard.0.lock());
        let region = path("r.a");
        let (lineage, own) = (Event::Lineage(path("r.a")), Event::Entries(path("r.a")));
        let outer = Event::Entries(path("r"));
        let write = || PendingChange::write(&pushes, &region, Trust::Kept);
        drop(write());
        assert_eq!(told(), std::slice::from_ref(&own));
        write().known();
        assert_eq!(told(), std::slice::from_ref(&own), "it is known");
        for (verb, events) in [
            (Verb::Invalidate, vec![lineage.clone(), own.clone()]),
            (Verb::Expire, vec![lineage.clone(), own.clone()]),
            (Verb::Touch, vec![own.clone(), outer.clone()]),
            (Verb::InvalidateAndTouch, vec![lineage.clone(), own, outer]),
        ] {
            let end = || PendingChange::end(&pushes, &region, verb, Trust::Kept);
            drop(end());
            assert_eq!(told(), events, "{verb:?}");
            end().known();
            assert_eq!(told(), events, "{verb:?}, known");
        }
    }

    #[test]
    fn a_known_change_is_not_told_to_the_only_listener_that_has_asked_for_it() {
        let (pushes, heard) = (Pushes::default(), Arc::new(Heard::default()));
        let _listening = pushes.listen(Arc::clone(&heard) as _);
        let told = || std::mem::take(&mut *heard.0.lock());
        let region = path("r.a");
        drop(PendingChange::write(&pushes, &region, Trust::Kept));
        PendingChange::write(&pushes, &region, Trust::Kept).known();
        PendingChange::end(&pushes, &region, Verb::Invalidate, Trust::Kept).known();
        assert_eq!(told(), []);
        // Another cache, which holds nothing near.
        PendingChange::write(&pushes, &region, Trust::NotKept).known();
        assert_eq!(told(), [Event::Entries(path("r.a"))]);
        PendingChange::end(&pushes, &region, Verb::Touch, Trust::NotKept).known();
        assert_eq!(told(), [Event::Entries(path("r.a")), Event::Entries(path("r"))]);
    }
}
