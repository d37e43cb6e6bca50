//! Calls of a store, and waiting for what becomes of them.

use std::time::{Duration, Instant};

use bytes::Bytes;
use region_core::{
    EndTerms, Entry, Op, Put, ReadFrom, ReadTerms, RegionPath, Result, Store, Verb, Write,
};
use region_redis::RedisStore;

/// The longest time until servers and their stores are back, backoff included, on a machine that has much else to do.
pub(crate) const RECOVERY: Duration = Duration::from_secs(60);

pub(crate) fn path(text: &str) -> RegionPath {
    RegionPath::parse(text).unwrap()
}

pub(crate) async fn set(store: &RedisStore, region: &str, key: &str, value: &str) -> Result<()> {
    let ops = [Op::Put(Put::new(key, Bytes::copy_from_slice(value.as_bytes())))];
    let written = store.write(&path(region), Write::new(&ops)).await?;
    assert!(!written.is_fenced());
    Ok(())
}

pub(crate) async fn end(store: &RedisStore, region: &str, verb: Verb) -> Result<()> {
    store.end(&path(region), EndTerms::new(verb)).await.map(drop)
}

pub(crate) async fn get_from(
    store: &RedisStore,
    region: &str,
    key: &str,
    from: ReadFrom,
) -> Result<Option<String>> {
    let mut read = store.read(&path(region), &[key], ReadTerms::new(from)).await?;
    let entry = read.entries.pop().flatten().filter(Entry::is_fresh);
    Ok(entry.map(|entry| String::from_utf8(entry.bytes.to_vec()).unwrap()))
}

pub(crate) async fn get(store: &RedisStore, region: &str, key: &str) -> Result<Option<String>> {
    get_from(store, region, key, ReadFrom::Primary).await
}

/// Waits until a call succeeds.
pub(crate) async fn until_ok<T, F: Future<Output = Result<T>>>(mut call: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + RECOVERY;
    loop {
        match call().await {
            Ok(value) => return value,
            Err(error) => assert!(Instant::now() < deadline, "not back: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + RECOVERY;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited for {what} in vain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
