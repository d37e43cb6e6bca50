use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::pause::{Pause, PausePoint};
use crate::error::{Error, ErrorKind};
use crate::path::RegionPath;
use crate::testing::Method;

/// The effect on a call.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    Fail(Error),
    LoseReply,
    DelayBefore(Duration),
    DelayAfter(Duration),
    PauseBefore(Arc<PausePoint>),
    PauseAfter(Arc<PausePoint>),
}

/// The calls, or pushes, that a rule applies to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which {
    Every,
    Nth(u64),
    First(u64),
}

impl Which {
    pub(super) fn nth(n: u64) -> Self {
        assert!(n > 0, "calls are counted from 1");
        Self::Nth(n)
    }

    /// Returns whether the `count`-th call is meant, and whether a later one can be.
    pub(super) fn covers(self, count: u64) -> (bool, bool) {
        match self {
            Self::Every => (true, true),
            Self::Nth(n) => (count == n, count < n),
            Self::First(n) => (count <= n, count < n),
        }
    }
}

#[derive(Debug)]
struct Rule {
    id: u64,
    method: Option<Method>,
    within: Option<RegionPath>,
    which: Which,
    effect: Effect,
    seen: u64,
    hits: Arc<AtomicU64>,
}

impl Rule {
    fn matches(&self, method: Method, region: Option<&RegionPath>) -> bool {
        self.method.is_none_or(|mine| mine == method)
            && self.within.as_ref().is_none_or(|top| region.is_some_and(|it| it.is_within(top)))
    }
}

#[derive(Debug, Default)]
pub(super) struct Script(Mutex<Rules>);

#[derive(Debug, Default)]
struct Rules {
    next_id: u64,
    rules: Vec<Rule>,
}

impl Script {
    /// Counts a call and says what happens to it.
    pub(super) fn effects(&self, method: Method, region: Option<&RegionPath>) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut script = self.0.lock();
        script.rules.retain_mut(|rule| {
            if !rule.matches(method, region) {
                return true;
            }
            rule.seen += 1;
            let (hit, lasts) = rule.which.covers(rule.seen);
            if hit {
                rule.hits.fetch_add(1, Ordering::Relaxed);
                effects.push(rule.effect.clone());
            }
            lasts
        });
        effects
    }

    pub(super) fn clear(&self) {
        let rules = std::mem::take(&mut self.0.lock().rules);
        for rule in rules {
            if let Effect::PauseBefore(gate) | Effect::PauseAfter(gate) = rule.effect {
                gate.open();
            }
        }
    }

    fn lift(&self, id: u64) {
        self.0.lock().rules.retain(|rule| rule.id != id);
    }
}

/// A rule in the making: which calls it is about. Its last method says what happens to them.
///
/// Made by [`Faulty::on`](super::Faulty::on) and [`Faulty::on_any`](super::Faulty::on_any); unless
/// narrowed it is about every call. Calls are counted from the moment the rule is made.
#[derive(Debug)]
#[must_use = "a rule that does not say what happens has no effect"]
pub struct On<'a> {
    script: &'a Arc<Script>,
    method: Option<Method>,
    within: Option<RegionPath>,
    which: Which,
}

impl<'a> On<'a> {
    pub(super) fn new(script: &'a Arc<Script>, method: Option<Method>) -> Self {
        Self { script, method, within: None, which: Which::Every }
    }

    /// Only the `n`-th call from now on, counted from 1.
    ///
    /// # Panics
    /// When `n` is zero.
    pub fn nth(mut self, n: u64) -> Self {
        self.which = Which::nth(n);
        self
    }

    /// Only the first `n` calls from now on.
    pub fn first(mut self, n: u64) -> Self {
        self.which = Which::First(n);
        self
    }

    /// Only calls on `region` and regions below it; only those are counted.
    pub fn within(mut self, region: &RegionPath) -> Self {
        self.within = Some(region.clone());
        self
    }

    /// The call fails with an error of this kind, before anything happens.
    pub fn fail(self, kind: ErrorKind) -> Fault {
        self.fail_with(Error::new(kind, "injected fault"))
    }

    /// The call fails with this error, before anything happens.
    pub fn fail_with(self, error: Error) -> Fault {
        self.add(Effect::Fail(error))
    }

    /// The call does its work, then its caller gets an [`ErrorKind::Timeout`].
    pub fn lose_reply(self) -> Fault {
        self.add(Effect::LoseReply)
    }

    /// The call waits so long, by tokio's clock, before it reaches the store.
    pub fn delay_before(self, delay: Duration) -> Fault {
        self.add(Effect::DelayBefore(delay))
    }

    /// The call does its work, then its caller waits so long, by tokio's clock, for the reply.
    pub fn delay_after(self, delay: Duration) -> Fault {
        self.add(Effect::DelayAfter(delay))
    }

    /// The calls wait, before they reach the store, until the pause is released.
    pub fn pause(self) -> Pause {
        let gate = Arc::new(PausePoint::default());
        let fault = self.add(Effect::PauseBefore(Arc::clone(&gate)));
        Pause::new(gate, fault)
    }

    /// The calls do their work, then their callers wait for the reply until the pause is released.
    pub fn pause_after(self) -> Pause {
        let gate = Arc::new(PausePoint::default());
        let fault = self.add(Effect::PauseAfter(Arc::clone(&gate)));
        Pause::new(gate, fault)
    }

    fn add(self, effect: Effect) -> Fault {
        let hits = Arc::new(AtomicU64::new(0));
        let mut script = self.script.0.lock();
        script.next_id += 1;
        let id = script.next_id;
        script.rules.push(Rule {
            id,
            method: self.method,
            within: self.within,
            which: self.which,
            effect,
            seen: 0,
            hits: Arc::clone(&hits),
        });
        Fault { script: Arc::clone(self.script), id, hits }
    }
}

/// A rule that is in force, until it is lifted or has hit all the calls it was made for. Dropping
/// this does not lift it.
#[derive(Debug)]
pub struct Fault {
    script: Arc<Script>,
    id: u64,
    hits: Arc<AtomicU64>,
}

impl Fault {
    /// Ends the rule. Calls that it holds already are not let go by this.
    pub fn lift(&self) {
        self.script.lift(self.id);
    }

    /// The number of calls that it has hit.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }
}
