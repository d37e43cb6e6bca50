//! Models of the loads that wait for a push, which `shuttle` runs under many schedules. A wake-up that
//! is lost shows as a load that waits for ever.

use std::pin::pin;
use std::sync::Arc;

use futures_util::poll;
use shuttle::future::block_on;
use shuttle::thread;

use super::Wakes;
use crate::path::RegionPath;
use crate::store::Event;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::check;

/// A store with one lease, which a load waits for until it is free.
#[derive(Default)]
struct World {
    wakes: Wakes,
    is_free: AtomicBool,
}

fn region() -> RegionPath {
    RegionPath::parse("r.a").unwrap()
}

impl World {
    /// Asks the store, and waits for a push if it says that the lease is held.
    async fn wait(&self, region: &RegionPath) {
        loop {
            let before = self.wakes.heard_of(region);
            if self.is_free.load(Ordering::SeqCst) {
                return;
            }
            self.wakes.heard_since(before, region).await;
        }
    }

    fn free(&self, event: &Event) {
        self.is_free.store(true, Ordering::SeqCst);
        self.wakes.heard(event);
    }

    fn check_end(&self) {
        assert!(self.wakes.waiting.lock().is_empty());
        assert_eq!(self.wakes.count.load(Ordering::SeqCst), 0);
    }
}

/// Two loads wait, and a third gives up, while the lease becomes free and `event` is pushed.
fn check_push(event: &Event) {
    let world = Arc::new(World::default());
    let waiters = [(); 2].map(|()| {
        let world = Arc::clone(&world);
        thread::spawn(move || block_on(world.wait(&region())))
    });
    let leaver = {
        let world = Arc::clone(&world);
        thread::spawn(move || {
            let region = region();
            let mut wait = pin!(world.wait(&region));
            let _ = block_on(async { poll!(&mut wait) });
        })
    };
    world.free(event);
    waiters.into_iter().chain([leaver]).for_each(|thread| thread.join().unwrap());
    world.check_end();
}

#[test]
fn no_push_of_the_region_is_missed() {
    check(|| check_push(&Event::Leases(region())));
}

#[test]
fn no_push_of_a_region_around_is_missed() {
    check(|| check_push(&Event::Lineage(RegionPath::parse("r").unwrap())));
}

#[test]
fn no_push_of_everything_is_missed() {
    check(|| check_push(&Event::All));
}
