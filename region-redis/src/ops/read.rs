//! Reading.

use bytes::Bytes;
use redis::{Pipeline, Value};
use region_core::{
    Entry, ErrorKind, Freshness, Leftover, Lineage, Read, ReadFrom, ReadTerms, RegionPath, Result,
    Source, Timestamp, Trust,
};
use tokio::time::Instant;

use crate::net::connections::Connections;
use crate::net::link::Response;
use crate::net::request::{Lane, Request, Retry, Tracking};
use crate::ops::ask::{ReplyForm, ids_and_count};
use crate::ops::one;
use crate::protocol::layout::{Claim, Located, PathIds, Unsure, Validator, leftover};
use crate::protocol::read::{count_alone, entries, ids, time};
use crate::protocol::reply::{Replies, borrowed, bytes, list};
use crate::time_range::TimeRange;
use crate::topology::shard::Shard;

/// For each key that was asked for, the freshness of its entry if it is valid, and where its bytes
/// begin.
type Valid = Vec<Option<(Freshness, usize)>>;

/// The stamp and the entries of a region, and the ids in the same slot, as a server showed them.
pub(crate) struct Lines {
    ids: Vec<Value>,
    /// The stamp, then the entries.
    fields: Vec<Value>,
    /// The primary's time.
    now: TimeRange,
    pub(crate) source: Option<Source>,
}

impl Shard {
    pub(crate) async fn read(
        &self,
        region: &RegionPath,
        keys: &[&str],
        terms: ReadTerms<'_>,
    ) -> Result<Read> {
        let deadline = self.deadline_from(terms.started);
        if let Some(read) = self.read_if_assumed(region, keys, terms, deadline).await? {
            return Ok(read);
        }
        let lines = self.read_lines(region, keys, terms.from, deadline).await?;
        self.judge(self.locate(region), keys, lines, terms.trust, deadline).await
    }

    /// Reads the entries alone, if the terms assume a lineage and a primary is to be read.
    pub(crate) async fn read_if_assumed(
        &self,
        region: &RegionPath,
        keys: &[&str],
        terms: ReadTerms<'_>,
        deadline: Instant,
    ) -> Result<Option<Read>> {
        match (terms.lineage, terms.from) {
            (Some(lineage), ReadFrom::Primary) => {
                self.read_assuming(lineage, region, keys, terms.trust, deadline).await
            }
            _ => Ok(None),
        }
    }

    /// Reads what tells which entries are valid, and the entries.
    pub(crate) async fn read_lines(
        &self,
        region: &RegionPath,
        keys: &[&str],
        from: ReadFrom,
        deadline: Instant,
    ) -> Result<Lines> {
        if from == ReadFrom::Replica
            && let Some(lines) = self.read_replica(region, keys, deadline).await
        {
            return Ok(lines);
        }
        let clock = self.primary_progress.clock.now();
        let request = |count: Option<&str>| self.read_request(region, keys, count, clock);
        let (ids, mut replies, source) =
            self.ask_for_entries(region, keys, deadline, ReplyForm::PerCommand, request).await?;
        let fields = replies.next_of_type()?.and_then(list).unwrap_or_default();
        let now = match clock {
            Some(now) => now,
            None => TimeRange::exactly(replies.time()?),
        };
        Ok(Lines { ids, fields, now, source })
    }

    /// Returns which of the entries are valid.
    pub(crate) async fn judge(
        &self,
        at: Located<'_>,
        keys: &[&str],
        lines: Lines,
        trust: Trust,
        deadline: Instant,
    ) -> Result<Read> {
        let Lines { ids, fields, now, source } = lines;
        let ids = path_ids(at, &ids)?;
        let valid = self.validate(at.region, keys, ids.as_ref(), &fields, now);
        let (valid, now) = match valid {
            Ok(valid) => (valid, now),
            // So close to an entry's expiry only the server's own clock can tell.
            Err(Unsure) => {
                let now = TimeRange::exactly(self.time(deadline).await?);
                let valid = self.validate(at.region, keys, ids.as_ref(), &fields, now);
                (valid.unwrap_or_default(), now)
            }
        };
        Ok(found(keys, ids.as_ref(), fields, valid, now, trust).source(source))
    }

