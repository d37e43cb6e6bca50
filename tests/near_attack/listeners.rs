//! Others that listen to the store that a near cache listens to.

use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use region_cache::{
    Event, Listener, Listening, Policy, RedisStore, RegionCache, RegionExt, RegionPath, Store,
};
use servers::{Flavor, TestServer};

use crate::kit::{builder, connect, ms, near, until_near, until_value, value};

servers::on_both! {
    a_listener_that_panics_keeps_no_change_from_values_near
    a_listener_that_blocks_has_nothing_old_served
    many_listeners_hear_the_same_and_once_they_have_gone_own_writes_stay_trusted
}

/// What an event does to a listener.
struct Does<F: Fn(Event) + Send + Sync>(F);

impl<F: Fn(Event) + Send + Sync> Listener for Does<F> {
    fn heard(&self, event: Event) {
        (self.0)(event);
    }
}

fn listen(store: &RedisStore, does: impl Fn(Event) + Send + Sync + 'static) -> Listening {
    store.listen(Arc::new(Does(does))).unwrap()
}

async fn far(server: &TestServer) -> RegionCache {
    near(connect(&server.url()).await, Policy::new())
}

/// It listens before the cache does, so it hears first.
async fn a_listener_that_panics_keeps_no_change_from_values_near(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    let _listening = listen(&store, |_| panic!("on purpose"));
    let (cache, other) = (near(store.clone(), Policy::new()), far(&server).await);
    let (region, theirs) = (cache.region("r").unwrap(), other.region("r").unwrap());
    theirs.set("k", &0_u64).await.unwrap();
    for round in 1..20_u64 {
        until_near(&cache, &region).await;
        theirs.set("k", &round).await.unwrap();
        until_value("what was set", &region, Some(round)).await;
    }
    assert_eq!(store.stats().primary.connects, 1, "the connection is as good as before");
}

async fn a_listener_that_blocks_has_nothing_old_served(flavor: Flavor) {
    const EVERY: Duration = ms(100);
    const SILENCE: Duration = ms(200);
    let server = TestServer::start(flavor);
    // On a runtime of its own: the listener blocks one of its threads.
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
    let opening = builder(&server.url()).watch(EVERY, SILENCE).call_timeout(ms(500)).connect();
    let store = runtime.spawn(opening).await.unwrap().unwrap();
    let (release, blocked) = mpsc::channel::<()>();
    let (blocked, (begins, begun)) = (Mutex::new(blocked), mpsc::channel());
    let listening = listen(&store, move |event| {
        if matches!(event, Event::Entries(_)) {
            let _ = begins.send(());
            let _ = blocked.lock().unwrap().recv();
        }
    });
    let (cache, other) = (near(store, Policy::new()), far(&server).await);
    let (region, theirs) = (cache.region("r").unwrap(), other.region("r").unwrap());
    theirs.set("k", &1_u64).await.unwrap();
    until_near(&cache, &region).await;
    theirs.set("k", &2_u64).await.unwrap();
    let changed = Instant::now();
    tokio::task::block_in_place(|| begun.recv().unwrap());
    while changed.elapsed() <= EVERY + SILENCE * 2 {
        value(&region, "k").await;
        tokio::time::sleep(ms(10)).await;
    }
    for _ in 0..3 {
        assert_ne!(value(&region, "k").await, Some(1));
    }
    drop((release, listening));
    until_value("what was set", &region, Some(2)).await;
    runtime.shutdown_background();
}

async fn many_listeners_hear_the_same_and_once_they_have_gone_own_writes_stay_trusted(
    flavor: Flavor,
) {
    const MANY: usize = 200;
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    let (cache, other) = (near(store.clone(), Policy::new()), far(&server).await);
    let (region, theirs) = (cache.region("r").unwrap(), other.region("r").unwrap());
    region.set("k", &0_u64).await.unwrap();
    until_near(&cache, &region).await;
    let heard: Vec<Arc<Mutex<Vec<Event>>>> = (0..MANY).map(|_| Arc::default()).collect();
    let listenings: Vec<_> = heard
        .iter()
        .map(|heard| {
            let heard = Arc::clone(heard);
            listen(&store, move |event| heard.lock().unwrap().push(event))
        })
        .collect();
    for round in 1..10_u64 {
        theirs.set("k", &round).await.unwrap();
        until_value("what was set", &region, Some(round)).await;
    }
    let told = Event::Entries(RegionPath::parse("na.r").unwrap());
    let is_told = |heard: &Mutex<Vec<Event>>| {
        heard.lock().unwrap().iter().filter(|event| **event == told).count() >= 9
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    while !heard.iter().all(|heard| is_told(heard)) {
        assert!(Instant::now() < deadline, "{:?}", heard[0].lock().unwrap());
        tokio::time::sleep(ms(10)).await;
    }
    drop(listenings);
    let of_each: Vec<Vec<Event>> = heard.iter().map(|it| it.lock().unwrap().clone()).collect();
    // What came while they began to listen, some have not heard: the first change came after that.
    let since_first = |events: &[Event]| {
        let first = events.iter().position(|event| *event == told).unwrap();
        events[first..].to_vec()
    };
    assert!(of_each.iter().all(|events| since_first(events) == since_first(&of_each[0])));
    until_near(&cache, &region).await;
    let before = cache.stats();
    for round in 10..20_u64 {
        region.set("k", &round).await.unwrap();
        assert_eq!(value(&region, "k").await, Some(round));
    }
    let after = cache.stats();
    assert_eq!(after.near_hits - before.near_hits, 10);
    assert!(heard.iter().zip(&of_each).all(|(now, then)| *now.lock().unwrap() == *then));
}
