use crate::error::ErrorKind;
use crate::lineage::Lineage;
use crate::path::RegionPath;
use crate::store::{LeaseTerms, LeaseToken, Op, ReadTerms, Show, Verb};
use crate::testing::Method;

/// A call that was made to a store.
#[derive(Clone, Debug)]
pub struct Call {
    /// The request.
    pub request: Request,
    /// The region it was asked of; `None` where the method takes none.
    pub region: Option<RegionPath>,
    /// When it began: beginnings and ends of all calls are numbered in the order they happened.
    pub began: u64,
    /// When it ended, by the same numbers; `None` while it runs.
    pub ended: Option<u64>,
    /// The result.
    pub outcome: Outcome,
}

impl Call {
    /// The method that was called.
    #[must_use]
    pub fn method(&self) -> Method {
        self.request.method()
    }

    /// The keys it was about, in the order given, repetitions included.
    #[must_use]
    pub fn keys(&self) -> Vec<&str> {
        match &self.request {
            Request::Read { keys, .. }
            | Request::Begin { keys, .. }
            | Request::Release { keys, .. } => keys.iter().map(String::as_str).collect(),
            Request::Write { ops, .. } => ops.iter().map(|op| op.key.as_str()).collect(),
            _ => Vec::new(),
        }
    }
}

/// A request to a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// [`Store::read`](crate::Store::read)
    Read {
        /// The keys.
        keys: Vec<String>,
        /// The options of the read, but for the assumed lineage.
        terms: ReadTerms<'static>,
        /// The lineage that the read assumed.
        lineage: Option<Lineage>,
    },
    /// [`Store::begin`](crate::Store::begin)
    Begin {
        /// The keys.
        keys: Vec<String>,
        /// The terms of the leases.
        terms: LeaseTerms,
    },
    /// [`Store::write`](crate::Store::write)
    Write {
        /// The operations, without what they store.
        ops: Vec<RecordedOp>,
        /// The token of its guard: a fill has one, a plain write has none.
        guard: Option<LeaseToken>,
    },
    /// [`Store::end`](crate::Store::end)
    End {
        /// The verb.
        verb: Verb,
    },
    /// [`Store::release`](crate::Store::release)
    Release {
        /// The keys.
        keys: Vec<String>,
        /// The token whose leases are given back.
        token: LeaseToken,
    },
    /// [`Store::scan`](crate::Store::scan)
    Scan {
        /// The page's limit.
        limit: usize,
        /// The parts of an entry that the items show.
        show: Show,
    },
    /// [`Store::children`](crate::Store::children)
    Children {
        /// The page's limit.
        limit: usize,
    },
    /// [`Store::len`](crate::Store::len)
    Len,
    /// [`Store::listen`](crate::Store::listen)
    Listen,
    /// [`Store::now`](crate::Store::now)
    Now,
}

impl Request {
    /// The method that takes this request.
    #[must_use]
    pub fn method(&self) -> Method {
        match self {
            Self::Read { .. } => Method::Read,
            Self::Begin { .. } => Method::Begin,
            Self::Write { .. } => Method::Write,
            Self::End { .. } => Method::End,
            Self::Scan { .. } => Method::Scan,
            Self::Children { .. } => Method::Children,
            Self::Len => Method::Len,
            Self::Release { .. } => Method::Release,
            Self::Listen => Method::Listen,
            Self::Now => Method::Now,
        }
    }
}

/// An operation of a write, without the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedOp {
    /// The operation.
    pub kind: OpKind,
    /// The key it does it to.
    pub key: String,
}

impl RecordedOp {
    pub(super) fn of(op: &Op<'_>) -> Self {
        let kind = match op {
            Op::Put(_) => OpKind::Put,
            Op::Remove { .. } => OpKind::Remove,
            Op::Take { .. } => OpKind::Take,
        };
        Self { kind, key: op.key().to_owned() }
    }
}

/// The kind of an [`Op`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OpKind {
    /// [`Op::Put`]
    Put,
    /// [`Op::Remove`]
    Remove,
    /// [`Op::Take`]
    Take,
}

/// The result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It has not ended.
    Running,
    /// It did what was asked.
    Done,
    /// It was a write whose guard does not hold.
    Fenced,
    /// It returned an error of this kind.
    Failed(ErrorKind),
    /// Its future was dropped before it ended.
    Dropped,
}
