//! Values that depend on other regions.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::TryStreamExt;
use tokio::sync::Semaphore;

use super::super::Harness;
use super::super::fixture::{Fixture, LONG, put};
use super::super::gate::{cache, cache_with, within};
use crate::cache::RegionCache;
use crate::error::{ErrorKind, Result};
use crate::handle::RegionHandle;
use crate::path::MARKER_KEY;
use crate::policy::{NearCache, Policy};
use crate::region::{LoadOptions, Loaded, Region, RegionExt};
use crate::store::{Op, Verb};

/// A page that depends on the region `b`, and the number of loads.
struct Page {
    of: RegionHandle,
    on: RegionHandle,
    loads: Arc<AtomicU32>,
}

impl Page {
    fn new(cache: &RegionCache) -> Self {
        let region = |path| cache.region(path).unwrap_or_else(|error| panic!("{error}"));
        Self { of: region("a.page"), on: region("b"), loads: Arc::default() }
    }

    /// The number of the load that brought the value.
    async fn load(&self) -> u32 {
        let loads = Arc::clone(&self.loads);
        let load = move |_| async move {
            Ok::<_, io::Error>(Loaded::new(loads.fetch_add(1, Ordering::SeqCst) + 1))
        };
        let options = LoadOptions::new().depends_on(&self.on);
        *self.of.get_or_compute_with("k", options, load).await.unwrap().unwrap()
    }

    async fn get(&self) -> Option<u32> {
        self.of.get::<u32>("k").await.unwrap().map(|value| *value)
    }
}

/// Whatever ends the region that a value depends on, or a region around it, ends the value; what ends
/// nothing there does not. Promise 1.
pub async fn a_value_ends_with_what_it_depends_on<H: Harness>(harness: &H) {
    let store = harness.store().await;
    let (cache, theirs) = (cache(harness, harness.client(&store).await), cache(harness, store));
    let page = Page::new(&cache);
    let mut loads = 0;
    for region in ["", "b", "b.inner", "c"] {
        for verb in [Verb::Invalidate, Verb::Touch, Verb::Expire, Verb::InvalidateAndTouch] {
            loads = page.load().await;
            let ended = if region.is_empty() {
                theirs.root().clone()
            } else {
                theirs.region(region).unwrap()
            };
            ended.end(verb).await.unwrap();
            let is_down = matches!(verb, Verb::Invalidate | Verb::Expire);
            let reaches = match region {
                "" => is_down || verb == Verb::InvalidateAndTouch,
                "b" => true,
                "b.inner" => !is_down,
                _ => false,
            };
            let expected = (!reaches).then_some(loads);
            // A push may be under way, which the next read has not heard of.
            let seen = super::super::fixture::until(async || page.get().await == expected).await;
            assert!(seen, "{verb:?} of {region:?}");
        }
    }
    page.on.set("other", &1u32).await.unwrap();
    page.on.remove("other").await.unwrap();
    assert_eq!(page.load().await, loads, "a write in the other region");
}

/// The same, and at once, by the client itself, for all ways to read.
pub async fn every_read_asks_for_dependencies<H: Harness>(harness: &H) {
    let cache = cache(harness, harness.store().await);
    let page = Page::new(&cache);
    let entries = || page.of.entries::<u32>().try_collect::<Vec<_>>();
    for round in 1..=3 {
        assert_eq!(page.load().await, round);
        assert_eq!(page.load().await, round, "a hit");
        assert_eq!(page.get().await, Some(round));
        assert!(page.of.contains("k").await.unwrap());
        assert!(!page.of.set_if_absent("k", &0u32).await.unwrap());
        assert_eq!(entries().await.unwrap(), [("k".to_owned(), Arc::new(round))]);
        page.on.touch().await.unwrap();
        assert_eq!(page.get().await, None);
        assert_eq!(page.of.get_many::<u32>(&["k", "l"]).await.unwrap(), [None, None]);
        assert!(!page.of.contains("k").await.unwrap());
        assert!(entries().await.unwrap().is_empty());
        assert_eq!(page.of.take::<u32>("k").await.unwrap(), None);
    }
    page.load().await;
    page.on.touch().await.unwrap();
    assert!(page.of.set_if_absent("k", &9u32).await.unwrap());
    assert_eq!(page.get().await, Some(9), "a plain value depends on nothing");
}

