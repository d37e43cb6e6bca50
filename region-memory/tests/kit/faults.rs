use std::time::Duration;

use bytes::Bytes;
use region_core::testing::{Faulty, Method};
use region_core::{
    Error, ErrorKind, Op, Put, ReadTerms, RegionPath, Result, Store, Verb, Write, Written,
};
use region_memory::MemoryStore;
use tokio::time::Instant;

const DELAY: Duration = Duration::from_secs(3);

fn shop() -> RegionPath {
    RegionPath::parse("shop.org:1").unwrap()
}

async fn set(store: &impl Store, value: &'static str) -> Result<Written> {
    let put = Put::new("k", Bytes::from_static(value.as_bytes()));
    let ops = [Op::Put(put)];
    let write = Write::new(&ops);
    store.write(&shop(), write).await
}

async fn get(store: &impl Store) -> Option<Bytes> {
    let read = store.read(&shop(), &["k"], ReadTerms::default()).await.unwrap();
    read.entries[0].as_ref().map(|entry| entry.bytes.clone())
}

#[tokio::test]
async fn the_nth_call_fails_before_anything_happens() {
    let store = Faulty::new(MemoryStore::new());
    let fault = store.on(Method::Write).nth(2).fail(ErrorKind::Unavailable);
    set(&store, "1").await.unwrap();
    assert_eq!(set(&store, "2").await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(get(&store).await.as_deref(), Some(&b"1"[..]));
    set(&store, "3").await.unwrap();
    assert_eq!(get(&store).await.as_deref(), Some(&b"3"[..]));
    assert_eq!(fault.hits(), 1);
}

#[tokio::test]
async fn a_lost_reply_leaves_the_effect() {
    let store = Faulty::new(MemoryStore::new());
    store.on(Method::Write).nth(1).lose_reply();
    let error = set(&store, "1").await.unwrap_err();
    assert_eq!((error.kind(), error.region()), (ErrorKind::Timeout, Some(&shop())));
    assert_eq!(get(&store).await.as_deref(), Some(&b"1"[..]));
}

#[tokio::test]
async fn an_outage_lasts_until_it_is_lifted() {
    let store = Faulty::new(MemoryStore::new());
    let outage = store.on_any().fail_with(Error::new(ErrorKind::Denied, "no password"));
    assert_eq!(set(&store, "1").await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(store.len(&shop()).await.unwrap_err().to_string(), "no password");
    assert!(store.now().await.is_err());
    assert_eq!(outage.hits(), 3);
    outage.lift();
    set(&store, "1").await.unwrap();
    store.on(Method::Len).fail(ErrorKind::Store);
    assert!(store.len(&shop()).await.is_err());
    store.heal();
    assert_eq!(store.len(&shop()).await.unwrap(), 1);
}

#[tokio::test]
async fn rules_are_narrowed_to_regions_and_to_the_first_calls() {
    let store = Faulty::new(MemoryStore::new());
    let (org, other) = (shop(), RegionPath::parse("shop.org:10").unwrap());
    store.on(Method::Len).within(&org).first(2).fail(ErrorKind::Store);
    assert!(store.len(&other).await.is_ok(), "nor is it counted");
    assert!(store.len(&org).await.is_err());
    assert!(store.len(&org.child("below").unwrap()).await.is_err());
    assert!(store.len(&org).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn delays_come_before_or_after_the_effect() {
    let store = Faulty::new(MemoryStore::new());
    let begun = Instant::now();
    store.on(Method::Write).nth(1).delay_before(DELAY);
    let write = tokio::time::timeout(DELAY / 2, set(&store, "early")).await;
    assert!(write.is_err());
    assert_eq!(get(&store).await, None);

    store.on(Method::Write).nth(1).delay_after(DELAY);
    let write = tokio::time::timeout(DELAY / 2, set(&store, "late")).await;
    assert!(write.is_err());
    assert_eq!(get(&store).await.as_deref(), Some(&b"late"[..]));

    store.on(Method::Write).nth(1).delay_before(DELAY);
    store.on(Method::Write).nth(1).fail(ErrorKind::Timeout);
    assert!(set(&store, "never").await.is_err(), "rules add up in their order");
    assert_eq!(begun.elapsed(), DELAY * 2);
}

#[tokio::test]
async fn a_paused_call_waits_for_its_release() {
    let store = Faulty::new(MemoryStore::new());
    let pause = store.pause(Method::Write);
    let writing = tokio::spawn({
        let store = store.clone();
        async move { set(&store, "paused").await }
    });
    pause.reached().await;
    assert_eq!(pause.waiting(), 1);
    set(&store, "meanwhile").await.unwrap();
    store.end(&shop(), Verb::Invalidate.into()).await.unwrap();
    assert!(!writing.is_finished());
    assert_eq!(get(&store).await, None);
    pause.release();
    writing.await.unwrap().unwrap();
    assert_eq!(get(&store).await.as_deref(), Some(&b"paused"[..]));
}

#[tokio::test]
async fn a_call_paused_after_its_effect_has_happened() {
    let store = Faulty::new(MemoryStore::new());
    let pause = store.on(Method::Write).nth(1).pause_after();
    let writing = tokio::spawn({
        let store = store.clone();
        async move { set(&store, "1").await }
    });
    pause.reached().await;
    assert_eq!(get(&store).await.as_deref(), Some(&b"1"[..]));
    assert!(!writing.is_finished());
    drop(pause);
    writing.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_dropped_paused_call_holds_up_nobody() {
    let store = Faulty::new(MemoryStore::new());
    let pause = store.on(Method::Write).pause();
    let spawn = |value| {
        let store = store.clone();
        tokio::spawn(async move { set(&store, value).await })
    };
    let dropped = spawn("dropped");
    pause.reached().await;
    dropped.abort();
    assert!(dropped.await.unwrap_err().is_cancelled());
    assert_eq!(pause.waiting(), 0);

    let kept = spawn("kept");
    pause.reached_by(2).await;
    store.heal();
    kept.await.unwrap().unwrap();
    assert_eq!(get(&store).await.as_deref(), Some(&b"kept"[..]));
    set(&store, "after").await.unwrap();
}

#[test]
#[should_panic(expected = "counted from 1")]
fn there_is_no_zeroth_call() {
    let store = Faulty::new(MemoryStore::new());
    store.on(Method::Read).nth(0).fail(ErrorKind::Store);
}
