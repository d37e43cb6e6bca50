//! Answers without a value: that there is one, and the record that there is none.

use super::Violation;
use super::facts::{Done, Facts};
use super::reach::Kill;
use crate::history::Effect;
use crate::plan::{Action, Key};

impl Facts<'_> {
    /// A value is there that no read would be allowed to return.
    pub(super) fn not_contained(&self, read: &Done<'_>) -> Option<Violation> {
        let (Action::Contains(key) | Action::Explain(key)) = read.step.action else { return None };
        let mut values = self.values.iter().filter(|(_, value)| value.key == key);
        if values.any(|(id, _)| self.explain(read, key, *id).is_ok()) {
            return None;
        }
        let step = read.step.number;
        let message = format!("{}: step {step} found a value, and there was none", self.name(key));
        Some(Violation { promise: 5, step, message })
    }

    /// A call that would have loaded was content with the record that there is none, which had ended.
    pub(super) fn not_absent(&self, read: &Done<'_>, key: Key) -> Option<Violation> {
        let mut absences =
            self.absences.iter().filter(|(of, _)| *of == key).map(|(_, load)| &self.loads[load]);
        let is_explained = |load: &super::facts::Load<'_>| {
            self.is_shared(read, load) || !self.is_absence_over(read, key, load)
        };
        if !read.returns_loads() || absences.any(is_explained) {
            return None;
        }
        let step = read.step.number;
        let message =
            format!("{}: step {step} returned nothing and loaded nothing", self.name(key));
        Some(Violation { promise: 1, step, message })
    }

    /// Returns true if the record that a load has found nothing has ended, as far as the read must know.
    fn is_absence_over(&self, read: &Done<'_>, key: Key, load: &super::facts::Load<'_>) -> bool {
        let stale_for = self.stale_for();
        let mut later = self.changes.iter().filter(|change| change.when.seq > load.begin.seq);
        later.any(|change| {
            let by_key = match change.effect {
                Effect::Put { value: None, .. } => None,
                _ => self.kills(change, key, u64::MAX),
            };
            let kills = by_key.into_iter().chain(self.kills_by(change, &load.depends_on));
            let is_over = kills.into_iter().any(|kill| kill == Kill::Gone || stale_for.is_zero());
            let is_loss = matches!(change.effect, Effect::Lost { with_all_below: false, .. });
            is_over && !is_loss && self.must_see(read, change)
        })
    }
}
