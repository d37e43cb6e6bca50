//! A model of the counters, which `shuttle` runs under many schedules: whatever happens to the place
//! where a region's counts lie, none is lost.

use std::sync::Arc;

use shuttle::thread;

use super::regions::RegionCounters;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::check;

#[test]
fn no_count_is_lost_while_counters_are_spread() {
    check(|| {
        let spread = Arc::new(AtomicUsize::new(0));
        let counters = Arc::new(RegionCounters::new(&spread, 0));
        let threads = [(); 2].map(|()| {
            let counters = Arc::clone(&counters);
            thread::spawn(move || {
                counters.here().near_hits.add(1);
                counters.spread_if_room();
                counters.here().near_hits.add(1);
            })
        });
        assert!(counters.get().hits <= 4);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!((counters.get().hits, spread.load(Ordering::Relaxed)), (4, 1));
        drop(counters);
        assert_eq!(spread.load(Ordering::Relaxed), 0, "room is given back");
    });
}
