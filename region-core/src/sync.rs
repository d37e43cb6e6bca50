//! The atomic values and locks of code that is lock-free or waits for others. In the models they are
//! those of a model checker, which runs the code under many schedules: `loom` under all of them and
//! with all that weak memory may show, `shuttle` under random ones.

#[cfg(not(any(region_loom, region_shuttle)))]
pub(crate) use parking_lot::{Mutex, RwLock};
#[cfg(not(any(region_loom, region_shuttle)))]
pub(crate) use std::sync::atomic;

#[cfg(any(region_loom, region_shuttle))]
pub(crate) use checked::{Mutex, RwLock, atomic};

/// Locks with the functions of `parking_lot`.
#[cfg(any(region_loom, region_shuttle))]
mod checked {
    use std::sync::PoisonError;

    #[cfg(region_loom)]
    use loom::sync;
    #[cfg(region_shuttle)]
    use shuttle::sync;

    pub(crate) use sync::atomic;
    use sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(sync::Mutex<T>);

    #[derive(Debug, Default)]
    pub(crate) struct RwLock<T>(sync::RwLock<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl<T> RwLock<T> {
        pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().unwrap_or_else(PoisonError::into_inner)
        }
    }
}

/// Runs `model` under random schedules, and under some of those with few preemptions that find most
/// faults. The same ones in each run.
#[cfg(all(test, region_shuttle))]
pub(crate) fn check(model: fn()) {
    use shuttle::scheduler::{PctScheduler, RandomScheduler};
    use shuttle::{Config, Runner};

    const SCHEDULES: usize = 1000;
    const PREEMPTIONS: usize = 3;
    const SEED: u64 = 1;

    let mut config = Config::new();
    config.stack_size = 512 * 1024;
    config.silence_warnings = true;
    Runner::new(RandomScheduler::new_from_seed(SEED, SCHEDULES), config.clone()).run(model);
    let few = PctScheduler::new_from_seed(SEED, PREEMPTIONS, SCHEDULES);
    Runner::new(few, config).run(model);
}
