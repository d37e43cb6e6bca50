//! An answer that a push follows closely: what it says is not trusted for longer than the push takes.

use std::time::Duration;

use processes::{Command, Place, Setup};
use rand::RngExt;
use servers::{Flavor, Proxy, TestServer};

use crate::kit::{SEEN_WITHIN, print_times, start};

servers::on_both! {
    a_thousand_answers_race_with_pushes
}

const ROUNDS: u64 = 1_000;

/// The time for which all that the server sends to the reader is held back.
const DELAY: Duration = Duration::from_millis(1);

/// The first write makes the reader ask; the second comes while the answer is on its way.
async fn a_thousand_answers_race_with_pushes(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let writer = start(&Setup::new(&server.url(), "writer")).await;
    let reader = start(&Setup::new(&proxy.url(), "reader")).await;
    proxy.delay_answers(DELAY);
    let place = Place::new("org:1", "k");
    writer.ask(Command::Set(place.clone(), 0)).await;
    reader.ask(Command::WatchUntil(place.clone(), Some(0))).await;
    let (mut times, mut raced) = (Vec::new(), 0);
    for value in 1..=ROUNDS {
        let writes = Command::SetTwo {
            first: Place::new("org:1", "other"),
            pause_us: rand::rng().random_range(0..3_000),
            then: place.clone(),
            value,
        };
        let watch = || reader.ask(Command::WatchUntil(place.clone(), Some(value)));
        let (written, one, two) = tokio::join!(writer.ask(writes), watch(), watch());
        for seen in [one, two] {
            times.push(seen.at.saturating_sub(written.at));
            raced += seen.verifications;
            // Nothing goes back to what was there before.
            assert!(seen.others.len() <= 1, "round {value}: {:?}", seen.others);
        }
    }
    assert!(raced >= ROUNDS / 2, "the store was asked {raced} times only: nothing raced");
    let largest = print_times(&format!("{flavor:?}: answers held back, seen after"), &times);
    assert!(largest < SEEN_WITHIN, "seen after {largest:?}");
}
