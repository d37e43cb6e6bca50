//! Reading and listing.

use std::sync::Arc;

use bytes::Bytes;
use redis::{Pipeline, Value};
use region_core::{
    Cursor, Entry, Error, ErrorKind, Freshness, Page, PageTerms, Read, ReadFrom, ReadTerms,
    RegionPath, Result, ScanItem, Segment, Show, Source, Timestamp,
};
use tokio::time::Instant;

use crate::error::Failure;
use crate::net::connection::{Again, Channel, Lane, Request, Tracking};
use crate::net::link::{Answered, Link};
use crate::protocol::commands;
use crate::protocol::layout::{self, Kind, Moment, Path, Unsure, deadline_of};
use crate::protocol::reply::{Replies, borrowed, bytes, list, number};
use crate::session::clock::Between;
use crate::store::Inner;

/// How many entries are counted in one step on the server.
const COUNT_PAGE: usize = 1000;

/// How often a call that finds the server has forgotten this process's changes is tried.
pub(crate) const ATTEMPTS: usize = 10;

impl Inner {
    pub(crate) async fn read(
        &self,
        region: &RegionPath,
        keys: &[&str],
        terms: ReadTerms,
    ) -> Result<Read> {
        let deadline = self.deadline_from(terms.started);
        if terms.from == ReadFrom::Replica
            && let Some(read) = self.read_replica(region, keys, deadline).await
        {
            return Ok(read);
        }
        let clock = self.primary_progress.clock.now();
        let read = |count: Option<&str>| self.read_request(region, keys, count, clock);
        let (ids, mut replies, source) = self.ask(region, deadline, read).await?;
        let fields = replies.next_of_type()?.and_then(list).unwrap_or_default();
        let now = match clock {
            Some(now) => now,
            None => Between::exactly(replies.time()?),
        };
        let path = Path::parse(ids.iter().map(borrowed));
        match self.judge(region, keys, path.as_ref(), &fields, now) {
            Ok(freshness) => Ok(found(keys, path.as_ref(), fields, freshness).source(source)),
            // So near to the end of an entry only the server's own clock decides.
            Err(Unsure) => {
                let now = Between::exactly(self.now().await?);
                let freshness = self.judge(region, keys, path.as_ref(), &fields, now);
                let freshness = freshness.unwrap_or_default();
                Ok(found(keys, path.as_ref(), fields, freshness).source(source))
            }
        }
    }

    /// What a replica answers; `None` if none can be trusted to show what this process has done, or
    /// not in time.
    async fn read_replica(
        &self,
        region: &RegionPath,
        keys: &[&str],
        deadline: Instant,
    ) -> Option<Read> {
        let replica = self.replica()?;
        // A replica's own clock is not the one that decides.
        let clock = self.primary_progress.clock.now()?;
        let (number, needed) = self.recovery.own().needed_of_replica(region);
        // Time is left to ask the primary.
        let half = Instant::now() + deadline.duration_since(Instant::now()) / 2;
        let count = (needed > 0).then(|| layout::count(number));
        let count = count.as_deref();
        let read = |_: &Channel| self.read_request(region, keys, count, Some(clock));
        let Answered { values, source, .. } = replica
            .call(half, read)
            .await
            .inspect_err(|error| tracing::debug!(%error, "a replica is passed over"))
            .ok()?;
        let (ids, shown, rest) = ids_and_count(values, region, needed).ok()?;
        if shown < needed {
            return None;
        }
        let mut replies = Replies::new(&replica.shared().server, rest);
        let fields = replies.next_of_type().ok()?.and_then(list).unwrap_or_default();
        let path = Path::parse(ids.iter().map(borrowed));
        let freshness = self.judge(region, keys, path.as_ref(), &fields, clock).ok()?;
        Some(found(keys, path.as_ref(), fields, freshness).source(source))
    }

    fn read_request(
        &self,
        region: &RegionPath,
        keys: &[&str],
        count: Option<&str>,
        clock: Option<Between>,
    ) -> Request {
        let mut pipeline = Pipeline::with_capacity(3);
        pipeline.add_command(commands::ids(region, count));
        pipeline.add_command(commands::entries(region, keys));
        if clock.is_none() {
            pipeline.add_command(commands::time());
        }
        let lane = if self.large.any(region, keys) { Lane::Large } else { Lane::Main };
        Request { commands: pipeline, lane, tracking: Tracking::Read, again: Again::Harmless }
    }

    /// Which of the entries found are valid, the stamp first among them; nothing if none is.
    pub(crate) fn judge(
        &self,
        region: &RegionPath,
        keys: &[&str],
        path: Option<&Path>,
        fields: &[Value],
        now: Between,
    ) -> Result<Verdicts, Unsure> {
        let (Some(path), Some((stamp, fields))) = (path, fields.split_first()) else {
            return Ok(Vec::new());
        };
        let Some(deadline) = deadline_of(path, borrowed(stamp)) else { return Ok(Vec::new()) };
        let moment = Moment::new(path, deadline, now);
        let judge = |(key, stored): (&&str, &Value)| {
            let Some(stored) = borrowed(stored) else { return Ok(None) };
            self.large.note(region, key, stored.len());
            moment.judge(stored)
        };
        keys.iter().zip(fields).map(judge).collect()
    }

