//! The store as one process reaches it, over a network that fails.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use region_core::{
    Begun, EndTerms, Ended, Error, ErrorKind, LeaseTerms, LeaseToken, Listener, Listening, Op,
    OpOutcome, Page, PageTerms, Read, ReadFrom, ReadTerms, RegionPath, RegionTtl, Result, ScanItem,
    Segment, Source, Store, StoreHealth, Timestamp, Trust, Write, Written,
};
use region_memory::MemoryStore;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::channel::Channel;
use super::late::{LateCall, OwnedWrite};
use super::value::id_in;
use super::world::World;
use crate::history::{Effect, What};
use crate::plan::CALL_LIMIT;

/// The longest time after which a change is executed that was given up, in milliseconds.
const MOST_LATE: u64 = 300;

#[derive(Clone)]
pub(super) struct ClientStore(Arc<Inner>);

struct Inner {
    world: Arc<World>,
    memory: MemoryStore,
    channel: Arc<Channel>,
    /// What was given up, and how often the store had been put back by then.
    late: Mutex<VecDeque<(usize, LateCall)>>,
}

impl ClientStore {
    pub(super) fn new(world: &Arc<World>, channel: &Arc<Channel>) -> Self {
        let (world, channel) = (Arc::clone(world), Arc::clone(channel));
        Self(Arc::new(Inner {
            memory: world.memory.client(),
            world,
            channel,
            late: Mutex::default(),
        }))
    }

    /// One call: what may happen to it on its way to the store and back.
    async fn call<T>(
        &self,
        started: Option<Instant>,
        late: Option<LateCall>,
        execute: impl FnOnce(&Inner) -> Result<T>,
    ) -> Result<T> {
        let inner = &*self.0;
        let deadline = started.unwrap_or_else(Instant::now) + CALL_LIMIT;
        let call = async {
            let is_change = late.is_some();
            inner.there(late).await?;
            if inner.channel.is_dead() {
                std::future::pending::<()>().await;
            }
            inner.repeat();
            if is_change {
                inner.settle_late();
            }
            let connection = inner.channel.choose_connection();
            let answer = execute(inner);
            let executed = inner.world.now();
            inner.back(connection, executed).await?;
            answer
        };
        let answer = timeout_at(deadline, call).await;
        let ok = matches!(answer, Ok(Ok(_)));
        inner.world.record(What::Answered { process: inner.channel.process(), ok });
        answer.unwrap_or_else(|_| Err(lost("took too long")))
    }
}

fn lost(message: &str) -> Error {
    Error::new(ErrorKind::Timeout, message)
}

fn down(message: &str) -> Error {
    Error::new(ErrorKind::Unavailable, message)
}

/// The output of a future that does not wait.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the memory store waits"),
    }
}

impl Inner {
    /// The way to the store.
    async fn there(self: &Inner, late: Option<LateCall>) -> Result<()> {
        let rates = &self.world.plan.setup.rates;
        if self.channel.is_down() {
            return Err(down("down"));
        }
        self.world.wait().await;
        if let Some(until) = self.channel.silent_until() {
            sleep_until(until).await;
            return Err(down("the connection was silent"));
        }
        if self.world.happens(rates.fail) {
            return Err(down("failed"));
        }
        if let Some(late) = late
            && self.world.happens(rates.late)
        {
            self.late.lock().push_back((self.world.rollbacks(), late));
            return Err(lost("given up"));
        }
        Ok(())
    }

    /// The way back.
    async fn back(&self, (lane, generation): (usize, u64), executed: usize) -> Result<()> {
        self.world.wait().await;
        if let Some(until) = self.channel.silent_until() {
            sleep_until(until).await;
        }
        if self.channel.generation(lane) != generation {
            return Err(lost("the connection was lost"));
        }
        // Pushes come before the replies that follow them.
        self.channel.flush(lane, executed);
        match self.world.happens(self.world.plan.setup.rates.lose_reply) {
            true => Err(lost("the reply was lost")),
            false => Ok(()),
        }
    }

    /// What was given up takes effect before what is sent later, or never.
    fn settle_late(&self) {
        let late = std::mem::take(&mut *self.late.lock());
        for (sent, call) in late {
            if self.world.happens(500) {
                self.execute_late(sent, &call);
            }
        }
    }