    /// Names two connections whose pushes both tell of changes to an answer.
    pub(crate) fn joint_source(
        &self,
        one: Option<Source>,
        other: Option<Source>,
    ) -> Option<Source> {
        self.primary.shared().origin.dialer.pushes.joint(one?, other?)
    }

    /// Reads the entries alone, of a region that is trusted to have this lineage. Returns `None` if they have to be
    /// read in full: the lineage or the clock does not tell enough, or another connection is to be used, whose
    /// pushes would not tell of the lineage.
    async fn read_assuming(
        &self,
        lineage: &Lineage,
        region: &RegionPath,
        keys: &[&str],
        trust: Trust,
        deadline: Instant,
    ) -> Result<Option<Read>> {
        let clock = self.primary_progress.clock.now();
        let ids = PathIds::assumed(lineage, region.depth());
        let (Some(clock), Some(ids)) = (clock, ids) else { return Ok(None) };
        if self.large.any(region, keys) {
            return Ok(None);
        }
        let request = |count: Option<&str>| {
            let mut commands = Pipeline::with_capacity(2);
            // First: what has been written by then, the entries show too.
            count.into_iter().for_each(|count| {
                commands.add_command(count_alone(count));
            });
            commands.add_command(entries(self.locate(region), keys));
            Request::new(commands, Lane::Main, Tracking::Read, Retry::Safe)
        };
        let (_, mut replies, source) =
            self.ask_for_entries(region, keys, deadline, ReplyForm::WithoutIds, request).await?;
        let fields = replies.next_of_type()?.and_then(list).unwrap_or_default();
        let valid = self.validate(region, keys, Some(&ids), &fields, clock);
        Ok(valid
            .ok()
            .map(|valid| found(keys, Some(&ids), fields, valid, clock, trust).source(source)))
    }

    /// As [`ask`](Self::ask). Remembers entries that may have been too large for the main connection.
    async fn ask_for_entries(
        &self,
        region: &RegionPath,
        keys: &[&str],
        deadline: Instant,
        form: ReplyForm,
        request: impl Fn(Option<&str>) -> Request,
    ) -> Result<(Vec<Value>, Replies, Option<Source>)> {
        let regions = self.locate(region).here().len();
        let asked = self.ask(region, regions, deadline, form, request).await;
        if asked.as_ref().is_err_and(|error| error.kind() == ErrorKind::Timeout) {
            self.large.suspect(region, keys);
        }
        asked
    }

    /// Returns the answer of a replica; `None` if no replica is known to have this process's writes, or none
    /// answers in time.
    async fn read_replica(
        &self,
        region: &RegionPath,
        keys: &[&str],
        deadline: Instant,
    ) -> Option<Lines> {
        let replica = self.replica()?;
        // Expiry is judged by the primary's clock, not by the replica's.
        let now = self.primary_progress.clock.now()?;
        let (number, needed) = self.recovery.recent_writes().needed_of_replica(region);
        // Half of the time is left for the primary.
        let half = Instant::now() + deadline.duration_since(Instant::now()) / 2;
        let count = (needed > 0).then(|| self.recovery.count_names().of(number));
        let count = count.as_deref();
        let request = |_: &Connections| self.read_request(region, keys, count, Some(now));
        let Response { values, connections, source, .. } = replica
            .link
            .call(half, request)
            .await
            .inspect_err(|error| tracing::debug!(%error, "a replica is passed over"))
            .ok()?;
        let regions = self.locate(region).here().len();
        let (ids, shown, rest) = ids_and_count(values, regions, needed).ok()?;
        if shown < needed || needed > 0 && !self.recovery.is_believed(number, needed) {
            return None;
        }
        let mut replies = Replies::new(&connections.server, rest);
        let fields = replies.next_of_type().ok()?.and_then(list).unwrap_or_default();
        Some(Lines { ids, fields, now, source })
    }

