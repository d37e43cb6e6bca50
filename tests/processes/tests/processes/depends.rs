//! One process loads a value that depends on another region, a second holds it near, and a third ends that
//! region.

use std::time::Duration;

use processes::{Command, Place, Setup, Worker};
use servers::{Flavor, TestServer};

use crate::kit::{
    Replicated, SEEN_WITHIN, kill_connections, print_times, seen_after, start, until_ok,
};

servers::on_both! {
    every_end_of_a_dependency_is_seen_by_another_process
    a_cut_connection_ends_trust_in_dependencies
    a_failover_to_an_older_copy_does_not_bring_a_value_back
}

const ROUNDS: u64 = 20;

/// The region that the value depends on.
const ON: &str = "org:1.prices";

fn place() -> Place {
    Place::new("org:2.page", "k")
}

struct Three {
    loader: Worker,
    reader: Worker,
    ender: Worker,
}

impl Three {
    async fn start(setup: impl Fn(&str) -> Setup) -> Self {
        let setups = ["loader", "reader", "ender"].map(setup);
        let [loader, reader, ender] = &setups;
        let (loader, reader, ender) = tokio::join!(start(loader), start(reader), start(ender));
        Self { loader, reader, ender }
    }

    /// Has the value loaded by one process, and held near by another.
    async fn hold(&self, value: u64) {
        // It holds the value near too, and may not have heard yet that it has ended.
        self.loader.ask(Command::WatchUntil(place(), None)).await;
        let load = Command::Load { place: place(), on: vec![ON.to_owned()], value };
        until_ok(&self.loader, load).await;
        self.reader.ask(Command::WatchUntil(place(), Some(value))).await;
        let held = self.reader.ask(Command::Hold(place())).await;
        assert!(held.near_hits > 0);
    }

    /// Makes a change; the time after which the reader, which holds the value near, misses it.
    async fn missed_after(&self, change: Command) -> u64 {
        let seen = seen_after(&self.ender, change, &self.reader, &place(), None).await;
        // It does not come back.
        let again = self.reader.ask(Command::WatchUntil(place(), None)).await;
        assert_eq!((again.times, again.others), (1, Vec::new()));
        seen
    }
}

/// Promise 5, for each verb that reaches the region which the value depends on.
async fn every_end_of_a_dependency_is_seen_by_another_process(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let three = Three::start(|name| Setup::new(&server.url(), name)).await;
    let region = || ON.to_owned();
    let changes: [(&str, Command); 5] = [
        ("invalidate", Command::Invalidate(region())),
        ("invalidate above", Command::Invalidate("org:1".to_owned())),
        ("touch", Command::Touch(region())),
        ("touch below", Command::Touch(format!("{ON}.price:3"))),
        ("expire", Command::Expire(region())),
    ];
    let mut largest = Duration::ZERO;
    for (at, (what, change)) in changes.into_iter().enumerate() {
        let mut times = Vec::new();
        for round in 1..=ROUNDS {
            three.hold(at as u64 * ROUNDS + round).await;
            times.push(three.missed_after(change.clone()).await);
        }
        let what = format!("{flavor:?}: {what} of a dependency seen after");
        largest = largest.max(print_times(&what, &times));
    }
    assert!(largest < SEEN_WITHIN, "seen after {largest:?}");
    assert_eq!(three.loader.loads(), 5 * ROUNDS);
}

/// The server cuts the reader's connections; the end comes right after, and is pushed to nobody.
async fn a_cut_connection_ends_trust_in_dependencies(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let three = Three::start(|name| Setup::new(&server.url(), name)).await;
    let mut times = Vec::new();
    for round in 1..=ROUNDS / 2 {
        three.hold(round).await;
        kill_connections(&server, three.reader.name());
        let change = Command::Touch(ON.to_owned());
        times.push(seen_after(&three.ender, change, &three.reader, &place(), None).await);
    }
    let what = format!("{flavor:?}: connection cut, dependency's end after");
    let largest = print_times(&what, &times);
    assert!(largest < SEEN_WITHIN, "seen after {largest:?}");
}

/// Promise 6: the copy that takes over has the value and its marker, and has never heard of the touch. The
/// process that touched tells it; the others end up without the old value, near too.
async fn a_failover_to_an_older_copy_does_not_bring_a_value_back(flavor: Flavor) {
    let mut servers = Replicated::start(flavor).await;
    let three = Three::start(|name| Setup::noticing(&servers.url(), name)).await;
    three.hold(1).await;
    // It would take back what it has put.
    three.loader.kill().await;
    servers.hold_replica().await;
    three.missed_after(Command::Touch(ON.to_owned())).await;
    servers.fail_over();
    // A write of this process reaches the new primary after what it repeats.
    until_ok(&three.ender, Command::Set(Place::new("org:3", "other"), 1)).await;
    until_ok(&three.reader, Command::Set(Place::new("org:4", "other"), 1)).await;
    for worker in [&three.ender, &three.reader] {
        let missed = worker.ask(Command::WatchUntil(place(), None)).await;
        assert_eq!((missed.times, missed.others), (1, Vec::new()), "{}", worker.name());
    }
    let load = Command::Load { place: place(), on: vec![ON.to_owned()], value: 2 };
    until_ok(&three.ender, load).await;
    let seen = three.reader.ask(Command::WatchUntil(place(), Some(2))).await;
    assert!(seen.others.iter().all(Option::is_none), "an old value: {:?}", seen.others);
}
