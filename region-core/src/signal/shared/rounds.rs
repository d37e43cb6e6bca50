//! Reading what is new of a signal in the store.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

use super::SHARED_SIGNAL_TTL;
use super::deliveries::Deliveries;
use super::record::{
    CONTINUITY_KEY, CONTINUITY_TTL, decode, is_sender, lifetime, new_continuity, new_sender_key,
};
use super::senders::{Found, Senders};
use crate::clock::Timestamp;
use crate::engine::Context;
use crate::error::Result;
use crate::random::process_jittered;
use crate::store::{
    ChangeId, ChangedKey, Entry, Freshness, MAX_CHANGES, Op, OpOutcome, PageTerms, Put, Read,
    ReadFrom, ReadTerms, Show, Trust, When, Write, Written,
};
use crate::value::serializer::Value;

/// The time without a complete round after which values may have expired unread: it leaves a margin for clocks
/// that run at different rates, and for the round itself.
const LONGEST_GAP: Duration = SHARED_SIGNAL_TTL.saturating_sub(Duration::from_secs(60));

/// A record that was written so much earlier than the receiver was opened is an old one.
const OPENING_SLACK: Duration = Duration::from_secs(10);

/// The records that one call reads, of up to [`MAX_SIGNAL_BYTES`](super::MAX_SIGNAL_BYTES) or a little more.
const RECORDS_PER_READ: usize = 32;

/// The keys that one page of a listing asks for.
const KEYS_PER_PAGE: usize = 1_024;

/// The most sending processes that are told apart. The values of more are not received.
const MAX_SENDERS: usize = 10_000;

/// Reads what is new of a signal, and remembers what was read.
pub(super) struct Rounds<T> {
    context: Arc<Context>,
    /// The key of this process's own record.
    own: String,
    /// The bytes at [`CONTINUITY_KEY`] that were seen last.
    continuity: Option<Bytes>,
    /// It is renewed once it has less time left. At random, so that not all processes renew it at once.
    renew_below: Duration,
    /// The last change of the region from before the last complete round.
    ring: Option<ChangeId>,
    senders: Senders,
    /// The time since which no value can have been missed unnoticed, by the store's clock and by this process's.
    /// The one may be another server's after a failover, the other may stand still with the process.
    unbroken: Option<(Timestamp, Instant)>,
    opened: Instant,
    has_completed: bool,
    of: PhantomData<fn() -> T>,
}

/// The part of the region that a round looks at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// What the region's changes name.
    Changes,
    /// All senders.
    All,
}

/// What a round has found beside the values of others.
#[derive(Clone, Copy)]
pub(super) struct Answer {
    /// The store will push the next change.
    pub(super) is_covered: bool,
    /// There may be more to read, which was not pushed.
    pub(super) again: bool,
    pub(super) own: OwnRecord,
}

/// The state of this process's own record in the store.
#[derive(Clone, Copy)]
pub(super) enum OwnRecord {
    /// It was not looked at.
    Unchanged,
    /// The number of its last value.
    Last(u64),
    Absent,
}

/// The changes since the last complete round.
struct Changes {
    /// The keys of senders that have changed.
    keys: BTreeSet<String>,
    /// Changes of keys that are not known.
    unknown: Vec<ChangedKey>,
}