    fn read_request(
        &self,
        region: &RegionPath,
        keys: &[&str],
        count: Option<&str>,
        clock: Option<TimeRange>,
    ) -> Request {
        let (at, mut commands) = (self.locate(region), Pipeline::with_capacity(3));
        commands.add_command(ids(at, count));
        commands.add_command(entries(at, keys));
        if clock.is_none() {
            commands.add_command(time());
        }
        let lane = if self.large.any(region, keys) { Lane::Large } else { Lane::Main };
        Request::new(commands, lane, Tracking::Read, Retry::Safe)
    }

    /// Returns which of the entries are valid; an empty list if none is. The first of `fields` is the stamp.
    pub(crate) fn validate(
        &self,
        region: &RegionPath,
        keys: &[&str],
        ids: Option<&PathIds>,
        fields: &[Value],
        now: TimeRange,
    ) -> Result<Valid, Unsure> {
        let (Some(ids), Some((stamp, fields))) = (ids, fields.split_first()) else {
            return Ok(Vec::new());
        };
        let Some(stamp) = ids.stamp(borrowed(stamp)) else { return Ok(Vec::new()) };
        let validator = Validator::new(ids, stamp.ttl_end, now);
        let validate = |(key, stored): (&&str, &Value)| {
            let Some(stored) = borrowed(stored) else { return Ok(None) };
            self.large.note(region, key, stored.len());
            validator.validate(stored)
        };
        keys.iter().zip(fields).map(validate).collect()
    }

    pub(crate) async fn now(&self) -> Result<Timestamp> {
        self.time(self.deadline()).await
    }

    async fn time(&self, deadline: Instant) -> Result<Timestamp> {
        let request = |_: &Connections| one(time(), Lane::Main, Retry::Safe);
        let answered = self.primary.call(deadline, request).await?;
        Replies::new(&answered.connections.server, answered.values).time()
    }
}

/// The ids along a path: those that are claimed, and those that its slot holds.
///
/// # Errors
/// If the root was created by a process with other anchors.
pub(crate) fn path_ids(at: Located<'_>, here: &[Value]) -> Result<Option<PathIds>> {
    let above = at.claim.into_iter().flat_map(Claim::ids);
    let mut path = above.chain(here.iter().map(borrowed)).peekable();
    at.anchor.check(path.peek().copied().flatten())?;
    Ok(PathIds::parse(path))
}

fn found(
    keys: &[&str],
    ids: Option<&PathIds>,
    fields: Vec<Value>,
    valid: Valid,
    now: TimeRange,
    trust: Trust,
) -> Read {
    let stamp = ids.filter(|_| trust == Trust::Kept).and_then(|ids| {
        let stamp = ids.stamp(fields.first().and_then(borrowed))?;
        stamp.ttl_end.is_none_or(|end| end > now.latest).then_some(stamp)
    });
    let leftovers = leftovers(ids, &fields, &valid);
    Read::new(valid_entries(keys, fields, valid))
        .leftovers(leftovers)
        .lineage(ids.and_then(PathIds::lineage))
        .changes(stamp.map(|stamp| stamp.changes))
}

/// Returns the entries that are there and not valid. The first of `fields` is the stamp.
fn leftovers(ids: Option<&PathIds>, fields: &[Value], valid: &Valid) -> Vec<(usize, Leftover)> {
    // Where none was even looked at, all are of other trees.
    let ids = ids.filter(|_| !valid.is_empty());
    let is_missing = |at: &usize| valid.get(*at).is_none_or(Option::is_none);
    let stored = fields.iter().skip(1).enumerate().filter(|(at, _)| is_missing(at));
    stored.filter_map(|(at, stored)| Some((at, leftover(borrowed(stored)?, ids)?))).collect()
}

/// Returns the valid entries. The first of `fields` is the stamp.
pub(crate) fn valid_entries(keys: &[&str], fields: Vec<Value>, valid: Valid) -> Vec<Option<Entry>> {
    if valid.is_empty() {
        return vec![None; keys.len()];
    }
    let entry = |(stored, valid): (Value, Option<(Freshness, usize)>)| {
        let (freshness, at) = valid?;
        Some(Entry::new(Bytes::from(bytes(stored)?).slice(at..), freshness))
    };
    fields.into_iter().skip(1).zip(valid).map(entry).collect()
}
