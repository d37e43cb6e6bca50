//! Values that cannot be written or read, and writes of many.

#![cfg(feature = "testing")]

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use region_core::testing::{Faulty, Method, Recorder};
use region_core::{
    ErrorKind, MAX_STEP_BYTES, MAX_STEP_KEYS, MAX_TRANSACTION_BYTES, MAX_TRANSACTION_WRITES,
    Region, RegionCache, RegionExt, RegionHandle,
};
use region_memory::MemoryStore;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

fn cache() -> (RegionCache, RegionHandle) {
    let cache = RegionCache::builder(MemoryStore::new()).root("r").build().unwrap();
    let region = cache.region("a").unwrap();
    (cache, region)
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Move { x: u8 },
}

/// Bug: with Postcard a type that it cannot read back was stored.
/// Effect: every read missed and every call loaded, without a word.
/// Fix: each way of storing it is an error that names the type and says what to use.
#[tokio::test]
async fn what_cannot_be_read_back_is_an_error_for_every_way_of_storing_it() {
    let (cache, region) = cache();
    let value = || Tagged::Move { x: 1 };
    let mut transaction = region.transaction();
    transaction.set("k", value());
    let load = move || async move { Ok::<_, Infallible>(value()) };
    let many = move |_| async move { Ok::<_, Infallible>([("k".to_owned(), value())].into()) };
    let many = region.get_or_compute_many::<_, _, _, _, std::hash::RandomState>(&["k"], many);
    let errors = [
        region.set("k", &value()).await.unwrap_err(),
        region.set_if_absent("k", &value()).await.unwrap_err(),
        region.set_many(&[("k", &value())]).await.unwrap_err(),
        transaction.commit().await.unwrap_err(),
        region.get_or_compute("k", load).await.unwrap_err(),
        many.await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Encode, "{error}");
        let text = error.to_string();
        for part in ["Tagged", "use Json", "r.a", "\"k\""] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    assert!(region.is_empty().await.unwrap());
    assert_eq!(cache.stats().bad_bytes, 0);
}

static PANICS: AtomicBool = AtomicBool::new(false);

#[derive(Debug)]
struct Moody;

impl Serialize for Moody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(!PANICS.load(Ordering::SeqCst), "not today");
        serializer.serialize_u8(7)
    }
}

impl<'de> Deserialize<'de> for Moody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        assert!(!PANICS.load(Ordering::SeqCst), "not today either");
        u8::deserialize(deserializer).map(|_| Self)
    }
}

/// Bug: a panic in a type's `Serialize` or `Deserialize` went up into the task that ran it.
/// Effect: a load's waiters hung, and its lease stayed.
/// Fix: writing that panics is an `Encode` error; bytes whose reading panics are a counted miss.
#[tokio::test]
async fn a_panic_in_serde_is_an_error_or_a_counted_miss() {
    let (cache, region) = cache();
    region.set("old", &Moody).await.unwrap();
    PANICS.store(true, Ordering::SeqCst);
    assert!(region.get::<Moody>("old").await.unwrap().is_none());
    assert_eq!(cache.stats().bad_bytes, 1);
    let error = region.set("k", &Moody).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encode);
    assert!(error.to_string().contains("panicked: not today"), "{error}");
    let load = || async { Ok::<_, Infallible>(Moody) };
    let call = tokio::time::timeout(Duration::from_secs(60), region.get_or_compute("k", load));
    assert_eq!(call.await.expect("a waiter hangs").unwrap_err().kind(), ErrorKind::Encode);
    PANICS.store(false, Ordering::SeqCst);
    let load = || async { Ok::<_, Infallible>(Moody) };
    let call = tokio::time::timeout(Duration::from_secs(5), region.get_or_compute("k", load));
    call.await.expect("a lease was left behind").unwrap();
    assert!(region.get::<Moody>("old").await.unwrap().is_some());
}

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("key-{n}")).collect()
}

/// Bug: `set_many` and `remove_many` were one step, however many keys there were.
/// Effect: 50,000 keys stalled a server for 217 ms.
/// Fix: they are cut into steps of bounded size.
#[tokio::test]
async fn many_keys_are_written_in_steps_of_bounded_size() {
    let recorder = Recorder::new(MemoryStore::new());
    let region = RegionCache::builder(recorder.clone()).build().unwrap().root();
    let keys = keys(2 * MAX_STEP_KEYS + 1);
    let values: Vec<_> = keys.iter().map(|key| (key.as_str(), key)).collect();
    region.set_many(&values).await.unwrap();
    assert_eq!(recorder.count(Method::Write), 3);
    assert_eq!(region.len().await.unwrap(), values.len() as u64);
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    assert_eq!(region.remove_many(&keys).await.unwrap(), keys.len());
    assert_eq!(recorder.count(Method::Write), 6);
    recorder.clear();
    let large = "x".repeat(MAX_STEP_BYTES / 2);
    region.set_many(&[("a", &large), ("b", &large), ("c", &large)]).await.unwrap();
    assert_eq!(recorder.count(Method::Write), 3);
}

/// A later step's failure leaves the steps before it; an encoding error comes before the first.
#[tokio::test]
async fn a_step_that_fails_leaves_those_before_it() {
    let faulty = Faulty::new(MemoryStore::new());
    let region = RegionCache::builder(faulty.clone()).build().unwrap().root();
    let keys = keys(MAX_STEP_KEYS + 1);
    let values: Vec<_> = keys.iter().map(|key| (key.as_str(), key)).collect();
    faulty.on(Method::Write).nth(2).fail(ErrorKind::Unavailable);
    let error = region.set_many(&values).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(region.len().await.unwrap(), MAX_STEP_KEYS as u64);
}

#[tokio::test]
async fn a_transaction_beyond_its_limits_says_which() {
    let (_, region) = cache();
    let mut transaction = region.transaction();
    for key in keys(MAX_TRANSACTION_WRITES) {
        transaction.set(&key, 1u8);
    }
    transaction.commit().await.unwrap();
    let mut transaction = region.transaction();
    for key in keys(MAX_TRANSACTION_WRITES + 1) {
        transaction.remove(&key);
    }
    let error = transaction.commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("limit of 10000"), "{error}");
    let mut transaction = region.transaction();
    transaction.set("a", "x".repeat(MAX_TRANSACTION_BYTES));
    let error = transaction.commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("limit of 67108864"), "{error}");
    assert_eq!(region.len().await.unwrap(), MAX_TRANSACTION_WRITES as u64);
}
