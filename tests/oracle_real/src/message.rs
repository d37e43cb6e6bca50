//! What the controller and a process say to each other, over the pipes of [`processes::Worker`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{Action, Outcome};

/// A process of a run.
pub type Worker = processes::Worker<Command, Answer>;

/// What a process is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Operations of so many tasks for each cache begin, drawn from the seed.
    Run {
        /// The seed.
        seed: u64,
        /// The number of tasks for each cache.
        tasks: usize,
        /// The longest pause between two operations of a task, in microseconds.
        pause: u64,
    },
    /// They end; the answer comes when none is under way.
    Rest,
    /// One operation of one of the caches.
    Do(usize, Action),
    /// The counts of all caches.
    Count,
}

/// What comes of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Answer {
    /// Of one operation: how it ended.
    pub outcome: Option<Outcome>,
    /// Of one operation: the number of loads that it began.
    pub loads: u64,
    /// The counts.
    pub counts: BTreeMap<String, u64>,
}
