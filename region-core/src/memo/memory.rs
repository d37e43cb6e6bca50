//! The values that a memo remembers, and the lookups under way for it.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;

use crate::error::{Error, ErrorKind, Result, panic_message};
use crate::path::RegionPath;
use crate::region::Answer;

/// A value without its type, or that there is none, and how the call that looked it up came by it.
pub(super) type Known = Answer<Option<Arc<dyn Any + Send + Sync>>>;

type Running = Shared<BoxFuture<'static, Result<Known>>>;

/// The key of a region, read as a type, under the settings of one handle.
pub(super) struct Place {
    pub(super) region: RegionPath,
    pub(super) key: Box<str>,
    pub(super) of: TypeId,
    /// Tells handles with different policies apart.
    pub(super) space: u64,
}

/// The call that has looked a key up: that there is no value means more to one than to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    /// One that loads what is missing.
    Load,
}

/// The result that a call can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// What a read has found. It does not wait for a load.
    Read,
    /// A value.
    Value,
    /// A value, or that a load has found none.
    Answer,
    /// What is loaded from now on.
    Reload,
}

/// The way on for a call.
pub(super) enum Way {
    Known(Known),
    Waits(Lookup),
}

/// A lookup under way. Whoever waits for it drives it on; it ends when nobody does.
pub(super) struct Lookup {
    id: u64,
    kind: Kind,
    running: Running,
    /// The call that asks has begun it.
    pub(super) is_own: bool,
}

/// Shared by the handles of one memo.
pub(super) struct Memory {
    state: Mutex<State>,
    max_keys: usize,
}

#[derive(Default)]
struct State {
    keys: HashMap<(RegionPath, Box<str>), SmallVec<[Slot; 1]>>,
    slots: usize,
    /// Raised whenever something is forgotten.
    forgotten: u64,
    /// The number of spaces and lookups so far.
    numbers: u64,
}

struct Slot {
    of: TypeId,
    space: u64,
    kind: Kind,
    content: Content,
}

enum Content {
    Known(Known),
    Running(u64, WeakShared<BoxFuture<'static, Result<Known>>>),
}

impl Memory {
    pub(super) fn new(max_keys: usize) -> Self {
        Self { state: Mutex::default(), max_keys }
    }

    /// A number that tells the handles of a policy from others.
    pub(super) fn new_space(&self) -> u64 {
        self.state.lock().number()
    }

    /// Finds what a call can use that wants `wanted`, or begins the lookup that `begin` makes.
    pub(super) fn join(
        &self,
        place: &Place,
        wanted: Wanted,
        begin: impl FnOnce() -> BoxFuture<'static, Result<Known>>,
    ) -> Way {
        self.join_locked(self.state.lock(), place, wanted, begin)
    }

    /// Does the same for a read. `None`: a load of the key is under way, which a read does not wait for.
    pub(super) fn join_read(
        &self,
        place: &Place,
        begin: impl FnOnce() -> BoxFuture<'static, Result<Known>>,
    ) -> Option<Way> {
        let mut state = self.state.lock();
        if state.slot(place).is_some_and(|slot| slot.is_loading()) {
            return None;
        }
        Some(self.join_locked(state, place, Wanted::Read, begin))
    }

    fn join_locked(
        &self,
        mut state: MutexGuard<'_, State>,
        place: &Place,
        wanted: Wanted,
        begin: impl FnOnce() -> BoxFuture<'static, Result<Known>>,
    ) -> Way {
        if let Some(way) = state.slot(place).and_then(|slot| slot.way(wanted)) {
            return way;
        }
        let kind = if wanted == Wanted::Read { Kind::Read } else { Kind::Load };
        let begun = AssertUnwindSafe(begin()).catch_unwind().map(|ended| {
            ended.unwrap_or_else(|panic| {
                let message = format!("the lookup panicked: {}", panic_message(&*panic));
                Err(Error::new(ErrorKind::LoadPanicked, message))
            })
        });
        let running: Running = begun.boxed().shared();
        let id = state.number();
        // A future that nobody has polled yet can be weakly held.
        let replaced = running
            .downgrade()
            .and_then(|weak| state.put(place, kind, Content::Running(id, weak), self.max_keys));
        drop(state);
        // A value may do anything when it is dropped.
        drop(replaced);
        Way::Waits(Lookup { id, kind, running, is_own: true })
    }

    /// Waits for a lookup, and remembers its result unless the key was forgotten meanwhile.
    ///
    /// # Cancel safety
    /// Dropping it ends this call's wait. Without another the lookup ends.
    pub(super) async fn wait(&self, place: &Place, lookup: &Lookup) -> Result<Known> {
        let result = lookup.running.clone().await;
        let replaced = self.state.lock().settle(place, lookup, &result);
        drop(replaced);
        result
    }

