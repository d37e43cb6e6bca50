//! Spans, events and histograms of reads, of calls to the store and of loads: the features `spans` and
//! `metrics`. Without them nothing here does anything. No key and no value is told to anybody.

use std::future::Future;
use std::time::Duration;

#[cfg(feature = "spans")]
use tracing::{Instrument, field::Empty};

use super::found::Tally;
use super::{Context, CountsAs, Engine};
use crate::path::RegionPath;
use crate::region::Outcome;
use crate::store::Verb;

/// A call to the store under way.
#[must_use]
pub(super) struct CallWatch {
    #[cfg(feature = "metrics")]
    operation: &'static str,
    #[cfg(feature = "metrics")]
    started: tokio::time::Instant,
    #[cfg(feature = "spans")]
    span: tracing::Span,
}

/// A load function under way.
#[must_use]
pub(crate) struct LoadWatch {
    #[cfg(feature = "spans")]
    span: tracing::Span,
}

impl CallWatch {
    #[inline]
    pub(super) fn start(operation: &'static str, region: &RegionPath) -> Self {
        let _ = (operation, region);
        Self {
            #[cfg(feature = "metrics")]
            operation,
            #[cfg(feature = "metrics")]
            started: tokio::time::Instant::now(),
            #[cfg(feature = "spans")]
            span: tracing::trace_span!(
                target: "region_cache", "store_call", operation, %region, is_ok = Empty
            ),
        }
    }

    /// Does `call` within the span.
    #[inline]
    pub(super) fn run<F: Future>(&self, call: F) -> impl Future<Output = F::Output> + use<F> {
        #[cfg(feature = "spans")]
        let call = call.instrument(self.span.clone());
        call
    }

    /// Does `poll` within the span.
    #[inline]
    pub(super) fn within<T>(&self, poll: impl FnOnce() -> T) -> T {
        #[cfg(feature = "spans")]
        let _entered = self.span.enter();
        poll()
    }

    /// Notes that the call has ended.
    #[inline]
    pub(super) fn ended(&self, engine: &Engine, is_ok: bool) {
        let _ = (engine, is_ok);
        #[cfg(feature = "spans")]
        self.span.record("is_ok", is_ok);
        #[cfg(feature = "metrics")]
        engine.metrics.store_call(self.operation, self.started.elapsed(), is_ok);
    }
}

impl LoadWatch {
    pub(crate) fn start(context: &Context, keys: usize) -> Self {
        let _ = (context, keys);
        Self {
            #[cfg(feature = "spans")]
            span: tracing::debug_span!(
                target: "region_cache", "load", region = %context.path, keys, is_ok = Empty
            ),
        }
    }

    /// Does `load` within the span.
    pub(crate) fn run<F: Future>(&self, load: F) -> impl Future<Output = F::Output> + use<F> {
        #[cfg(feature = "spans")]
        let load = load.instrument(self.span.clone());
        load
    }

    /// Notes that the load has ended after `time`, with a value or an error.
    pub(crate) fn ended(&self, context: &Context, time: Duration, is_ok: bool) {
        let _ = (context, time, is_ok);
        #[cfg(feature = "spans")]
        self.span.record("is_ok", is_ok);
        #[cfg(feature = "metrics")]
        context.engine.metrics.load(time, is_ok);
    }
}

impl Context {
    /// Tells of a read of one key.
    #[inline]
    pub(super) fn tell_read(&self, counts_as: CountsAs) {
        #[cfg(feature = "spans")]
        if tracing::enabled!(target: "region_cache", tracing::Level::TRACE) {
            self.tell_outcome(counts_as);
        }
        let _ = counts_as;
    }

    #[cfg(feature = "spans")]
    #[cold]
    fn tell_outcome(&self, counts_as: CountsAs) {
        let (region, outcome) = (&self.path, counts_as.outcome());
        let is_near = matches!(
            counts_as,
            CountsAs::NearHit | CountsAs::NearUnverifiedHit | CountsAs::NearAbsence(_)
        );
        let tier = if is_near { "near" } else { "store" };
        let reason = match outcome {
            Outcome::Miss(reason) => Some(tracing::field::debug(reason)),
            _ => None,
        };
        let outcome = outcome.name();
        tracing::trace!(target: "region_cache", %region, outcome, tier, reason, "read");
    }

    /// Tells of a read of several keys.
    pub(super) fn tell_reads(&self, keys: usize, tally: &Tally) {
        let _ = (keys, tally);
        #[cfg(feature = "spans")]
        {
            let &Tally { near, hits, absent, .. } = tally;
            let (region, store, misses) = (&self.path, hits - near, keys - hits - absent);
            tracing::trace!(
                target: "region_cache", %region, near, store, absent, misses, "read of several keys"
            );
        }
    }

    /// Tells of the outcome of a call that may load.
    #[inline]
    pub(crate) fn tell_answer(&self, outcome: Outcome) {
        let _ = outcome;
        #[cfg(feature = "spans")]
        tracing::debug!(
            target: "region_cache", region = %self.path, outcome = outcome.name(), "loaded or waited"
        );
    }

    /// Tells of a verb that has been carried out, or has failed.
    pub(super) fn tell_verb(&self, verb: Verb, is_ok: bool) {
        let _ = (verb, is_ok);
        #[cfg(feature = "spans")]
        tracing::debug!(target: "region_cache", region = %self.path, ?verb, is_ok, "ended");
    }
}
