//! What test and process say to each other: a line of JSON each.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The settings of a process's cache.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Setup {
    /// The URL of the server.
    pub url: String,
    /// The URL of a replica, which serves the reads if there is one.
    pub replica: Option<String>,
    /// The name of the process, also in the server's list of clients.
    pub name: String,
    /// The store's limit of a call, in milliseconds.
    pub call_timeout_ms: u64,
    /// The longest silence of a connection, in milliseconds.
    pub silence_ms: u64,
    /// The lease of a load, in milliseconds.
    pub lease_ms: u64,
}

impl Setup {
    /// Settings with limits that a busy machine keeps.
    #[must_use]
    pub fn new(url: &str, name: &str) -> Self {
        Self {
            url: url.to_owned(),
            replica: None,
            name: name.to_owned(),
            call_timeout_ms: 20_000,
            silence_ms: 20_000,
            lease_ms: 20_000,
        }
    }

    /// Settings under which a fault is noticed soon.
    #[must_use]
    pub fn noticing(url: &str, name: &str) -> Self {
        Self { call_timeout_ms: 1_000, silence_ms: 1_000, ..Self::new(url, name) }
    }
}

/// One key of one region.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Place {
    /// The region, below the root; empty for the root itself.
    pub region: String,
    /// The key in it.
    pub key: String,
}

impl Place {
    /// A key of a region.
    #[must_use]
    pub fn new(region: &str, key: &str) -> Self {
        Self { region: region.to_owned(), key: key.to_owned() }
    }
}

/// Something that a process does. Several may be under way at once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Stores a number.
    Set(Place, u64),
    /// Stores a number in `first`, and after so many microseconds another in `then`.
    SetTwo {
        /// The place that is written first.
        first: Place,
        /// The time between the two, in microseconds.
        pause_us: u64,
        /// The place that is written second.
        then: Place,
        /// The number that is stored in both.
        value: u64,
    },
    /// Removes an entry.
    Remove(Place),
    /// Invalidates a region.
    Invalidate(String),
    /// Touches a region.
    Touch(String),
    /// Expires a region.
    Expire(String),
    /// Loads a number, which depends on other regions, unless there is a value.
    Load {
        /// The place of the value.
        place: Place,
        /// The regions that it depends on.
        on: Vec<String>,
        /// The number.
        value: u64,
    },
    /// Reads a key again and again until its value is near and trusted.
    Hold(Place),
    /// Reads a key again and again until it has this value.
    WatchUntil(Place, Option<u64>),
    /// Stores so many numbered entries.
    Fill(String, usize),
    /// Reads all numbered entries, many at a time.
    Warm(String, usize),
    /// Reads all numbered entries but the first, again and again.
    ReadAll {
        /// The region.
        region: String,
        /// The number of entries.
        keys: usize,
        /// The duration, in milliseconds.
        for_ms: u64,
    },
    /// Does something again and again, so many times a second.
    Repeat {
        /// What is done.
        what: Box<Command>,
        /// How often in a second.
        per_second: u64,
        /// The duration, in milliseconds.
        for_ms: u64,
    },
    /// Asks for one key from many tasks at once, with a load that lasts.
    Stampede {
        /// The key.
        place: Place,
        /// The number of tasks.
        tasks: usize,
        /// The time at which they begin, in microseconds: see [`micros_now`].
        at: u64,
        /// The duration of a load, in milliseconds.
        load_ms: u64,
    },
}

/// What came of a command. Fields that it has no use for are zero.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Answer {
    /// The time of its end, in microseconds: see [`micros_now`].
    pub at: u64,
    /// The error, if it failed.
    pub error: Option<String>,
    /// How often it was done.
    pub times: u64,
    /// The number of reads that found a value.
    pub found: u64,
    /// The number of reads that were hits near.
    pub near_hits: u64,
    /// The number of times that the store was asked if values near are valid.
    pub verifications: u64,
    /// The values that were read before the expected one, without repetitions in a row.
    pub others: Vec<Option<u64>>,
}

/// A command with the number that its answer carries.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request<C = Command> {
    /// The number.
    pub id: u64,
    /// The command.
    pub command: C,
}

/// A line that the process prints.
#[derive(Debug, Serialize, Deserialize)]
pub enum Line<A = Answer> {
    /// The cache is connected.
    Ready,
    /// A load has begun.
    LoadBegan,
    /// An answer, with the number of its command.
    Answer(u64, A),
}

/// The time by the clock that all processes share, in microseconds.
#[must_use]
pub fn micros_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}