/// An end of the other region during the load ends the value too, although it is stored after that.
/// Promise 1.
pub async fn a_dependency_that_ends_during_the_load_is_noticed<H: Harness>(harness: &H) {
    let cache = cache(harness, harness.store().await);
    for verb in [Verb::Invalidate, Verb::Touch, Verb::Expire] {
        let page = Page::new(&cache);
        let (begun, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let load = {
            let (begun, go) = (Arc::clone(&begun), Arc::clone(&go));
            move |_| async move {
                begun.add_permits(1);
                drop(go.acquire().await);
                Ok::<_, io::Error>(Loaded::new(7u32))
            }
        };
        let options = LoadOptions::new().depends_on(page.on.path());
        let of = page.of.clone();
        let call =
            tokio::spawn(async move { of.get_or_compute_with("during", options, load).await });
        within(begun.acquire()).await.unwrap().forget();
        page.on.end(verb).await.unwrap();
        go.add_permits(1);
        let value = within(call).await.unwrap().unwrap();
        assert_eq!(value.as_deref(), Some(&7), "the load's caller gets its value");
        assert_eq!(page.of.get::<u32>("during").await.unwrap(), None, "{verb:?}");
    }
}

/// A value whose dependency has expired is stale, also after another load has begun to depend on it. One
/// whose dependency was invalidated is gone.
pub async fn a_value_is_stale_once_its_dependency_has_expired<H: Harness>(harness: &H) {
    let policy = Policy::new().stale_for(LONG);
    let cache = cache_with(harness, harness.store().await, policy);
    let page = Page::new(&cache);
    let failing = || {
        let fails = |_| async { Err::<Loaded<u32>, _>(io::Error::other("the source is down")) };
        let options = LoadOptions::new().depends_on(&page.on);
        page.of.get_or_compute_with("k", options, fails)
    };
    assert_eq!(page.load().await, 1);
    page.on.expire().await.unwrap();
    assert_eq!(page.get().await, None, "stale values are not for `get`");
    // The marker is replaced by each of these loads.
    for _ in 0..3 {
        assert_eq!(failing().await.unwrap().as_deref(), Some(&1));
    }
    let other = Page::new(&cache);
    let load = |_| async { Ok::<_, io::Error>(Loaded::new(5u32)) };
    let options = LoadOptions::new().depends_on(&other.on);
    other.of.get_or_compute_with("other", options, load).await.unwrap();
    assert_eq!(failing().await.unwrap().as_deref(), Some(&1));
    page.on.invalidate().await.unwrap();
    assert!(failing().await.is_err(), "what was invalidated is not served as stale either");
}

/// The values of one load of several keys depend on the same.
pub async fn a_batch_depends_on_what_its_load_declares<H: Harness>(harness: &H) {
    let cache = cache(harness, harness.store().await);
    let (of, on) = (cache.region("a.page").unwrap(), cache.region("b").unwrap());
    let keys = ["k", "l"];
    for verb in [Verb::Touch, Verb::Invalidate, Verb::Expire] {
        let load = |keys: Vec<String>| async move {
            let values = keys.into_iter().map(|key| (key, 1u32));
            Ok::<_, io::Error>(values.collect::<HashMap<_, _>>())
        };
        let options = LoadOptions::new().depends_on(&on);
        let values = of.get_or_compute_many_with(&keys, options, load).await.unwrap();
        assert!(values.iter().all(Option::is_some));
        assert_eq!(of.get_many::<u32>(&keys).await.unwrap(), values);
        on.end(verb).await.unwrap();
        assert_eq!(of.get_many::<u32>(&keys).await.unwrap(), [None, None], "{verb:?}");
    }
}

/// A region that holds a marker alone is no child, and neither are those around it; once it holds something else
/// it is, and a marker that comes after that changes nothing.
pub async fn a_marker_makes_no_child<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let cache = cache(harness, harness.client(&f.store).await);
    let (root, of) = (cache.root(), cache.region("a.page").unwrap());
    let on = ["b", "c.d.e"].map(|path| cache.region(path).unwrap());
    let load = || {
        let loads = |_| async { Ok::<_, io::Error>(Loaded::new(1u32)) };
        let options = on.iter().fold(LoadOptions::new(), LoadOptions::depends_on);
        of.get_or_compute_with("k", options.reload(), loads)
    };
    let children = async |of: &RegionHandle| {
        let children = of.children().map_ok(|child| child.to_string());
        let mut children = children.try_collect::<Vec<_>>().await.unwrap();
        children.sort();
        children
    };
    let inner = cache.region("c.d").unwrap();
    for verb in [Verb::Invalidate, Verb::InvalidateAndTouch] {
        load().await.unwrap();
        assert_eq!(children(&root).await, ["a"], "{verb:?}");
        assert_eq!(children(&inner).await, [""; 0], "{verb:?}");
        // A load and a write beside the marker.
        let fence = f.lease("r.b", "k").await;
        assert!(f.fill("r.b", "k", "v", &fence).await);
        assert_eq!(children(&root).await, ["a", "b"], "{verb:?}");
        f.set("r.c.d.e", "k", "x").await;
        assert_eq!(children(&root).await, ["a", "b", "c"], "{verb:?}");
        assert_eq!(children(&inner).await, ["e"], "{verb:?}");
        load().await.unwrap();
        assert_eq!(children(&root).await, ["a", "b", "c"], "{verb:?}");
        root.end(verb).await.unwrap();
        assert_eq!(children(&root).await, [""; 0], "{verb:?}");
    }
    // Its own children show.
    load().await.unwrap();
    f.set("r.b.inner", "k", "x").await;
    assert_eq!(children(&root).await, ["a", "b"]);
    assert_eq!(children(&on[0]).await, ["inner"]);
}

