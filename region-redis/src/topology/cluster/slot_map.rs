//! What nodes say of the slots of a cluster.

use redis::{Pipeline, Value};

use crate::error::Failure;
use crate::net::epoch::current_epoch;
use crate::net::identity::field_of;
use crate::protocol::layout::{SLOTS, Slot};
use crate::protocol::reply::text;
use crate::server::{Address, Server};
use crate::url::Host;

/// The most replicas of a slot.
const MAX_REPLICAS: usize = 64;

/// The nodes of each slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SlotMap {
    epoch: u64,
    /// In the order of their slots; none has a slot of another.
    ranges: Vec<Range>,
}

/// Neighbouring slots with the same nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    from: Slot,
    to: Slot,
    primary: Host,
    replicas: Vec<Host>,
}

/// What one node knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// The node, as it was asked.
    node: Option<Host>,
    /// The node takes part in a cluster of which it sees most.
    is_ok: bool,
    map: SlotMap,
}

impl SlotMap {
    /// Rises with each change that the nodes agree on.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    fn range(&self, slot: Slot) -> Option<&Range> {
        let after = self.ranges.partition_point(|range| range.from <= slot);
        self.ranges[..after].last().filter(|range| slot <= range.to)
    }

    pub(crate) fn primary(&self, slot: Slot) -> Option<&Host> {
        self.range(slot).map(|range| &range.primary)
    }

    pub(crate) fn replicas(&self, slot: Slot) -> &[Host] {
        self.range(slot).map_or(&[], |range| &range.replicas)
    }

    /// All nodes that have slots, each once.
    pub(crate) fn primaries(&self) -> Vec<&Host> {
        let mut primaries: Vec<&Host> = Vec::new();
        for Range { primary, .. } in &self.ranges {
            if !primaries.contains(&primary) {
                primaries.push(primary);
            }
        }
        primaries
    }

    fn lists(&self, node: &Host) -> bool {
        let is_listed = |range: &Range| range.primary == *node || range.replicas.contains(node);
        self.ranges.iter().any(is_listed)
    }
}

