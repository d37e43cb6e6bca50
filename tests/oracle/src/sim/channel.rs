//! The connection of a process: what it hears, and when.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use region_core::{Coverage, Event, Listener, Listening, RegionPath, Source};
use tokio::time::Instant;

use super::lane::{Delayed, Lane, Sent, Untold};
use super::late::LateCall;
use super::world::World;
use crate::history::{Seq, What};

/// The time for which calls may go over a connection that is lost already.
const LINGERS: Duration = Duration::from_millis(30);

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
    lanes: Vec<Lane>,
    /// The one that the present call goes over.
    present: usize,
    /// The first before it was lost, and the time until which some calls go over that.
    former: Option<(Source, Instant)>,
    /// The present call does.
    is_over_former: bool,
    untold: Untold,
    pushes: u64,
    silent_until: Option<Instant>,
    down_until: Option<Instant>,
    /// This client changes something at this moment, and the answer will tell it of that.
    own_change: bool,
    own_write: Option<OwnWrite>,
    listeners: Vec<(u64, Arc<dyn Listener>)>,
    next_listener: u64,
    listening: Option<Listening>,
    is_dead: bool,
    /// The changes that this process made since the last copy of the store.
    recent: Vec<LateCall>,
    /// They are to be repeated before anything else is done: the store was put back to that copy.
    repeats: bool,
}

/// A write of this client that the store executes at this moment.
struct OwnWrite {
    region: RegionPath,
    /// The store has told of the write. What comes after that are evictions.
    is_told: bool,
    /// Entries of the region were evicted, in this call. A server evicts before a call, or before the next one:
    /// then it tracks what this call has written.
    evicted: Option<Seq>,
}

impl OwnWrite {
    /// Returns true if the event tells of an eviction, not of the write.
    fn is_eviction(&mut self, event: &Event) -> bool {
        let is_of_region = matches!(event, Event::Entries(path) if *path == self.region);
        let was_told = self.is_told;
        self.is_told |= is_of_region;
        was_told
    }
}

