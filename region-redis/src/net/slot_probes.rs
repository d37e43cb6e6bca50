//! Questions to a node of a cluster whether it still has the slots that are read over its connections.

use std::collections::BTreeSet;

use redis::{Pipeline, Value};

use crate::error::{Concerns, Failure};
use crate::net::membership::Loss;
use crate::net::origin::Place;
use crate::protocol::layout::{SLOTS, Slot};
use crate::protocol::reply::text;
use crate::protocol::scripts::is_moved;
use crate::server::Server;

/// The number of slots from which on the node is asked for its list of slots instead of a key of each: one `EXISTS`
/// costs a server a third of a microsecond, the list of a small cluster ten.
const MANY: usize = 64;

/// Questions to a node about slots. A node that has lost a slot pushes nothing of later changes to it.
#[derive(Debug)]
pub(crate) struct SlotProbes {
    slots: BTreeSet<Slot>,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A key of each slot is asked for.
    Keys,
    /// The list of slots, and one key: the list does not tell that the node refuses to serve what it has.
    List,
}

/// What the answers show.
#[derive(Debug)]
pub(crate) enum SlotAnswers {
    /// These slots are not served any more.
    Lost(Vec<LostSlot>),
    /// The list cannot be had, or not be read: the keys have to be asked for.
    NoList,
}

/// A slot that the node does not serve any more.
#[derive(Debug)]
pub(crate) struct LostSlot {
    pub(crate) slot: Slot,
    pub(crate) failure: Failure,
    pub(crate) loss: Loss,
}

/// The words by which a node refuses a slot that no node has; with others it refuses all that it has.
const UNASSIGNED: &str = "slot not served";

impl SlotProbes {
    /// Asks about `slots`; with the list of slots only if the node `lists` them.
    pub(crate) fn new(slots: BTreeSet<Slot>, lists: bool) -> Self {
        let form = if lists && slots.len() >= MANY { Form::List } else { Form::Keys };
        Self { slots, form }
    }

    /// The slots whose keys are asked for.
    fn keys(&self) -> impl Iterator<Item = Slot> {
        let most = match self.form {
            Form::Keys => usize::MAX,
            Form::List => 1,
        };
        self.slots.iter().copied().take(most)
    }

    pub(crate) fn add_to(&self, commands: &mut Pipeline) {
        for slot in self.keys() {
            commands.cmd("EXISTS").arg(Place::Primary(slot).count_names().list());
        }
        if self.form == Form::List {
            commands.cmd("CLUSTER").arg("NODES");
        }
    }

    /// Reads the answers, which follow in the order of the questions.
    pub(crate) fn read(
        &self,
        server: &Server,
        answers: &mut impl Iterator<Item = Value>,
    ) -> SlotAnswers {
        let mut lost = Vec::new();
        for slot in self.keys() {
            let answer = answers.next().unwrap_or_default();
            let Value::ServerError(error) = &answer else { continue };
            let failure = Failure::server_error(server, error);
            if failure.concerns == Concerns::Call {
                continue;
            }
            let is_moved = is_moved(std::slice::from_ref(&answer));
            let loss = if is_moved { Loss::Broken } else { Loss::GivenUp };
            let is_of_one = is_moved || error.details().is_some_and(|why| why.contains(UNASSIGNED));
            if self.form == Form::List && !is_of_one {
                return SlotAnswers::Lost(self.all_lost(&failure));
            }
            lost.push(LostSlot { slot, failure, loss });
        }
        if self.form == Form::Keys {
            return SlotAnswers::Lost(lost);
        }
        let list = answers.next().unwrap_or_default();
        let list = match &list {
            Value::VerbatimString { text, .. } => Some(text.as_str()),
            list => text(list),
        };
        let Some(served) = list.and_then(served_slots) else { return SlotAnswers::NoList };
        let gone = self.slots.iter().filter(|slot| !served[usize::from(slot.number())]);
        let gone = gone.map(|&slot| {
            let failure =
                Failure::unavailable(server, &format!("has not got slot {slot} any more"));
            LostSlot { slot, failure, loss: Loss::Broken }
        });
        SlotAnswers::Lost(gone.collect())
    }

    /// The node does not serve anything.
    fn all_lost(&self, failure: &Failure) -> Vec<LostSlot> {
        let lost = |&slot| LostSlot { slot, failure: failure.clone(), loss: Loss::GivenUp };
        self.slots.iter().map(lost).collect()
    }
}

/// The slots that the node serves which has answered `CLUSTER NODES`: its own, or those of its primary.
fn served_slots(list: &str) -> Option<Vec<bool>> {
    let nodes = || list.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let is_flagged = |node: &[&str], flag| node[2].split(',').any(|other| other == flag);
    let mut asked = nodes().filter(|node| node.len() >= FIELDS && is_flagged(node, "myself"));
    let asked = asked.next()?;
    let owner = if is_flagged(&asked, "slave") || is_flagged(&asked, "replica") {
        nodes().find(|node| node.len() >= FIELDS && node[0] == asked[3])?
    } else {
        asked
    };
    let mut served = vec![false; usize::from(SLOTS)];
    // A slot that is being moved is listed once more, in brackets.
    for range in owner[FIELDS..].iter().filter(|range| !range.starts_with('[')) {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let (from, to): (usize, usize) = (from.parse().ok()?, to.parse().ok()?);
        served.get_mut(from..=to)?.fill(true);
    }
    Some(served)
}

