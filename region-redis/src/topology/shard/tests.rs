use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use region_core::{EndTerms, Error, Op, Put, ReadTerms, RegionPath, Result, Verb, Write};
use servers::{Flavor, TestServer};
use tokio::time::Instant;

use super::*;
use crate::error::Failure;
use crate::net::locator::Target;
use crate::servers::Servers;

/// The longest time until a shard is connected again, on a machine that has much else to do.
const RECOVERY: Duration = Duration::from_secs(30);

/// A primary that moves.
struct Moving {
    server: Mutex<Option<Arc<Server>>>,
    doubts: Mutex<Vec<String>>,
}

impl Moving {
    fn at(server: Option<Arc<Server>>) -> Arc<Self> {
        Arc::new(Self { server: Mutex::new(server), doubts: Mutex::default() })
    }
}

#[async_trait]
impl Locator for Moving {
    async fn locate(&self) -> std::result::Result<Arc<Server>, Failure> {
        let unknown = || Failure::unavailable(&self.target(), "is at no address");
        self.server.lock().clone().ok_or_else(unknown)
    }

    fn doubt(&self, error: &Error) {
        self.doubts.lock().push(error.to_string());
    }

    fn target(&self) -> Target {
        Target::Name("the moving one".into())
    }
}

fn address_of(server: &TestServer) -> Arc<Server> {
    Arc::new(Server::parse(&server.url()).unwrap())
}

fn shard(locator: &Arc<Moving>) -> ShardHandle {
    let mut settings = Settings::new(Servers::parse("redis://unused").unwrap());
    settings.call = Duration::from_secs(10);
    settings.connect = Duration::from_secs(10);
    let locator = Arc::clone(locator) as Arc<dyn Locator>;
    let (shard, _) = Shard::open(Arc::new(settings), locator, &Arc::default(), &Handle::current());
    ShardHandle::new(Arc::new(shard), Vec::new())
}

fn region() -> RegionPath {
    RegionPath::parse("r").unwrap()
}

async fn set(shard: &Shard, value: &'static str) -> Result<()> {
    let ops = [Op::Put(Put::new("k", value.as_bytes()))];
    let region = region();
    shard.write(shard.locate(&region), Write::new(&ops), shard.deadline()).await.map(drop)
}

async fn get(shard: &Shard) -> Result<Option<Vec<u8>>> {
    let read = shard.read(&region(), &["k"], ReadTerms::default()).await?;
    Ok(read.entries.into_iter().next().flatten().map(|entry| entry.bytes.to_vec()))
}

async fn until_ok<T>(attempt: impl AsyncFn() -> Result<T>) -> T {
    let deadline = Instant::now() + RECOVERY;
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The new address may be that of a copy which never saw the invalidation, and both servers are alive.
#[tokio::test]
async fn a_primary_found_elsewhere_is_told_what_it_lacks() {
    for flavor in [Flavor::Redis, Flavor::Valkey] {
        let servers = [TestServer::start(flavor), TestServer::start(flavor)];
        let second = shard(&Moving::at(Some(address_of(&servers[1]))));
        set(&second, "old").await.unwrap();
        let locator = Moving::at(Some(address_of(&servers[0])));
        let shard = shard(&locator);
        set(&shard, "old").await.unwrap();
        shard.end(&region(), EndTerms::from(Verb::Invalidate), Instant::now()).await.unwrap();
        *locator.server.lock() = Some(address_of(&servers[1]));
        shard.primary.relocate();
        assert_eq!(until_ok(|| get(&shard)).await, None);
        assert_eq!(get(&second).await.unwrap(), None, "no process finds it any more");
        assert_eq!(shard.primary.target().to_string(), servers[1].url());
        assert!(locator.doubts.lock()[0].contains(&servers[0].url()));
    }
}

#[tokio::test]
async fn a_server_that_is_not_the_primary_is_doubted() {
    let primary = TestServer::start(Flavor::Redis);
    let replica = primary.replica();
    let locator = Moving::at(None);
    let shard = shard(&locator);
    let error = get(&shard).await.unwrap_err();
    assert!(error.to_string().contains("the moving one is at no address"), "{error}");
    *locator.server.lock() = Some(address_of(&replica));
    let is_doubted = || {
        let doubts = locator.doubts.lock();
        doubts.iter().any(|doubt| doubt.contains(&replica.url()) && doubt.contains("is a replica"))
    };
    let deadline = Instant::now() + RECOVERY;
    while !is_doubted() {
        assert!(get(&shard).await.is_err() && Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    *locator.server.lock() = Some(address_of(&primary));
    shard.primary.relocate();
    until_ok(|| set(&shard, "new")).await;
}

#[tokio::test]
async fn replicas_come_and_go() {
    let primary = TestServer::start(Flavor::Redis);
    let replicas = [primary.replica(), primary.replica()];
    let shard = shard(&Moving::at(Some(address_of(&primary))));
    shard.set_replicas(vec![address_of(&replicas[0])]);
    let first = Arc::clone(&shard.replicas()[0]);
    shard.set_replicas(replicas.iter().rev().map(address_of).collect());
    assert!(shard.replicas().iter().any(|replica| Arc::ptr_eq(replica, &first)), "it is kept");
    assert_eq!(shard.replicas().len(), 2);
    let deadline = Instant::now() + RECOVERY;
    while !shard.replicas().iter().all(|replica| shard.is_recent(replica)) {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(shard.replica().is_some());
    shard.set_replicas(Vec::new());
    assert!(shard.replica().is_none());
    assert!(!first.link.is_up(), "its link is closed");
}