    /// Asks the primary something that begins with [`commands::ids`], and gives back the ids and the
    /// other answers. If it turns out to have lost what this process did, it is told again first.
    async fn ask(
        &self,
        region: &RegionPath,
        deadline: Instant,
        request: impl Fn(Option<&str>) -> Request,
    ) -> Result<(Vec<Value>, Replies<'_>, Option<Source>)> {
        let shared = self.primary.shared();
        for _ in 0..ATTEMPTS {
            let (counted, needed) = self.recovery.own().needed(region);
            let request =
                |channel: &Channel| request((needed > 0).then_some(channel.count.as_str()));
            let Answered { values, channel, source } = self.primary.call(deadline, request).await?;
            let (ids, shown, rest) = match ids_and_count(values, region, needed) {
                Ok(found) => found,
                Err(values) => {
                    // Not the ids, then: an error, or nonsense.
                    let mut replies = Replies::new(&shared.server, values);
                    replies.list()?;
                    return Err(replies.odd());
                }
            };
            if self.shows_own(&channel, (counted, needed), shown) {
                return Ok((ids, Replies::new(&shared.server, rest), source));
            }
        }
        Err(self.forgets())
    }

    /// Whether the primary shows what this process had counted. If not it has lost what was written to
    /// it, and is told again before the next call.
    pub(crate) fn shows_own(
        &self,
        channel: &Arc<Channel>,
        (counted, needed): (u128, u64),
        shown: u64,
    ) -> bool {
        // What was counted over an earlier channel is covered by the first count of this one.
        let needed = match needed {
            0 => 0,
            _ if counted == channel.number => needed,
            _ => channel.first_count,
        };
        if shown >= needed {
            return true;
        }
        let shared = self.primary.shared();
        if let Some(left_out) = self.logs.lost_changes.pass() {
            tracing::warn!(server = %shared.server, left_out, "changes of this process are gone from the server");
        }
        shared.distrust(channel);
        false
    }

    /// The error for a server that loses things again and again.
    pub(crate) fn forgets(&self) -> Error {
        Failure::unavailable(&self.primary.shared().server, "loses what is written to it").error
    }

    /// A replica that may be asked.
    fn replica(&self) -> Option<&Link> {
        if self.replicas.is_empty() || self.recovery.has_queued() {
            return None;
        }
        let first = self.next_replica();
        let all = self.replicas.iter().cycle().skip(first).take(self.replicas.len());
        let mut usable =
            all.filter(|link| link.is_up() && link.shared().duty.is_recent(&self.settings));
        usable.next()
    }

    pub(crate) async fn scan(
        &self,
        region: &RegionPath,
        terms: PageTerms,
    ) -> Result<Page<ScanItem>> {
        let (cursor, limit) = (position(terms.cursor)?, terms.limit);
        let request = |count: Option<&str>| {
            let mut request = listing(region, Kind::Entries, cursor, limit, count);
            request.commands.add_command(commands::time());
            request.lane = Lane::Large;
            request
        };
        let (ids, mut replies, _) = self.ask(region, self.deadline(), request).await?;
        let stamp = replies.next_of_type()?.and_then(bytes);
        let page = replies.next_of_type()?;
        let now = replies.time()?;
        let path = Path::parse(ids.iter().map(borrowed));
        let Some(path) = path else { return Ok(Page::end()) };
        let deadline = deadline_of(&path, stamp.as_deref());
        let (Some(deadline), Some(page)) = (deadline, page) else { return Ok(Page::end()) };
        let (next, fields) = page_of(page).ok_or_else(|| replies.odd())?;
        let moment = Moment::new(&path, deadline, Between::exactly(now));
        let item = |(key, stored): (Vec<u8>, Vec<u8>)| {
            let Entry { bytes, freshness } = moment.entry(stored)?;
            let item = ScanItem::new(String::from_utf8(key).ok()?, freshness);
            Some(item.bytes((terms.show == Show::Entries).then_some(bytes)))
        };
        let fields = fields.into_iter().filter(|(key, _)| !key.is_empty());
        Ok(Page::new(fields.filter_map(item).collect(), next))
    }

