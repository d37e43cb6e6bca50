use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use region_core::testing::Faulty;
use region_core::{Event, EventStream, RegionPath, Store, Verb};
use region_memory::MemoryStore;

const DELAY: Duration = Duration::from_secs(3);

fn path(text: &str) -> RegionPath {
    RegionPath::parse(text).unwrap()
}

fn setup() -> (Faulty<MemoryStore>, EventStream) {
    let store = Faulty::new(MemoryStore::new());
    let events = store.events().unwrap();
    (store, events)
}

async fn invalidate(store: &impl Store, region: &str) {
    store.end(&path(region), Verb::Invalidate).await.unwrap();
}

/// What is there already.
fn pushed(events: &mut EventStream) -> Vec<Event> {
    let mut pushed = Vec::new();
    while let Some(Some(event)) = events.next().now_or_never() {
        pushed.push(event);
    }
    pushed
}

#[tokio::test]
async fn without_a_script_all_pushes_arrive_once() {
    let (store, mut events) = setup();
    invalidate(&store, "a").await;
    invalidate(&store, "b").await;
    let expected = ["a", "b"].map(|region| Event::Lineage(path(region)));
    assert_eq!(pushed(&mut events), expected);
}

#[tokio::test]
async fn pushes_are_lost_and_repeated() {
    let (store, mut events) = setup();
    store.on_push().nth(1).lose();
    store.on_push().nth(2).repeat(2);
    for region in ["a", "b", "c"] {
        invalidate(&store, region).await;
    }
    let expected = ["b", "b", "b", "c"].map(|region| Event::Lineage(path(region)));
    assert_eq!(pushed(&mut events), expected);

    store.on_push().lose();
    invalidate(&store, "d").await;
    assert_eq!(pushed(&mut events), []);
    store.heal();
    invalidate(&store, "e").await;
    assert_eq!(pushed(&mut events), [Event::Lineage(path("e"))]);
}

#[tokio::test(start_paused = true)]
async fn late_pushes_are_overtaken() {
    let (store, mut events) = setup();
    store.on_push().first(1).delay(DELAY);
    invalidate(&store, "late").await;
    invalidate(&store, "early").await;
    assert_eq!(events.next().await, Some(Event::Lineage(path("early"))));
    assert_eq!(pushed(&mut events), []);
    let begun = tokio::time::Instant::now();
    assert_eq!(events.next().await, Some(Event::Lineage(path("late"))));
    assert!(begun.elapsed() > DELAY / 2);
}

#[tokio::test]
async fn streams_are_cut_and_pushed_to() {
    let (store, mut events) = setup();
    let waiting = tokio::spawn(async move {
        let first = events.next().await;
        (first, events.next().await)
    });
    tokio::task::yield_now().await;
    store.push(Event::All);
    tokio::task::yield_now().await;
    store.cut_pushes();
    assert_eq!(waiting.await.unwrap(), (Some(Event::All), None));

    let mut again = store.events().unwrap();
    invalidate(&store, "a").await;
    assert_eq!(again.next().await, Some(Event::Lineage(path("a"))));
}