impl View {
    /// The commands whose answers [`parse`](Self::parse) reads.
    pub(crate) fn questions() -> Pipeline {
        let mut questions = Pipeline::with_capacity(2);
        for question in ["INFO", "SLOTS"] {
            questions.cmd("CLUSTER").arg(question);
        }
        questions
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn map(&self) -> &SlotMap {
        &self.map
    }

    /// Reads the answers of `node`.
    pub(crate) fn parse(node: &Server, answers: Vec<Value>) -> Result<Self, Failure> {
        let mut answers = answers.into_iter();
        let mut next = || Failure::unless_error(node, answers.next());
        let unexpected =
            || Failure::unexpected(node, "of its slots in another form than it should");
        let info = next()?;
        let info = match &info {
            Value::VerbatimString { text, .. } => Some(text.as_str()),
            info => text(info),
        };
        let info = info.ok_or_else(unexpected)?;
        let field = |name: &str| field_of(info, name);
        let epoch = current_epoch(info).ok_or_else(unexpected)?;
        let is_ok = field("cluster_state") == Some("ok");
        let node = match node.address() {
            Address::Tcp(name, port) | Address::Tls(name, port) => {
                Some(Host { name: name.clone(), port: *port })
            }
            Address::Unix(_) => None,
        };
        let Value::Array(ranges) = next()? else { return Err(unexpected()) };
        if ranges.len() > usize::from(SLOTS) {
            return Err(unexpected());
        }
        let ranges = ranges.iter().map(|range| Range::parse(range, node.as_ref()));
        let mut ranges: Vec<Range> = ranges
            .collect::<Option<Vec<_>>>()
            .ok_or_else(unexpected)?
            .into_iter()
            .flatten()
            .collect();
        ranges.sort_by_key(|range| range.from);
        if ranges.windows(2).any(|pair| pair[0].to >= pair[1].from) {
            return Err(unexpected());
        }
        Ok(Self { node, is_ok, map: SlotMap { epoch, ranges } })
    }
}

impl Range {
    /// Reads one range; `Some(None)` if its primary has no address. A node without a name is where `asked` is.
    fn parse(value: &Value, asked: Option<&Host>) -> Option<Option<Self>> {
        let Value::Array(fields) = value else { return None };
        let [from, to, primary, replicas @ ..] = fields.as_slice() else { return None };
        let (from, to) = (slot(from)?, slot(to)?);
        if from > to {
            return None;
        }
        let Some(primary) = host(primary, asked) else { return Some(None) };
        let replicas = replicas.iter().take(MAX_REPLICAS).filter_map(|node| host(node, asked));
        Some(Some(Self { from, to, replicas: replicas.collect(), primary }))
    }
}

fn slot(value: &Value) -> Option<Slot> {
    match value {
        Value::Int(number) => Slot::new(u16::try_from(*number).ok()?),
        _ => None,
    }
}

fn host(value: &Value, asked: Option<&Host>) -> Option<Host> {
    let Value::Array(fields) = value else { return None };
    let [name, Value::Int(port), ..] = fields.as_slice() else { return None };
    let name = match name {
        Value::Nil => asked?.name.as_str(),
        name => text(name)?,
    };
    Host::reported(name, &port.to_string())
}

/// Returns the best map: of nodes that see a cluster, of the cluster to which most of those who answered belong,
/// and the newest. One that is older than `known` needs most of those that were `asked`: the cluster was reset.
pub(super) fn choose(views: Vec<View>, asked: usize, known: u64) -> Option<SlotMap> {
    let nodes: Vec<_> = views.iter().filter_map(|view| view.node.clone()).collect();
    let members = |map: &SlotMap| nodes.iter().filter(|node| map.lists(node)).count();
    let may_be_older = views.len() > asked / 2;
    let usable = views
        .into_iter()
        .filter(|view| !view.map.ranges.is_empty() && (view.map.epoch >= known || may_be_older));
    let best = usable.max_by_key(|view| (view.is_ok, members(&view.map), view.map.epoch));
    best.map(|view| view.map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn node(name: Value, port: i64) -> Value {
        Value::Array(vec![name, Value::Int(port), bulk("id"), Value::Array(Vec::new())])
    }

    fn range(from: i64, to: i64, nodes: &[Value]) -> Value {
        Value::Array([&[Value::Int(from), Value::Int(to)], nodes].concat())
    }

    fn host(name: &str, port: u16) -> Host {
        Host { name: name.to_owned(), port }
    }

    fn slot(number: u16) -> Slot {
        Slot::new(number).unwrap()
    }

    fn view(asked: &str, info: &str, ranges: &[Value]) -> Result<View, Failure> {
        let answers = vec![bulk(info), Value::Array(ranges.to_vec())];
        View::parse(&Server::parse(asked).unwrap(), answers)
    }

    fn info(state: &str, epoch: u64) -> String {
        format!("cluster_state:{state}\r\ncluster_slots_ok:1\r\ncluster_current_epoch:{epoch}\r\n")
    }

    #[test]
    fn nodes_are_found_by_slot() {
        let ranges = [
            range(100, 200, &[node(bulk("::1"), 7), node(bulk("b"), 8)]),
            range(0, 0, &[node(Value::Nil, 9), node(bulk("?"), 8)]),
            range(300, 16383, &[node(bulk(""), 9)]),
        ];
        let map = view("redis://here:1", &info("ok", 3), &ranges).unwrap().map;
        assert_eq!(map.epoch(), 3);
        assert_eq!(map.primary(slot(0)), Some(&host("here", 9)));
        assert!(map.replicas(slot(0)).is_empty(), "no such host");
        assert_eq!(map.primary(slot(1)), None);
        assert_eq!(map.primary(slot(99)), None);
        for inside in [100, 150, 200] {
            assert_eq!(map.primary(slot(inside)), Some(&host("::1", 7)));
            assert_eq!(map.replicas(slot(inside)), [host("b", 8)]);
        }
        assert_eq!(map.primary(slot(201)), None);
        assert_eq!(map.primary(slot(300)), None, "a node without an address");
        assert_eq!(map.primaries(), [&host("here", 9), &host("::1", 7)]);
    }

    #[test]
    fn other_answers_are_errors() {
        let one = || node(bulk("a"), 7);
        let info = info("ok", 3);
        for (info, ranges) in [
            ("", vec![]),
            ("cluster_current_epoch:x", vec![]),
            (info.as_str(), vec![Value::Nil]),
            (info.as_str(), vec![range(0, 16384, &[one()])]),
            (info.as_str(), vec![range(-1, 3, &[one()])]),
            (info.as_str(), vec![range(4, 3, &[one()])]),
            (info.as_str(), vec![range(0, 3, &[])]),
            (info.as_str(), vec![range(0, 3, &[one()]), range(3, 4, &[one()])]),
            (info.as_str(), vec![range(0, 0, &[one()]); 16385]),
        ] {
            assert!(view("redis://here:1", info, &ranges).is_err(), "{info} {ranges:?}");
        }
    }

    fn simple(asked: &str, state: &str, epoch: u64, nodes: &[&str]) -> View {
        let nodes: Vec<_> = nodes.iter().map(|name| node(bulk(name), 1)).collect();
        let url = format!("redis://{asked}:1");
        view(&url, &info(state, epoch), &[range(0, 9, &nodes)]).unwrap()
    }

    fn chosen(views: Vec<View>, asked: usize, known: u64) -> Option<String> {
        choose(views, asked, known).map(|map| map.primary(slot(0)).unwrap().name.clone())
    }

    #[test]
    fn the_newest_map_of_the_cluster_counts() {
        let (old, new) = (simple("a", "ok", 3, &["a", "b"]), simple("b", "ok", 4, &["b", "a"]));
        assert_eq!(chosen(vec![old.clone(), new.clone()], 2, 0).as_deref(), Some("b"));
        assert_eq!(chosen(vec![new.clone(), old.clone()], 2, 0).as_deref(), Some("b"));
        let cut_off = simple("a", "fail", 9, &["a", "b"]);
        assert_eq!(chosen(vec![cut_off, new.clone()], 2, 0).as_deref(), Some("b"));
        let left = simple("c", "ok", 9, &["c"]);
        assert_eq!(chosen(vec![left, old.clone(), new], 3, 0).as_deref(), Some("b"));
        assert_eq!(chosen(vec![], 3, 0), None);
        assert_eq!(chosen(vec![old.clone()], 3, 4), None, "out of date");
        assert_eq!(chosen(vec![old.clone(), old], 3, 4).as_deref(), Some("a"), "it was reset");
    }
}