impl<T: Value> Rounds<T> {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self {
            context,
            own: new_sender_key(),
            continuity: None,
            renew_below: process_jittered(CONTINUITY_TTL / 2),
            ring: None,
            senders: Senders::default(),
            unbroken: None,
            opened: Instant::now(),
            has_completed: false,
            of: PhantomData,
        }
    }

    /// The key of this process's own record.
    pub(super) fn own(&self) -> &str {
        &self.own
    }

    /// Reads what is new, and has it delivered.
    ///
    /// What it learns is kept if it fails half-way: the next round reads on from there. Whatever changes after its
    /// first read is pushed, or found by the next round.
    pub(super) async fn run(
        &mut self,
        extent: Extent,
        deliveries: &mut Deliveries<T>,
    ) -> Result<Answer> {
        let asked = Instant::now();
        let now = self.context.engine().store.now().await?;
        self.notice_gap((now, asked), deliveries);
        let head = self.read(&[CONTINUITY_KEY]).await?;
        let mut answer =
            Answer { is_covered: head.source.is_some(), again: false, own: OwnRecord::Unchanged };
        let mut changes = self.changes_in(&head);
        match self.check_continuity(&head, deliveries).await? {
            Continuity::Kept => {}
            Continuity::Renewed => answer.again = true,
            Continuity::Broken => changes = None,
        }
        let keys = self.keys_to_read(extent, changes, deliveries).await?;
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        for keys in keys.chunks(RECORDS_PER_READ) {
            let read = self.read(keys).await?;
            answer.is_covered &= read.source.is_some();
            let moment = Moment { earliest: now, latest: now.saturating_add(asked.elapsed()) };
            for (key, entry) in keys.iter().zip(read.entries) {
                if *key == self.own {
                    answer.own = self.own_record(entry.as_ref());
                } else {
                    self.take(key, entry, moment, deliveries);
                }
            }
        }
        self.ring = head.changes.map(|ring| ring.last());
        (self.unbroken, self.has_completed) = (Some((now, asked)), true);
        Ok(answer)
    }

    /// What the store kept at the last complete round may have expired since, unread.
    fn notice_gap(&mut self, now: (Timestamp, Instant), deliveries: &mut Deliveries<T>) {
        let gap = match self.unbroken {
            Some((time, instant)) => now.0.since(time).max(now.1 - instant),
            None => self.opened.elapsed(),
        };
        if gap >= LONGEST_GAP {
            deliveries.missed();
            self.unbroken = Some(now);
        }
    }

    /// The changes since the last complete round; `None`: they are not known one by one.
    fn changes_in(&self, head: &Read) -> Option<Changes> {
        let (ring, since) = (head.changes.as_ref()?, self.ring?);
        let at = ring.changes().iter().rposition(|change| change.id == since)?;
        let mut changes = Changes { keys: BTreeSet::new(), unknown: Vec::new() };
        for change in &ring.changes()[at + 1..] {
            if change.key == ChangedKey::All {
                return None;
            }
            let known = self.senders.keys().chain([&self.own]);
            let mut keys = known.filter(|key| change.key == ChangedKey::of(key)).peekable();
            if keys.peek().is_none() && change.key != ChangedKey::of(CONTINUITY_KEY) {
                changes.unknown.push(change.key);
            }
            changes.keys.extend(keys.cloned());
        }
        Some(changes)
    }

    /// The keys whose entries are to be read.
    async fn keys_to_read(
        &self,
        extent: Extent,
        changes: Option<Changes>,
        deliveries: &mut Deliveries<T>,
    ) -> Result<BTreeSet<String>> {
        match changes {
            Some(Changes { mut keys, unknown }) => {
                if extent == Extent::Changes && unknown.is_empty() {
                    return Ok(keys);
                }
                let listed = self.list(deliveries).await?;
                // An entry that was put and is not there any more was lost: nobody removes it.
                if !unknown.iter().all(|change| listed.iter().any(|key| change.concerns(key))) {
                    deliveries.missed();
                }
                let gone = self.senders.keys().chain([&self.own]);
                keys.extend(gone.filter(|key| !listed.contains(*key)).cloned());
                let is_new = |key: &String| *key != self.own && !self.senders.contains(key);
                keys.extend(listed.into_iter().filter(is_new));
                Ok(keys)
            }
            None => {
                let mut keys = self.list(deliveries).await?;
                keys.extend(self.senders.keys().chain([&self.own]).cloned());
                Ok(keys)
            }
        }
    }

    /// Lists the keys of all senders that have sent lately.
    async fn list(&self, deliveries: &mut Deliveries<T>) -> Result<BTreeSet<String>> {
        let (mut keys, mut cursor) = (BTreeSet::new(), None);
        loop {
            let terms = PageTerms::new(KEYS_PER_PAGE).cursor(cursor).show(Show::Keys);
            let page = self.context.engine().store.scan(self.context.path(), terms).await?;
            keys.extend(page.items.into_iter().map(|item| item.key).filter(|key| is_sender(key)));
            if keys.len() > MAX_SENDERS {
                let region = self.context.path();
                tracing::warn!(%region, "too many processes send a signal: some are not heard");
                deliveries.missed();
                return Ok(keys.into_iter().take(MAX_SENDERS).collect());
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(keys);
            }
        }
    }

    async fn read(&self, keys: &[&str]) -> Result<Read> {
        let terms = ReadTerms::new(ReadFrom::Primary).trust(Trust::Kept);
        self.context.engine().store.read(self.context.path(), keys, terms).await
    }

    fn own_record(&self, entry: Option<&Entry>) -> OwnRecord {
        let record = entry.and_then(|entry| decode::<T>(&self.context, &self.own, &entry.bytes));
        record.map_or(OwnRecord::Absent, |record| OwnRecord::Last(record.last()))
    }

    /// Takes the entry at a sender's key.
    fn take(
        &mut self,
        key: &str,
        entry: Option<Entry>,
        moment: Moment,
        deliveries: &mut Deliveries<T>,
    ) {
        let Some(entry) = entry else {
            if self.senders.absent(key, moment.latest) {
                deliveries.missed();
            }
            return;
        };
        let (Freshness::Fresh { left } | Freshness::Stale { left }) = entry.freshness;
        let age = left.duration().map(|left| SHARED_SIGNAL_TTL.saturating_sub(left));
        let since_opened = self.opened.elapsed() + OPENING_SLACK;
        let is_old = !self.has_completed && age.is_some_and(|age| age > since_opened);
        let found = Found {
            record: decode(&self.context, key, &entry.bytes),
            digest: xxh3_64(&entry.bytes),
            ends: left.end(moment.earliest),
            is_old,
        };
        let news = self.senders.found(key, found);
        if news.has_missed {
            deliveries.missed();
        }
        news.values.into_iter().for_each(|sent| deliveries.value(sent));
    }

    /// Compares the entry that is lost when others are, and puts a new one where it is missing.
    async fn check_continuity(
        &mut self,
        head: &Read,
        deliveries: &mut Deliveries<T>,
    ) -> Result<Continuity> {
        let before = self.continuity.take();
        let Some(entry) = head.entries.first().and_then(Option::as_ref) else {
            if before.is_some() {
                deliveries.missed();
            }
            let new = new_continuity(&self.context)?;
            let (outcome, _) = self.put_continuity(&new, When::Absent).await?;
            self.continuity = Some(match outcome {
                // Another process was faster.
                Some(OpOutcome::Exists(entry)) => entry.bytes,
                _ => new,
            });
            return Ok(Continuity::Broken);
        };
        self.continuity = Some(entry.bytes.clone());
        if before.is_some_and(|before| before != entry.bytes) {
            deliveries.missed();
            return Ok(Continuity::Broken);
        }
        let (Freshness::Fresh { left } | Freshness::Stale { left }) = entry.freshness;
        if left.duration().is_none_or(|left| left >= self.renew_below) {
            return Ok(Continuity::Kept);
        }
        self.renew_continuity(entry, head, deliveries).await
    }

    /// Has the entry kept for longer. If it was lost since it was read, the others with it, it must not look as if
    /// it had been there all the time.
    async fn renew_continuity(
        &mut self,
        entry: &Entry,
        head: &Read,
        deliveries: &mut Deliveries<T>,
    ) -> Result<Continuity> {
        let when = When::AbsentOrHolding(entry.bytes.clone());
        let (_, began_anew) = self.put_continuity(&entry.bytes, when).await?;
        let known = head.changes.as_ref().map(|ring| ring.last());
        let goes_on = |known| began_anew.is_none_or(|changes| changes.contains(&known));
        if known.is_none_or(goes_on) {
            return Ok(Continuity::Renewed);
        }
        let new = new_continuity(&self.context)?;
        self.put_continuity(&new, When::Always).await?;
        self.continuity = Some(new);
        deliveries.missed();
        Ok(Continuity::Broken)
    }

    /// Puts the entry. Returns the outcome, and the changes of a region that has begun anew lately.
    async fn put_continuity(
        &self,
        bytes: &Bytes,
        when: When,
    ) -> Result<(Option<OpOutcome>, Option<Vec<ChangeId>>)> {
        let put = Put::new(CONTINUITY_KEY, bytes.clone()).when(when);
        let ops = [Op::Put(put.fresh_for(lifetime(CONTINUITY_TTL)))];
        let write = Write::new(&ops).trust(Trust::Kept);
        match self.context.engine().store.write(self.context.path(), write).await? {
            Written::Applied(applied) => {
                let ring = applied.changes.filter(|ring| ring.changes().len() < MAX_CHANGES);
                let ids = |change: &crate::store::Change| change.id;
                let ids = ring.map(|ring| ring.changes().iter().map(ids).collect());
                Ok((applied.outcomes.into_iter().next(), ids))
            }
            // There is no guard.
            Written::Fenced => Ok((None, None)),
        }
    }
}

/// The bounds of the store's time at a read.
#[derive(Clone, Copy)]
struct Moment {
    earliest: Timestamp,
    latest: Timestamp,
}

/// What became of the region since the last round.
enum Continuity {
    /// It has kept all it was given, as far as this shows.
    Kept,
    /// The same, and its entry was put again. The answer to that may stand for pushes.
    Renewed,
    /// It has lost entries, or is seen for the first time.
    Broken,
}
