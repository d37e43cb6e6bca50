//! Keeps what an answer of the store shows, under the moment that the answer names.

use std::any::TypeId;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::NearHandle;
use super::known::{Moment, Shown};
use super::values::{Form, Held, Label, NearEntry, NearTimes, Place};
use crate::engine::{Context, Times};
use crate::store::{Entry, Freshness};
use crate::value::dependencies::Dependencies;
use crate::value::serializer::Value;

impl Context {
    /// Keeps `value`, which the entry at `key` of an answer decodes to; `None` is the record that there is none.
    /// The entry has `size` bytes.
    pub(crate) fn keep_near<V: Value>(
        &self,
        key: &str,
        (size, times): (usize, Times),
        value: Option<&Arc<V>>,
        dependencies: Option<&Dependencies>,
        label: Option<&Label>,
    ) {
        let near = self.near.as_ref().zip(label).zip(self.engine.near.values());
        if let Some(((near, label), values)) = near {
            let value = Held::decoded(value);
            let until = label.end_of(times.left.duration());
            let times = NearTimes { until, made: times.made };
            let entry = NearEntry::new(value, label, times, key.len() + size);
            let depends = dependencies.map(|list| self.near_dependencies(list));
            let place = near.decoded::<V>();
            values.insert(&near.region, place, key, entry.depending(depends));
        }
    }

    /// Keeps the bytes of `entry`, which an answer showed at `key`.
    pub(super) fn keep_bytes(&self, near: &NearHandle, key: &str, entry: &Entry, label: &Label) {
        if let (Some(values), Freshness::Fresh { left }) =
            (self.engine.near.values(), entry.freshness)
        {
            let (value, size) = (Held::encoded(entry.bytes.clone()), entry.bytes.len());
            let times = NearTimes::until(label.end_of(left.duration()));
            let entry = NearEntry::new(value, label, times, key.len() + size);
            values.insert(&near.region, near.encoded(), key, entry);
        }
    }
}

impl NearHandle {
    #[inline]
    pub(super) fn decoded<V: Value>(&self) -> Place {
        let form = Form::Decoded { of: TypeId::of::<V>(), codec: self.codec };
        Place { region: self.region.id(), form }
    }

    pub(super) fn encoded(&self) -> Place {
        Place { region: self.region.id(), form: Form::Encoded }
    }

    /// Names the moment that an answer showed, if it shows enough to judge entries by later.
    pub(super) fn label(&self, shown: &Shown, sent: Instant) -> Option<Label> {
        let ring = shown.ring.as_ref()?;
        let since = self.region.place(&shown.lineage, ring);
        Some(Label { lineage: Arc::clone(&shown.lineage), change: ring.last(), since, sent })
    }
}

impl Label {
    /// The moment that it names.
    pub(in crate::engine) fn moment(&self) -> Moment {
        Moment::new(&self.lineage, self.change)
    }

    /// The end of a lifetime that begins no earlier than when the call was sent.
    pub(super) fn end_of(&self, lifetime: Option<Duration>) -> Option<Instant> {
        // An instant that cannot be named is later than any process lives.
        lifetime.and_then(|lifetime| self.sent.checked_add(lifetime))
    }
}
