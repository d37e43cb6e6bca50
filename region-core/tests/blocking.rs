//! The cache for code without a runtime.

#![cfg(feature = "blocking")]

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use region_core::blocking::{BlockingCache, BlockingRegion};
use region_core::{
    ErrorKind, LoadDependencies, LoadOptions, Loaded, RegionCache, RegionExt, SetOptions,
};
use region_memory::MemoryStore;

fn cache() -> BlockingCache {
    BlockingCache::open(async { RegionCache::builder(MemoryStore::new()).root("r").build() })
        .unwrap()
}

fn region() -> BlockingRegion {
    cache().region("a").unwrap()
}

#[test]
fn a_region_is_a_dictionary() {
    let region = region();
    region.set("k", &1u32).unwrap();
    region.set_many(&[("l", &2u32), ("m", &3)]).unwrap();
    region.set_with("n", &4u32, SetOptions::new()).unwrap();
    assert_eq!(region.get::<u32>("k").unwrap().as_deref(), Some(&1));
    let found = region.get_many::<u32>(&["m", "none"]).unwrap();
    assert_eq!(
        found.iter().map(|found| found.as_deref().copied()).collect::<Vec<_>>(),
        [Some(3), None]
    );
    assert!(region.contains("l").unwrap() && !region.set_if_absent("l", &9u32).unwrap());
    assert_eq!((region.len().unwrap(), region.is_empty().unwrap()), (4, false));
    assert_eq!(region.take::<u32>("n").unwrap().as_deref(), Some(&4));
    assert!(region.remove("m").unwrap() && !region.remove("m").unwrap());
    let keys: BTreeSet<_> = region.keys().map(Result::unwrap).collect();
    assert_eq!(keys, ["k", "l"].map(str::to_owned).into());
    let values: BTreeSet<_> = region.entries::<u32>().map(|entry| *entry.unwrap().1).collect();
    assert_eq!(values, [1, 2].into());
    assert_eq!(region.remove_many(&["k", "l"]).unwrap(), 2);
}

#[test]
fn the_verbs_end_what_they_cover() {
    let cache = cache();
    let (outer, inner) = (cache.region("a").unwrap(), cache.region("a.b").unwrap());
    let fill = || [&outer, &inner].map(|region| region.set("k", &1u8).unwrap());
    let held = || [&outer, &inner].map(|region| region.contains("k").unwrap());
    fill();
    assert_eq!(
        cache.root().children().map(|child| child.unwrap().to_string()).collect::<Vec<_>>(),
        ["a"]
    );
    outer.invalidate().unwrap();
    assert_eq!(held(), [false, false]);
    fill();
    outer.touch().unwrap();
    assert_eq!(held(), [false, true]);
    fill();
    inner.invalidate_and_touch().unwrap();
    assert_eq!(held(), [false, false]);
    fill();
    outer.expire().unwrap();
    assert_eq!(held(), [false, false]);
}

/// Loads block threads of their own, so that one does not hold up another.
#[test]
fn loads_may_block() {
    let cache = cache();
    let barrier = Arc::new(Barrier::new(8));
    let threads = (0..8).map(|at| {
        let (region, barrier) = (cache.region(&format!("a:{at}")).unwrap(), Arc::clone(&barrier));
        thread::spawn(move || {
            let load = move || {
                barrier.wait();
                Ok::<_, Infallible>(at)
            };
            *region.get_or_compute("k", load).unwrap()
        })
    });
    let values = threads.collect::<Vec<_>>().into_iter().map(|thread| thread.join().unwrap());
    assert_eq!(values.collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
}

#[test]
fn one_thread_loads_for_all() {
    let cache = cache();
    let (loads, barrier) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(8)));
    let threads = (0..8).map(|_| {
        let region = cache.region("a").unwrap();
        let (loads, barrier) = (Arc::clone(&loads), Arc::clone(&barrier));
        thread::spawn(move || {
            barrier.wait();
            let load = move || Ok::<_, Infallible>(loads.fetch_add(1, Ordering::SeqCst));
            *region.get_or_compute("k", load).unwrap()
        })
    });
    let threads: Vec<_> = threads.collect();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap() == 0));
    assert_eq!(loads.load(Ordering::SeqCst), 1);
}

#[test]
fn a_load_that_fails_or_panics_is_an_error() {
    let region = region();
    let error =
        region.get_or_compute::<u8, _, _>("k", || Err(io::Error::other("down"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Load);
    assert_eq!(error.load_error::<io::Error>().map(ToString::to_string), Some("down".to_owned()));
    let panics = || -> Result<u8, Infallible> { panic!("on purpose") };
    assert_eq!(region.get_or_compute("k", panics).unwrap_err().kind(), ErrorKind::LoadPanicked);
    assert_eq!(*region.get_or_compute("k", || Ok::<_, Infallible>(7u8)).unwrap(), 7);
}

#[test]
fn a_load_says_that_there_is_no_value() {
    let region = region();
    let absent = |_| Ok::<_, Infallible>(Loaded::<u8>::absent());
    for _ in 0..2 {
        assert_eq!(region.get_or_compute_with("k", LoadOptions::new(), absent).unwrap(), None);
    }
    let present = |_| Ok::<_, Infallible>(Loaded::new(1u8));
    let reloaded = region.get_or_compute_with("k", LoadOptions::new().reload(), present);
    assert_eq!(reloaded.unwrap().as_deref(), Some(&1));
}

/// A call within a load is known to be part of it, though another thread makes it.
#[test]
fn a_load_that_waits_for_itself_is_an_error() {
    let region = region();
    let again = region.clone();
    let load = move || again.get_or_compute("k", || Ok::<_, Infallible>(1u8)).map(|value| *value);
    let error = region.get_or_compute("k", load).unwrap_err();
    assert!(error.to_string().contains("wait for each other"), "{error}");
}

#[test]
fn a_load_adds_dependencies() {
    let cache = cache();
    let (page, author) = (cache.region("page").unwrap(), cache.region("author").unwrap());
    let load = || {
        let (cache, author) = (cache.clone(), author.handle().clone());
        page.get_or_compute("k", move || {
            cache.wait(LoadDependencies::current()?.add(&author))?;
            Ok::<_, region_core::Error>(1u8)
        })
    };
    load().unwrap();
    load().unwrap();
    assert_eq!(cache.stats().loads, 1);
    author.touch().unwrap();
    load().unwrap();
    assert_eq!(cache.stats().loads, 2);
}

/// On a thread of a runtime a call blocks that thread, and neither panics nor waits for ever; nor does the end of
/// the cache.
#[tokio::test]
async fn calls_and_the_end_on_a_thread_of_a_runtime() {
    let region = region();
    assert_eq!(*region.get_or_compute("k", || Ok::<_, Infallible>(7u8)).unwrap(), 7);
    drop(region);
}

#[test]
fn what_has_no_method_is_waited_for() {
    let cache = cache();
    let mut transaction = cache.root().handle().transaction();
    transaction.set("a", 1u8).set("b", 2u8);
    cache.wait(transaction.commit()).unwrap();
    assert_eq!(cache.root().len().unwrap(), 2);
}
