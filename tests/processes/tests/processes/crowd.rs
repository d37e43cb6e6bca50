//! Many processes hold many values of one region near while others change.

use futures_util::future::join_all;
use processes::{Answer, Command, Place, Setup, Worker};
use servers::{Flavor, TestServer};

use crate::kit::{HEAVY, fleet, print, start, trips_of};

servers::on_both! {
    values_of_a_busy_region_stay_near
}

const PROCESSES: usize = 8;
const KEYS: usize = 10_000;
const CHANGES_PER_SECOND: u64 = 100;
const REGION: &str = "org:1.project:1";

/// How often the busy part is tried again. A process that gets no processor time for 80 ms has missed more
/// changes than the store remembers, and reads all anew: as it should, but it is not what is measured.
const ATTEMPTS: usize = 4;

/// The duration of each part: `CROWD_SECONDS`, or a few seconds.
fn part_ms() -> u64 {
    let seconds = std::env::var("CROWD_SECONDS").ok().and_then(|text| text.parse::<u64>().ok());
    seconds.unwrap_or(3) * 1_000
}

/// What came of one part.
struct Part {
    changes: u64,
    reads: u64,
    near_hits: u64,
    /// The trips of each process, as the server has counted them.
    trips: Vec<u64>,
}

/// All read all entries but the first while `writer` makes changes. All of them are near at the start.
async fn part(server: &TestServer, fleet: &[Worker], writer: &Worker, change: Command) -> Part {
    join_all(fleet.iter().map(|worker| worker.ask(Command::Warm(REGION.to_owned(), KEYS)))).await;
    // What has been pushed so far arrives before the answer to a question.
    let ask = Command::WatchUntil(Place::new(REGION, "none"), None);
    join_all(fleet.iter().map(|worker| worker.ask(ask.clone()))).await;
    let hold = Command::Hold(Place::new(REGION, "key-1"));
    join_all(fleet.iter().map(|worker| worker.ask(hold.clone()))).await;
    let monitor = server.monitor();
    let read = Command::ReadAll { region: REGION.to_owned(), keys: KEYS, for_ms: part_ms() };
    let what = Box::new(change);
    let changes = Command::Repeat { what, per_second: CHANGES_PER_SECOND, for_ms: part_ms() };
    let reading = join_all(fleet.iter().map(|worker| worker.ask(read.clone())));
    let (answers, changed) = tokio::join!(reading, writer.ask(changes));
    let total = |field: fn(&Answer) -> u64| answers.iter().map(field).sum();
    let reads = total(|answer| answer.times);
    assert_eq!(total(|answer| answer.found), reads, "all of them are there");
    let trips = trips_of(server, fleet, &monitor.finish());
    Part { changes: changed.times, reads, near_hits: total(|answer| answer.near_hits), trips }
}

impl Part {
    fn print(&self, what: &str) {
        let Self { changes, reads, near_hits, trips } = self;
        let share = *near_hits as f64 / *reads as f64 * 100.0;
        print(&format!(
            "{what}: {changes} changes, {reads} reads, {share:.3} % near, trips {trips:?}"
        ));
    }
}

/// One key is written a hundred times a second: the others stay hits, and each process asks at most once for
/// each write. A touch of a sibling and of the region around concerns none of them.
async fn values_of_a_busy_region_stay_near(flavor: Flavor) {
    let _alone = HEAVY.lock().await;
    let server = TestServer::start(flavor);
    let writer = start(&Setup::new(&server.url(), "writer")).await;
    writer.ask(Command::Fill(REGION.to_owned(), KEYS)).await;
    let fleet = fleet(PROCESSES, |name| Setup::new(&server.url(), name)).await;

    let written = || Command::Set(Place::new(REGION, "key-0"), 1);
    let mut attempts = 0..ATTEMPTS;
    loop {
        let busy = part(&server, &fleet, &writer, written()).await;
        busy.print(&format!("{flavor:?}: a key of {KEYS} is written"));
        let are_near = busy.near_hits * 100 >= busy.reads * 99;
        if are_near && busy.trips.iter().all(|trips| *trips <= busy.changes) {
            break;
        }
        assert!(attempts.next().is_some(), "no attempt had 99 % near, with a trip for each write");
    }

    let touched = Command::Touch("org:1.project:2".to_owned());
    let quiet = part(&server, &fleet, &writer, touched).await;
    quiet.print(&format!("{flavor:?}: the region around is touched"));
    assert_eq!((quiet.near_hits, quiet.trips.iter().sum()), (quiet.reads, 0_u64));
}
