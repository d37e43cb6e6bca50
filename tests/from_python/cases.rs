//! Regions, their entries, and what ends them.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use region_cache::{
    Json, OnUpdate, Policy, Region, RegionCache, RegionExt, RegionHandle, Signal, SignalExt,
    args_key,
};
use tokio::sync::broadcast;

use crate::kit::{Setting, until};

/// Runs each case in each setting.
macro_rules! cases {
    ($($case:ident)*) => {
        mod memory { $(#[tokio::test] async fn $case() { super::$case(super::Setting::memory().await).await })* }
        mod redis { $(#[tokio::test] async fn $case() { super::$case(super::Setting::redis().await).await })* }
        mod replica { $(#[tokio::test] async fn $case() { super::$case(super::Setting::replica().await).await })* }
    };
}

cases! {
    a_new_cache_has_a_root_and_nothing_in_it
    dotted_paths_make_nested_regions
    settings_are_inherited_by_nested_regions
    a_region_is_used_as_a_dictionary
    writes_of_a_transaction_are_made_together
    invalidating_a_region_empties_it_and_all_in_it
    the_children_of_a_region_are_listed
    signals_invalidate_a_region
    streams_invalidate_a_region
    a_cached_function_is_called_once_for_its_arguments
    a_missing_value_is_computed_and_kept
    the_entries_of_a_region_end_together
    the_entries_of_a_transaction_end_together
    a_region_may_have_a_serializer_of_its_own
    values_read_again_are_not_decoded_again
    clearing_the_root_clears_the_cache
}

const SECOND: Duration = Duration::from_secs(1);

/// Reads as another process does.
async fn seen(other: &RegionCache, region: &RegionHandle, key: &str) -> Option<u32> {
    let path = region.path().as_str().strip_prefix("root.").unwrap();
    let value = other.region(path).unwrap().get::<u32>(key).await.unwrap();
    value.as_deref().copied()
}

async fn until_seen(other: &RegionCache, region: &RegionHandle, key: &str, value: Option<u32>) {
    until(key, || async { seen(other, region, key).await == value }).await;
}

async fn get(region: &RegionHandle, key: &str) -> Option<u32> {
    region.get::<u32>(key).await.unwrap().as_deref().copied()
}

async fn a_new_cache_has_a_root_and_nothing_in_it(Setting { cache, .. }: Setting) {
    let root = cache.root();
    assert_eq!(root.path().as_str(), "root");
    assert_eq!(root.len().await.unwrap(), 0);
    assert!(root.is_empty().await.unwrap());
    assert_eq!(root.children().count().await, 0);
    let named = RegionCache::builder(Arc::clone(cache.store())).root("app").build().unwrap();
    root.set("k", &1u32).await.unwrap();
    assert_eq!((get(&root, "k").await, get(&named.root(), "k").await), (Some(1), None));
}

async fn dotted_paths_make_nested_regions(Setting { cache, .. }: Setting) {
    let dotted = cache.region("abc.xyz").unwrap();
    let nested = cache.region("abc").unwrap().region("xyz").unwrap();
    assert_eq!(dotted.path(), nested.path());
    assert_eq!(dotted.path().as_str(), "root.abc.xyz");
    dotted.set("k", &1u32).await.unwrap();
    assert_eq!(get(&nested, "k").await, Some(1));
    assert_eq!(get(&cache.region("xyz").unwrap(), "k").await, None);
}

async fn settings_are_inherited_by_nested_regions(Setting { cache, .. }: Setting) {
    let policy = Policy::new().region_ttl(60 * SECOND).on_update(OnUpdate::Keep);
    let outer = cache.region("xml").unwrap().with_policy(policy).unwrap();
    let inner = outer.region("json").unwrap();
    let own = inner.with_policy(Policy::new().region_ttl(SECOND)).unwrap();
    let shown = |region: &RegionHandle| format!("{region:?}");
    assert!(shown(&inner).contains("region_ttl: Some(For(60s))"), "{inner:?}");
    assert!(shown(&inner).contains("on_update: Some(Keep)"), "{inner:?}");
    assert!(shown(&own).contains("region_ttl: Some(For(1s))"), "{own:?}");
}

async fn a_region_is_used_as_a_dictionary(Setting { cache, other, .. }: Setting) {
    let region = cache.region("example").unwrap();
    region.set("foo", &1u32).await.unwrap();
    assert_eq!(get(&region, "foo").await, Some(1));
    until_seen(&other, &region, "foo", Some(1)).await;
    assert!(region.contains("foo").await.unwrap());
    // `del region[..]` of what is not there is no error; it says so.
    assert!(region.remove("foo").await.unwrap());
    assert!(!region.remove("foo").await.unwrap());
    assert_eq!(get(&region, "foo").await, None);
    until_seen(&other, &region, "foo", None).await;

    // update, len, keys, items, setdefault, pop.
    region.set_many(&[("a", &1u32), ("b", &2)]).await.unwrap();
    assert_eq!(region.len().await.unwrap(), 2);
    let mut keys: Vec<String> = region.keys().try_collect().await.unwrap();
    keys.sort();
    assert_eq!(keys, ["a", "b"]);
    let mut items: Vec<_> = region.entries::<u32>().try_collect().await.unwrap();
    items.sort();
    assert_eq!(items, [("a".to_owned(), Arc::new(1)), ("b".to_owned(), Arc::new(2))]);
    assert!(!region.set_if_absent("a", &9u32).await.unwrap());
    assert!(region.set_if_absent("c", &3u32).await.unwrap());
    assert_eq!(region.take::<u32>("a").await.unwrap().as_deref(), Some(&1));
    assert_eq!(region.take::<u32>("a").await.unwrap(), None);
    assert_eq!(region.len().await.unwrap(), 2);
}

async fn writes_of_a_transaction_are_made_together(Setting { cache, other, .. }: Setting) {
    let region = cache.region("example").unwrap();
    let mut transaction = region.transaction();
    transaction.set("key1", 0u32).set("key2", 1u32);
    assert_eq!(get(&region, "key1").await, None);
    transaction.commit().await.unwrap();
    assert_eq!((get(&region, "key1").await, get(&region, "key2").await), (Some(0), Some(1)));
    until_seen(&other, &region, "key1", Some(0)).await;
    until_seen(&other, &region, "key2", Some(1)).await;
    // A block that ends by an exception writes nothing: neither does a transaction that is dropped.
    let mut dropped = region.transaction();
    dropped.set("key3", 3u32).remove("key1");
    drop(dropped);
    assert_eq!((get(&region, "key3").await, get(&region, "key1").await), (None, Some(0)));
}

async fn invalidating_a_region_empties_it_and_all_in_it(Setting { cache, other, .. }: Setting) {
    let outer = cache.region("abc").unwrap();
    let inner = outer.region("xyz").unwrap();
    let beside = cache.region("beside").unwrap();
    for region in [&outer, &inner, &beside] {
        region.set("key", &1u32).await.unwrap();
        until_seen(&other, region, "key", Some(1)).await;
    }
    outer.invalidate().await.unwrap();
    assert_eq!((get(&outer, "key").await, get(&inner, "key").await), (None, None));
    assert_eq!((outer.len().await.unwrap(), inner.len().await.unwrap()), (0, 0));
    until_seen(&other, &outer, "key", None).await;
    until_seen(&other, &inner, "key", None).await;
    assert_eq!(get(&beside, "key").await, Some(1));
    inner.set("key", &2u32).await.unwrap();
    assert_eq!(get(&inner, "key").await, Some(2));
}

async fn the_children_of_a_region_are_listed(Setting { cache, other, .. }: Setting) {
    let region = cache.region("example").unwrap();
    region.region("sub").unwrap().set("key", &1u32).await.unwrap();
    let listed = |region: RegionHandle| async move {
        let children: Vec<_> = region.children().try_collect().await.unwrap();
        children.iter().map(|child| child.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(listed(region).await, ["sub"]);
    let of_other = other.region("example").unwrap();
    until("the child", || async { listed(of_other.clone()).await == ["sub"] }).await;
}

async fn signals_invalidate_a_region(Setting { cache, other, .. }: Setting) {
    let region = cache.region("example").unwrap();
    let inner = region.region("sub").unwrap();
    let (named, another) = (Signal::<()>::new("named_signal"), Signal::<()>::new("other_signal"));
    let bound = [region.invalidate_on_signal(&named), region.invalidate_on_signal(&another)];
    for signal in [&named, &another] {
        region.set("key", &1u32).await.unwrap();
        inner.set("key", &1u32).await.unwrap();
        signal.send(()).await;
        until("the invalidation", || async { get(&region, "key").await.is_none() }).await;
        assert_eq!(get(&inner, "key").await, None);
        until_seen(&other, &inner, "key", None).await;
    }
    // What is dropped is bound no longer.
    drop(bound);
    region.set("key", &1u32).await.unwrap();
    named.send(()).await;
    assert_eq!(get(&region, "key").await, Some(1));
}

async fn streams_invalidate_a_region(Setting { cache, .. }: Setting) {
    let region = cache.region("example").unwrap();
    let inner = region.region("sub").unwrap();
    let (named, another) = (broadcast::Sender::<u32>::new(8), broadcast::Sender::<u32>::new(8));
    let events = |signal: &broadcast::Sender<u32>| {
        futures_util::stream::unfold(signal.subscribe(), |mut events| async move {
            events.recv().await.ok().map(|event| (event, events))
        })
    };
    let bound = [region.invalidate_on(events(&named)), region.invalidate_on(events(&another))];
    for signal in [&named, &another] {
        region.set("key", &1u32).await.unwrap();
        inner.set("key", &1u32).await.unwrap();
        signal.send(1).unwrap();
        until("the invalidation", || async { get(&region, "key").await.is_none() }).await;
        assert_eq!(get(&inner, "key").await, None);
    }
    // What is dropped is bound no longer.
    drop(bound);
    until("the end of the subscriptions", || async { named.receiver_count() == 0 }).await;
    region.set("key", &1u32).await.unwrap();
    assert!(named.send(1).is_err());
    assert_eq!(get(&region, "key").await, Some(1));
}

async fn a_cached_function_is_called_once_for_its_arguments(Setting { cache, other, .. }: Setting) {
    let region = cache.region("example").unwrap();
    let called = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&called);
    let function = move |number: u32| {
        count.fetch_add(1, SeqCst);
        async move { Ok::<_, Infallible>(number + 1) }
    };
    let cached = region.cached(function).named("foobar");
    for _ in 0..2 {
        assert_eq!(*cached.call(1).await.unwrap(), 2);
    }
    assert_eq!(called.load(SeqCst), 1);
    assert_eq!(*cached.call(2).await.unwrap(), 3);
    assert_eq!(called.load(SeqCst), 2);
    until_seen(&other, &region, &args_key("foobar", &1u32).unwrap(), Some(2)).await;
}

async fn a_missing_value_is_computed_and_kept(Setting { cache, other, .. }: Setting) {
    let region = cache.region("example").unwrap();
    let value = async || {
        region.get_or_compute("key", || async { Ok::<_, Infallible>(200u32) }).await.unwrap()
    };
    assert_eq!(*value().await, 200);
    assert_eq!(get(&region, "key").await, Some(200));
    until_seen(&other, &region, "key", Some(200)).await;
    let again = || async { Err::<u32, _>(std::io::Error::other("it is there")) };
    assert_eq!(*region.get_or_compute("key", again).await.unwrap(), 200);
}

/// A region whose entries end together.
fn timed(cache: &RegionCache, ttl: Duration) -> RegionHandle {
    let policy = Policy::new().region_ttl(ttl).on_update(OnUpdate::Restart);
    cache.region("timed").unwrap().with_policy(policy).unwrap()
}

async fn until_empty(region: &RegionHandle) {
    until("the end of the region", || async { region.len().await.unwrap() == 0 }).await;
}

async fn the_entries_of_a_region_end_together(Setting { cache, other, .. }: Setting) {
    let long = timed(&cache, 600 * SECOND);
    long.set("key1", &0u32).await.unwrap();
    long.set("key2", &1u32).await.unwrap();
    assert_eq!((get(&long, "key1").await, get(&long, "key2").await), (Some(0), Some(1)));
    let short = timed(&cache, SECOND);
    // The last write decides when all of them end.
    short.set("key3", &2u32).await.unwrap();
    until_empty(&short).await;
    for key in ["key1", "key2", "key3"] {
        assert_eq!(get(&short, key).await, None, "{key}");
        until_seen(&other, &short, key, None).await;
    }
    // The region can be made anew.
    long.set("key1", &5u32).await.unwrap();
    assert_eq!((get(&long, "key1").await, get(&long, "key2").await), (Some(5), None));
}

async fn the_entries_of_a_transaction_end_together(Setting { cache, .. }: Setting) {
    let region = timed(&cache, SECOND);
    let mut transaction = region.transaction();
    transaction.set("key1", 0u32).set("key2", 1u32);
    transaction.commit().await.unwrap();
    until_empty(&region).await;
    assert_eq!((get(&region, "key1").await, get(&region, "key2").await), (None, None));
}

async fn a_region_may_have_a_serializer_of_its_own(Setting { cache, .. }: Setting) {
    let region = cache.region("trusted").unwrap();
    let json = region.with_policy(Policy::new().serializer(Json)).unwrap();
    let inner = json.region("inner").unwrap();
    for (written, read_by) in [(&region, &json), (&json, &region)] {
        written.set("key", &1u32).await.unwrap();
        assert_eq!(get(written, "key").await, Some(1));
        // What another serializer has written is never decoded: it is a miss.
        assert_eq!(get(read_by, "key").await, None);
    }
    inner.set("key", &1u32).await.unwrap();
    assert_eq!(get(&cache.region("trusted.inner").unwrap(), "key").await, None);
}

async fn values_read_again_are_not_decoded_again(Setting { cache, .. }: Setting) {
    let policy = Policy::new().near(region_cache::NearCache::On);
    let region = cache.region("near").unwrap().with_policy(policy).unwrap();
    region.set("key", &1u32).await.unwrap();
    let read = async || region.get::<u32>("key").await.unwrap().unwrap();
    let first = read().await;
    until("a value that is held", || async { Arc::ptr_eq(&read().await, &read().await) }).await;
    assert_eq!(*first, 1);
    region.set("key", &2u32).await.unwrap();
    assert_eq!(*read().await, 2);
}

async fn clearing_the_root_clears_the_cache(Setting { cache, other, .. }: Setting) {
    let regions = ["a", "a.b", "c"].map(|path| cache.region(path).unwrap());
    for region in &regions {
        region.set("key", &1u32).await.unwrap();
    }
    cache.root().invalidate().await.unwrap();
    for region in &regions {
        assert_eq!(get(region, "key").await, None);
        until_seen(&other, region, "key", None).await;
    }
}
