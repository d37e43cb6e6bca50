//! What happened in a run, in order.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use region_core::Verb;

use crate::plan::Key;

/// The place of an event in the history: a later event has a higher one.
pub type Seq = usize;

/// Names a value that was made.
pub type ValueId = u64;

/// An event, and the virtual time since the run began.
#[derive(Clone, Debug)]
pub struct Event {
    /// The virtual time.
    pub at: Duration,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the variants say it")]
pub enum What {
    /// A client begins a step.
    Begin {
        step: usize,
    },
    /// It is done.
    End {
        step: usize,
        outcome: Outcome,
    },
    /// The step makes this value, to set it.
    Made {
        step: usize,
        value: ValueId,
        key: Key,
    },
    /// A load function begins.
    LoadBegin {
        load: usize,
        step: usize,
        process: usize,
        keys: Vec<Key>,
    },
    /// It ends, or is dropped if it has no result.
    LoadEnd {
        load: usize,
        result: Option<Vec<Loaded>>,
    },
    /// The value of a running load depends on the region from now on.
    DependsOn {
        load: usize,
        region: usize,
    },
    /// The store has executed a call that changes something; late if its caller has given it up before.
    Executed {
        process: Option<usize>,
        late: bool,
        effects: Vec<Effect>,
    },
    /// A call of the process to the store is over, by an answer or by an error.
    Answered {
        process: usize,
        ok: bool,
    },
    /// An answer of the primary has reached the store of the process with this number.
    Reached {
        store: usize,
    },
    /// What was executed at `of` is told to the process later, or never.
    PushDelayed {
        process: usize,
        of: Seq,
    },
    /// Only the loss of the connection will tell it.
    PushDropped {
        process: usize,
        of: Seq,
    },
    /// Nobody tells it, because nothing was read over the connection that it concerns.
    PushLeftOut {
        process: usize,
        of: Seq,
    },
    /// A push that was delayed is heard.
    Heard {
        process: usize,
        of: Seq,
    },
    /// The process hears that its connection is lost, and with it the pushes that were dropped.
    Lost {
        process: usize,
    },
    /// Only the loss of the connection has told the process of what was executed at `of`.
    LostPush {
        process: usize,
        of: Seq,
    },
    /// The process uses the store of another.
    SharesStore {
        process: usize,
        with: usize,
    },
    /// Replicas may show what the primary held so long before.
    ReplicaLags {
        by: Duration,
    },
    /// The store is put back to what it held at `to`: what was executed since is lost, but for those who have
    /// done it: they repeat it.
    RolledBack {
        to: Seq,
    },
    /// The replica that had the changes up to `to` takes the place of the primary.
    FailedOver {
        to: Seq,
    },
    /// The process will make these changes before it reads anything.
    Queued {
        process: usize,
        effects: Vec<Effect>,
    },
    /// The replica shows what the primary holds at this moment.
    ReplicaHeld,
    ReplicaReleased,
    /// Nothing comes over the process's connection for a while; if its pushes are relied on for a limited time
    /// only, until then.
    Silent {
        process: usize,
        covered_until: Option<Duration>,
    },
    /// The process dies; what it does from here on is done by another one, which knows nothing.
    Killed {
        process: usize,
    },
    /// All is over, and there is still a lease of this key, or of the region's marker if the region has no such
    /// key.
    LeaseLeft {
        key: Key,
    },
    /// This happens to a server.
    ServerFault(String),
    /// A note for the reader.
    Note(String),
}

/// A result of a load.
#[derive(Clone, Copy, Debug)]
pub struct Loaded {
    /// The key.
    pub key: Key,
    /// The value; `None`: there is none.
    pub value: Option<ValueId>,
}

/// A change of the store.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the variants say it")]
pub enum Effect {
    /// A value, or `None` for a record that there is none.
    Put {
        key: Key,
        value: Option<ValueId>,
        fresh_for: Option<Duration>,
        stale_for: Duration,
    },
    Removed {
        key: Key,
    },
    Ended {
        region: usize,
        verb: Verb,
    },
    /// Ids or entries of a region are lost.
    Lost {
        region: usize,
        with_all_below: bool,
    },
    Flushed,
    RegionTtl {
        region: usize,
        ttl: Duration,
    },
}

/// How a step ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It was dropped.
    Cancelled,
    /// It failed.
    Failed(String),
    /// It is done.
    Done,
    /// It answered yes or no.
    Said(bool),
    /// It returned a value for each key, or none.
    Values(Vec<(Key, Option<ValueId>)>),
    /// It returned a value that is not of its key.
    Foreign(String),
    /// It returned a value of another type, version or serializer.
    OtherForm(String),
    /// It listed these keys of its region.
    Listed(Vec<usize>),
    /// It listed these children of its region, by their segments.
    Children(Vec<String>),
    /// It counted so many.
    Counted(u64),
}

/// The events of a run.
#[derive(Clone, Debug, Default)]
pub struct History {
    events: Vec<Event>,
}

impl History {
    /// Adds an event and returns its place.
    pub fn push(&mut self, at: Duration, what: What) -> Seq {
        self.events.push(Event { at, what });
        self.events.len() - 1
    }

    /// Sets what the call has changed that was executed at `seq`.
    pub fn set_effects(&mut self, seq: Seq, new: Vec<Effect>) {
        if let Some(Event { what: What::Executed { effects, .. }, .. }) = self.events.get_mut(seq) {
            *effects = new;
        }
    }

    /// Attributes changes by a function of their place, process and effects: to the process that it returns; as late
    /// where it returns none.
    pub fn attribute(&mut self, maker: impl Fn(Seq, Option<usize>, &[Effect]) -> Option<usize>) {
        for (seq, event) in self.events.iter_mut().enumerate() {
            if let What::Executed { process, late, effects } = &mut event.what {
                match maker(seq, *process, effects) {
                    Some(maker) => *process = Some(maker),
                    None => *late = true,
                }
            }
        }
    }

    /// The events.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// A number that two histories share if they are the same, to the byte.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.text().hash(&mut hasher);
        hasher.finish()
    }

    /// The history as text, a line for each event.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (seq, Event { at, what }) in self.events.iter().enumerate() {
            let _ = writeln!(text, "{seq:>5} {:>9.3} ms  {what:?}", at.as_secs_f64() * 1e3);
        }
        text
    }
}
