//! The part of a history that shows a violation.

use std::collections::BTreeSet;

use super::facts::{Facts, NEVER};
use crate::clock::{MS, Micros};
use crate::event::{Action, Event, OpId, Place, What};
use crate::setup::REGIONS;

/// The most lines that are shown.
const MOST: usize = 60;

/// The time before the operation from which events are shown, unless its value is older.
const BEFORE: Micros = 400 * MS;

/// The events that concern the keys of an operation, until it ends.
pub(super) fn around(facts: &Facts<'_>, events: &[Event], id: OpId) -> Vec<String> {
    let Some(op) = facts.ops.iter().find(|op| op.id == id) else { return Vec::new() };
    let places = op.action.read_places();
    let end = op.end.map_or(NEVER, |(end, _)| end);
    let made = op.end.map(|(_, outcome)| outcome).into_iter().flat_map(|outcome| match outcome {
        crate::event::Outcome::Values(values) => values.clone(),
        _ => Vec::new(),
    });
    let origins = made.flatten().filter_map(|value| facts.values.get(&value));
    let first = origins.flat_map(|value| value.origins.iter().map(|origin| origin.from)).min();
    let from = first.unwrap_or(end).min(op.begin.saturating_sub(BEFORE));
    // What is shown with its begin is shown with its end.
    let mut shown = BTreeSet::from([id]);
    let mut lines: Vec<String> = Vec::new();
    for event in events {
        if event.at <= end && concerns(event, &places, &mut shown) && event.at >= from {
            let at = event.at as f64 / MS as f64 - op.begin as f64 / MS as f64;
            lines.push(format!("{at:>11.3} ms  {:>3}  {:?}", event.process, event.what));
        }
    }
    // The value's own making, and what was last.
    let skipped = lines.len().saturating_sub(MOST);
    if skipped > 0 {
        let kept = MOST / 4;
        lines.splice(kept..kept + skipped, [format!("  .. {skipped} more ..")]);
    }
    lines
}

fn concerns(event: &Event, places: &[Place], shown: &mut BTreeSet<OpId>) -> bool {
    match &event.what {
        What::Begin { op, action, .. } => {
            let is_of = touches(action, places);
            if is_of {
                shown.insert(*op);
            }
            is_of
        }
        What::LoadBegin { load, places: of, .. } => {
            let is_of = of.iter().any(|place| places.contains(place));
            if is_of {
                shown.insert(*load);
            }
            is_of
        }
        What::End { op: id, .. }
        | What::LoadEnd { load: id, .. }
        | What::DependsOn { load: id, .. } => shown.contains(id),
        _ => true,
    }
}

fn touches(action: &Action, places: &[Place]) -> bool {
    let region_of = |region: &usize| {
        places.iter().any(|place| {
            let (ended, of) = (REGIONS[*region], REGIONS[place.region]);
            oracle::check::is_within(of, ended) || oracle::check::is_within(ended, of)
        })
    };
    let of = |place: &Place| places.contains(place);
    match action {
        Action::End(region, _) => region_of(region),
        Action::Remove(place) => of(place),
        Action::RemoveMany(region, _) | Action::Transact(region, _) => {
            places.iter().any(|place| place.region == *region)
        }
        action => {
            action.read_places().iter().any(of)
                || action.stored().iter().any(|(place, _)| of(place))
        }
    }
}