    pub(crate) async fn children(
        &self,
        region: &RegionPath,
        terms: PageTerms,
    ) -> Result<Page<Segment>> {
        let (cursor, limit) = (position(terms.cursor)?, terms.limit);
        let request = |count: Option<&str>| listing(region, Kind::Children, cursor, limit, count);
        let (ids, mut replies, _) = self.ask(region, self.deadline(), request).await?;
        let stamp = replies.next_of_type()?.and_then(bytes);
        let page = replies.next_of_type()?;
        let path = Path::parse(ids.iter().map(borrowed));
        let (Some(path), Some(stamp), Some(page)) = (path, stamp, page) else {
            return Ok(Page::end());
        };
        if path.strip_trees(&stamp) != Some(&[]) {
            return Ok(Page::end());
        }
        let (next, fields) = page_of(page).ok_or_else(|| replies.odd())?;
        let segment =
            |(name, _): (Vec<u8>, Vec<u8>)| Segment::parse(std::str::from_utf8(&name).ok()?).ok();
        Ok(Page::new(fields.into_iter().filter_map(segment).collect(), next))
    }

    pub(crate) async fn len(&self, region: &RegionPath) -> Result<u64> {
        let (mut cursor, mut len) = (0, 0);
        loop {
            let request = |_: &Channel| {
                let mut commands = Pipeline::with_capacity(1);
                commands.add_command(commands::len(region, cursor, COUNT_PAGE));
                Request {
                    commands,
                    lane: Lane::Main,
                    tracking: Tracking::No,
                    again: Again::Harmless,
                }
            };
            let answered = self.primary.call(self.deadline(), request).await?;
            let server = &self.primary.shared().server;
            let mut page = Replies::new(server, answered.values).within()?;
            cursor = page.number()?;
            len += page.number()?;
            if cursor == 0 {
                return Ok(len);
            }
        }
    }

    pub(crate) async fn now(&self) -> Result<Timestamp> {
        let request = |_: &Channel| {
            let mut commands = Pipeline::with_capacity(1);
            commands.add_command(commands::time());
            Request { commands, lane: Lane::Main, tracking: Tracking::No, again: Again::Harmless }
        };
        let answered = self.primary.call(self.deadline(), request).await?;
        Replies::new(&self.primary.shared().server, answered.values).time()
    }
}

fn listing(
    region: &RegionPath,
    kind: Kind,
    cursor: u64,
    limit: usize,
    count: Option<&str>,
) -> Request {
    let mut commands = Pipeline::with_capacity(4);
    commands.add_command(commands::ids(region, count));
    commands.add_command(commands::stamp(region, kind));
    commands.add_command(commands::scan(region, kind, cursor, limit));
    Request { commands, lane: Lane::Main, tracking: Tracking::No, again: Again::Harmless }
}

/// The ids along the path, the count of writes that the server shows if it was asked, and the other
/// answers; all answers if the first is something else.
fn ids_and_count(
    values: Vec<Value>,
    region: &RegionPath,
    needed: u64,
) -> Result<(Vec<Value>, u64, Vec<Value>), Vec<Value>> {
    let asked = usize::from(needed > 0);
    match values.first() {
        Some(Value::Array(found)) if found.len() == region.depth() + asked => {}
        _ => return Err(values),
    }
    let mut values = values.into_iter();
    let Some(Value::Array(mut ids)) = values.next() else { return Err(values.collect()) };
    let shown =
        if asked == 0 { 0 } else { ids.pop().and_then(|count| number(&count)).unwrap_or(0) };
    Ok((ids, shown, values.collect()))
}

/// For each key that was asked for, whether its entry is valid, and where its bytes begin.
type Verdicts = Vec<Option<(Freshness, usize)>>;

fn found(keys: &[&str], path: Option<&Path>, fields: Vec<Value>, verdicts: Verdicts) -> Read {
    Read::new(entries(keys, fields, verdicts)).lineage(path.and_then(Path::lineage))
}

/// The entries found valid, the stamp first among the fields.
pub(crate) fn entries(keys: &[&str], fields: Vec<Value>, verdicts: Verdicts) -> Vec<Option<Entry>> {
    if verdicts.is_empty() {
        return vec![None; keys.len()];
    }
    let entry = |(stored, verdict): (Value, Option<(Freshness, usize)>)| {
        let (freshness, at) = verdict?;
        Some(Entry { bytes: Bytes::from(bytes(stored)?).slice(at..), freshness })
    };
    fields.into_iter().skip(1).zip(verdicts).map(entry).collect()
}

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// The next cursor and the fields of a page.
fn page_of(page: Value) -> Option<(Option<Cursor>, Fields)> {
    let mut parts = list(page)?.into_iter();
    let next = number(&parts.next()?)?;
    let mut flat = list(parts.next()?)?.into_iter();
    let mut fields = Vec::with_capacity(flat.len() / 2);
    while let (Some(name), Some(value)) = (flat.next(), flat.next()) {
        fields.push((bytes(name)?, bytes(value)?));
    }
    let next = (next != 0).then(|| Cursor::from_bytes(next.to_string().into_bytes()));
    Some((next, fields))
}

fn position(cursor: Option<Cursor>) -> Result<u64> {
    let Some(cursor) = cursor else { return Ok(0) };
    let text = std::str::from_utf8(cursor.as_bytes()).ok();
    let position = text.and_then(|text| text.parse().ok());
    position.ok_or_else(|| Error::new(ErrorKind::Protocol, "not a cursor of this store"))
}
