//! The connection of a process: what it hears, and when.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use region_core::{Coverage, Event, Listener, Listening, RegionPath, Source};
use tokio::time::Instant;

use super::late::LateCall;
use super::world::World;
use crate::history::{Seq, What};

/// The longest delay of a push, in milliseconds.
const MOST_DELAY: u64 = 300;

pub(super) struct Channel {
    process: usize,
    world: Arc<World>,
    state: Mutex<State>,
    /// The time until which the process relies on pushes.
    coverage: Arc<Coverage>,
    this: Weak<Self>,
}

struct State {
    source: Source,
    /// The number of connections so far.
    generation: u64,
    /// What comes late. Nothing is said of a change that concerns what an earlier push, still on its way, will
    /// tell of.
    delayed: VecDeque<(Seq, Option<Event>)>,
    silent_until: Option<Instant>,
    down_until: Option<Instant>,
    /// The client is told of changes of these. A name begins with `e` for entries, `l` for a lineage.
    armed: BTreeSet<(char, RegionPath)>,
    /// This client changes something at this moment, and the answer will tell it of that.
    own_change: bool,
    listeners: Vec<(u64, Arc<dyn Listener>)>,
    next_listener: u64,
    listening: Option<Listening>,
    is_dead: bool,
    /// The changes that this process made since the last copy of the store.
    recent: Vec<LateCall>,
    /// They are to be repeated before anything else is done: the store was put back to that copy.
    repeats: bool,
}

impl Channel {
    pub(super) fn new(world: &Arc<World>, process: usize) -> Arc<Self> {
        let state = State {
            source: Source::unique(),
            generation: 0,
            delayed: VecDeque::new(),
            silent_until: None,
            down_until: None,
            armed: BTreeSet::new(),
            own_change: false,
            listeners: Vec::new(),
            next_listener: 0,
            listening: None,
            is_dead: false,
            recent: Vec::new(),
            repeats: false,
        };
        Arc::new_cyclic(|this| Self {
            process,
            world: Arc::clone(world),
            state: Mutex::new(state),
            coverage: Arc::new(Coverage::new()),
            this: Weak::clone(this),
        })
    }

    pub(super) fn process(&self) -> usize {
        self.process
    }

    pub(super) fn close(&self) {
        let listening = self.state.lock().listening.take();
        drop(listening);
    }

    /// The process is gone: it hears nothing, and nothing that it sends arrives.
    pub(super) fn die(&self) {
        self.state.lock().is_dead = true;
        self.close();
    }

    pub(super) fn is_dead(&self) -> bool {
        self.state.lock().is_dead
    }

    /// The store is another one now, which lacks what was changed lately.
    pub(super) fn fail_over(&self) {
        self.state.lock().repeats = true;
        self.lose();
    }

    /// Remembers a change that this process has made.
    pub(super) fn remember(&self, change: LateCall) {
        self.state.lock().recent.push(change);
    }

    /// From here on the store's copy has what was changed before.
    pub(super) fn forget(&self) {
        let mut state = self.state.lock();
        if !state.repeats {
            state.recent.clear();
        }
    }

    /// The changes to repeat, once.
    pub(super) fn repeats(&self) -> Vec<LateCall> {
        let mut state = self.state.lock();
        match std::mem::take(&mut state.repeats) {
            true => std::mem::take(&mut state.recent),
            false => Vec::new(),
        }
    }

    pub(super) fn listen(&self, listener: Arc<dyn Listener>) -> Option<Listening> {
        let this = self.this.upgrade()?;
        if self.state.lock().listening.is_none() {
            let memory = &self.world.memory;
            let listening = region_core::Store::listen(memory, this as Arc<dyn Listener>);
            self.state.lock().listening = listening;
        }
        let mut state = self.state.lock();
        let number = state.next_listener;
        state.next_listener += 1;
        state.listeners.push((number, listener));
        let this = Weak::clone(&self.this);
        let listening = Listening::new(move || {
            if let Some(this) = this.upgrade() {
                this.state.lock().listeners.retain(|(other, _)| *other != number);
            }
        });
        match self.watch() {
            Some(_) => Some(listening.covered_by(Arc::clone(&self.coverage))),
            None => Some(listening),
        }
    }

    /// The time for which pushes are relied on after the last sign of life.
    fn watch(&self) -> Option<Duration> {
        let watch = self.world.plan.setup.processes[self.process].watch;
        (watch > 0).then(|| Duration::from_millis(watch))
    }

    pub(super) fn generation(&self) -> u64 {
        self.state.lock().generation
    }

    pub(super) fn source(&self) -> Source {
        self.state.lock().source
    }

    /// The end of the silence of the connection.
    pub(super) fn silent_until(&self) -> Option<Instant> {
        self.state.lock().silent_until
    }

