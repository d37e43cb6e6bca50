//! The result of a load, and how its callers came by it.

use std::any::Any;
use std::sync::Arc;

use tokio::time::Instant;

use super::open::Stale;
use crate::engine::Times;
use crate::lifetime::Lifetime;
use crate::region::{Answer, Outcome, UncachedReason};
use crate::value::made::MadeAt;
use crate::value::serializer::Value;

/// What a flight brings to its waiters, without the type of its value.
#[derive(Clone)]
pub(super) struct Brought {
    value: Option<Arc<dyn Any + Send + Sync>>,
    way: Way,
    until: Until,
    born: Born,
}

/// The beginning of a value's age.
#[derive(Clone, Copy)]
enum Born {
    /// The load began then that has brought the value, in this process.
    Began(Instant),
    /// The entry says so, or nothing does.
    Made(Option<MadeAt>),
}

/// The way in which a flight came by its value.
#[derive(Clone, Copy)]
enum Way {
    /// The store had a fresh one, which another caller has stored since the flight was started.
    Shown,
    /// It is stale.
    Stale,
    /// It was loaded, and stored or not.
    Loaded(Result<(), UncachedReason>),
}

/// The end of a value's time.
#[derive(Clone, Copy)]
pub(super) enum Until {
    Unknown,
    Never,
    At(Instant),
}

/// The fate of a loaded value: the ttl that it was stored with and the time at which it was sent, or the reason
/// for which it was not stored.
pub(super) type Stored = Result<(Lifetime, Instant), UncachedReason>;

impl Brought {
    /// A value that the store shows to be fresh.
    pub(super) fn shown<V: Value>(value: Option<Arc<V>>, times: Option<Times>) -> Self {
        let until = times.map_or(Until::Unknown, |it| Until::after(it.left, Instant::now()));
        let born = Born::Made(times.and_then(|times| times.made));
        Self { value: value.map(|value| value as _), way: Way::Shown, until, born }
    }

    /// A stale value.
    pub(super) fn stale<V: Value>(value: Option<Arc<V>>, times: Option<Times>) -> Self {
        Self { way: Way::Stale, ..Self::shown(value, times) }
    }

    /// A stale value that the load was to replace.
    pub(super) fn still_stale<V: Value>(stale: &Stale<V>) -> Self {
        let value = Some(Arc::clone(stale.value()) as _);
        Self { value, way: Way::Stale, until: stale.until(), born: Born::Made(stale.made()) }
    }

    /// A value that a load has brought which began at `began`.
    pub(super) fn loaded<V: Value>(
        value: Option<Arc<V>>,
        stored: Stored,
        began: Option<Instant>,
    ) -> Self {
        let until = match stored {
            Ok((ttl, sent)) if value.is_some() => Until::after(ttl, sent),
            _ => Until::Unknown,
        };
        let way = Way::Loaded(stored.map(drop));
        let born = began.map_or(Born::Made(None), Born::Began);
        Self { value: value.map(|value| value as _), way, until, born }
    }

    /// The answer of a caller: one that has started the flight which ran the load, or one that has joined it.
    pub(super) fn answer<V: Value>(self, has_joined: bool) -> Answer<Option<Arc<V>>> {
        let outcome = match self.way {
            Way::Stale => Outcome::Stale,
            Way::Shown => Outcome::Joined,
            Way::Loaded(_) if has_joined => Outcome::Joined,
            Way::Loaded(Ok(())) => Outcome::Loaded,
            Way::Loaded(Err(reason)) => Outcome::Uncached(reason),
        };
        // The type is part of the flight's key, so it always fits.
        let value = self.value.and_then(|value| value.downcast().ok());
        let answer = self.until.tell(Answer::new(value, outcome));
        match self.born {
            Born::Began(began) => answer.with_age(began.elapsed()),
            Born::Made(made) => answer.with_age_since(made),
        }
    }
}

impl Until {
    /// The end of a time that begins at `start`. A time that cannot be named is later than any process lives.
    pub(super) fn after(left: Lifetime, start: Instant) -> Self {
        left.duration().and_then(|left| start.checked_add(left)).map_or(Self::Never, Self::At)
    }

    /// Returns false once the time is over.
    pub(super) fn lasts(self) -> bool {
        match self {
            Self::Unknown | Self::Never => true,
            Self::At(until) => Instant::now() < until,
        }
    }

    /// Adds the time left to an answer, unless it is over or unknown.
    pub(super) fn tell<T>(self, answer: Answer<T>) -> Answer<T> {
        match self {
            Self::Unknown => answer,
            Self::Never => answer.with_left(Lifetime::Unlimited),
            Self::At(until) => {
                match Lifetime::of(until.saturating_duration_since(Instant::now())) {
                    Ok(left) => answer.with_left(left),
                    Err(_) => answer,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn every_way_has_its_outcome() {
        let left = Lifetime::of(SECOND).unwrap();
        let now = Instant::now();
        let value = || Some(Arc::new(7u32));
        let stored = Brought::loaded(value(), Ok((left, now)), Some(now));
        let fenced = Brought::loaded(value(), Err(UncachedReason::Fenced), Some(now));
        let stale = Brought::stale(value(), Some(Times::of(left)));
        let still_stale = Brought::still_stale(&Stale::new(Arc::new(7u32), Times::of(left)));
        let shown = Brought::shown(value(), Some(Times::of(left)));
        tokio::time::advance(SECOND / 4).await;
        let (then, rest) = (Some(SECOND / 4), Some(Lifetime::of(SECOND * 3 / 4).unwrap()));
        let uncached = Outcome::Uncached(UncachedReason::Fenced);
        let table = [
            (&stored, false, Outcome::Loaded, then, rest),
            (&stored, true, Outcome::Joined, then, rest),
            (&fenced, false, uncached, then, None),
            (&fenced, true, Outcome::Joined, then, None),
            (&stale, false, Outcome::Stale, None, rest),
            (&still_stale, true, Outcome::Stale, None, rest),
            (&shown, false, Outcome::Joined, None, rest),
        ];
        for (brought, has_joined, outcome, age, left) in table {
            let answer = brought.clone().answer::<u32>(has_joined);
            assert_eq!(answer.value().as_deref(), Some(&7));
            assert_eq!((answer.outcome(), answer.age(), answer.left()), (outcome, age, left));
        }
        tokio::time::advance(SECOND).await;
        assert_eq!(stored.answer::<u32>(false).left(), None, "the time is over");
    }
}
