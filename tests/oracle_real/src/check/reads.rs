//! Each value that was read: made for its key, and not older than it may be.

use super::cover::{Ended, Kill, ROUNDING};
use super::facts::{Changes, Facts, NEVER, Op, Origin, Value};
use super::{Findings, Violation};
use crate::clock::{MS, Micros};
use crate::event::{Outcome, Place};
use crate::item::ValueId;

/// The longest time between the end of a load and the storing of its result: a server or process may be stopped
/// meanwhile.
const STORED_WITHIN: Micros = 4_000 * MS;

type Why = (u32, String);

pub(super) fn check(facts: &Facts<'_>, findings: &mut Findings) {
    let changes = facts.changes();
    for op in &facts.ops {
        let mut refuse = |(promise, message): Why| {
            let (op, history) = (op.id, Vec::new());
            findings.violations.push(Violation { promise, op, message, history });
        };
        match op.end {
            Some((_, Outcome::Foreign(what))) => refuse((8, format!("of another key: {what}"))),
            Some((end, Outcome::Values(values))) => {
                for (place, value) in op.action.read_places().into_iter().zip(values) {
                    match facts.explain(&changes, op, end, place, *value) {
                        Ok(()) => findings.explained += 1,
                        Err(why) => refuse(why),
                    }
                }
            }
            _ => {}
        }
    }
}

impl Facts<'_> {
    fn explain(
        &self,
        changes: &Changes<'_>,
        read: &Op<'_>,
        end: Micros,
        place: Place,
        id: Option<ValueId>,
    ) -> Result<(), Why> {
        let origins = match id {
            Some(id) => match self.values.get(&id) {
                Some(Value { place: of, origins, .. }) if *of == place => origins.as_slice(),
                _ => return Err((8, format!("{place:?}: value {id} was never made"))),
            },
            // Others than loads say that there is no value as they say that none is known.
            None if !read.action.loads() => return Ok(()),
            None => self.absences.get(&place).map_or(&[][..], Vec::as_slice),
        };
        let mut why = (1, format!("{place:?}: it was never said that there is no value"));
        let before = |origin: &&Origin| origin.from < end;
        for origin in origins.iter().rev().filter(before) {
            match self.explain_by(changes, read, (place, id), origin) {
                Ok(()) => return Ok(()),
                Err(reason) => why = reason,
            }
        }
        Err(why)
    }

    fn explain_by(
        &self,
        changes: &Changes<'_>,
        read: &Op<'_>,
        (place, id): (Place, Option<ValueId>),
        origin: &Origin,
    ) -> Result<(), Why> {
        let lifetimes = &self.setups[read.process].lifetimes;
        let stale_for = if read.action.loads() { lifetimes.stale_for * MS } else { 0 };
        for ended in self.ends(changes, read, (place, id), origin) {
            let is_stale = ended.kill == Kill::Stale && stale_for > 0;
            if is_stale && read.begin <= ended.by.end + stale_for + ROUNDING {
                continue;
            }
            return Err(describe(read, (place, id), origin, &ended));
        }
        // Absences have a lifetime of their own, and calls that share a load get its result as it is.
        let (Some(ttl), Some(id)) = (origin.ttl, id) else { return Ok(()) };
        let slack = if origin.load.is_some() { STORED_WITHIN } else { ROUNDING };
        let over = origin.stored.saturating_add(ttl * MS + stale_for + slack);
        match origin.stored != NEVER && read.begin > over {
            true => Err((11, format!("{place:?}: value {id} had expired at {over}"))),
            false => Ok(()),
        }
    }
}

fn describe(
    read: &Op<'_>,
    (place, id): (Place, Option<ValueId>),
    origin: &Origin,
    ended: &Ended<'_>,
) -> Why {
    let by = ended.by.op;
    let promise = match (by.process == read.process, origin.load) {
        (true, _) => 4,
        (false, Some(_)) => 1,
        (false, None) => 5,
    };
    let value = id.map_or("no value".to_owned(), |id| format!("value {id}"));
    let made = match origin.load {
        Some(load) => format!("of load {load}"),
        None => "that was set".to_owned(),
    };
    let message = format!(
        "{place:?}: {value} {made} at {}..{} was read by {}.{} from {}; it was ended{} by {} of {}.{} \
         at {}..{}, {} us before",
        origin.from,
        origin.to,
        read.process,
        read.cache,
        read.begin,
        if ended.as_dependency { ", as a dependency," } else { "" },
        by.action.name(),
        by.process,
        by.cache,
        by.begin,
        ended.by.end,
        read.begin - ended.by.end,
    );
    (promise, message)
}
