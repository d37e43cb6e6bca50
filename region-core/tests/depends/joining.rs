//! Callers that come while a load with dependencies is under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use region_core::{Error, LoadDependencies, LoadOptions, Loaded, Policy, Region, RegionExt};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::kit::{Process, on};

/// A load function whose runs wait one by one.
#[derive(Clone)]
struct Source {
    runs: Arc<AtomicU32>,
    begun: Arc<Semaphore>,
    go: Arc<Semaphore>,
}

impl Source {
    fn new() -> Self {
        let none = || Arc::new(Semaphore::new(0));
        Self { runs: Arc::default(), begun: none(), go: none() }
    }

    /// A call in a task of its own; the number of the run whose value it got.
    fn call(&self, here: &Process, is_declared: bool) -> JoinHandle<u32> {
        let (source, page, b) = (self.clone(), here.page(), here.region("b"));
        let options = if is_declared { on(&b) } else { LoadOptions::new() };
        let load = move |_| async move {
            if !is_declared {
                LoadDependencies::current()?.add(&b).await?;
            }
            let run = source.runs.fetch_add(1, Ordering::SeqCst) + 1;
            source.begun.add_permits(1);
            source.go.acquire().await.unwrap().forget();
            Ok::<_, Error>(Loaded::new(run))
        };
        tokio::spawn(async move {
            *page.get_or_compute_with("k", options, load).await.unwrap().unwrap()
        })
    }

    async fn begun(&self) {
        let begun = tokio::time::timeout(Duration::from_secs(60), self.begun.acquire()).await;
        begun.expect("another run begins").unwrap().forget();
    }
}

/// Bug: the lease of a load holds although a region has ended that it depends on. A caller from after that
/// end would take the load's old value.
#[tokio::test(start_paused = true)]
async fn a_caller_from_after_the_end_of_a_dependency_gets_a_new_value() {
    for is_declared in [true, false] {
        let here = Process::alone(Policy::new());
        let source = Source::new();
        let early = source.call(&here, is_declared);
        source.begun().await;
        here.region("b").touch().await.unwrap();
        let late = source.call(&here, is_declared);
        // By virtual time: the late caller has asked, and waits.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(source.runs.load(Ordering::SeqCst), 1, "the lease is held");
        source.go.add_permits(1);
        assert_eq!(early.await.unwrap(), 1);
        source.begun().await;
        source.go.add_permits(1);
        assert_eq!(late.await.unwrap(), 2, "declared: {is_declared}");
        assert_eq!(here.get().await, Some(2));
    }
}

/// Where nothing has ended, late callers get the value of the load under way.
#[tokio::test(start_paused = true)]
async fn late_callers_share_a_load_whose_dependencies_hold() {
    let here = Process::alone(Policy::new());
    let source = Source::new();
    let first = source.call(&here, true);
    source.begun().await;
    let late: Vec<_> = (0..20).map(|_| source.call(&here, true)).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    source.go.add_permits(1);
    assert_eq!(first.await.unwrap(), 1);
    for late in late {
        assert_eq!(late.await.unwrap(), 1);
    }
    assert_eq!(source.runs.load(Ordering::SeqCst), 1);
}
