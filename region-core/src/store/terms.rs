//! How a call is to be done.

use tokio::time::Instant;

use super::Cursor;

/// How [`Store::read`](super::Store::read) reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadTerms {
    /// Where the read may be answered.
    pub from: ReadFrom,
    /// Whether the caller keeps trust.
    pub trust: Trust,
    /// When the operation of which this call is a part began; `None`: with this call.
    pub started: Option<Instant>,
}

impl ReadTerms {
    /// Reads from there, for a caller that keeps no trust.
    #[must_use]
    pub const fn new(from: ReadFrom) -> Self {
        Self { from, trust: Trust::NotKept, started: None }
    }

    setters!(trust, started);
}

/// Where a read may be answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReadFrom {
    /// By the primary: what was completed before the read began is seen.
    #[default]
    Primary,
    /// By a replica where there is one: what others did lately may not be seen yet. What this
    /// process did is.
    Replica,
}

/// Whether the caller keeps what it reads and trusts it later, and so needs lineage and changes in
/// the answer. A store may leave these out in any case: then nothing of the answer is trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Trust {
    /// The answer is used once.
    #[default]
    NotKept,
    /// The answer is kept.
    Kept,
}

/// How [`Store::end`](super::Store::end) ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndTerms {
    /// What is ended.
    pub verb: Verb,
    /// Whether the caller keeps trust.
    pub trust: Trust,
}

impl EndTerms {
    /// Ends what `verb` says, for a caller that keeps no trust.
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

/// What [`Store::end`](super::Store::end) ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// The region and all below it are gone: a new `tree`, own entries and leases dropped.
    Invalidate,
    /// The region's own entries and those of every ancestor are gone, with the leases on them.
    /// Children and siblings stay, and so does every lineage.
    Touch,
    /// What the region and all below it hold becomes stale: a new `soft`.
    Expire,
    /// `Invalidate` of the region and `Touch` of every ancestor, in one step.
    InvalidateAndTouch,
}

/// Which page of a listing, and of what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageTerms {
    /// Where the page begins, from the page before; `None`: at the beginning.
    pub cursor: Option<Cursor>,
    /// About how many items the page holds; fewer where they are large.
    pub limit: usize,
    /// What the items show. For [`Store::scan`](super::Store::scan) alone.
    pub show: Show,
}

impl PageTerms {
    /// The first page, of about `limit` keys.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { cursor: None, limit, show: Show::Keys }
    }

    /// Where the page begins.
    #[must_use]
    pub fn cursor(mut self, cursor: Option<Cursor>) -> Self {
        self.cursor = cursor;
        self
    }

    /// What the items show.
    #[must_use]
    pub const fn show(mut self, show: Show) -> Self {
        self.show = show;
        self
    }
}

/// What the items of a scan show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Show {
    /// The keys and how long each entry stays as it is; no bytes are read.
    #[default]
    Keys,
    /// The bytes too.
    Entries,
}
