//! What a run does: all of it follows from its seed, before the run begins.

mod action;
mod dense;
mod generate;
mod later_scenes;
mod listings;
mod scenes;
mod setup;
pub(crate) mod weights;
mod widen;

pub use action::{Action, Key, Load, LoadResult, Step, Write};
pub use setup::{CALL_LIMIT, Form, LEASE, LOAD_LIMIT, ProcessSetup, Rates, Setup};

/// A run: its settings, and the steps of each client.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed that everything was drawn from.
    pub seed: u64,
    /// The settings.
    pub setup: Setup,
    /// The steps of each client, done one after the other; clients run side by side.
    pub clients: Vec<Client>,
}

/// One after the other.
#[derive(Clone, Debug)]
pub struct Client {
    /// The process that the client runs in; `None`: it does things to the servers and connections.
    pub process: Option<usize>,
    /// Its steps.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Draws a plan.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        dense::plan(seed).unwrap_or_else(|| Self::wide(seed))
    }

    /// Draws a plan of which everything may be a part.
    #[must_use]
    pub fn wide(seed: u64) -> Self {
        let mut plan = generate::plan(seed);
        widen::widen(&mut plan);
        listings::add(&mut plan);
        plan
    }

    /// Draws a plan that has none of what later versions have added: it stays the same for ever.
    #[must_use]
    pub fn narrow(seed: u64) -> Self {
        generate::plan(seed)
    }

    /// Returns the number of steps.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.clients.iter().map(|client| client.steps.len()).sum()
    }

    /// The numbers of the steps.
    pub fn numbers(&self) -> impl Iterator<Item = usize> {
        self.clients.iter().flat_map(|client| &client.steps).map(|step| step.number)
    }

    /// Returns true if nothing fails in it: no fault, and no call that is dropped.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        let mut steps = self.clients.iter().flat_map(|client| &client.steps);
        self.is_quiet() && steps.all(|step| step.cancel.is_none() && step.dropped_after.is_none())
    }

    /// Returns true if nothing fails in it, though calls may be dropped.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let is_calm = |client: &Client| client.process.is_some();
        self.setup.rates.is_calm() && self.clients.iter().all(is_calm)
    }
}