    /// What was sent to a store that has been replaced since is never executed.
    fn execute_late(&self, sent: usize, call: &LateCall) {
        if sent == self.world.rollbacks() {
            self.execute(call, Own::Another);
        }
    }

    /// Does again what the store may lack, before anything is asked of it.
    fn repeat(&self) {
        for call in self.channel.repeats() {
            self.execute(&call, Own::Again);
        }
    }

    fn execute(&self, call: &LateCall, own: Own) {
        match call {
            LateCall::End(region, terms) => drop(self.end(region, *terms, own)),
            LateCall::Write(write) => {
                let region = &write.region;
                let _ = write.with(|write| self.write(region, write, own));
            }
        }
    }

    fn end(&self, region: &RegionPath, terms: EndTerms, own: Own) -> Result<Ended> {
        let effect = self.world.region_of(region);
        let mut effect = effect.map(|region| Effect::Ended { region, verb: terms.verb });
        // A store that was empty has nothing to end, and tells nobody.
        let root = &self.world.paths[0];
        if own == Own::Again
            && at_once(self.memory.read(root, &[], ReadTerms::default()))?.lineage.is_none()
        {
            effect = None;
        }
        let process = Some(self.channel.process());
        let end = || at_once(self.memory.end(region, terms));
        // The process does not know when a change is repeated: to it that is as another's.
        let is_late = own != Own::This;
        self.channel.own_change(own == Own::This && terms.trust == Trust::Kept);
        let ended = self.world.execute(process, is_late, end, |_| effect.into_iter().collect());
        self.channel.own_change(false);
        self.world.ghosts.ended(region, terms.verb);
        if own != Own::Another {
            self.channel.remember(LateCall::End(region.clone(), terms));
        }
        ended
    }

    fn write(&self, region: &RegionPath, write: Write<'_>, own: Own) -> Result<Written> {
        let is_untold = own == Own::This && write.trust == Trust::Kept;
        self.channel.own_change(is_untold);
        let process = Some(self.channel.process());
        let call = || at_once(self.memory.write(region, write));
        let written =
            self.world.execute(process, own != Own::This, call, |written| match written {
                Ok(Written::Applied(applied)) => {
                    let mut effects = self.effects(region, &write, &applied.outcomes);
                    // What is not there is removed without a word.
                    let was_there = applied
                        .outcomes
                        .iter()
                        .map(|outcome| *outcome != OpOutcome::Removed(false));
                    let mut was_there = was_there.collect::<Vec<_>>().into_iter();
                    effects.retain(|_| own != Own::Again || was_there.next() == Some(true));
                    effects
                }
                _ => Vec::new(),
            });
        self.channel.own_change(false);
        if let Ok(Written::Applied(applied)) = &written {
            if own != Own::Another {
                let keys = write.ops.iter().map(Op::key);
                self.channel
                    .remember(LateCall::Write(Box::new(OwnedWrite::removing(region, keys))));
            }
            let kept = ReadTerms::default().trust(Trust::Kept);
            let now = at_once(self.memory.read(region, &[], kept))?;
            match now.lineage {
                Some(lineage) => {
                    let shown = (lineage, now.changes);
                    self.world.ghosts.written(region, &write, &applied.outcomes, shown);
                }
                // It was left empty, and removed.
                None => self.world.ghosts.lost(region),
            }
        }
        written
    }

    fn effects(&self, path: &RegionPath, write: &Write<'_>, done: &[OpOutcome]) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let (Some(region), RegionTtl::Start(ttl) | RegionTtl::Restart(ttl)) =
            (self.world.region_of(path), write.region_ttl)
        {
            effects.push(Effect::RegionTtl { region, ttl });
        }
        for (op, outcome) in write.ops.iter().zip(done) {
            let Some(key) = self.world.key_of(path, op.key()) else { continue };
            match (op, outcome) {
                (Op::Put(put), OpOutcome::Stored) => effects.push(Effect::Put {
                    key,
                    value: id_in(&put.bytes),
                    fresh_for: put.fresh_for.duration(),
                    stale_for: put.stale_for,
                }),
                (Op::Remove { .. } | Op::Take { .. }, _) => effects.push(Effect::Removed { key }),
                _ => {}
            }
        }
        effects
    }

    /// The connection, if the memory store names one, as this process knows it.
    fn source(&self, source: Option<Source>) -> Option<Source> {
        source.map(|_| self.channel.source())
    }
}

