//! Many tasks of many processes ask for one key that is not there.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use processes::{Command, Place, Setup, Worker, micros_now};
use servers::{Flavor, TestServer};

use crate::kit::{HEAVY, fleet, print, trips_of, until};

servers::on_both! {
    eight_processes_run_one_load
    a_killed_loader_is_replaced_once
}

const PROCESSES: usize = 8;
const TASKS: usize = 1_000;

/// The trips of the load itself: its process takes the lease and stores the value, each other one reads it.
const TRIPS_OF_THE_LOAD: u64 = 1 + PROCESSES as u64;

/// The most trips beside these, for each process on average: it looks for the value, and asks for the lease that
/// another holds, or if a load under way may be shared by callers who came later.
const MORE_TRIPS: u64 = 3;

/// On a busy machine a load may take as long as that the others ask for it without having been told, or callers come
/// one by one.
const ATTEMPTS: usize = 4;

/// The time until all begin: they all have to get the command first.
const START_AFTER_US: u64 = 300_000;

fn stampede(key: &str, load_ms: u64) -> Command {
    let (place, at) = (Place::new("org:1.project:2", key), micros_now() + START_AFTER_US);
    Command::Stampede { place, tasks: TASKS, at, load_ms }
}

fn loads(fleet: &[Worker]) -> u64 {
    fleet.iter().map(Worker::loads).sum()
}

async fn eight_processes_run_one_load(flavor: Flavor) {
    let _alone = HEAVY.lock().await;
    let server = TestServer::start(flavor);
    let fleet = fleet(PROCESSES, |name| Setup::new(&server.url(), name)).await;
    let most = TRIPS_OF_THE_LOAD + MORE_TRIPS * PROCESSES as u64;
    for attempt in 1..=ATTEMPTS {
        let monitor = server.monitor();
        let command = stampede(&format!("cold-{attempt}"), 300);
        let answers = join_all(fleet.iter().map(|worker| worker.ask(command.clone()))).await;
        assert!(answers.iter().all(|answer| answer.found == TASKS as u64));
        assert_eq!(loads(&fleet), attempt as u64);
        let trips = trips_of(&server, &fleet, &monitor.finish());
        print(&format!("{flavor:?}: stampede of {PROCESSES} x {TASKS}, one load, trips {trips:?}"));
        if trips.iter().sum::<u64>() <= most {
            return;
        }
    }
    panic!("more than {most} trips, {ATTEMPTS} times");
}

/// The process that loads is killed in the middle. Its lease ends, and one of the others takes over.
async fn a_killed_loader_is_replaced_once(flavor: Flavor) {
    const LEASE_MS: u64 = 3_000;
    let _alone = HEAVY.lock().await;
    let server = TestServer::start(flavor);
    let with_lease = |name: &str| Setup { lease_ms: LEASE_MS, ..Setup::new(&server.url(), name) };
    let fleet = fleet(PROCESSES, with_lease).await;
    let command = stampede("cold", 500);
    let asking = join_all(fleet.iter().map(|worker| worker.try_ask(command.clone())));
    let killing = async {
        until("a load to begin", || loads(&fleet) > 0).await;
        let holder = fleet.iter().position(|worker| worker.loads() > 0).expect("one of them");
        fleet[holder].kill().await;
        holder
    };
    let (answers, killed) = tokio::join!(asking, killing);
    for (at, answer) in answers.into_iter().enumerate() {
        match answer {
            None => assert_eq!(at, killed, "it was to go on"),
            Some(answer) => assert_eq!((answer.error, answer.found), (None, TASKS as u64)),
        }
    }
    let each: BTreeMap<_, _> = fleet.iter().map(|worker| (worker.name(), worker.loads())).collect();
    assert_eq!(loads(&fleet), 2, "{each:?}");
    assert_eq!(fleet[killed].loads(), 1, "{each:?}");
}
