//! A change in one process is seen by another that holds the old value near.

use std::time::Duration;

use processes::{Command, Place, Setup, Worker};
use servers::{Flavor, TestServer};

use crate::kit::{SEEN_WITHIN, print_times, seen_after, start};

servers::on_both! {
    every_change_is_seen_by_another_process
    own_writes_and_anothers_take_turns
}

const ROUNDS: u64 = 40;

/// Two processes over one server.
async fn pair(server: &TestServer) -> (Worker, Worker) {
    let (one, other) = (Setup::new(&server.url(), "one"), Setup::new(&server.url(), "other"));
    tokio::join!(start(&one), start(&other))
}

async fn every_change_is_seen_by_another_process(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let (writer, reader) = pair(&server).await;
    let at = Place::new("org:1.project:2", "k");
    let region = || at.region.clone();
    let mut largest = Duration::ZERO;
    for what in
        ["set", "remove", "invalidate", "invalidate above", "touch", "touch below", "expire"]
    {
        let mut times = Vec::new();
        for round in 1..=ROUNDS {
            writer.ask(Command::Set(at.clone(), round)).await;
            reader.ask(Command::WatchUntil(at.clone(), Some(round))).await;
            let held = reader.ask(Command::Hold(at.clone())).await;
            assert!(held.near_hits > 0);
            let (change, expected) = match what {
                "set" => (Command::Set(at.clone(), round + ROUNDS), Some(round + ROUNDS)),
                "remove" => (Command::Remove(at.clone()), None),
                "invalidate" => (Command::Invalidate(region()), None),
                "invalidate above" => (Command::Invalidate("org:1".to_owned()), None),
                "touch" => (Command::Touch(region()), None),
                "touch below" => (Command::Touch("org:1.project:2.task:3".to_owned()), None),
                _ => (Command::Expire(region()), None),
            };
            times.push(seen_after(&writer, change, &reader, &at, expected).await);
        }
        largest = largest.max(print_times(&format!("{flavor:?}: {what} seen after"), &times));
    }
    assert!(largest < SEEN_WITHIN, "seen after {largest:?}");
}

/// Each process writes, then the other does, and both hold the value near: none misses what the other wrote
/// right after its own write, and none sees anything older than its own.
async fn own_writes_and_anothers_take_turns(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let (one, other) = pair(&server).await;
    let at = Place::new("org:1", "k");
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let (first, second) = (3 * round + 1, 3 * round + 2);
        one.ask(Command::Set(at.clone(), first)).await;
        let own = one.ask(Command::WatchUntil(at.clone(), Some(first))).await;
        assert!(own.others.is_empty(), "older than its own: {:?}", own.others);
        one.ask(Command::Hold(at.clone())).await;
        let theirs = Command::Set(at.clone(), second);
        let watching = one.ask(Command::WatchUntil(at.clone(), Some(second)));
        let (written, seen) = tokio::join!(other.ask(theirs), watching);
        assert!(seen.others.iter().all(|value| *value == Some(first)), "{:?}", seen.others);
        times.push(seen.at.saturating_sub(written.at));
        // The writer has the next turn: what it wrote is near, and another's write ends that.
        let held = other.ask(Command::Hold(at.clone())).await;
        assert!(held.near_hits > 0);
        let third = Command::Set(at.clone(), second + 1);
        times.push(seen_after(&one, third, &other, &at, Some(second + 1)).await);
    }
    let largest =
        print_times(&format!("{flavor:?}: after own write, another's seen after"), &times);
    assert!(largest < SEEN_WITHIN, "seen after {largest:?}");
}