/// Whose connection a write comes over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Own {
    This,
    /// One that was given up.
    Another,
    /// One that repeats what the store may have lost.
    Again,
}

impl ClientStore {
    /// Has what was given up executed after a while, unless something is sent before.
    fn execute_later(&self) {
        if self.0.late.lock().is_empty() {
            return;
        }
        let (this, delay) = (self.clone(), self.0.world.draw(MOST_LATE));
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(delay)).await;
            let late = std::mem::take(&mut *this.0.late.lock());
            late.iter().for_each(|(sent, call)| this.0.execute_late(*sent, call));
        });
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Store for ClientStore {
    async fn read(&self, region: &RegionPath, keys: &[&str], terms: ReadTerms<'_>) -> Result<Read> {
        let read = |inner: &Inner| {
            let mut read = at_once(inner.memory.read(region, keys, terms))?;
            // What was evicted is remembered nowhere.
            if let (Some(assumed), ReadFrom::Primary) = (terms.lineage, terms.from)
                && inner.world.plan.setup.max_bytes == 0
                && read.lineage.as_ref() != Some(assumed)
            {
                let source = read.source;
                read = inner.world.ghosts.read(region, keys, assumed).source(source);
            }
            let source = inner.source(read.source);
            if source.is_some() {
                inner.channel.arm(region, terms.lineage.is_none());
            }
            Ok(read.source(source))
        };
        self.call(terms.started, None, read).await
    }

    async fn begin(&self, region: &RegionPath, keys: &[&str], terms: LeaseTerms) -> Result<Begun> {
        let begin = |inner: &Inner| {
            let process = Some(inner.channel.process());
            let begin = || at_once(inner.memory.begin(region, keys, terms));
            let begun = inner.world.execute(process, false, begin, |_| Vec::new())?;
            inner.channel.arm(region, true);
            let source = inner.source(begun.source);
            Ok(begun.source(source))
        };
        self.call(terms.started, None, begin).await
    }

    async fn write(&self, region: &RegionPath, write: Write<'_>) -> Result<Written> {
        let late = LateCall::Write(Box::new(OwnedWrite::new(region, &write)));
        let call = |inner: &Inner| {
            inner.channel.own_write(region);
            let written = inner.write(region, write, Own::This);
            let written = written.map(|written| match written {
                Written::Applied(applied) => {
                    let source = inner.source(applied.source);
                    if source.is_some() {
                        inner.channel.arm(region, true);
                    }
                    Written::Applied(applied.source(source))
                }
                Written::Fenced => Written::Fenced,
            });
            inner.channel.own_write_is_over();
            written
        };
        let written = self.call(write.started, Some(late), call).await;
        self.execute_later();
        written
    }

    async fn end(&self, region: &RegionPath, terms: EndTerms) -> Result<Ended> {
        let end = |inner: &Inner| {
            let ended = inner.end(region, terms, Own::This)?;
            if ended.source.is_some() && terms.trust == Trust::Kept {
                inner.channel.arm(region, true);
            }
            let source = inner.source(ended.source);
            Ok(ended.source(source))
        };
        let ended = self.call(None, Some(LateCall::End(region.clone(), terms)), end).await;
        self.execute_later();
        ended
    }

    fn release(&self, region: &RegionPath, keys: &[&str], token: LeaseToken) {
        let rates = &self.0.world.plan.setup.rates;
        // A process may have died: then its leases end with their time.
        if !self.0.channel.is_dead() && !self.0.world.happens(rates.lose_release) {
            self.0.memory.release(region, keys, token);
        }
    }

    async fn scan(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<ScanItem>> {
        self.call(None, None, |inner| at_once(inner.memory.scan(region, terms))).await
    }

    async fn children(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<Segment>> {
        self.call(None, None, |inner| at_once(inner.memory.children(region, terms))).await
    }

    async fn len(&self, region: &RegionPath) -> Result<u64> {
        self.call(None, None, |inner| at_once(inner.memory.len(region))).await
    }

    fn listen(&self, listener: Arc<dyn Listener>) -> Option<Listening> {
        self.0.channel.listen(listener)
    }

    fn limit(&self) -> Option<Duration> {
        Some(CALL_LIMIT)
    }

    fn health(&self) -> StoreHealth {
        self.0.memory.health()
    }

    async fn now(&self) -> Result<Timestamp> {
        self.0.memory.now().await
    }
}
