//! Signals of several processes over one store, and the failures that could lose one.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use region_core::testing::{Faulty, Method};
use region_core::{
    Connection, ErrorKind, MAX_SIGNAL_BYTES, MAX_SIGNALS_KEPT, Op, PageTerms, Received, Region,
    RegionExt, RegionPath, SHARED_SIGNAL_TTL, SharedSignal, SignalExt, Store, Write,
};
use region_memory::{Loss, MemoryStore};
use tokio::time::{Instant, sleep};

use super::kit::{cache, memory, until};
use super::silent::Silent;

/// A region of a signal with this name.
fn region_of(name: &str) -> RegionPath {
    RegionPath::parse("%00signal:shop").unwrap().child(name).unwrap()
}

fn open(store: impl Store) -> SharedSignal<u64> {
    cache(store).shared_signal("changed").unwrap()
}

/// What one handler got; 0 is `Missed`.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u64>>>);

impl Log {
    fn connect(&self, signal: &SharedSignal<u64>) -> Connection {
        let log = self.clone();
        signal.connect(move |received: Received<u64>| {
            log.0.lock().push(received.value().copied().unwrap_or(0));
        })
    }

    fn has(&self, expected: &[u64]) -> bool {
        *self.0.lock() == expected
    }

    fn contains(&self, value: u64) -> bool {
        self.0.lock().contains(&value)
    }

    async fn gets(&self, expected: &[u64]) {
        let got = || format!("{:?}, not {expected:?}", self.0.lock());
        let wait = async {
            while !self.has(expected) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(100), wait)
            .await
            .unwrap_or_else(|_| panic!("{}", got()));
    }

    fn clear(&self) {
        self.0.lock().clear();
    }
}

/// A process: its signal, what its handler got, and the handler's connection.
struct Process {
    signal: SharedSignal<u64>,
    log: Log,
    _connection: Connection,
}

impl Process {
    /// Starts a process, and waits until it has read the signal for the first time.
    async fn start(store: impl Store) -> Self {
        let this = Self::start_at_once(store);
        sleep(Duration::from_millis(100)).await;
        this
    }

    fn start_at_once(store: impl Store) -> Self {
        let (signal, log) = (open(store), Log::default());
        let _connection = log.connect(&signal);
        Self { signal, log, _connection }
    }
}

