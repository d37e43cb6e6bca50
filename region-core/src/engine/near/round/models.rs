//! Models of shared verifications, which `shuttle` runs under many schedules: callers that come, wait
//! and go at any time.

use std::pin::pin;
use std::sync::Arc;

use futures_util::poll;
use shuttle::future::{block_on, yield_now};
use shuttle::thread::{self, JoinHandle};

use super::super::known::Shown;
use super::{Rounds, Verified};
use crate::engine::Started;
use crate::lineage::{Incarnations, Lineage};
use crate::store::{ChangeId, ChangeRing};
use crate::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use crate::sync::check;

/// The verifications of a region whose state is a number that grows.
#[derive(Default)]
struct World {
    rounds: Rounds,
    state: AtomicU32,
    /// The number of questions under way.
    asking: AtomicUsize,
}

impl World {
    async fn ask(self: Arc<Self>) -> Verified {
        self.asking.fetch_add(1, Ordering::SeqCst);
        yield_now().await;
        let state = ChangeId::from_bits(self.state.load(Ordering::SeqCst));
        yield_now().await;
        self.asking.fetch_sub(1, Ordering::SeqCst);
        let lineage = Arc::new(Lineage::new([Incarnations::random()]).unwrap());
        Ok(Some(Shown { lineage, ring: Some(ChangeRing::begin(state)), sources: None }))
    }

    /// The state that a verification shows, with the state from before it was asked for.
    async fn verify(self: &Arc<Self>) -> (u32, u32) {
        let mut started = Started::now();
        let before = self.state.load(Ordering::SeqCst);
        let world = Arc::clone(self);
        let asking = self.rounds.ask(&mut started, None, || None, |_| world.ask());
        let shown = asking.await.unwrap().unwrap();
        (before, shown.ring.unwrap().last().to_bits())
    }
}

fn spawn_caller(world: &Arc<World>) -> JoinHandle<()> {
    let world = Arc::clone(world);
    thread::spawn(move || {
        let (before, shown) = block_on(world.verify());
        assert!(shown >= before, "{shown} is older than {before}");
    })
}

#[test]
fn no_answer_is_older_than_its_caller() {
    check(|| {
        let world = Arc::new(World::default());
        let callers = [(); 2].map(|()| spawn_caller(&world));
        let leaver = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                let mut verify = pin!(world.verify());
                let _ = block_on(async { poll!(&mut verify) });
            })
        };
        world.state.fetch_add(1, Ordering::SeqCst);
        world.state.fetch_add(1, Ordering::SeqCst);
        callers.into_iter().chain([leaver]).for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn one_question_is_asked_at_a_time() {
    check(|| {
        let world = Arc::new(World::default());
        let callers = [(); 3].map(|()| spawn_caller(&world));
        assert!(world.asking.load(Ordering::SeqCst) <= 1);
        callers.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(world.asking.load(Ordering::SeqCst), 0);
    });
}
