//! What goes wrong.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use region_cache::{OnOutage, Policy, ReadFrom, RedisStore, RedisStoreBuilder};
use servers::{Flavor, Proxy, TestServer};

use super::client::{Client, LARGE};
use super::model::Model;
use crate::kit::{builder, ms, near};

/// The time in which others have heard of a change, whatever became of the connection: it is watched every
/// 100 ms and taken for dead after 2 s.
const HEARD_WITHIN: Duration = Duration::from_secs(4);

/// The same where a failover may have lost the change, until its client makes it again; or where a replica lags.
const HEARD_LATE: Duration = Duration::from_secs(20);

const BOTH: [Flavor; 2] = [Flavor::Redis, Flavor::Valkey];

/// The duration of each run: `STRESS_SECONDS`, or a few seconds.
fn run_time() -> Duration {
    let seconds = std::env::var("STRESS_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(2))
}

fn store_builder(url: &str) -> RedisStoreBuilder {
    builder(url).large_entries(LARGE)
}

async fn connect(url: &str) -> RedisStore {
    store_builder(url).connect().await.unwrap()
}

/// Four clients: two over the first store, and two over the second.
fn clients(stores: [RedisStore; 2], policy: Policy, heard_within: Duration) -> Vec<Arc<Client>> {
    let model = Arc::new(Model::new(heard_within));
    let [one, two] = stores;
    let policies = [
        (one.clone(), policy.clone()),
        (one, policy.clone().ttl(ms(500)).region_ttl(ms(700)).near_unverified_for(ms(200))),
        (two.clone(), policy.clone().on_outage(OnOutage::Error).near_outage_for(ms(500))),
        (two, policy),
    ];
    let client = |(at, (store, policy))| Client::new(at, near(store, policy), &model);
    policies.into_iter().enumerate().map(client).collect()
}

/// Runs the clients while `fault` is called again and again, in rounds, with its number in the present one and
/// the number of that.
async fn run(clients: &[Arc<Client>], in_round: usize, mut fault: impl AsyncFnMut(usize, usize)) {
    let tasks: Vec<_> = (0..2 * clients.len())
        .map(|at| tokio::spawn(Arc::clone(&clients[at % clients.len()]).run(at as u64)))
        .collect();
    let end = Instant::now() + run_time();
    let mut rounds = 0;
    while Instant::now() < end && tasks.iter().all(|task| !task.is_finished()) {
        for number in 0..in_round {
            tokio::time::sleep(ms(100)).await;
            fault(number, rounds).await;
        }
        rounds += 1;
    }
    clients[0].model.is_over.store(true, SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    for client in clients {
        client.settle().await;
        assert!(client.hits.load(SeqCst) > 0 && client.cache.stats().near_hits > 0);
    }
}

/// Connections are cut, each store's in turn, while the server stands still: what had been sent it does later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut() {
    for flavor in BOTH {
        let server = TestServer::start(flavor);
        let proxies = [Proxy::start(server.port()).await, Proxy::start(server.port()).await];
        let stores = [connect(&proxies[0].url()).await, connect(&proxies[1].url()).await];
        let clients = clients(stores, Policy::new(), HEARD_WITHIN);
        run(&clients, 4, async |number, round| match number {
            1 => server.pause(),
            2 => proxies[round % 2].cut(),
            3 => server.resume(),
            _ => {}
        })
        .await;
    }
}

/// The server loses keys, scripts and connections, and stands still for a moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_others_administer() {
    for flavor in BOTH {
        let server = TestServer::start(flavor);
        let stores = [connect(&server.url()).await, connect(&server.url()).await];
        let clients = clients(stores, Policy::new(), HEARD_WITHIN);
        run(&clients, 8, async |number, _| match number {
            0 => drop(server.command(&["SCRIPT", "FLUSH"])),
            1 => drop(server.command(&["CLIENT", "KILL", "TYPE", "normal"])),
            2 => drop(server.command(&["CLIENT", "PAUSE", "150", "ALL"])),
            3 => drop(server.command(&["FLUSHALL"])),
            4 => drop(server.command(&["DEBUG", "SLEEP", "0.1"])),
            5 => drop(server.command(&["CLIENT", "PAUSE", "150", "WRITE"])),
            _ => {
                for _ in 0..3 {
                    let key = server.command(&["RANDOMKEY"]).text();
                    server.command(&["DEL", &key]);
                }
            }
        })
        .await;
    }
}

/// Keys are evicted at random.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_evicts() {
    let limits = ["--maxmemory", "3mb", "--maxmemory-policy", "allkeys-random"];
    for flavor in BOTH {
        let server = TestServer::start_with(flavor, &limits);
        let stores = [connect(&server.url()).await, connect(&server.url()).await];
        let clients = clients(stores, Policy::new(), HEARD_WITHIN);
        let filling = "x".repeat(20_000);
        run(&clients, 1, async |_, round| {
            for at in 0..20 {
                let _ = server.command(&["SET", &format!("{round}.{at}"), &filling]);
            }
        })
        .await;
    }
}

/// The server tracks few keys: it forgets others, and says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_tracks_few_keys() {
    let limits = ["--tracking-table-max-keys", "3"];
    for flavor in BOTH {
        let server = TestServer::start_with(flavor, &limits);
        let stores = [connect(&server.url()).await, connect(&server.url()).await];
        let clients = clients(stores, Policy::new(), HEARD_WITHIN);
        run(&clients, 8, async |number, _| match number {
            5 => drop(server.command(&["CONFIG", "SET", "tracking-table-max-keys", "1"])),
            7 => drop(server.command(&["CONFIG", "SET", "tracking-table-max-keys", "20"])),
            _ => {}
        })
        .await;
    }
}

/// Clients that read from a replica which lags, stops and comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_lags() {
    for flavor in BOTH {
        let server = TestServer::start(flavor);
        let replica = TestServer::start(flavor);
        let replication = Proxy::start(server.port()).await;
        tokio::task::block_in_place(|| replica.follow(replication.port()));
        let reading = Proxy::start(replica.port()).await;
        let store = async || {
            let builder = store_builder(&server.url()).replica(&reading.url()).unwrap();
            builder.max_lag(ms(500)).connect().await.unwrap()
        };
        let stores = [store().await, store().await];
        let policy = Policy::new().read_from(ReadFrom::Replica);
        let clients = clients(stores, policy, HEARD_LATE);
        run(&clients, 12, async |number, _| match number {
            1 => replication.delay_answers(ms(50)),
            4 => replication.silence(),
            6 => replication.restore(),
            8 => reading.cut(),
            9 => replica.pause(),
            11 => replica.resume(),
            _ => {}
        })
        .await;
    }
}

/// The primary fails over to a replica that has missed the last changes, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failovers_to_older_copies() {
    for flavor in BOTH {
        let servers = [TestServer::start(flavor), TestServer::start(flavor)];
        let way = Proxy::start(servers[0].port()).await;
        let stores = [connect(&way.url()).await, connect(&way.url()).await];
        let clients = clients(stores, Policy::new(), HEARD_LATE);
        run(&clients, 8, async |number, round| {
            let (old, new) = (&servers[round % 2], &servers[(round + 1) % 2]);
            match number {
                // What comes after this it misses.
                0 => tokio::task::block_in_place(|| {
                    new.follow(old.port());
                    new.command(&["REPLICAOF", "NO", "ONE"]);
                }),
                7 => way.redirect(new.port()),
                _ => {}
            }
        })
        .await;
    }
}