/// The number of fields of a line of `CLUSTER NODES` before the slots.
const FIELDS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    const PRIMARY: &str = "\
        aa 127.0.0.1:1@11,, myself,master - 0 1 1 connected 0-5460 7000 [5->-bb]\n\
        bb 127.0.0.1:2@12,host master - 0 1 2 connected 5461-6999 7001-16383\n\
        cc 127.0.0.1:3@13 slave bb 0 1 2 connected\n";
    const REPLICA: &str = "\
        aa 127.0.0.1:1@11 master - 0 1 1 connected 0-5460 7000\n\
        bb 127.0.0.1:2@12 master,fail? - 0 1 2 disconnected 5461-6999 7001-16383\n\
        cc 127.0.0.1:3@13 myself,slave bb 0 1 2 connected\n";

    fn slot(number: u16) -> Slot {
        Slot::new(number).unwrap()
    }

    fn served(list: &str) -> Option<Vec<(u16, bool)>> {
        let asked = [0, 5460, 5461, 6999, 7000, 7001, 16383];
        served_slots(list).map(|all| asked.map(|slot| (slot, all[usize::from(slot)])).to_vec())
    }

    #[test]
    fn a_node_lists_its_slots() {
        let owns = |slots: &[u16]| {
            let asked = [0, 5460, 5461, 6999, 7000, 7001, 16383];
            Some(asked.map(|slot| (slot, slots.contains(&slot))).to_vec())
        };
        assert_eq!(served(PRIMARY), owns(&[0, 5460, 7000]));
        assert_eq!(served(REPLICA), owns(&[5461, 6999, 7001, 16383]));
        assert_eq!(served("aa 127.0.0.1:1@11 myself,master - 0 1 1 connected\n"), owns(&[]));
        for odd in [
            "",
            "aa 127.0.0.1:1@11 master - 0 1 1 connected 0-5460\n",
            "aa 127.0.0.1:1@11 myself,slave bb 0 1 1 connected\n",
            "aa 127.0.0.1:1@11 myself,master - 0 1 1 connected 0-16384\n",
            "aa 127.0.0.1:1@11 myself,master - 0 1 1 connected 7-6\n",
            "aa 127.0.0.1:1@11 myself,master - 0 1 1 connected x\n",
            "aa myself,master\n",
        ] {
            let is_read = served(odd);
            assert!(is_read.is_none() || odd.contains("7-6"), "{odd}: {is_read:?}");
        }
    }

    fn probes(slots: std::ops::Range<u16>) -> SlotProbes {
        SlotProbes::new(slots.map(slot).collect(), true)
    }

    fn error(line: &str) -> Value {
        redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap()
    }

    const UNASSIGNED_SLOT: &str = "CLUSTERDOWN Hash slot not served";

    fn lost(answers: SlotAnswers) -> Vec<(u16, Loss)> {
        let SlotAnswers::Lost(lost) = answers else { panic!("{answers:?}") };
        lost.into_iter().map(|lost| (lost.slot.number(), lost.loss)).collect()
    }

    /// The number of questions, and what is made of the answers.
    fn asked(probes: &SlotProbes, answers: Vec<Value>) -> (usize, SlotAnswers) {
        let mut commands = Pipeline::new();
        probes.add_to(&mut commands);
        let server = Server::parse("redis://h").unwrap();
        (commands.len(), probes.read(&server, &mut answers.into_iter()))
    }

    #[test]
    fn few_slots_are_asked_for_one_by_one() {
        let moved =
            vec![Value::Int(1), error("MOVED 1 127.0.0.1:2"), error("NOPERM no"), Value::Int(0)];
        let (commands, answers) = asked(&probes(0..4), moved);
        assert_eq!(commands, 4);
        assert_eq!(lost(answers), [(1, Loss::Broken)]);
        let down = [error("CLUSTERDOWN The cluster is down"), error(UNASSIGNED_SLOT)];
        let (_, answers) = asked(&probes(3..6), down.to_vec());
        assert_eq!(lost(answers), [(3, Loss::GivenUp), (4, Loss::GivenUp)]);
    }

    #[test]
    fn many_slots_are_looked_up_in_the_list() {
        let list = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let (commands, answers) = asked(&probes(5400..5500), vec![Value::Int(1), list(PRIMARY)]);
        assert_eq!(commands, 2);
        let gone = (5461..5500).map(|slot| (slot, Loss::Broken)).collect::<Vec<_>>();
        assert_eq!(lost(answers), gone);
        let down = vec![error("CLUSTERDOWN The cluster is down"), list(PRIMARY)];
        let (_, answers) = asked(&probes(0..99), down);
        assert_eq!(lost(answers), (0..99).map(|slot| (slot, Loss::GivenUp)).collect::<Vec<_>>());
        let (_, answers) = asked(&probes(5461..5530), vec![error(UNASSIGNED_SLOT), list(REPLICA)]);
        assert_eq!(lost(answers), []);
        for answer in [error("NOPERM no"), list("gibberish"), Value::Nil] {
            let (_, none) = asked(&probes(0..99), vec![Value::Int(1), answer]);
            assert!(matches!(none, SlotAnswers::NoList), "{none:?}");
        }
        let keys = SlotProbes::new((0..99).map(slot).collect(), false);
        assert_eq!(asked(&keys, Vec::new()).0, 99);
    }
}
