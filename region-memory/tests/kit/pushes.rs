use std::sync::Arc;
use std::time::Duration;

use region_core::testing::Faulty;
use region_core::{Event, Listener, Listening, ReadTerms, RegionPath, Store, Verb};
use region_memory::MemoryStore;
use tokio::sync::mpsc;

const DELAY: Duration = Duration::from_secs(3);

fn path(text: &str) -> RegionPath {
    RegionPath::parse(text).unwrap()
}

struct Forward(mpsc::UnboundedSender<Event>);

impl Listener for Forward {
    fn heard(&self, event: Event) {
        let _ = self.0.send(event);
    }
}

struct Events(mpsc::UnboundedReceiver<Event>, Option<Listening>);

impl Events {
    fn of(store: &impl Store) -> Self {
        let (sender, heard) = mpsc::unbounded_channel();
        Self(heard, store.listen(Arc::new(Forward(sender))))
    }
}

fn setup() -> (Faulty<MemoryStore>, Events) {
    let store = Faulty::new(MemoryStore::new());
    let events = Events::of(&store);
    (store, events)
}

async fn invalidate(store: &impl Store, region: &str) {
    store.end(&path(region), Verb::Invalidate.into()).await.unwrap();
}

/// The events that were heard so far.
fn pushed(events: &mut Events) -> Vec<Event> {
    std::iter::from_fn(|| events.0.try_recv().ok()).collect()
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
    assert_eq!(events.0.recv().await, Some(Event::Lineage(path("early"))));
    assert_eq!(pushed(&mut events), []);
    let begun = tokio::time::Instant::now();
    assert_eq!(events.0.recv().await, Some(Event::Lineage(path("late"))));
    assert!(begun.elapsed() > DELAY / 2);
}

#[tokio::test]
async fn a_cut_says_what_is_lost_and_events_are_injected() {
    let (store, mut events) = setup();
    store.push(Event::All);
    assert_eq!(pushed(&mut events), [Event::All]);
    let read = store.read(&path("a"), &[], ReadTerms::default()).await.unwrap();
    store.cut_pushes();
    assert_eq!(pushed(&mut events), read.source.map(Event::Lost).into_iter().collect::<Vec<_>>());

    events.1 = None;
    invalidate(&store, "a").await;
    store.push(Event::All);
    assert_eq!(pushed(&mut events), [], "the listening has ended");
}
