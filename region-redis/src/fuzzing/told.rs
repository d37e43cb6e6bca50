//! The messages that a server pushes, and its signs of life.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use redis::{PushInfo, PushKind, Value};
use region_core::{Event, Listener, Timestamp};
use tokio::time::Instant;

use super::input::Input;
use crate::net::identity::{Identity, Pulse};
use crate::net::pushes::{Group, PushSource, Pushes};
use crate::server::Server;
use crate::session::lag::{PrimaryProgress, ReplicaProgress};

/// The longest that a replica may lag.
const LAG: Duration = Duration::from_secs(1);

/// Reads pushes, `INFO`, `ROLE` and times, made of `bytes`.
pub fn told(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match input.byte() % 3 {
        0 => pushes(&mut input),
        1 => signs_of_life(&mut input),
        _ => identities(&mut input),
    }
}

/// The events that a listener was told.
#[derive(Debug, Default)]
struct Heard(Mutex<Vec<Event>>);

impl Listener for Heard {
    fn heard(&self, event: Event) {
        self.0.lock().push(event);
    }
}

fn pushes(input: &mut Input<'_>) {
    let pushes = Arc::new(Pushes::default());
    let heard = Arc::new(Heard::default());
    let listening = pushes.listen(heard.clone());
    let source = PushSource::new(&pushes);
    source.begin(Instant::now() + LAG);
    assert!(source.tracked(Group::default()).is_some());
    for _ in 0..input.byte() % 8 {
        let kind = match input.byte() % 8 {
            0 => PushKind::Disconnection,
            1 => PushKind::Other(input.text()),
            2 => PushKind::Message,
            3 => PushKind::Subscribe,
            _ => PushKind::Invalidate,
        };
        let is_of_all = kind == PushKind::Invalidate;
        let data = input.values();
        let is_of_all = is_of_all && !matches!(data.first(), Some(Value::Array(_)));
        source.receive(&PushInfo { kind, data });
        // A message that does not say which keys have changed is of all.
        assert!(!is_of_all || matches!(heard.0.lock().last(), Some(Event::All)));
    }
    source.end();
    let lost = |event: &&Event| matches!(event, Event::Lost(_));
    assert_eq!(heard.0.lock().iter().filter(lost).count(), 1, "the end is told once");
    drop(listening);
}

fn signs_of_life(input: &mut Input<'_>) {
    let Ok(server) = Server::parse("redis://h") else { return };
    let (primary, replica) = (PrimaryProgress::new(Duration::MAX), ReplicaProgress::default());
    for _ in 0..input.byte() % 8 {
        let asked = Instant::now();
        primary.clock.note(Timestamp::from_millis(input.number()), asked);
        let within = primary.clock.now();
        assert!(within.is_none_or(|within| within.earliest <= within.latest));
        let (role, info) = (input.value(), input.value());
        let Ok(pulse) = Pulse::parse(&server, role, &info) else { continue };
        if let Some(position) = &pulse.position {
            primary.note(asked, position);
            replica.note(&primary, position);
            assert!(replica.is_within(&primary, Duration::MAX), "it has what it had");
        }
    }
}

fn identities(input: &mut Input<'_>) {
    let [one, other] = [input.text(), input.text()].map(|info| Identity::parse(&info));
    for identity in [&one, &other] {
        assert!(identity.is_unknown() || identity.continues(identity));
        assert!(!identity.is_unknown() || !identity.continues(identity));
    }
    assert!(!one.continues(&other) || one.is_same_process(&other));
}
