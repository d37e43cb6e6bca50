//! Storing what was loaded, if nothing ended meanwhile.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::brought::Stored;
use super::lease::Leases;
use crate::engine::{Context, Outages};
use crate::error::{Error, ErrorKind, Result};
use crate::lifetime::Lifetime;
use crate::lineage::Lineage;
use crate::region::{MAX_STEP_BYTES, MAX_STEP_KEYS, UncachedReason};
use crate::store::{Guard, Lease, LeaseTerms, Op, TakeLease, Write, Written};
use crate::value::envelope::EnvelopeContent;

/// The number of times that a step is written again without the keys whose leases are lost.
const ATTEMPTS: usize = 3;

/// An encoded value, to be stored under the lineage that it was loaded under.
pub(super) struct Loadable<'a> {
    pub(super) key: &'a str,
    pub(super) bytes: Bytes,
    pub(super) lineage: &'a Lineage,
    /// Takes precedence over the policy's.
    pub(super) ttl: Option<Duration>,
    pub(super) content: EnvelopeContent,
}

/// Stores loaded values under their leases.
///
/// Its failures are not its callers': they have their values. They are counted and logged, and the
/// leases that a failure leaves behind stay unsettled.
pub(super) struct Fill<'a> {
    pub(super) context: &'a Context,
    pub(super) leases: &'a mut Leases,
    pub(super) outages: &'a Outages,
}

/// The fate of loaded values. One that is not here was fenced.
#[derive(Default)]
pub(super) struct Filled<'l> {
    stored: HashMap<&'l str, Stored>,
    /// The time at which the last step began.
    pub(super) last_step: Option<Instant>,
}

impl Filled<'_> {
    /// The fate of the value of `key`, which was to be stored.
    pub(super) fn of(&self, key: &str) -> Stored {
        self.stored.get(key).copied().unwrap_or(Err(UncachedReason::Fenced))
    }
}

