//! Trust ends when the connection that would have told of changes fails, however it does.

use std::time::Duration;

use processes::{Command, Place, Setup, Worker};
use servers::{Flavor, Monitored, Proxy, TestServer};

use crate::kit::{
    Replicated, SEEN_WITHIN, kill_connections, print_times, seen_after, start, until_ok,
};

servers::on_both! {
    a_cut_connection_ends_trust
    a_silent_connection_ends_trust
    a_stopped_process_ends_trust
    a_server_that_was_killed_ends_trust
    a_failover_to_an_older_copy_ends_trust
    a_lagging_replica_ends_trust
}

const ROUNDS: u64 = 10;

/// The time between two questions of the watch.
const WATCH_MS: u64 = 100;

fn place() -> Place {
    Place::new("org:1.project:2", "k")
}

/// Stores a number through one process, and waits until the other holds it near.
async fn held(writer: &Worker, reader: &Worker, value: u64) {
    until_ok(writer, Command::Set(place(), value)).await;
    reader.ask(Command::WatchUntil(place(), Some(value))).await;
    reader.ask(Command::Hold(place())).await;
}

/// The server cuts the reader's connections; the change comes right after, and is pushed to nobody.
async fn a_cut_connection_ends_trust(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let writer = start(&Setup::new(&server.url(), "writer")).await;
    let reader = start(&Setup::new(&server.url(), "reader")).await;
    let mut times = Vec::new();
    for round in 1..=ROUNDS {
        held(&writer, &reader, 2 * round).await;
        kill_connections(&server, reader.name());
        let change = Command::Set(place(), 2 * round + 1);
        let expected = Some(2 * round + 1);
        times.push(seen_after(&writer, change, &reader, &place(), expected).await);
    }
    let largest = print_times(&format!("{flavor:?}: connection cut, change seen after"), &times);
    assert!(largest < SEEN_WITHIN, "seen after {largest:?}");
}

/// Nothing passes, and nothing says so: trust ends by the silence alone.
async fn a_silent_connection_ends_trust(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let writer = start(&Setup::new(&server.url(), "writer")).await;
    let setup = Setup::noticing(&proxy.url(), "reader");
    let reader = start(&setup).await;
    let mut times = Vec::new();
    for round in 1..=2 {
        held(&writer, &reader, 2 * round).await;
        proxy.silence();
        let change = Command::Set(place(), 2 * round + 1);
        times.push(seen_after(&writer, change, &reader, &place(), None).await);
        proxy.restore();
        let seen = reader.ask(Command::WatchUntil(place(), Some(2 * round + 1))).await;
        assert!(seen.others.iter().all(Option::is_none), "an old value: {:?}", seen.others);
    }
    let largest = print_times(&format!("{flavor:?}: connection silent, old value until"), &times);
    let silence = Duration::from_millis(setup.silence_ms);
    assert!(largest < silence + SEEN_WITHIN, "served for {largest:?}");
}

/// The reader stands still while the value changes. What it had heard by then is too old when it goes on: though no
/// task of it has had the time to see that nothing came, its first read is none of the old value.
async fn a_stopped_process_ends_trust(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let writer = start(&Setup::new(&server.url(), "writer")).await;
    let setup = Setup::noticing(&server.url(), "reader");
    let reader = start(&setup).await;
    for round in 1..=2 {
        held(&writer, &reader, 2 * round).await;
        reader.pause().await;
        writer.ask(Command::Set(place(), 2 * round + 1)).await;
        // All of the watch, twice: what was heard before is not relied on for longer.
        tokio::time::sleep(2 * Duration::from_millis(setup.silence_ms + WATCH_MS)).await;
        let seen = reader.ask(Command::WatchUntil(place(), Some(2 * round + 1)));
        let (seen, ()) = tokio::join!(seen, reader.resume());
        assert!(seen.others.iter().all(Option::is_none), "an old value: {:?}", seen.others);
    }
}

