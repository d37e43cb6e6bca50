//! A call's wait for one missing key, and what it does with a stale value.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::call::{Call, Held};
use super::flight::{Purpose, Waiter};
use super::flights::{Flights, Joining};
use super::key::{FlightKey, KeySpace};
use super::open::Stale;
use super::plan::{Early, UseOfStale, is_due, use_stale};
use super::recent::Recent;
use super::waits;
use crate::engine::{Context, LoadId};
use crate::error::{Error, ErrorKind, Result};
use crate::lifetime::Lifetime;
use crate::region::{Answer, Outcome};
use crate::stats::MissReason;
use crate::value::serializer::Value;

/// The state of a call for one missing key.
pub(super) enum Place<V> {
    /// Waits for a load, perhaps with a value to make do with.
    Waits(Waiter, Option<Stale<V>>),
    /// Does not wait.
    HasStale(Stale<V>),
    /// Does not wait: the value is fresh, and refreshed early.
    HasFresh(Answer<Arc<V>>),
}

impl Call<'_> {
    /// Joins the load of `key` or starts it, unless the stale value is to be returned without one.
    pub(super) fn place<V: Value>(
        &mut self,
        joining: &mut Joining<'_>,
        key: &str,
        held: Held<V>,
    ) -> Place<V> {
        let (within, counters) = (KeySpace::of(self.context), self.context.counters());
        // A flight that is started needs it until it loads; one that is joined needs nothing.
        let hold = self.holds.as_mut().and_then(|holds| holds.remove(key));
        match held {
            Held::Nothing(reason) => {
                let missed = (reason, counters);
                Place::Waits(joining.join_or_start::<V>(within, key, hold, missed), None)
            }
            Held::Ended => {
                let missed = (MissReason::Dependency, counters);
                Place::Waits(joining.join_or_start::<V>(within, key, hold, missed), None)
            }
            Held::Reload => {
                Place::Waits(joining.join_or_start_reload::<V>(within, key, counters), None)
            }
            Held::Stale(stale) => self.place_stale(joining, key, hold, stale),
            Held::Due(answer, lead) => {
                let purpose = Purpose::Early(lead);
                if joining.refresh_if_none::<V>(within, key, hold, (purpose, counters)) {
                    counters.early_refreshes.add(1);
                }
                Place::HasFresh(answer)
            }
        }
    }

    fn place_stale<V: Value>(
        &self,
        joining: &mut Joining<'_>,
        key: &str,
        hold: Option<Waiter>,
        stale: Stale<V>,
    ) -> Place<V> {
        let (within, counters) = (KeySpace::of(self.context), self.context.counters());
        let failed_lately = self.is_recent::<V>(&self.flights.failed, key);
        match use_stale(failed_lately, self.context.policy().on_stale) {
            UseOfStale::Return => counters.throttled_loads.add(1),
            UseOfStale::ReturnAndRefresh => {
                joining.refresh_if_none::<V>(within, key, hold, (Purpose::Stale, counters));
            }
            UseOfStale::LoadUnlessUnderWay => {
                if let Some(waiter) = joining.start_if_none::<V>(within, key, hold, Purpose::Stale)
                {
                    return Place::Waits(waiter, Some(stale));
                }
            }
        }
        Place::HasStale(stale)
    }

    fn is_recent<V: Value>(&self, recent: &Recent, key: &str) -> bool {
        !recent.is_empty() && recent.contains(&FlightKey::new::<V>(KeySpace::of(self.context), key))
    }

    /// The time before its end from which on the fresh entry at `key` is to be refreshed early, if it is
    /// now.
    pub(super) fn due<V: Value>(&self, key: &str, left: Lifetime) -> Option<Duration> {
        let policy = self.context.policy();
        if !policy.refreshes_early() {
            return None;
        }
        let load_time = match policy.early_refresh_beta > 0.0 {
            true => self.flights.load_times.of::<V>(self.context.path()),
            false => None,
        };
        let random = || self.context.engine().random.unit();
        let lead = early(self.context, load_time).lead(random);
        let is_paused = || {
            let Flights { failed, refreshed, .. } = &**self.flights;
            self.is_recent::<V>(failed, key) || self.is_recent::<V>(refreshed, key)
        };
        (is_due(left, lead) && !is_paused()).then_some(lead)
    }

    /// The value at `key`, once it is there. `inside` is the load that the call is made from.
    ///
    /// # Cancel safety
    /// Dropping it ends the wait. After the soft timeout the load goes on without the caller.
    pub(super) async fn answer_at<V: Value>(
        &self,
        key: &str,
        place: Place<V>,
        inside: Option<&Arc<LoadId>>,
    ) -> Result<Answer<Option<Arc<V>>>> {
        let answer = match place {
            Place::Waits(waiter, stale) => self.wait_at(key, waiter, stale, inside).await?,
            Place::HasStale(stale) => stale.answer(),
            Place::HasFresh(answer) => answer.map(Some),
        };
        if answer.outcome() == Outcome::Stale {
            self.context.counters().stale_hits.add(1);
        }
        self.context.tell_answer(answer.outcome());
        Ok(answer)
    }

    async fn wait_at<V: Value>(
        &self,
        key: &str,
        waiter: Waiter,
        stale: Option<Stale<V>>,
        inside: Option<&Arc<LoadId>>,
    ) -> Result<Answer<Option<Arc<V>>>> {
        let answer = async {
            match inside {
                None => waiter.answer().await,
                Some(load) => waits::answer_inside(load, &waiter).await,
            }
        };
        let Some(stale) = stale else { return answer.await };
        let mut answer = std::pin::pin!(answer);
        if let Some(soft_deadline) = self.soft_deadline() {
            match timeout_at(soft_deadline, &mut answer).await {
                Ok(answer) => return self.or_stale(key, answer, &stale),
                Err(_) if stale.lasts() => {
                    waiter.detach();
                    let counters = self.context.counters();
                    counters.background_loads.add(1);
                    counters.soft_timeouts.add(1);
                    return Ok(stale.answer());
                }
                Err(_) => {}
            }
        }
        self.or_stale(key, answer.await, &stale)
    }

    fn soft_deadline(&self) -> Option<Instant> {
        let soft_timeout = self.context.policy().soft_timeout.duration()?;
        self.started_at().checked_add(soft_timeout)
    }

    /// The stale value in place of a load's failure. The load's task does the same, but it knows of no
    /// stale value if the store did not answer it.
    fn or_stale<V: Value>(
        &self,
        key: &str,
        answer: Result<Answer<Option<Arc<V>>>>,
        stale: &Stale<V>,
    ) -> Result<Answer<Option<Arc<V>>>> {
        match answer {
            Err(error) if is_of_load(&error) && stale.lasts() => {
                let retry_after = self.context.policy().load_retry_after;
                let key_of = FlightKey::new::<V>(KeySpace::of(self.context), key);
                self.flights.failed.remember(&key_of, Instant::now().checked_add(retry_after));
                self.context.serving_stale(key, &error);
                Ok(stale.answer())
            }
            answer => answer,
        }
    }
}

pub(super) fn early(context: &Context, load_time: Option<Duration>) -> Early {
    let policy = context.policy();
    let (at, beta) = (policy.early_refresh_at, policy.early_refresh_beta);
    Early { ttl: policy.ttl, at, beta, load_time }
}

fn is_of_load(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Load | ErrorKind::LoadPanicked | ErrorKind::LoadTimeout)
}