impl Fill<'_> {
    /// Stores `values` in steps of bounded size. A value that the store refuses, or whose lease is
    /// lost, keeps only itself from being stored.
    pub(super) async fn store<'l>(&mut self, values: &[Loadable<'l>]) -> Filled<'l> {
        let mut filled = Filled::default();
        let mut steps = steps(values);
        steps.reverse();
        while let Some(step) = steps.pop() {
            let started = Instant::now();
            filled.last_step = Some(started);
            let stored = self.store_step(step, started, &mut filled.stored).await;
            let Some(error) = stored else { continue };
            let (first, second) = step.split_at(step.len() / 2);
            if error.kind() == ErrorKind::TooLarge && !first.is_empty() {
                // One of them is too large; halving finds it.
                steps.extend([second, first]);
                continue;
            }
            for value in step {
                self.context.not_stored(value.key, &error);
                filled.stored.insert(value.key, Err(reason(&error)));
            }
            self.outages.remember(&self.context.engine().store, &error);
        }
        filled
    }

    /// Stores a step but for those whose leases are lost, within one limit; the error if the store fails.
    async fn store_step<'l>(
        &mut self,
        step: &[Loadable<'l>],
        started: Instant,
        stored: &mut HashMap<&'l str, Stored>,
    ) -> Option<Error> {
        if let Some(outage) = self.outages.recent(&self.context.engine().store) {
            return Some(outage);
        }
        let mut left: Vec<&Loadable<'_>> = step.iter().collect();
        for _ in 0..ATTEMPTS {
            let mut lifetimes = Vec::with_capacity(left.len());
            match self.write(&left, started, &mut lifetimes).await {
                Ok(Written::Applied(_)) => {
                    self.context.counters().fills.add(left.len());
                    for (value, lifetime) in left.iter().zip(lifetimes) {
                        self.leases.settled(value.key);
                        stored.insert(value.key, Ok((lifetime, started)));
                    }
                    return None;
                }
                Ok(Written::Fenced) => match self.still_leased(left.clone(), started).await {
                    Ok(leased) => {
                        self.fenced(left.len() - leased.len());
                        left = leased;
                    }
                    Err(error) => return Some(error),
                },
                Err(error) => return Some(error),
            }
            if left.is_empty() {
                return None;
            }
        }
        self.fenced(left.len());
        None
    }

    /// Writes `values`, and adds the ttls that they get to `lifetimes`.
    async fn write(
        &self,
        values: &[&Loadable<'_>],
        started: Instant,
        lifetimes: &mut Vec<Lifetime>,
    ) -> Result<Written> {
        let Some(first) = values.first() else {
            return Ok(Written::Fenced);
        };
        let mut ops = Vec::with_capacity(values.len());
        for value in values {
            let mut put = self.context.put(value.key, value.bytes.clone(), value.ttl)?;
            if value.content == EnvelopeContent::Absence {
                put = put.stale_for(Duration::ZERO);
            }
            lifetimes.push(put.fresh_for);
            ops.push(Op::Put(put));
        }
        let keys: Vec<_> = values.iter().map(|value| value.key).collect();
        let token = self.leases.token();
        let guard = Guard::new(first.lineage, &keys, token);
        let region_ttl = self.context.policy().region_ttl_on_write();
        let write = Write::new(&ops).guard(guard).region_ttl(region_ttl).started(started);
        self.context.write(write).await
    }

    /// Those of `values` whose leases hold under their lineage. One alone is known to be fenced.
    async fn still_leased<'v, 'l>(
        &mut self,
        values: Vec<&'v Loadable<'l>>,
        started: Instant,
    ) -> Result<Vec<&'v Loadable<'l>>> {
        let leased = match &values[..] {
            [] | [_] => HashSet::new(),
            [first, ..] => {
                let (token, duration) = (self.leases.token(), self.context.policy().lease);
                let terms = LeaseTerms::new(token, duration).take(TakeLease::Extend);
                let terms = terms.started(started);
                let keys: Vec<_> = values.iter().map(|value| value.key).collect();
                let begun = self.context.begin(&keys, terms).await?;
                let is_ours = begun.lineage == *first.lineage;
                let granted = begun.keys.iter().map(|key| is_ours && key.lease == Lease::Granted);
                keys.into_iter().zip(granted).filter(|(_, granted)| *granted).collect()
            }
        };
        let leased: HashSet<&str> = leased.into_iter().map(|(key, _)| key).collect();
        let is_leased = |value: &&Loadable<'_>| leased.contains(value.key);
        let (leased, lost): (Vec<_>, Vec<_>) = values.into_iter().partition(is_leased);
        lost.iter().for_each(|value| self.leases.settled(value.key));
        Ok(leased)
    }

    fn fenced(&self, values: usize) {
        if values > 0 {
            self.context.counters().fenced_fills.add(values);
            let region = self.context.path();
            tracing::debug!(%region, values, "not stored: invalidated or changed during the load");
        }
    }
}

fn reason(error: &Error) -> UncachedReason {
    match error.kind() {
        ErrorKind::TooLarge => UncachedReason::TooLarge,
        _ => UncachedReason::StoreFailed,
    }
}

/// Cuts `values` into steps of one lineage and bounded size. A value that is larger than a step may
/// be makes a step of its own.
fn steps<'v, 'l>(values: &'v [Loadable<'l>]) -> Vec<&'v [Loadable<'l>]> {
    let mut steps = Vec::new();
    let mut rest = values;
    while let Some(first) = rest.first() {
        let mut bytes = 0;
        let fits = |value: &&Loadable<'_>| {
            bytes += value.key.len() + value.bytes.len();
            bytes <= MAX_STEP_BYTES && value.lineage == first.lineage
        };
        let fitting = rest.iter().take(MAX_STEP_KEYS).take_while(fits).count();
        let (step, after) = rest.split_at(fitting.max(1));
        steps.push(step);
        rest = after;
    }
    steps
}