async fn a_server_that_was_killed_ends_trust(flavor: Flavor) {
    let mut server = TestServer::start(flavor);
    let writer = start(&Setup::noticing(&server.url(), "writer")).await;
    let reader = start(&Setup::noticing(&server.url(), "reader")).await;
    let mut times = Vec::new();
    for round in 1..=2 {
        held(&writer, &reader, round).await;
        let killed = processes::micros_now();
        server.kill();
        let seen = reader.ask(Command::WatchUntil(place(), None)).await;
        times.push(seen.at - killed);
        server.restart();
        // What was near is not the server's any more, now that it answers again.
        until_ok(&writer, Command::Set(Place::new("org:1", "other"), round)).await;
        until_ok(&reader, Command::Set(Place::new("org:1", "another"), round)).await;
        let missed = reader.ask(Command::WatchUntil(place(), None)).await;
        assert_eq!((missed.times, missed.others), (1, Vec::new()));
    }
    let largest = print_times(&format!("{flavor:?}: server killed, old value until"), &times);
    assert!(largest < SEEN_WITHIN, "served for {largest:?}");
}

/// The replica that takes over has never seen the last change: its process tells it again, and the other
/// process, which held what the old copy holds, ends up without the old value too.
async fn a_failover_to_an_older_copy_ends_trust(flavor: Flavor) {
    let mut servers = Replicated::start(flavor).await;
    let writer = start(&Setup::noticing(&servers.url(), "writer")).await;
    let reader = start(&Setup::noticing(&servers.url(), "reader")).await;
    let kept = Place::new("org:2", "kept");
    held(&writer, &reader, 1).await;
    {
        // A process that goes on would take back what it has written lately.
        let third = start(&Setup::noticing(&servers.url(), "third")).await;
        third.ask(Command::Set(kept.clone(), 9)).await;
        third.kill().await;
    }
    reader.ask(Command::Hold(kept.clone())).await;
    servers.hold_replica().await;
    writer.ask(Command::Set(place(), 2)).await;
    reader.ask(Command::WatchUntil(place(), Some(2))).await;
    reader.ask(Command::Hold(place())).await;
    servers.fail_over();
    // Its own process never sees the old value: it tells the new primary before it reads from it.
    until_ok(&writer, Command::Set(Place::new("org:1", "other"), 1)).await;
    let back = processes::micros_now();
    let own = writer.ask(Command::WatchUntil(place(), None)).await;
    assert!(!own.others.contains(&Some(1)), "{:?}", own.others);
    let seen = reader.ask(Command::WatchUntil(place(), None)).await;
    let times = [seen.at.saturating_sub(back)];
    let largest = print_times(&format!("{flavor:?}: failed over, doubted after"), &times);
    assert!(largest < SEEN_WITHIN, "served for {largest:?}");
    // What both copies hold is near again.
    reader.ask(Command::WatchUntil(kept.clone(), Some(9))).await;
    reader.ask(Command::Hold(kept)).await;
    writer.ask(Command::Set(place(), 3)).await;
    let seen = reader.ask(Command::WatchUntil(place(), Some(3))).await;
    assert!(seen.others.iter().all(Option::is_none), "an old value: {:?}", seen.others);
}

/// The reader reads from a replica that does not get the change, and so pushes nothing: what it has brought is
/// trusted no longer than replicas may lag, and nothing old is kept after that.
async fn a_lagging_replica_ends_trust(flavor: Flavor) {
    const MAX_LAG: Duration = Duration::from_secs(1);
    let primary = TestServer::start(flavor);
    let replication = Proxy::start(primary.port()).await;
    let replica = TestServer::start(flavor);
    tokio::task::block_in_place(|| replica.follow(replication.port()));
    let writer = start(&Setup::new(&primary.url(), "writer")).await;
    let replica_url = Some(replica.url());
    let setup = Setup { replica: replica_url, ..Setup::new(&primary.url(), "reader") };
    let reader = start(&setup).await;
    let mut value = 1;
    loop {
        // Until it is known how recent it is, the primary is read.
        let monitor = replica.monitor();
        held(&writer, &reader, value).await;
        let is_read = |seen: &Monitored| seen.command == "HMGET";
        if monitor.finish().iter().any(is_read) {
            break;
        }
        value += 1;
    }
    replication.silence();
    let change = Command::Set(place(), value + 1);
    let times = [seen_after(&writer, change, &reader, &place(), Some(value + 1)).await];
    let largest = print_times(&format!("{flavor:?}: replica lags, change seen after"), &times);
    assert!(largest < MAX_LAG + SEEN_WITHIN, "seen after {largest:?}");
    replication.restore();
    held(&writer, &reader, value + 2).await;
}
