//! What the server pushes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::{PushInfo, PushKind, Value};
use region_core::{Event, Listener, Listeners, Listening};

use crate::protocol::layout::{self, Kind};

/// The pushes of all connections to all servers, as events.
#[derive(Debug, Default)]
pub(crate) struct Pushes {
    listeners: Arc<Listeners>,
    wanted: AtomicBool,
}

impl Pushes {
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
        self.listeners.tell(&Event::All);
    }

    fn changed(&self, name: &Value) {
        let name = match name {
            Value::BulkString(name) => name.as_slice(),
            Value::SimpleString(name) => name.as_bytes(),
            _ => return self.lost(),
        };
        match layout::parse(name) {
            Some((Kind::Ids, region)) => self.listeners.tell(&Event::Lineage(region)),
            Some((Kind::Entries, region)) => self.listeners.tell(&Event::Entries(region)),
            // Nothing that was read hangs on other keys.
            _ => {}
        }
    }

    pub(crate) fn listen(&self, listener: Arc<dyn Listener>) -> Listening {
        let listening = self.listeners.add(listener);
        self.wanted.store(true, Ordering::Release);
        listening
    }
}