#[tokio::test(start_paused = true)]
async fn every_process_gets_each_value_once_and_in_order() {
    let store = memory();
    let (a, b) = (Process::start(store.client()).await, Process::start(store.client()).await);
    // Another receiver in the same process.
    let second = Process::start(store.clone()).await;
    for value in 1..=5 {
        a.signal.send(value).await.unwrap();
    }
    let sent = Instant::now();
    b.signal.send_from("importer", 6).await.unwrap();
    until(async || a.log.contains(6) && second.log.contains(6)).await;
    assert!(sent.elapsed() < Duration::from_secs(1), "a push tells of it: {:?}", sent.elapsed());
    let senders: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
    let note = Arc::clone(&senders);
    let _connection = second.signal.connect(move |received: Received<u64>| {
        if let Received::Value(sent) = received {
            note.lock().push(sent.sender().map(ToOwned::to_owned));
        }
    });
    for process in [&a, &b, &second] {
        process.log.gets(&[1, 2, 3, 4, 5, 6]).await;
    }
    sleep(SHARED_SIGNAL_TTL * 3).await;
    for process in [&a, &b, &second] {
        assert!(process.log.has(&[1, 2, 3, 4, 5, 6]), "{:?}", process.log.0);
    }
    assert_eq!(a.signal.name(), "changed");
    second.signal.send_from("editor", 7).await.unwrap();
    a.log.gets(&[1, 2, 3, 4, 5, 6, 7]).await;
    assert_eq!(senders.lock().last(), Some(&Some("editor".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_store_without_pushes_is_polled() {
    let store = memory();
    let (a, b) =
        (Process::start(Silent(store.client())).await, Process::start(Silent(store)).await);
    let begun = Instant::now();
    for round in 0..20 {
        let sent = round * 2 + 1;
        a.signal.send(sent).await.unwrap();
        b.signal.send(sent + 1).await.unwrap();
        until(async || a.log.contains(sent + 1) && b.log.contains(sent)).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    assert_eq!((a.log.0.lock().len(), b.log.0.lock().len()), (40, 40));
    assert!(!a.log.contains(0) && !b.log.contains(0));
}

#[tokio::test(start_paused = true)]
async fn lost_pushes_delay_values_and_lose_none() {
    let store = Faulty::new(memory());
    let (a, b) = (Process::start(store.clone()).await, Process::start(store.clone()).await);
    store.on_push().lose();
    for value in 1..=3 {
        a.signal.send(value).await.unwrap();
        sleep(Duration::from_secs(40)).await;
    }
    assert!(b.log.has(&[1, 2, 3]), "{:?}", b.log.0);
    a.signal.send(4).await.unwrap();
    let cut = Instant::now();
    store.cut_pushes();
    b.log.gets(&[1, 2, 3, 4]).await;
    assert!(cut.elapsed() < Duration::from_secs(1), "a lost connection tells of it too");
}

/// What is sent once `connect` has returned is not taken for old, even if nothing was read by then.
#[tokio::test(start_paused = true)]
async fn a_value_that_is_sent_while_a_receiver_connects_reaches_it() {
    let store = Faulty::new(memory());
    let a = Process::start(store.clone()).await;
    a.signal.send(1).await.unwrap();
    sleep(Duration::from_secs(60)).await;
    let reads = store.on(Method::Now).pause();
    let b = Process::start_at_once(store.clone());
    reads.reached().await;
    a.signal.send(2).await.unwrap();
    reads.release();
    until(async || b.log.contains(2)).await;
    // One that had sent long before is known, and old.
    let c = Process::start(store.inner().client()).await;
    sleep(Duration::from_secs(60)).await;
    let d = Process::start(store.inner().client()).await;
    a.signal.send(3).await.unwrap();
    d.log.gets(&[3]).await;
    until(async || c.log.contains(3)).await;
    assert!(!b.log.contains(0) && !c.log.contains(0));
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_is_told_and_sent_again() {
    for loss in [Loss::Entries, Loss::Incarnations] {
        let store = memory();
        let (a, b) = (Process::start(store.client()).await, Process::start(store.client()).await);
        a.signal.send(1).await.unwrap();
        b.log.gets(&[1]).await;
        store.lose(&region_of("changed"), loss);
        b.log.gets(&[1, 0]).await;
        a.log.gets(&[1, 0]).await;
        // It is there for those who had not read it.
        let c = Process::start_at_once(store.client());
        until(async || c.log.contains(1)).await;
        a.signal.send(2).await.unwrap();
        b.log.gets(&[1, 0, 2]).await;
    }
}

/// The value is lost after the push and before it is read: by those who have it, and by a sender that is new.
#[tokio::test(start_paused = true)]
async fn a_value_that_is_lost_before_it_is_read_is_told() {
    let store = Faulty::new(memory());
    let b = Process::start(store.clone()).await;
    let reads = store.on(Method::Now).pause();
    // Its process has no part in what follows.
    let sender = open(store.inner().client());
    sender.send(7).await.unwrap();
    reads.reached().await;
    drop(sender);
    sleep(Duration::from_millis(100)).await;
    store.inner().lose(&region_of("changed"), Loss::Entries);
    reads.release();
    b.log.gets(&[0]).await;
}

/// Removes the entries of all senders, and leaves everything else, as a store that evicts entries one by one.
async fn evict_senders(store: &MemoryStore) {
    let region = region_of("changed");
    let page = store.scan(&region, PageTerms::new(100)).await.unwrap();
    let keys = page.items.iter().map(|item| item.key.as_str());
    let ops: Vec<_> =
        keys.filter(|key| *key != "continuity").map(|key| Op::Remove { key }).collect();
    assert!(!ops.is_empty());
    for op in ops {
        store.write(&region, Write::new(&[op])).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_is_lost_alone_is_told() {
    // Of a sender that is known.
    let store = memory();
    let b = Process::start(store.client()).await;
    let sender = open(store.client());
    sender.send(1).await.unwrap();
    b.log.gets(&[1]).await;
    drop(sender);
    sleep(Duration::from_secs(1)).await;
    evict_senders(&store).await;
    b.log.gets(&[1, 0]).await;
    sleep(SHARED_SIGNAL_TTL).await;
    assert!(b.log.has(&[1, 0]));

    // Of one that nobody has heard of.
    let store = Faulty::new(memory());
    let b = Process::start(store.clone()).await;
    let reads = store.on(Method::Now).pause();
    let sender = open(store.inner().client());
    sender.send(7).await.unwrap();
    reads.reached().await;
    drop(sender);
    sleep(Duration::from_secs(1)).await;
    evict_senders(store.inner()).await;
    reads.release();
    b.log.gets(&[0]).await;
}

/// The entries are lost while the one that would show it is renewed.
#[tokio::test(start_paused = true)]
async fn a_loss_during_the_renewal_is_told() {
    let store = Faulty::new(memory());
    let b = Process::start(store.clone()).await;
    let renewal = store.pause(Method::Write);
    renewal.reached().await;
    store.inner().lose(&region_of("changed"), Loss::Entries);
    assert!(b.log.has(&[]));
    renewal.release();
    b.log.gets(&[0]).await;
    sleep(SHARED_SIGNAL_TTL).await;
    assert!(b.log.has(&[0]));
}

#[tokio::test(start_paused = true)]
async fn a_flush_is_told_once() {
    let store = memory();
    let (a, b) = (Process::start(store.client()).await, Process::start(store.client()).await);
    a.signal.send(1).await.unwrap();
    b.log.gets(&[1]).await;
    store.flush();
    b.log.gets(&[1, 0]).await;
    sleep(Duration::from_secs(300)).await;
    assert!(b.log.has(&[1, 0]) && a.log.has(&[1, 0]), "{:?} {:?}", a.log.0, b.log.0);
}

/// Bug: signals lay below the root, and a signal that may have been missed invalidates what is bound to it. Effect: the
/// root's invalidation lost the signals, which was told, and invalidated the root, without an end. Fix: they lie beside
/// it.
#[tokio::test(start_paused = true)]
async fn what_ends_the_root_does_not_concern_signals() {
    let store = memory();
    let (a, b) = (Process::start(store.client()).await, Process::start(store.client()).await);
    let cache = cache(store.client());
    cache.region("org:1").unwrap().set("k", &1u32).await.unwrap();
    for value in (1..=9).step_by(3) {
        a.signal.send(value).await.unwrap();
        cache.root().invalidate_and_touch().await.unwrap();
        a.signal.send(value + 1).await.unwrap();
        cache.root().expire().await.unwrap();
        a.signal.send(value + 2).await.unwrap();
    }
    b.log.gets(&(1..=9).collect::<Vec<_>>()).await;
    a.log.gets(&(1..=9).collect::<Vec<_>>()).await;
    cache.region("org:1").unwrap().set("k", &1u32).await.unwrap();
    let children: Vec<_> =
        futures_util::TryStreamExt::try_collect(cache.root().children()).await.unwrap();
    assert!(children.len() == 1 && children[0].as_str() == "org:1", "{children:?}");
}

/// A failover to an older copy undoes a value that was sent: its sender sends it again, and whoever had seen more
/// than the copy has is told.
#[tokio::test(start_paused = true)]
async fn a_value_that_a_failover_undoes_is_sent_again() {
    let store = memory();
    let (a, b) = (Process::start(store.client()).await, Process::start(store.client()).await);
    a.signal.send(1).await.unwrap();
    b.log.gets(&[1]).await;
    let copy = store.back_up();
    a.signal.send(2).await.unwrap();
    b.log.gets(&[1, 2]).await;
    store.roll_back(&copy);
    let c = Process::start_at_once(store.client());
    until(async || c.log.contains(2)).await;
    // Now it has no sender any more.
    drop((a, c));
    sleep(Duration::from_secs(1)).await;
    b.log.clear();
    store.roll_back(&copy);
    b.log.gets(&[0]).await;

    // Nobody but the sender has seen it.
    let store = Faulty::new(memory());
    let a = Process::start(store.inner().client()).await;
    let b = Process::start(store.clone()).await;
    let reads = store.on(Method::Now).pause();
    let copy = store.inner().back_up();
    a.signal.send(3).await.unwrap();
    reads.reached().await;
    store.inner().roll_back(&copy);
    sleep(Duration::from_millis(100)).await;
    reads.release();
    b.log.gets(&[3]).await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_as_long_as_the_ttl_is_told_and_a_shorter_one_loses_nothing() {
    let (half, nearly) = (SHARED_SIGNAL_TTL / 2, SHARED_SIGNAL_TTL - Duration::from_secs(30));
    for (outage, expected) in
        [(half, vec![1]), (nearly, vec![1, 0]), (SHARED_SIGNAL_TTL * 2, vec![0])]
    {
        let store = Faulty::new(memory());
        let (a, b) =
            (Process::start(store.inner().client()).await, Process::start(store.clone()).await);
        let down = store.on_any().fail(ErrorKind::Unavailable);
        a.signal.send(1).await.unwrap();
        sleep(outage).await;
        assert!(b.log.has(&[]));
        assert_eq!(b.signal.send(9).await.unwrap_err().kind(), ErrorKind::Unavailable);
        down.lift();
        until(async || b.log.contains(*expected.last().unwrap())).await;
        sleep(Duration::from_secs(60)).await;
        let mut got = b.log.0.lock().clone();
        got.sort_by_key(|value| *value == 0);
        assert_eq!(got, expected, "after {outage:?}");
        assert!(!a.log.contains(9), "it was not sent");
    }
}

/// A value whose fate is not known is sent again, under the same number.
#[tokio::test(start_paused = true)]
async fn a_value_after_a_timeout_is_delivered_once() {
    for is_done in [true, false] {
        let store = Faulty::new(memory());
        let (a, b) =
            (Process::start(store.clone()).await, Process::start(store.inner().client()).await);
        let write = store.on(Method::Write).nth(1);
        match is_done {
            true => drop(write.lose_reply()),
            false => drop(write.fail(ErrorKind::Timeout)),
        }
        assert_eq!(a.signal.send(1).await.unwrap_err().kind(), ErrorKind::Timeout);
        b.log.gets(&[1]).await;
        a.log.gets(&[1]).await;
        a.signal.send(2).await.unwrap();
        b.log.gets(&[1, 2]).await;
        a.log.gets(&[1, 2]).await;
    }
}

/// Values come faster than a receiver reads: it is told, and gets the last ones.
#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_outrun_is_told() {
    let store = Faulty::new(memory());
    let (a, b) =
        (Process::start(store.inner().client()).await, Process::start(store.clone()).await);
    a.signal.send(1).await.unwrap();
    b.log.gets(&[1]).await;
    let reads = store.on(Method::Now).pause();
    let last = MAX_SIGNALS_KEPT as u64 + 10;
    for value in 2..=last {
        a.signal.send(value).await.unwrap();
    }
    reads.reached().await;
    reads.release();
    until(async || b.log.contains(0)).await;
    let got = b.log.0.lock().clone();
    let kept: Vec<u64> = (last + 1 - MAX_SIGNALS_KEPT as u64..=last).collect();
    assert_eq!(got, [&[1][..], &kept, &[0]].concat());
    assert_eq!(a.log.0.lock().len() as u64, last);
}

#[tokio::test(start_paused = true)]
async fn many_values_at_once_are_sent_in_few_steps() {
    let store = region_core::testing::Recorder::new(memory());
    let (a, b) =
        (Process::start(store.clone()).await, Process::start(store.inner().client()).await);
    store.clear();
    let sends = (1..=100).map(|value| a.signal.send(value));
    for sent in futures_util::future::join_all(sends).await {
        sent.unwrap();
    }
    for process in [&a, &b] {
        process.log.gets(&(1..=100).collect::<Vec<_>>()).await;
    }
    assert!(store.count(Method::Write) <= 10, "{}", store.count(Method::Write));
}

#[tokio::test(start_paused = true)]
async fn values_have_a_limit_and_signals_a_name() {
    let cache = cache(memory());
    let signal = cache.shared_signal::<String>("changed").unwrap();
    let error = signal.send("x".repeat(MAX_SIGNAL_BYTES + 1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    signal.send("x".repeat(MAX_SIGNAL_BYTES - 100)).await.unwrap();
    signal.send("y".to_owned()).await.unwrap();
    for name in [String::new(), "n".repeat(600)] {
        let error = cache.shared_signal::<u64>(&name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidPath);
    }
    let without_timers = tokio::runtime::Builder::new_current_thread().build().unwrap();
    std::thread::spawn(move || {
        let error = without_timers.block_on(async { cache.shared_signal::<u64>("a").unwrap_err() });
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    })
    .join()
    .unwrap();
}

/// Two versions of a service that disagree on the type: each is told that it misses something, once.
#[tokio::test(start_paused = true)]
async fn a_value_of_another_type_is_told() {
    let store = memory();
    let b = Process::start(store.client()).await;
    let other: SharedSignal<String> = cache(store.client()).shared_signal("changed").unwrap();
    other.send("seven".to_owned()).await.unwrap();
    b.log.gets(&[0]).await;
    sleep(Duration::from_secs(300)).await;
    assert!(b.log.has(&[0]));
    other.send("eight".to_owned()).await.unwrap();
    b.log.gets(&[0, 0]).await;
}

/// Slow handlers keep nothing from the store, and are told if they have missed something.
#[tokio::test(start_paused = true)]
async fn handlers_that_are_too_slow_are_told() {
    let store = memory();
    let a = open(store.client());
    let b = Process::start(store.client()).await;
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let (wait, done) = (Arc::clone(&gate), Log::default());
    let note = done.clone();
    let _slow = b.signal.connect_async(move |received: Received<u64>| {
        let (wait, note) = (Arc::clone(&wait), note.clone());
        async move {
            wait.acquire().await.unwrap().forget();
            note.0.lock().push(received.value().copied().unwrap_or(0));
        }
    });
    let sends = 1_200;
    for value in 1..=sends {
        a.send(value).await.unwrap();
    }
    sleep(Duration::from_secs(1)).await;
    gate.add_permits(10_000);
    until(async || done.contains(0)).await;
    let told = done.0.lock().len() as u64;
    assert!(told > 1_024 && told < sends, "{told}");
    assert_eq!(b.log.0.lock().last(), Some(&0));
    a.send(5_000).await.unwrap();
    until(async || b.log.contains(5_000) && done.contains(5_000)).await;
}

/// A value that `send` took is sent although all handles are gone, and then nothing of the signal is left.
#[tokio::test(start_paused = true)]
async fn a_signal_ends_with_its_handles() {
    let store = region_core::testing::Recorder::new(memory());
    let b = Process::start(store.inner().client()).await;
    let signal = open(store.clone());
    let mut sending = Box::pin(signal.send(1));
    assert!(futures_util::poll!(&mut sending).is_pending());
    drop(sending);
    drop(signal);
    b.log.gets(&[1]).await;
    sleep(Duration::from_secs(60)).await;
    store.clear();
    sleep(SHARED_SIGNAL_TTL * 2).await;
    assert_eq!(store.total(), 0);
}

/// The entry that shows that nothing was lost is renewed, and nobody takes that for a loss.
#[tokio::test(start_paused = true)]
async fn a_signal_that_is_seldom_sent_is_not_told_as_missed() {
    let store = memory();
    let (a, b) = (Process::start(store.client()).await, Process::start(store.client()).await);
    for value in 1..=4 {
        sleep(Duration::from_secs(8 * 3600)).await;
        a.signal.send(value).await.unwrap();
        until(async || b.log.contains(value)).await;
    }
    assert!(a.log.has(&[1, 2, 3, 4]) && b.log.has(&[1, 2, 3, 4]), "{:?}", b.log.0);
}

#[tokio::test(start_paused = true)]
async fn regions_are_invalidated_by_values_and_when_some_may_be_missed() {
    let store = memory();
    let (here, there) = (cache(store.client()), cache(store.client()));
    let signal = here.shared_signal::<u64>("changed").unwrap();
    let _each = here.invalidate_on_signal(&signal, |id| format!("p:{id}"));
    let prices = here.region("prices").unwrap();
    let _whole = prices.invalidate_on_signal(&there.shared_signal::<u64>("imported").unwrap());
    let fill = async || {
        for path in ["p:1", "p:2", "prices"] {
            here.region(path).unwrap().set("k", &1u32).await.unwrap();
        }
    };
    let has = async |path| here.region(path).unwrap().contains("k").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    fill().await;
    there.shared_signal::<u64>("changed").unwrap().send(1).await.unwrap();
    until(async || !has("p:1").await).await;
    assert!(has("p:2").await && has("prices").await);
    here.shared_signal::<u64>("imported").unwrap().send(1).await.unwrap();
    until(async || !has("prices").await).await;
    assert!(has("p:2").await);
    fill().await;
    store.lose(&region_of("changed"), Loss::Entries);
    until(async || !has("p:1").await && !has("p:2").await && !has("prices").await).await;
}
