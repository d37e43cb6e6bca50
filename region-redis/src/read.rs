//! Reading and listing.

use redis::{Pipeline, Value};
use region_core::{
    Cursor, Entry, Error, ErrorKind, Page, Read, ReadFrom, RegionPath, Result, ScanItem, Segment,
    Timestamp,
};
use tokio::time::Instant;

use crate::channel::{Again, Channel, Lane, Request, Tracking};
use crate::commands;
use crate::error::Failure;
use crate::layout::{Kind, Moment, Path, deadline_of};
use crate::link::{Answered, Link};
use crate::reply::{Replies, borrowed, bytes, list, number};
use crate::store::Inner;

/// How many entries are counted in one step on the server.
const COUNT_PAGE: usize = 1000;

/// How often a read that finds the server has forgotten this process's changes is tried.
const ATTEMPTS: usize = 3;

impl Inner {
    pub(crate) async fn read(
        &self,
        region: &RegionPath,
        keys: &[&str],
        from: ReadFrom,
    ) -> Result<Read> {
        let deadline = self.deadline();
        if from == ReadFrom::Replica
            && let Some(read) = self.read_replica(region, keys, deadline).await
        {
            return Ok(read);
        }
        let read = |channel: &Channel| self.read_request(region, keys, channel.number);
        let answered = self.ask(region, deadline, read).await?;
        self.found(region, keys, &answered.0, answered.1, None)
    }

    /// What a replica answers; `None` if none can be trusted to show what this process has done.
    async fn read_replica(
        &self,
        region: &RegionPath,
        keys: &[&str],
        deadline: Instant,
    ) -> Option<Read> {
        let replica = self.replica()?;
        let (number, needed) = self.recovery.own().needed(region);
        // Time is left to ask the primary.
        let half = Instant::now() + deadline.duration_since(Instant::now()) / 2;
        let answered = replica.call(half, |_| self.read_request(region, keys, number)).await;
        let Answered { values, .. } = answered
            .inspect_err(|error| tracing::debug!(%error, "a replica is passed over"))
            .ok()?;
        let (ids, shown) = ids_and_count(&values, region)?;
        if shown < needed {
            return None;
        }
        let server = &replica.shared().server;
        let mut replies = Replies::new(server, values);
        replies.next().ok()?;
        self.found(region, keys, &ids, replies, self.primary_seen.now()).ok()
    }

    fn read_request(&self, region: &RegionPath, keys: &[&str], number: u128) -> Request {
        let mut pipeline = Pipeline::with_capacity(3);
        pipeline.add_command(commands::ids(region, number));
        pipeline.add_command(commands::entries(region, keys));
        // Last: what has ended by then has ended for the whole answer.
        pipeline.add_command(commands::time());
        let lane = if self.large.any(region, keys) { Lane::Large } else { Lane::Main };
        Request { commands: pipeline, lane, tracking: Tracking::Read, again: Again::Harmless }
    }

    fn found(
        &self,
        region: &RegionPath,
        keys: &[&str],
        ids: &[Option<Vec<u8>>],
        mut replies: Replies<'_>,
        clock: Option<Timestamp>,
    ) -> Result<Read> {
        let fields = replies.next_of_type()?;
        let now = replies.time()?;
        let now = clock.unwrap_or(now);
        let fields = fields.and_then(list).unwrap_or_default();
        let Some(path) = Path::parse(ids.iter().map(Option::as_deref)) else {
            return Ok(Read { lineage: None, entries: vec![None; keys.len()] });
        };
        let entries = self.judge(region, keys, &path, fields, now);
        Ok(Read { lineage: path.lineage(), entries })
    }

    /// The valid ones of the entries found, the stamp first among them.
    pub(crate) fn judge(
        &self,
        region: &RegionPath,
        keys: &[&str],
        path: &Path,
        fields: Vec<Value>,
        now: Timestamp,
    ) -> Vec<Option<Entry>> {
        let mut fields = fields.into_iter();
        let stamp = fields.next().and_then(bytes);
        let Some(deadline) = deadline_of(path, stamp.as_deref(), now) else {
            return vec![None; keys.len()];
        };
        let moment = Moment::new(path, deadline, now);
        let judge = |(key, stored): (&&str, Option<Value>)| {
            let stored = bytes(stored?)?;
            self.large.note(region, key, stored.len());
            moment.entry(stored)
        };
        keys.iter().zip(fields.map(Some).chain(std::iter::repeat(None))).map(judge).collect()
    }

