use std::sync::Arc;
use std::time::Duration;

use region_core::testing::{
    Faulty, MAX_CALLS, Method, OpKind, Outcome, RecordedOp, Recorder, Request,
};
use region_core::{
    ErrorKind, Event, Guard, LeaseTerms, LeaseToken, Listener, Op, RegionPath, Show, Store,
    TakeLease, Verb, Write,
};
use region_memory::MemoryStore;

struct Deaf;

impl Listener for Deaf {
    fn heard(&self, _: Event) {}
}

fn shop() -> RegionPath {
    RegionPath::root("shop").unwrap()
}

#[tokio::test]
async fn calls_are_recorded_in_their_order() {
    let store = Recorder::new(MemoryStore::new());
    let token = LeaseToken::random();
    let terms = LeaseTerms::new(token, Duration::from_secs(1)).take(TakeLease::Always);
    let begun = store.begin(&shop(), &["a", "b"], terms).await.unwrap();
    store.end(&shop(), Verb::Touch.into()).await.unwrap();
    let ops = [Op::Remove { key: "a" }, Op::Take { key: "b" }];
    let guard = Guard::new(&begun.lineage, &["a"], token);
    store.write(&shop(), Write::new(&ops).guard(guard)).await.unwrap();
    store.release(&shop(), &["b"], token);
    store.scan(&shop(), region_core::PageTerms::new(7)).await.unwrap();
    store.children(&shop(), region_core::PageTerms::new(8)).await.unwrap();
    store.len(&shop()).await.unwrap();
    let listening = store.listen(Arc::new(Deaf));
    assert!(listening.is_some());
    store.now().await.unwrap();

    let calls = store.calls();
    let requests: Vec<_> = calls.iter().map(|call| call.request.clone()).collect();
    let op = |kind, key: &str| RecordedOp { kind, key: key.to_owned() };
    let expected = [
        Request::Begin { keys: vec!["a".to_owned(), "b".to_owned()], terms },
        Request::End { verb: Verb::Touch },
        Request::Write {
            ops: vec![op(OpKind::Remove, "a"), op(OpKind::Take, "b")],
            guard: Some(token),
        },
        Request::Release { keys: vec!["b".to_owned()], token },
        Request::Scan { limit: 7, show: Show::Keys },
        Request::Children { limit: 8 },
        Request::Len,
        Request::Listen,
        Request::Now,
    ];
    assert_eq!(requests, expected);
    for call in &calls {
        let expected = if call.method() == Method::Write { Outcome::Fenced } else { Outcome::Done };
        assert_eq!(call.outcome, expected, "{:?}", call.request);
        let has_region = !matches!(call.method(), Method::Listen | Method::Now);
        assert_eq!(call.region.is_some(), has_region, "{:?}", call.request);
    }
    assert_eq!(calls[0].keys(), ["a", "b"]);
    assert_eq!(calls[2].keys(), ["a", "b"]);
    assert!(calls.windows(2).all(|pair| pair[0].ended.unwrap() < pair[1].began));
    assert_eq!((store.count(Method::Write), store.count(Method::Read), store.total()), (1, 0, 9));
}

#[tokio::test]
async fn failed_running_and_dropped_calls_are_told_apart() {
    let faulty = Faulty::new(MemoryStore::new());
    let store = Recorder::new(faulty.clone());
    faulty.on(Method::Len).nth(1).fail(ErrorKind::Unavailable);
    store.len(&shop()).await.unwrap_err();
    assert_eq!(store.calls()[0].outcome, Outcome::Failed(ErrorKind::Unavailable));

    let pause = faulty.pause(Method::Read);
    let reading = tokio::spawn({
        let store = store.clone();
        async move { store.read(&shop(), &["k"], region_core::ReadTerms::default()).await.map(drop) }
    });
    pause.reached().await;
    let running = store.calls().remove(1);
    assert_eq!((running.outcome, running.ended), (Outcome::Running, None));
    reading.abort();
    assert!(reading.await.unwrap_err().is_cancelled());
    let dropped = store.calls().remove(1);
    assert_eq!(dropped.outcome, Outcome::Dropped);
    assert!(dropped.ended > Some(dropped.began));
}

#[tokio::test]
async fn a_call_from_before_a_clear_is_forgotten() {
    let faulty = Faulty::new(MemoryStore::new());
    let store = Recorder::new(faulty.clone());
    let pause = faulty.pause(Method::Len);
    let counting = tokio::spawn({
        let store = store.clone();
        async move { store.len(&shop()).await }
    });
    pause.reached().await;
    store.clear();
    assert_eq!((store.total(), store.calls().len()), (0, 0));
    store.now().await.unwrap();
    pause.release();
    counting.await.unwrap().unwrap();
    let calls = store.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!((calls[0].method(), calls[0].outcome), (Method::Now, Outcome::Done));
}

#[tokio::test]
async fn the_oldest_of_too_many_calls_are_forgotten_but_counted() {
    let store = Recorder::new(MemoryStore::new());
    store.len(&shop()).await.unwrap();
    for _ in 0..MAX_CALLS {
        store.now().await.unwrap();
    }
    let calls = store.calls();
    assert_eq!(calls.len(), MAX_CALLS);
    assert!(calls.iter().all(|call| call.method() == Method::Now));
    assert_eq!((store.count(Method::Len), store.total()), (1, MAX_CALLS as u64 + 1));
}