    /// Remembers `known`, which was asked for when so much was `forgotten`, unless more is by now.
    pub(super) fn remember(&self, place: &Place, kind: Kind, known: Known, forgotten: u64) {
        let mut state = self.state.lock();
        let replaced = match state.forgotten == forgotten {
            true => state.put(place, kind, Content::Known(known), self.max_keys),
            false => None,
        };
        drop(state);
        drop(replaced);
    }

    /// The known value at a place, if a call can use it that wants `wanted`.
    pub(super) fn known(&self, place: &Place, wanted: Wanted) -> Option<Known> {
        match self.state.lock().slot(place)?.way(wanted)? {
            Way::Known(known) => Some(known),
            Way::Waits(_) => None,
        }
    }

    /// Returns true if a value is remembered at `key`, whatever its type.
    pub(super) fn has_value(&self, region: &RegionPath, key: &str) -> bool {
        let state = self.state.lock();
        let slots = state.keys.get(&(region.clone(), key.into()));
        slots.is_some_and(|slots| slots.iter().any(|slot| slot.content.is_value()))
    }

    /// The number of times that something was forgotten.
    pub(super) fn forgotten(&self) -> u64 {
        self.state.lock().forgotten
    }

    /// Forgets what is known of a key, and leaves lookups under way to those who wait for them.
    pub(super) fn forget(&self, region: &RegionPath, key: &str) {
        let mut state = self.state.lock();
        state.forgotten += 1;
        let slots = state.keys.remove(&(region.clone(), key.into()));
        state.slots -= slots.as_ref().map_or(0, SmallVec::len);
        drop(state);
        drop(slots);
    }

    pub(super) fn forget_all(&self) {
        let mut state = self.state.lock();
        state.forgotten += 1;
        state.slots = 0;
        let keys = std::mem::take(&mut state.keys);
        drop(state);
        drop(keys);
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn slot(&mut self, place: &Place) -> Option<&mut Slot> {
        let slots = self.keys.get_mut(&(place.region.clone(), place.key.clone()))?;
        slots.iter_mut().find(|slot| slot.of == place.of && slot.space == place.space)
    }

    /// Puts `content` at `place`, if there is room. Returns what was there.
    fn put(
        &mut self,
        place: &Place,
        kind: Kind,
        content: Content,
        max_keys: usize,
    ) -> Option<Content> {
        if let Some(slot) = self.slot(place) {
            slot.kind = kind;
            return Some(std::mem::replace(&mut slot.content, content));
        }
        if self.slots >= max_keys {
            return None;
        }
        self.slots += 1;
        let key = (place.region.clone(), place.key.clone());
        let slot = Slot { of: place.of, space: place.space, kind, content };
        self.keys.entry(key).or_default().push(slot);
        None
    }

    /// Puts the result of a lookup into its slot, if that is still there; an error leaves none.
    fn settle(
        &mut self,
        place: &Place,
        lookup: &Lookup,
        result: &Result<Known>,
    ) -> Option<Content> {
        let is_its =
            |slot: &Slot| matches!(slot.content, Content::Running(id, _) if id == lookup.id);
        let slot = self.slot(place).filter(|slot| is_its(slot))?;
        if let Ok(known) = result {
            return Some(std::mem::replace(&mut slot.content, Content::Known(known.clone())));
        }
        let key = (place.region.clone(), place.key.clone());
        let slots = self.keys.get_mut(&key)?;
        slots.retain(|slot| !is_its(slot));
        self.slots -= 1;
        if slots.is_empty() {
            self.keys.remove(&key);
        }
        None
    }
}

impl Slot {
    /// What the slot has for a call that wants `wanted`; `None`: nothing.
    fn way(&self, wanted: Wanted) -> Option<Way> {
        if wanted == Wanted::Reload {
            return None;
        }
        match &self.content {
            Content::Known(known) => {
                is_enough(known, self.kind, wanted).then(|| Way::Known(known.clone()))
            }
            Content::Running(id, weak) => {
                let (id, kind, running) = (*id, self.kind, weak.upgrade()?);
                Some(Way::Waits(Lookup { id, kind, running, is_own: false }))
            }
        }
    }

    fn is_loading(&self) -> bool {
        let is_alive = |content: &Content| match content {
            Content::Running(_, weak) => weak.upgrade().is_some(),
            Content::Known(_) => false,
        };
        self.kind == Kind::Load && is_alive(&self.content)
    }
}

impl Lookup {
    /// Returns true if its result ends a call that wants `wanted`.
    pub(super) fn is_enough(&self, known: &Known, wanted: Wanted) -> bool {
        self.is_own || is_enough(known, self.kind, wanted)
    }
}

impl Content {
    fn is_value(&self) -> bool {
        matches!(self, Self::Known(known) if known.value().is_some())
    }
}

/// Returns true if a call that wants `wanted` needs no more than what a call of `kind` has found.
fn is_enough(known: &Known, kind: Kind, wanted: Wanted) -> bool {
    let has_value = known.value().is_some();
    match wanted {
        Wanted::Read => true,
        Wanted::Value => has_value,
        Wanted::Answer => has_value || kind == Kind::Load,
        Wanted::Reload => false,
    }
}