    /// Asks the primary something that begins with [`commands::ids`], and gives back the ids and the
    /// other answers. If it turns out to have lost what this process did, it is told again first.
    async fn ask(
        &self,
        region: &RegionPath,
        deadline: Instant,
        request: impl Fn(&Channel) -> Request,
    ) -> Result<(Vec<Option<Vec<u8>>>, Replies<'_>)> {
        let shared = self.primary.shared();
        for _ in 0..ATTEMPTS {
            let (counted, needed) = self.recovery.own().needed(region);
            let Answered { values, channel } = self.primary.call(deadline, &request).await?;
            let Some((ids, shown)) = ids_and_count(&values, region) else {
                // Not the ids, then: an error, or nonsense.
                let mut replies = Replies::new(&shared.server, values);
                replies.list()?;
                return Err(replies.odd());
            };
            // What was counted over an earlier channel is covered by the first count of this one.
            let needed = if counted == channel.number { needed } else { 1 };
            if shown >= needed {
                let mut replies = Replies::new(&shared.server, values);
                replies.next()?;
                return Ok((ids, replies));
            }
            tracing::warn!(server = %shared.server, "changes of this process are gone from the server");
            self.recovery.distrust();
            shared.distrust(&channel);
        }
        Err(Failure::unavailable(&shared.server, "loses what is written to it").error)
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
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<ScanItem>> {
        let cursor = position(cursor)?;
        let request = |channel: &Channel| {
            let mut request = listing(region, Kind::Entries, cursor, limit, channel.number);
            request.commands.add_command(commands::time());
            request.lane = Lane::Large;
            request
        };
        let (ids, mut replies) = self.ask(region, self.deadline(), request).await?;
        let stamp = replies.next_of_type()?.and_then(bytes);
        let page = replies.next_of_type()?;
        let now = replies.time()?;
        let path = Path::parse(ids.iter().map(Option::as_deref));
        let Some(path) = path else { return Ok(nothing()) };
        let deadline = deadline_of(&path, stamp.as_deref(), now);
        let (Some(deadline), Some(page)) = (deadline, page) else { return Ok(nothing()) };
        let (next, fields) = page_of(page).ok_or_else(|| replies.odd())?;
        let moment = Moment::new(&path, deadline, now);
        let item = |(key, stored): (Vec<u8>, Vec<u8>)| {
            let entry = moment.entry(stored)?;
            Some(ScanItem { key: String::from_utf8(key).ok()?, entry })
        };
        let fields = fields.into_iter().filter(|(key, _)| !key.is_empty());
        Ok(Page { items: fields.filter_map(item).collect(), next })
    }

    pub(crate) async fn children(
        &self,
        region: &RegionPath,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Segment>> {
        let cursor = position(cursor)?;
        let request =
            |channel: &Channel| listing(region, Kind::Children, cursor, limit, channel.number);
        let (ids, mut replies) = self.ask(region, self.deadline(), request).await?;
        let stamp = replies.next_of_type()?.and_then(bytes);
        let page = replies.next_of_type()?;
        let path = Path::parse(ids.iter().map(Option::as_deref));
        let (Some(path), Some(stamp), Some(page)) = (path, stamp, page) else {
            return Ok(nothing());
        };
        if path.strip_trees(&stamp) != Some(&[]) {
            return Ok(nothing());
        }
        let (next, fields) = page_of(page).ok_or_else(|| replies.odd())?;
        let segment =
            |(name, _): (Vec<u8>, Vec<u8>)| Segment::parse(std::str::from_utf8(&name).ok()?).ok();
        Ok(Page { items: fields.into_iter().filter_map(segment).collect(), next })
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

fn listing(region: &RegionPath, kind: Kind, cursor: u64, limit: usize, number: u128) -> Request {
    let mut commands = Pipeline::with_capacity(4);
    commands.add_command(commands::ids(region, number));
    commands.add_command(commands::stamp(region, kind));
    commands.add_command(commands::scan(region, kind, cursor, limit));
    Request { commands, lane: Lane::Main, tracking: Tracking::No, again: Again::Harmless }
}

/// The ids along the path, and the count of writes that the server shows; `None` if the first answer
/// is something else.
fn ids_and_count(values: &[Value], region: &RegionPath) -> Option<(Vec<Option<Vec<u8>>>, u64)> {
    let Value::Array(found) = values.first()? else { return None };
    let (count, ids) = found.split_last()?;
    if ids.len() != region.depth() {
        return None;
    }
    let ids = ids.iter().map(|ids| borrowed(ids).map(<[u8]>::to_vec)).collect();
    Some((ids, number(count).unwrap_or_default()))
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

fn nothing<T>() -> Page<T> {
    Page { items: Vec::new(), next: None }
}
