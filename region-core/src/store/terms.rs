//! The options of a call.

use serde::Deserialize;
use tokio::time::Instant;

use super::{Cursor, Verb};
use crate::lineage::Lineage;

/// The options of [`Store::read`](super::Store::read).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadTerms<'a> {
    /// The servers that may answer the read.
    pub from: ReadFrom,
    /// Says if the caller keeps the answer and trusts it later.
    pub trust: Trust,
    /// The lineage that the caller trusts the region to have; `None`: the store reads it.
    ///
    /// A store may believe it, read the entries alone and judge them under it. If the region has
    /// another lineage by now, the answer then holds entries that were put under the assumed one, or
    /// none, and names the assumed lineage. So a caller whose trust has ended before the answer came
    /// reads again without it. The source of the answer tells of changes of the entries; of changes
    /// of the lineage, the source over which the caller came to trust it. A store may also ignore it.
    pub lineage: Option<&'a Lineage>,
    /// The time at which the operation began that this call is a part of; `None`: it begins with this call.
    pub started: Option<Instant>,
}

impl<'a> ReadTerms<'a> {
    /// Creates terms that read from `from`, for a caller that uses the answer once.
    #[must_use]
    pub const fn new(from: ReadFrom) -> Self {
        Self { from, trust: Trust::NotKept, lineage: None, started: None }
    }

    /// Sets the lineage that the caller trusts the region to have.
    #[must_use]
    pub const fn lineage(mut self, lineage: Option<&'a Lineage>) -> Self {
        self.lineage = lineage;
        self
    }

    setters!(trust, started);
}

/// The servers that may answer a read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadFrom {
    /// The primary: the read sees everything that completed before it began.
    #[default]
    Primary,
    /// A replica, if there is one: the read may miss recent changes by other processes, but none by this
    /// process.
    Replica,
}

/// Says if the caller keeps what it reads and trusts it later. It then needs the lineage and the changes in
/// the answer. A store may always leave these out: then nothing of the answer is trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Trust {
    /// The answer is used once.
    #[default]
    NotKept,
    /// The answer is kept.
    Kept,
}

/// The options of [`Store::end`](super::Store::end).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndTerms {
    /// The verb to apply.
    pub verb: Verb,
    /// Says if the caller keeps the answer and trusts it later.
    pub trust: Trust,
}

impl EndTerms {
    /// Creates terms that apply `verb`, for a caller that uses the answer once.
    #[must_use]
    pub const fn new(verb: Verb) -> Self {
        Self { verb, trust: Trust::NotKept }
    }

    setters!(trust);
}

impl From<Verb> for EndTerms {
    fn from(verb: Verb) -> Self {
        Self::new(verb)
    }
}

/// The options of one page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageTerms {
    /// The position at which the page begins, from the page before; `None`: the beginning.
    pub cursor: Option<Cursor>,
    /// The approximate number of items in the page; it holds fewer if they are large.
    pub limit: usize,
    /// The parts of an entry that the items show. Only [`Store::scan`](super::Store::scan) uses it.
    pub show: Show,
}

impl PageTerms {
    /// Creates terms for the first page, of about `limit` keys.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { cursor: None, limit, show: Show::Keys }
    }

    /// Sets the position at which the page begins.
    #[must_use]
    pub fn cursor(mut self, cursor: Option<Cursor>) -> Self {
        self.cursor = cursor;
        self
    }

    /// Sets the parts of an entry that the items show.
    #[must_use]
    pub const fn show(mut self, show: Show) -> Self {
        self.show = show;
        self
    }
}

/// The parts of an entry that the items of a scan show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Show {
    /// The keys and how long each entry stays as it is; no bytes are read.
    #[default]
    Keys,
    /// The bytes too.
    Entries,
}
