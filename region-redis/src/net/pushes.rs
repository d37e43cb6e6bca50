//! What the server pushes.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt, stream};
use redis::{PushInfo, PushKind, Value};
use region_core::{Event, EventStream};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::protocol::layout::{self, Kind};

/// How many pushes a listener may be behind before it is told that some were lost.
const CAPACITY: usize = 4096;

/// The pushes of all connections to all servers, as events.
#[derive(Debug)]
pub(crate) struct Pushes {
    events: broadcast::Sender<Event>,
    wanted: AtomicBool,
}

impl Pushes {
    pub(crate) fn new() -> Self {
        Self { events: broadcast::Sender::new(CAPACITY), wanted: AtomicBool::new(false) }
    }

    /// Whether anybody has ever listened: from then on what is read is tracked.
    pub(crate) fn are_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// Turns what a connection received into events.
    pub(crate) fn receive(&self, push: &PushInfo) {
        match push.kind {
            PushKind::Disconnection if self.are_wanted() => self.lost(),
            PushKind::Invalidate => match push.data.first() {
                Some(Value::Array(names)) => names.iter().for_each(|name| self.changed(name)),
                // Everything: the server was flushed.
                _ => self.lost(),
            },
            _ => {}
        }
    }

    /// Anything may have changed.
    pub(crate) fn lost(&self) {
        self.send(Event::All);
    }

    fn changed(&self, name: &Value) {
        let name = match name {
            Value::BulkString(name) => name.as_slice(),
            Value::SimpleString(name) => name.as_bytes(),
            _ => return self.lost(),
        };
        match layout::parse(name) {
            Some((Kind::Ids, region)) => self.send(Event::Lineage(region)),
            Some((Kind::Entries, region)) => self.send(Event::Entries(region)),
            // Nothing that was read hangs on other keys.
            _ => {}
        }
    }

    fn send(&self, event: Event) {
        // That nobody listens any more is no failure.
        let _ = self.events.send(event);
    }

    pub(crate) fn subscribe(&self) -> EventStream {
        let receiver = self.events.subscribe();
        self.wanted.store(true, Ordering::Release);
        stream::unfold(receiver, |mut receiver| async move {
            match receiver.recv().await {
                Ok(event) => Some((event, receiver)),
                Err(RecvError::Lagged(_)) => Some((Event::All, receiver)),
                Err(RecvError::Closed) => None,
            }
        })
        .boxed()
    }
}
