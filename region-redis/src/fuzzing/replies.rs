//! The parsers of the answers to each request.

use std::sync::Arc;

use redis::Value;
use region_core::{Op, Put, Show, Timestamp};

use super::input::Input;
use crate::net::answered::AnsweredCounts;
use crate::ops::acknowledge::acknowledged;
use crate::ops::ask::ids_and_count;
use crate::ops::read::valid_entries;
use crate::ops::scan::{page_of, position};
use crate::ops::write::outcomes_of;
use crate::protocol::begin::BeginReply;
use crate::protocol::children::{children, is_list_of};
use crate::protocol::end::EndReply;
use crate::protocol::layout::{PathIds, SLOTS, Slot, Stamp, Validator};
use crate::protocol::prepare::{Counts, Refreshed};
use crate::protocol::reply::{Replies, borrowed, list, time_of};
use crate::protocol::scan::ScanReply;
use crate::protocol::write::{AppliedReply, PutReply};
use crate::server::Server;
use crate::time_range::TimeRange;
use crate::topology::cluster::View;
use crate::topology::sentinel::Answer;

/// Reads the answers to one request.
type Parse = fn(&Arc<Server>, Vec<Value>);

/// The parsers, each with the request whose answers it reads.
pub const PARSERS: &[(&str, Parse)] = &[
    ("read", read),
    ("begin", begin),
    ("end", end),
    ("write", write),
    ("put", put),
    ("scan", scan),
    ("children", list_children),
    ("prepare", prepare),
    ("time", time),
    ("acknowledge", acknowledge),
    ("sentinel", sentinel),
    ("slots", slots),
];

/// The keys that are asked for.
const KEYS: [&str; 3] = ["a", "b", "c"];

/// Reads answers, made of `bytes` after the first, which says of which request they are. Half of them are read
/// from the wire.
pub fn replies(bytes: &[u8]) {
    let Ok(server) = Server::parse("redis://h").map(Arc::new) else { return };
    let mut input = Input::new(bytes);
    let (_, parse) = PARSERS[usize::from(input.byte()) % PARSERS.len()];
    let values = if input.byte().is_multiple_of(2) {
        input.values()
    } else {
        redis::parse_redis_value(input.rest()).ok().and_then(list).unwrap_or_default()
    };
    parse(&server, values);
}

fn read(server: &Arc<Server>, values: Vec<Value>) {
    let (path, needed) = (values.len() % 4, values.len() as u64 % 2);
    let Ok((ids, _, rest)) = ids_and_count(values, path, needed) else { return };
    assert_eq!(ids.len(), path);
    let Ok(Some(fields)) = Replies::new(server, rest).next_of_type() else { return };
    if let Some(ids) = PathIds::parse(ids.iter().map(borrowed)) {
        validated(&ids, list(fields).unwrap_or_default(), Timestamp::from_millis(1000));
    }
}

/// Reads the entries after a stamp, as [`Shard::validate`](crate::topology::shard::Shard::validate) does.
fn validated(ids: &PathIds, fields: Vec<Value>, now: Timestamp) {
    let Some(Stamp { ttl_end, .. }) = ids.stamp(fields.first().and_then(borrowed)) else { return };
    let validator = Validator::new(ids, ttl_end, TimeRange::exactly(now));
    let stored = fields.iter().skip(1).take(KEYS.len());
    let valid = stored.map(|stored| {
        let valid = borrowed(stored).map(|stored| validator.validate(stored));
        valid.transpose().map(Option::flatten)
    });
    let Ok(valid) = valid.collect::<Result<Vec<_>, _>>() else {
        panic!("unsure at an exact time");
    };
    let expected: Vec<_> =
        valid.iter().map(|valid| valid.map(|(freshness, _)| freshness)).collect();
    let entries = valid_entries(&KEYS, fields, valid);
    let found: Vec<_> =
        entries.iter().map(|entry| entry.as_ref().map(|entry| entry.freshness)).collect();
    assert!(expected.is_empty() || expected == found);
}

fn begin(server: &Arc<Server>, values: Vec<Value>) {
    let Ok(reply) = BeginReply::parse(Replies::new(server, values)) else { return };
    assert_eq!(reply.fields.len(), reply.leases.len() + 1);
    validated(&reply.ids, reply.fields, reply.now);
}

fn end(server: &Arc<Server>, values: Vec<Value>) {
    let mut replies = Replies::new(server, values);
    while EndReply::parse(&mut replies).is_ok() {}
}

fn write(server: &Arc<Server>, values: Vec<Value>) {
    let Ok(Some(reply)) = AppliedReply::parse(Replies::new(server, values)) else { return };
    let ops = [Op::Remove { key: "a" }, Op::Take { key: "b" }, Op::Put(Put::new("c", ""))];
    let kinds = ops.iter().cycle().take(reply.outcomes.len()).cloned().collect::<Vec<_>>();
    let outcomes = outcomes_of(&kinds, reply.outcomes, reply.region.as_ref());
    assert!(outcomes.is_none_or(|outcomes| outcomes.len() == kinds.len()));
}

fn put(server: &Arc<Server>, values: Vec<Value>) {
    let _ = PutReply::parse(Replies::new(server, values));
}

fn scan(server: &Arc<Server>, values: Vec<Value>) {
    let ids = PathIds::parse(values.last().map(borrowed));
    let Ok(reply) = ScanReply::parse(Replies::new(server, values)) else { return };
    // A cursor that is given out is taken back.
    if let Some(next) = &reply.next {
        assert!(position(Some(next)).is_ok_and(|next| next != 0));
    }
    let show = if reply.next.is_some() { Show::Keys } else { Show::Entries };
    let page = page_of(ids.as_ref(), reply, show);
    assert!(page.items.iter().all(|item| item.bytes.is_some() == (show == Show::Entries)));
}

fn list_children(server: &Arc<Server>, values: Vec<Value>) {
    let mut replies = Replies::new(server, values);
    let (Ok(Some(ids)), Ok(Some(stamp))) = (replies.path_ids(), replies.next_of_type()) else {
        return;
    };
    is_list_of(&ids, stamp);
    let (Ok(page), Ok(now)) = (replies.next(), replies.time()) else { return };
    if let Some((_, Some(next))) = children(page, now) {
        assert!(position(Some(&next)).is_ok_and(|next| next != 0));
    }
}

fn prepare(_: &Arc<Server>, values: Vec<Value>) {
    let mut answered = AnsweredCounts::new();
    for value in values {
        if let Some(counts) = Counts::parse(&value) {
            let _ = answered.note(counts.count);
        }
        Refreshed::parse(&value);
    }
}

fn time(server: &Arc<Server>, values: Vec<Value>) {
    let time = time_of(&Value::Array(values.clone()));
    assert_eq!(Replies::new(server, vec![Value::Array(values)]).time().ok(), time);
}

fn acknowledge(_: &Arc<Server>, values: Vec<Value>) {
    acknowledged(&values);
}

fn sentinel(server: &Arc<Server>, values: Vec<Value>) {
    let Ok(answer) = Answer::parse(server, values) else { return };
    let hosts = answer.replicas.iter().chain([&answer.primary]);
    assert!(hosts.into_iter().all(|host| host.port > 0 && !host.name.is_empty()));
}

fn slots(server: &Arc<Server>, values: Vec<Value>) {
    let Ok(view) = View::parse(server, values) else { return };
    for slot in (0..SLOTS).filter_map(Slot::new) {
        let map = view.map();
        // A slot with replicas has a primary.
        assert!(map.primary(slot).is_some() || map.replicas(slot).is_empty());
    }
}
