use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::script::Which;
use crate::store::{Event, EventStream};

/// The most pushes that wait in one stream because a test injected them and nobody polled.
const MAX_INJECTED: usize = 1024;

/// The script for pushes, and the streams it applies to.
#[derive(Debug, Default)]
pub(super) struct Pushes(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    streams: Vec<mpsc::Sender<Event>>,
}

#[derive(Debug)]
struct Rule {
    which: Which,
    effect: Effect,
    seen: u64,
}

#[derive(Clone, Copy, Debug)]
enum Effect {
    Lose,
    Delay(Duration),
    Repeat(usize),
}

impl Pushes {
    /// The stream with this script applied to it.
    pub(super) fn disturb(this: &Arc<Self>, inner: EventStream) -> EventStream {
        let (sender, control) = mpsc::channel(MAX_INJECTED);
        let mut state = this.0.lock();
        state.streams.retain(|stream| !stream.is_closed());
        state.streams.push(sender);
        Box::pin(Disturbed {
            pushes: Arc::clone(this),
            inner,
            control,
            ready: VecDeque::new(),
            late: FuturesUnordered::new(),
        })
    }

    pub(super) fn inject(&self, event: &Event) {
        let mut state = self.0.lock();
        // A stream that nobody polls for so long has lost pushes, which it must not hide: it ends.
        state.streams.retain(|stream| stream.try_send(event.clone()).is_ok());
    }

    pub(super) fn cut(&self) {
        self.0.lock().streams.clear();
    }

    pub(super) fn clear(&self) {
        self.0.lock().rules.clear();
    }

    fn effects(&self) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.0.lock().rules.retain_mut(|rule| {
            rule.seen += 1;
            let (hit, lasts) = rule.which.judge(rule.seen);
            if hit {
                effects.push(rule.effect);
            }
            lasts
        });
        effects
    }
}

struct Disturbed {
    pushes: Arc<Pushes>,
    inner: EventStream,
    /// Closed when the stream is cut.
    control: mpsc::Receiver<Event>,
    ready: VecDeque<Event>,
    late: FuturesUnordered<BoxFuture<'static, Event>>,
}

impl Disturbed {
    fn take(&mut self, event: Event) {
        let mut copies = 1;
        let mut delay = Duration::ZERO;
        for effect in self.pushes.effects() {
            match effect {
                Effect::Lose => return,
                Effect::Delay(by) => delay += by,
                Effect::Repeat(times) => copies += times,
            }
        }
        for event in std::iter::repeat_n(event, copies) {
            if delay.is_zero() {
                self.ready.push_back(event);
            } else {
                self.late.push(Box::pin(async move {
                    tokio::time::sleep(delay).await;
                    event
                }));
            }
        }
    }
}

impl Stream for Disturbed {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let this = self.get_mut();
        match this.control.poll_recv(cx) {
            Poll::Ready(Some(injected)) => return Poll::Ready(Some(injected)),
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {}
        }
        loop {
            if let Some(event) = this.ready.pop_front() {
                return Poll::Ready(Some(event));
            }
            if let Poll::Ready(Some(event)) = this.late.poll_next_unpin(cx) {
                return Poll::Ready(Some(event));
            }
            match this.inner.poll_next_unpin(cx) {
                Poll::Ready(Some(event)) => this.take(event),
                Poll::Ready(None) if this.late.is_empty() => return Poll::Ready(None),
                Poll::Ready(None) | Poll::Pending => {
                    // What was taken just now as late has not been polled yet.
                    return match this.late.poll_next_unpin(cx) {
                        Poll::Ready(Some(event)) => Poll::Ready(Some(event)),
                        Poll::Ready(None) | Poll::Pending => Poll::Pending,
                    };
                }
            }
        }
    }
}

/// A rule for pushes in the making: which ones it is about. Its last method says what happens to
/// them.
///
/// Made by [`Faulty::on_push`](super::Faulty::on_push); unless narrowed it is about every push.
/// Pushes are counted from the moment the rule is made, over all streams, when a stream takes them
/// from the store.
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
    pub fn delay(self, delay: Duration) {
        self.add(Effect::Delay(delay));
    }

    /// The push arrives once and `times` times more.
    pub fn repeat(self, times: usize) {
        self.add(Effect::Repeat(times));
    }

    fn add(self, effect: Effect) {
        self.pushes.0.lock().rules.push(Rule { which: self.which, effect, seen: 0 });
    }
}