/// No method takes the key of a marker, which stays as it is.
pub async fn the_key_of_markers_is_refused<H: Harness>(harness: &H) {
    fn refused<T>(result: Result<T>) {
        assert_eq!(result.err().map(|error| error.kind()), Some(ErrorKind::InvalidKey));
    }
    for policy in [Policy::new(), Policy::new().near(NearCache::On)] {
        let page = Page::new(&cache_with(harness, harness.store().await, policy));
        let (on, keys) = (&page.on, ["k", MARKER_KEY]);
        assert_eq!(page.load().await, 1);
        refused(on.get::<u32>(MARKER_KEY).await);
        refused(on.get_many::<u32>(&keys).await);
        refused(on.contains(MARKER_KEY).await);
        refused(on.set(MARKER_KEY, &1u32).await);
        refused(on.set_many(&[("k", &1u32), (MARKER_KEY, &1u32)]).await);
        refused(on.set_if_absent(MARKER_KEY, &1u32).await);
        refused(on.remove(MARKER_KEY).await);
        refused(on.remove_many(&keys).await);
        refused(on.take::<u32>(MARKER_KEY).await);
        refused(on.get_or_compute(MARKER_KEY, || async { Ok::<_, io::Error>(1u32) }).await);
        for options in [LoadOptions::new(), LoadOptions::new().reload()] {
            let load = |_| async { Ok::<_, io::Error>(Loaded::new(1u32)) };
            refused(on.get_or_compute_with(MARKER_KEY, options.clone(), load).await);
            let load = |_| async { Ok::<_, io::Error>(HashMap::<String, u32>::new()) };
            refused(on.get_or_compute_many_with(&keys, options, load).await);
        }
        refused(on.explain::<u32>(MARKER_KEY).await);
        let mut transaction = on.transaction();
        transaction.set("k", 1u32);
        transaction.remove(MARKER_KEY);
        refused(transaction.commit().await);
        let mut transaction = on.transaction();
        transaction.set(MARKER_KEY, 1u32);
        refused(transaction.commit().await);
        assert_eq!(page.get().await, Some(1), "the marker stays");
        assert!(on.is_empty().await.unwrap(), "nothing was done");
    }
}

/// A marker is neither listed nor counted.
pub async fn markers_are_not_seen<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let cache = cache(harness, harness.client(&f.store).await);
    let page = Page::new(&cache);
    page.load().await;
    assert_eq!(page.on.len().await.unwrap(), 0);
    assert!(page.on.is_empty().await.unwrap());
    page.on.set("k", &1u32).await.unwrap();
    assert_eq!(page.on.len().await.unwrap(), 1);
    assert_eq!(page.on.keys().try_collect::<Vec<_>>().await.unwrap(), ["k"]);
    assert_eq!(page.on.entries::<u32>().try_collect::<Vec<_>>().await.unwrap().len(), 1);
    // The same for entries that end, which are counted another way.
    let marker = put(MARKER_KEY, "x").fresh_for(super::super::fixture::lifetime(LONG));
    let other = put("k", "x").fresh_for(super::super::fixture::lifetime(LONG));
    f.apply("r.c", &[Op::Put(marker), Op::Put(other)]).await;
    assert_eq!(cache.region("c").unwrap().len().await.unwrap(), 1);
    assert!(f.get("r.c", MARKER_KEY).await.is_some(), "to a store it is an entry like any other");
}