impl Channel {
    pub(super) fn new(world: &Arc<World>, process: usize) -> Arc<Self> {
        let lanes = world.plan.setup.processes[process].lanes.max(1);
        let state = State {
            lanes: (0..lanes).map(|_| Lane::new()).collect(),
            present: 0,
            former: None,
            is_over_former: false,
            untold: Untold::default(),
            pushes: 0,
            silent_until: None,
            down_until: None,
            own_change: false,
            own_write: None,
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
        self.lose_all();
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

    /// Chooses the connection that a call goes over. Returns its number, and that of its predecessors.
    pub(super) fn choose_connection(&self) -> (usize, u64) {
        let setup = &self.world.plan.setup.processes[self.process];
        let is_over_former = setup.lingers && self.world.happens(500);
        let lane = if setup.lanes > 1 { usize::from(self.world.happens(500)) } else { 0 };
        let mut state = self.state.lock();
        let is_there = state.former.is_some_and(|(_, until)| Instant::now() < until);
        state.is_over_former = is_over_former && is_there && lane == 0;
        state.present = lane;
        (lane, state.lanes[lane].generation)
    }

    pub(super) fn generation(&self, lane: usize) -> u64 {
        self.state.lock().lanes[lane].generation
    }

    /// The connection of the present call.
    pub(super) fn source(&self) -> Source {
        let state = self.state.lock();
        let former = state.former.filter(|_| state.is_over_former);
        former.map_or(state.lanes[state.present].source, |(source, _)| source)
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

    /// A write of this client begins.
    pub(super) fn own_write(&self, region: &RegionPath) {
        let (region, is_told, evicted) = (region.clone(), false, None);
        self.state.lock().own_write = Some(OwnWrite { region, is_told, evicted });
    }

    /// It is over, and the client reads what it wrote. Tells of what was evicted since.
    pub(super) fn own_write_is_over(&self) {
        let write = self.state.lock().own_write.take();
        if let Some(OwnWrite { region, evicted: Some(of), .. }) = write {
            self.heard_of(of, Event::Entries(region));
        }
    }

    pub(super) fn own_change(&self, is_under_way: bool) {
        self.state.lock().own_change = is_under_way;
    }

    /// The client has read of the region and keeps it.
    pub(super) fn arm(&self, region: &RegionPath, with_lineage: bool) {
        let mut state = self.state.lock();
        let present = state.present;
        if !state.is_over_former {
            state.lanes[present].arm(region, with_lineage);
        }
    }

    /// Hears what was delayed on a connection, up to a moment.
    pub(super) fn flush(&self, lane: usize, upto: Seq) {
        loop {
            let mut state = self.state.lock();
            let Some(Delayed { of, number, event }) = state.lanes[lane].due(upto) else { return };
            drop(state);
            if let Some(event) = event {
                self.tell(&event);
            }
            if self.state.lock().untold.told(of, number) {
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
        state.lanes.iter_mut().for_each(|lane| lane.generation += 1);
        drop(state);
        // As long as it lives it is heard of all the time.
        self.coverage.ends_at(self.watch().map(|watch| Instant::now() + watch));
        let covered_until = self.watch().map(|watch| self.world.elapsed() + watch);
        self.world.record(What::Silent { process: self.process, covered_until });
        let Some(this) = self.this.upgrade() else { return };
        tokio::spawn(async move {
            tokio::time::sleep(duration).await;
            this.lose_all();
        });
    }

    /// A connection is lost, and another takes its place.
    pub(super) fn lose(&self) {
        let lanes = self.state.lock().lanes.len();
        let is_silent = self.state.lock().silent_until.is_some();
        if lanes == 1 || is_silent {
            return self.lose_all();
        }
        let lane = usize::from(self.world.happens(500));
        let mut state = self.state.lock();
        let (lost, dropped) = state.lanes[lane].replace();
        if lane == 0 {
            state.former = Some((lost, Instant::now() + LINGERS));
        }
        let gone = |delayed: &Delayed| state.untold.lost(delayed.of, delayed.number);
        let dropped: Vec<_> =
            dropped.iter().map(|it| it.of).zip(dropped.iter().map(gone)).collect();
        drop(state);
        self.tell(&Event::Lost(lost));
        for (of, _) in dropped.into_iter().filter(|(_, is_lost)| *is_lost) {
            self.world.record(What::LostPush { process: self.process, of });
        }
    }

    /// All connections are lost, and others take their places.
    fn lose_all(&self) {
        let mut state = self.state.lock();
        state.silent_until = None;
        let (mut lost, mut dropped) = (Vec::new(), Vec::new());
        for lane in &mut state.lanes {
            let (source, pushes) = lane.replace();
            lost.push(source);
            dropped.extend(pushes.into_iter().map(|push| push.of));
        }
        state.former = Some((lost[0], Instant::now() + LINGERS));
        state.untold = Untold::default();
        drop(state);
        for of in dropped {
            self.world.record(What::PushDropped { process: self.process, of });
        }
        lost.into_iter().for_each(|source| self.tell(&Event::Lost(source)));
        self.coverage.ends_at(None);
        self.world.record(What::Lost { process: self.process });
    }

    fn tell(&self, event: &Event) {
        let listeners = self.state.lock().listeners.clone();
        listeners.iter().for_each(|(_, listener)| listener.heard(event.clone()));
    }
}

impl Listener for Channel {
    fn heard(&self, event: Event) {
        self.heard_of(self.world.executing(), event);
    }
}

impl Channel {
    /// Hears of something that was executed at `of`.
    fn heard_of(&self, of: Seq, event: Event) {
        let process = self.process;
        let setup = &self.world.plan.setup;
        let mut state = self.state.lock();
        if state.is_dead || matches!(event, Event::Lost(_)) {
            return;
        }
        let is_eviction = state.own_write.as_mut().is_some_and(|it| it.is_eviction(&event));
        if let Some(write) = state.own_write.as_mut().filter(|_| is_eviction)
            && matches!(&event, Event::Entries(path) if *path == write.region)
        {
            write.evicted = Some(of);
            return;
        }
        let is_untold =
            setup.processes[process].own_changes_untold && state.own_change && !is_eviction;
        let untold = is_untold.then_some(state.present);
        if let Some(lane) = untold.filter(|_| setup.processes[process].tracked) {
            // It is told no more of this, until it reads it again.
            state.lanes[lane].concerns(&event);
        }
        if untold.is_some() && state.lanes.len() == 1 {
            return;
        }
        if state.silent_until.is_some() {
            drop(state);
            self.world.record(What::PushDropped { process, of });
            return;
        }
        state.pushes += 1;
        let number = state.pushes;
        let lanes = (0..state.lanes.len()).filter(|lane| Some(*lane) != untold);
        let sent: Vec<_> = lanes
            .map(|lane| (lane, self.send(&mut state.lanes[lane], (of, number), &event)))
            .collect();
        let later = sent.iter().filter(|(_, sent)| *sent == Sent::Later).map(|(lane, _)| *lane);
        let later: Vec<_> = later.collect();
        let is_now = sent.iter().any(|(_, sent)| *sent == Sent::Now);
        if !is_now && !later.is_empty() {
            state.untold.add(of, number, later.len());
        }
        drop(state);
        match (is_now, later.is_empty()) {
            (true, _) => self.tell(&event),
            (false, false) => drop(self.world.record(What::PushDelayed { process, of })),
            (false, true) => drop(self.world.record(What::PushLeftOut { process, of })),
        }
        later.into_iter().for_each(|lane| self.flush_later(lane, of));
    }

    /// Sends a push over a connection.
    fn send(&self, lane: &mut Lane, (of, number): (Seq, u64), event: &Event) -> Sent {
        let setup = &self.world.plan.setup;
        if setup.processes[self.process].tracked && !lane.concerns(event) {
            let is_on_its_way =
                lane.delayed.iter().any(|other| other.event.as_ref() == Some(event));
            if is_on_its_way {
                lane.delayed.push_back(Delayed { of, number, event: None });
                return Sent::Later;
            }
            return Sent::Never;
        }
        if lane.delayed.is_empty() && !self.world.happens(setup.rates.delay_push) {
            return Sent::Now;
        }
        lane.delayed.push_back(Delayed { of, number, event: Some(event.clone()) });
        Sent::Later
    }

    fn flush_later(&self, lane: usize, of: Seq) {
        let delay = Duration::from_millis(self.world.draw(MOST_DELAY));
        let Some(this) = self.this.upgrade() else { return };
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            this.flush(lane, of);
        });
    }
}
