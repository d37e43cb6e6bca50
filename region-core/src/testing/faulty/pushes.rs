use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::script::Which;
use crate::store::{Event, Listener, Listening, Source};

/// The most sources that are remembered; more than any store has connections.
const MAX_SOURCES: usize = 64;

/// The script for pushes, and the listeners it applies to.
#[derive(Debug, Default)]
pub(super) struct Pushes(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    listeners: Vec<Weak<Disturbed>>,
    /// Of the answers that came by.
    sources: Vec<Source>,
}

#[derive(Debug)]
struct Rule {
    which: Which,
    effect: Effect,
    seen: u64,
}

#[derive(Clone, Debug)]
enum Effect {
    Lose,
    /// On the runtime of the test that asked for it: a store may push from any thread.
    Delay(Duration, Handle),
    Repeat(usize),
}

impl Pushes {
    /// The listener with this script applied to it; and what keeps it among those that injected
    /// events reach.
    pub(super) fn disturb(this: &Arc<Self>, inner: Arc<dyn Listener>) -> Arc<Disturbed> {
        let disturbed = Arc::new(Disturbed { pushes: Arc::clone(this), inner });
        this.0.lock().listeners.push(Arc::downgrade(&disturbed));
        disturbed
    }

    /// The guard that the caller of [`Store::listen`](crate::Store::listen) holds.
    pub(super) fn listening(disturbed: Arc<Disturbed>, inner: Listening) -> Listening {
        let coverage = inner.coverage().cloned();
        let listening = Listening::new(move || {
            drop(inner);
            let listener = Arc::downgrade(&disturbed);
            disturbed.pushes.0.lock().listeners.retain(|other| !other.ptr_eq(&listener));
        });
        match coverage {
            Some(coverage) => listening.covered_by(coverage),
            None => listening,
        }
    }

    pub(super) fn inject(&self, event: &Event) {
        // Not under the lock: a listener may do what it likes with the test kit.
        let listeners = self.0.lock().listeners.clone();
        for listener in listeners.iter().filter_map(Weak::upgrade) {
            listener.inner.heard(event.clone());
        }
    }

    /// Remembers the source of an answer, to say later that it is lost.
    pub(super) fn note(&self, source: Option<Source>) {
        let Some(source) = source else { return };
        let mut state = self.0.lock();
        if !state.sources.contains(&source) {
            if state.sources.len() == MAX_SOURCES {
                state.sources.remove(0);
            }
            state.sources.push(source);
        }
    }

    pub(super) fn cut(&self) {
        let sources = std::mem::take(&mut self.0.lock().sources);
        sources.into_iter().for_each(|source| self.inject(&Event::Lost(source)));
    }

    pub(super) fn clear(&self) {
        self.0.lock().rules.clear();
    }

    fn effects(&self) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.0.lock().rules.retain_mut(|rule| {
            rule.seen += 1;
            let (hit, lasts) = rule.which.covers(rule.seen);
            if hit {
                effects.push(rule.effect.clone());
            }
            lasts
        });
        effects
    }
}

/// A listener that hears what the script lets through.
pub(super) struct Disturbed {
    pushes: Arc<Pushes>,
    inner: Arc<dyn Listener>,
}

impl Listener for Disturbed {
    fn heard(&self, event: Event) {
        let mut copies = 1;
        let mut delayed: Option<(Duration, Handle)> = None;
        for effect in self.pushes.effects() {
            match effect {
                Effect::Lose => return,
                Effect::Delay(by, handle) => {
                    let before = delayed.map_or(Duration::ZERO, |(delay, _)| delay);
                    delayed = Some((before + by, handle));
                }
                Effect::Repeat(times) => copies += times,
            }
        }
        let copies = std::iter::repeat_n(event, copies);
        let Some((delay, handle)) = delayed else {
            return copies.for_each(|event| self.inner.heard(event));
        };
        let inner = Arc::clone(&self.inner);
        handle.spawn(async move {
            tokio::time::sleep(delay).await;
            copies.for_each(|event| inner.heard(event));
        });
    }
}

impl std::fmt::Debug for Disturbed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Disturbed")
    }
}

/// A rule for pushes in the making: which ones it is about. Its last method says what happens to
/// them.
///
/// Made by [`Faulty::on_push`](super::Faulty::on_push); unless narrowed it is about every push.
/// Pushes are counted from the moment the rule is made, over all listeners.
///
/// ```
/// use region_core::Store;
/// use region_core::testing::Faulty;
///
/// # fn example(store: impl Store) {
/// let store = Faulty::new(store);
/// store.on_push().nth(1).lose();
/// store.on_push().repeat(2);
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a rule that does not say what happens has no effect"]
pub struct OnPush<'a> {
    pushes: &'a Pushes,
    which: Which,
}

impl<'a> OnPush<'a> {
    pub(super) fn new(pushes: &'a Pushes) -> Self {
        Self { pushes, which: Which::Every }
    }

    /// Only the `n`-th push from now on, counted from 1.
    ///
    /// # Panics
    /// When `n` is zero.
    pub fn nth(mut self, n: u64) -> Self {
        self.which = Which::nth(n);
        self
    }

    /// Only the first `n` pushes from now on.
    pub fn first(mut self, n: u64) -> Self {
        self.which = Which::First(n);
        self
    }

    /// The push never arrives.
    pub fn lose(self) {
        self.add(Effect::Lose);
    }

    /// The push arrives so much later, by tokio's clock. Later ones may overtake it.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn delay(self, delay: Duration) {
        self.add(Effect::Delay(delay, Handle::current()));
    }

    /// The push arrives once and `times` times more.
    pub fn repeat(self, times: usize) {
        self.add(Effect::Repeat(times));
    }

    fn add(self, effect: Effect) {
        self.pushes.0.lock().rules.push(Rule { which: self.which, effect, seen: 0 });
    }
}
