//! Listings and counts: nothing shows that has ended, and where nothing fails all that is there does.

use region_core::Verb;

use super::Violation;
use super::facts::{Change, Done, Facts};
use super::reach::is_within;
use crate::history::{Effect, Outcome, Seq};
use crate::plan::{Action, Key};

impl Facts<'_> {
    /// A key that was listed, and had no value in that time.
    pub(super) fn unlisted(&self, read: &Done<'_>, keys: &[usize]) -> Option<Violation> {
        let Action::Keys(region) = read.step.action else { return None };
        let mut keys = keys.iter().map(|&key| Key { region, key });
        let key = keys.find(|key| !self.may_be_there(read, *key))?;
        let step = read.step.number;
        let message = format!("{}: step {step} listed it, and it had no value", self.name(key));
        Some(Violation { promise: 1, step, message })
    }

    /// More entries were counted than there were in that time.
    pub(super) fn too_many(&self, read: &Done<'_>, entries: u64) -> Option<Violation> {
        let Action::Len(region) = read.step.action else { return None };
        let keys = self.keys_of(region);
        let most = keys.filter(|key| self.may_be_there(read, *key)).count() as u64;
        let step = read.step.number;
        let message = format!(
            "{:?}: step {step} counted {entries} entries, and there were {most}",
            self.region(region)
        );
        (entries > most).then_some(Violation { promise: 1, step, message })
    }

    /// A child that was listed, and in which nothing was put since the region around it was ended.
    pub(super) fn no_child(&self, read: &Done<'_>, children: &[String]) -> Option<Violation> {
        let Action::Children(region) = read.step.action else { return None };
        let end = read.end.map_or(self.end, |(end, _)| end);
        let ended = self.changes.iter().filter(|change| self.is_ended_by(region, change));
        let shown = ended.filter(|change| self.shows_at_primary(read, change));
        let begun = shown.map(|change| change.when.seq).max().unwrap_or(0);
        let is_put_to = |child: &String| {
            self.changes.iter().any(|change| {
                let Effect::Put { key, .. } = change.effect else { return false };
                let is_meanwhile = (begun..end.seq).contains(&change.when.seq);
                is_meanwhile && self.child_of(key.region, region) == Some(child.as_str())
            })
        };
        let child = children.iter().find(|child| !is_put_to(child))?;
        let (step, around) = (read.step.number, self.region(region));
        let message = format!(
            "{around:?}: step {step} listed the child {child}, to which nothing was put since {begun}"
        );
        Some(Violation { promise: 1, step, message })
    }

    /// Where nothing fails: fewer were counted or listed than were there throughout.
    pub(super) fn too_few(&self, read: &Done<'_>) -> Option<Violation> {
        let (end, outcome) = read.end?;
        let stays = |key: &Key| self.held_throughout(*key, None, read.begin, end).is_some();
        let step = read.step.number;
        let message = match (&read.step.action, outcome) {
            (Action::Len(region), Outcome::Counted(entries)) => {
                let least = self.keys_of(*region).filter(stays).count() as u64;
                (*entries < least)
                    .then(|| format!("step {step} counted {entries} of {least} entries"))?
            }
            (Action::Children(region), Outcome::Children(children)) => {
                let regions = 0..self.plan.setup.regions.len();
                let stay = regions.filter(|&of| self.keys_of(of).any(|key| stays(&key)));
                let mut stay = stay.filter_map(|of| self.child_of(of, *region));
                let child = stay.find(|child| !children.iter().any(|listed| listed == child))?;
                format!("step {step} did not list the child {child}")
            }
            _ => return None,
        };
        Some(Violation { promise: 4, step, message })
    }

    /// Returns true if the primary had a value of the key at some time of the read, or the record that there is none.
    fn may_be_there(&self, read: &Done<'_>, key: Key) -> bool {
        let end: Seq = read.end.map_or(self.end.seq, |(end, _)| end.seq);
        let overlaps = |(from, to): &(Seq, Seq)| *from < end && *to > read.begin.seq;
        let mut values = self.values.iter().filter(|(_, value)| value.key == key);
        let absent = |change: &Change<'_>| matches!(change.effect, Effect::Put { key: put, value: None, .. } if *put == key);
        values.any(|(id, value)| self.held(*id, value).iter().any(overlaps))
            || self.changes.iter().any(absent)
    }

    /// Returns true if a read that only the primary answers has to show the change.
    fn shows_at_primary(&self, read: &Done<'_>, change: &Change<'_>) -> bool {
        let is_certain = !change.is_queued && !self.is_undone(read, change);
        change.when.seq < read.begin.seq && (is_certain || self.is_own(read, change))
    }

    /// Returns true if the change ends the region, and all below it.
    fn is_ended_by(&self, region: usize, change: &Change<'_>) -> bool {
        match *change.effect {
            Effect::Ended { region: ended, verb } => {
                let is_gone = matches!(verb, Verb::Invalidate | Verb::InvalidateAndTouch);
                is_gone && self.is_within(region, ended)
            }
            Effect::Lost { region: lost, with_all_below } => {
                with_all_below && self.is_within(region, lost)
            }
            Effect::Flushed => true,
            _ => false,
        }
    }

    fn keys_of(&self, region: usize) -> impl Iterator<Item = Key> + use<> {
        (0..self.plan.setup.keys).map(move |key| Key { region, key })
    }

    /// The child of the region `around` that `region` lies in, by its segment.
    fn child_of(&self, region: usize, around: usize) -> Option<&str> {
        let (path, around) = (self.region(region), self.region(around));
        let rest = Some(path).filter(|path| is_within(path, around))?.strip_prefix(around)?;
        let rest = rest.strip_prefix('.').unwrap_or(rest);
        rest.split('.').next().filter(|segment| !segment.is_empty())
    }
}