    pub(super) fn is_down(&self) -> bool {
        self.state.lock().down_until.is_some_and(|until| Instant::now() < until)
    }

    pub(super) fn go_down(&self, duration: Duration) {
        self.state.lock().down_until = Some(Instant::now() + duration);
    }

    pub(super) fn own_change(&self, is_under_way: bool) {
        self.state.lock().own_change = is_under_way;
    }

    /// The client has read of the region and keeps it.
    pub(super) fn arm(&self, region: &RegionPath, with_lineage: bool) {
        let mut state = self.state.lock();
        state.armed.insert(('e', region.clone()));
        let mut next = with_lineage.then(|| region.clone());
        while let Some(path) = next {
            next = path.parent();
            state.armed.insert(('l', path));
        }
    }

    /// Hears what was delayed, up to a moment.
    pub(super) fn flush(&self, upto: Seq) {
        loop {
            let mut state = self.state.lock();
            let is_due = state.delayed.front().is_some_and(|(of, _)| *of <= upto);
            let Some((of, event)) = is_due.then(|| state.delayed.pop_front()).flatten() else {
                return;
            };
            let is_last = state.delayed.front().is_none_or(|(next, _)| *next != of);
            drop(state);
            if let Some(event) = event {
                self.tell(&event);
            }
            if is_last {
                self.world.record(What::Heard { process: self.process, of });
            }
        }
    }

    /// The connection carries nothing for a while, then it is lost.
    pub(super) fn silence(&self, duration: Duration) {
        let mut state = self.state.lock();
        if state.silent_until.is_some() {
            return;
        }
        state.silent_until = Some(Instant::now() + duration);
        state.generation += 1;
        drop(state);
        // As long as it lives it is heard of all the time.
        self.coverage.ends_at(self.watch().map(|watch| Instant::now() + watch));
        let covered_until = self.watch().map(|watch| self.world.elapsed() + watch);
        self.world.record(What::Silent { process: self.process, covered_until });
        let Some(this) = self.this.upgrade() else { return };
        tokio::spawn(async move {
            tokio::time::sleep(duration).await;
            this.lose();
        });
    }

    /// The connection is lost, and another takes its place.
    pub(super) fn lose(&self) {
        let mut state = self.state.lock();
        let lost = std::mem::replace(&mut state.source, Source::unique());
        state.generation += 1;
        state.silent_until = None;
        state.armed.clear();
        let dropped = std::mem::take(&mut state.delayed);
        drop(state);
        for (of, _) in dropped {
            self.world.record(What::PushDropped { process: self.process, of });
        }
        self.tell(&Event::Lost(lost));
        self.coverage.ends_at(None);
        self.world.record(What::Lost { process: self.process });
    }

    fn tell(&self, event: &Event) {
        let listeners = self.state.lock().listeners.clone();
        listeners.iter().for_each(|(_, listener)| listener.heard(event.clone()));
    }
}

impl State {
    /// Returns true if something was read that the event concerns, since it was told last.
    fn concerns(&mut self, event: &Event) -> bool {
        match event {
            Event::Entries(path) => self.armed.remove(&('e', path.clone())),
            // The loss of entries is told so, too.
            Event::Lineage(path) => {
                let lineage = self.armed.remove(&('l', path.clone()));
                self.armed.contains(&('e', path.clone())) || lineage
            }
            _ => true,
        }
    }
}

impl Listener for Channel {
    fn heard(&self, event: Event) {
        let (of, process) = (self.world.executing(), self.process);
        let setup = &self.world.plan.setup;
        let mut state = self.state.lock();
        if state.is_dead || matches!(event, Event::Lost(_)) {
            return;
        }
        let is_tracked = setup.processes[process].tracked;
        if setup.processes[process].own_changes_untold && state.own_change {
            // It is told no more of this, until it reads it again.
            if is_tracked {
                state.concerns(&event);
            }
            return;
        }
        if state.silent_until.is_some() {
            drop(state);
            self.world.record(What::PushDropped { process, of });
            return;
        }
        if is_tracked && !state.concerns(&event) {
            if state.delayed.iter().any(|(_, other)| other.as_ref() == Some(&event)) {
                state.delayed.push_back((of, None));
                drop(state);
                self.world.record(What::PushDelayed { process, of });
                return;
            }
            drop(state);
            self.world.record(What::PushLeftOut { process, of });
            return;
        }
        if state.delayed.is_empty() && !self.world.happens(setup.rates.delay_push) {
            drop(state);
            self.tell(&event);
            return;
        }
        state.delayed.push_back((of, Some(event)));
        drop(state);
        self.world.record(What::PushDelayed { process, of });
        let delay = Duration::from_millis(self.world.draw(MOST_DELAY));
        let Some(this) = self.this.upgrade() else { return };
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            this.flush(of);
        });
    }
}
