use region_core::Verb;
use region_memory::Loss;

/// One step of a client.
#[derive(Clone, Debug)]
pub struct Step {
    /// Names the step in the run.
    pub number: usize,
    /// The pause before it, in milliseconds.
    pub pause: u64,
    /// What is done.
    pub action: Action,
    /// The call is dropped once it has waited so often.
    pub cancel: Option<u32>,
    /// The call is dropped after so many turns of others; or milliseconds, where calls take time.
    pub dropped_after: Option<u32>,
}

/// A key of a region, both by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The region.
    pub region: usize,
    /// The key in it.
    pub key: usize,
}

/// A load function: what it does.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// In milliseconds.
    pub takes: u64,
    /// How it ends.
    pub result: LoadResult,
    /// The ttl that it gives the value, in milliseconds; zero: none.
    pub ttl: u64,
    /// The regions that the value depends on, declared before.
    pub depends_on: Vec<usize>,
    /// A region that is added while it runs.
    pub adds: Option<usize>,
    /// It loads although there is a value.
    pub reload: bool,
    /// The load function returns a value and nothing else, so that a record that there is none does not do.
    pub plain: bool,
}

/// How a load ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoadResult {
    /// With a value.
    #[default]
    Value,
    /// With an error.
    Error,
    /// There is none.
    Absent,
    /// With the old value, if the truth has not changed since.
    NotModified,
    /// With a value that is not to be stored.
    DontStore,
    /// It panics.
    Panic,
}

/// A write of a transaction.
#[derive(Clone, Copy, Debug)]
pub enum Write {
    /// A set of a key of the region.
    Set(usize),
    /// A removal.
    Remove(usize),
}

/// What a step does.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "named after the methods of Region and of the simulated servers")]
pub enum Action {
    Get(Key),
    GetMany(usize, Vec<usize>),
    Contains(Key),
    /// An explanation of what a get would find.
    Explain(Key),
    Compute(Key, Load),
    ComputeMany(usize, Vec<usize>, Load),
    Set(Key, u64),
    SetMany(usize, Vec<usize>),
    SetIfAbsent(Key),
    Remove(Key),
    Take(Key),
    Transact(usize, Vec<Write>),
    End(usize, Verb),
    RestartTtl(usize),
    /// The values of a region, listed.
    Entries(usize),
    /// Its keys, listed.
    Keys(usize),
    /// The number of its entries.
    Len(usize),
    /// Its child regions, listed.
    Children(usize),
    /// By a load function that is registered for the region.
    Load(Key, Load),
    /// A get that may refresh by such a function, in the background.
    Refresh(Key, Load),
    Warm(usize, Vec<usize>, Load),
    Lose(usize, Loss),
    Flush,
    /// What the store holds is copied.
    BackUp,
    /// The store is put back to the last copy, as by a failover.
    RollBack,
    /// The process dies, and another takes its place.
    Kill(usize),
    HoldReplica,
    ReleaseReplica,
    /// The process's connection breaks.
    Cut(usize),
    /// The process's connection is silent for so long, in milliseconds.
    Silence(usize, u64),
    /// The process cannot reach the store for so long, in milliseconds.
    Outage(usize, u64),
}

impl Action {
    /// Returns true if it changes entries by itself, and not by a load.
    #[must_use]
    pub fn changes(&self) -> bool {
        let writes = matches!(
            self,
            Self::Set(..) | Self::SetMany(..) | Self::SetIfAbsent(_) | Self::Transact(..)
        );
        writes || matches!(self, Self::Remove(_) | Self::Take(_) | Self::End(..))
    }

    /// The load function, if it has one.
    #[must_use]
    pub fn load(&self) -> Option<&Load> {
        match self {
            Self::Compute(_, load)
            | Self::ComputeMany(_, _, load)
            | Self::Load(_, load)
            | Self::Refresh(_, load)
            | Self::Warm(_, _, load) => Some(load),
            _ => None,
        }
    }

    /// See [`load`](Self::load).
    pub fn load_mut(&mut self) -> Option<&mut Load> {
        match self {
            Self::Compute(_, load)
            | Self::ComputeMany(_, _, load)
            | Self::Load(_, load)
            | Self::Refresh(_, load)
            | Self::Warm(_, _, load) => Some(load),
            _ => None,
        }
    }
}
