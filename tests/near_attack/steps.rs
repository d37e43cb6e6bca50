//! Calls that are dropped at each of their steps.

use std::future::poll_fn;
use std::task::Poll;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use region_cache::{Policy, Region, RegionExt, RegionHandle, Result, Verb};
use servers::{Flavor, TestServer};

use crate::kit::{connect, far, near, soon, until_near, value};

/// The most steps after which a call is dropped.
const MAX_STEPS: usize = 6;

type Call<'a> = BoxFuture<'a, Result<()>>;

/// The calls that may be dropped.
fn calls(region: &RegionHandle) -> Vec<(&'static str, Call<'_>)> {
    let load = || async { Ok::<_, std::io::Error>(7_u64) };
    let read = async || region.get::<u64>("k").await.map(drop);
    vec![
        ("get", read().boxed()),
        ("get_many", async { region.get_many::<u64>(&["k", "l"]).await.map(drop) }.boxed()),
        ("set", region.set("k", &7_u64).boxed()),
        ("set_many", async { region.set_many(&[("k", &7_u64), ("l", &7)]).await }.boxed()),
        ("remove", async { region.remove("k").await.map(drop) }.boxed()),
        ("take", async { region.take::<u64>("k").await.map(drop) }.boxed()),
        ("get_or_compute", async move { region.get_or_compute("k", load).await.map(drop) }.boxed()),
        ("reload", async move { region.reload("k", load).await.map(drop) }.boxed()),
        ("invalidate", region.end(Verb::Invalidate).boxed()),
        ("expire", region.end(Verb::Expire).boxed()),
        ("touch", region.end(Verb::Touch).boxed()),
    ]
}

/// Polls `call` up to `steps` times, each when it has something to do, then drops it.
async fn drop_after(mut steps: usize, mut call: Call<'_>) {
    let stepped = poll_fn(|context| {
        if steps == 0 {
            return Poll::Ready(());
        }
        steps -= 1;
        match call.as_mut().poll(context) {
            Poll::Pending if steps > 0 => Poll::Pending,
            _ => Poll::Ready(()),
        }
    });
    soon(stepped).await;
}

/// Whatever becomes of a call that is dropped, what its caller does next is not undone, and what is near
/// is what the store has.
#[tokio::test]
async fn a_call_that_is_dropped_at_any_step_leaves_nothing_old_behind() {
    for flavor in [Flavor::Redis, Flavor::Valkey] {
        let server = TestServer::start(flavor);
        let cache = near(connect(&server.url()).await, Policy::new());
        let other = far(connect(&server.url()).await);
        let (region, theirs) = (cache.region("r").unwrap(), other.region("r").unwrap());
        for at in 0..calls(&region).len() {
            for steps in 0..=MAX_STEPS {
                region.set("k", &1_u64).await.unwrap();
                until_near(&cache, &region).await;
                let (name, call) = calls(&region).swap_remove(at);
                drop_after(steps, call).await;
                // Each kind of next call, in turn.
                let what = format!("{name}, dropped after {steps} steps");
                match (at + steps) % 3 {
                    0 => {
                        soon(region.set("k", &2_u64)).await.unwrap();
                        assert_eq!(value(&region, "k").await, Some(2), "{what}");
                    }
                    1 => {
                        soon(region.invalidate()).await.unwrap();
                        assert_eq!(value(&region, "k").await, None, "{what}");
                    }
                    _ => {
                        let load = || async { Ok::<_, std::io::Error>(3_u64) };
                        let found = soon(region.reload("k", load)).await.unwrap();
                        assert_eq!(*found, 3, "{what}");
                    }
                }
                let near = value(&region, "k").await;
                assert_eq!(near, value(&theirs, "k").await, "{what}");
                assert_eq!(near, value(&region, "k").await, "{what}");
            }
        }
    }
}
