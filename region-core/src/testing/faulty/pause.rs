use std::sync::Arc;

use tokio::sync::watch;

use super::Fault;

/// A gate at which calls wait until they are released.
#[derive(Debug, Default)]
pub(super) struct PausePoint(watch::Sender<State>);

#[derive(Clone, Copy, Debug, Default)]
struct State {
    reached: u64,
    waiting: usize,
    open: bool,
}

impl PausePoint {
    /// Waits until the gate is open. Dropping the future leaves the gate as if the call had never
    /// waited.
    pub(super) async fn pass(&self) {
        let mut state = self.0.subscribe();
        let _waiting = Waiting::enter(&self.0);
        // The sender is borrowed for as long as this waits, so the channel cannot close.
        let _ = state.wait_for(|state| state.open).await;
    }

    pub(super) fn open(&self) {
        self.0.send_modify(|state| state.open = true);
    }
}

struct Waiting<'a>(&'a watch::Sender<State>);

impl<'a> Waiting<'a> {
    fn enter(gate: &'a watch::Sender<State>) -> Self {
        gate.send_modify(|state| {
            state.reached += 1;
            state.waiting += 1;
        });
        Self(gate)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|state| state.waiting -= 1);
    }
}

/// Holds calls at a gate, so that a test can say what happens in between.
///
/// Made by [`Faulty::pause`](super::Faulty::pause), [`On::pause`](super::On::pause) and
/// [`On::pause_after`](super::On::pause_after). Dropping it lets the calls go. A call that is
/// dropped while it waits holds up nobody else.
///
/// ```
/// use region_core::testing::{Faulty, Method};
/// use region_core::{RegionPath, Store, Verb};
///
/// # async fn example(store: impl Store) -> region_core::Result<()> {
/// let store = Faulty::new(store);
/// let shop = RegionPath::root("shop")?;
///
/// let pause = store.pause(Method::Len);
/// let counting = tokio::spawn({
///     let (store, shop) = (store.clone(), shop.clone());
///     async move { store.len(&shop).await }
/// });
/// pause.reached().await;
/// store.end(&shop, Verb::Invalidate.into()).await?; // before the store has counted, for certain
/// pause.release();
/// assert_eq!(counting.await.unwrap()?, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping a pause lets the calls go"]
pub struct Pause {
    gate: Arc<PausePoint>,
    fault: Fault,
}

impl Pause {
    pub(super) fn new(gate: Arc<PausePoint>, fault: Fault) -> Self {
        Self { gate, fault }
    }

    /// Waits until a call has reached the gate; at once if one has before.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn reached(&self) {
        self.reached_by(1).await;
    }

    /// Waits until so many calls have reached the gate, those that went on or were dropped included.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn reached_by(&self, calls: u64) {
        let mut state = self.gate.0.subscribe();
        // The sender lives as long as this pause, so the channel cannot close.
        let _ = state.wait_for(|state| state.reached >= calls).await;
    }

    /// Returns the number of calls that wait at the gate now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.gate.0.borrow().waiting
    }

    /// Lets the calls that wait go, and holds no more.
    pub fn release(&self) {
        self.fault.lift();
        self.gate.open();
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        self.release();
    }
}
