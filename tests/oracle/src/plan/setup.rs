use std::time::Duration;

use region_core::{NearCache, OnOutage, OnStale, OnUpdate, Policy, ReadFrom};

/// The settings of a run.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The regions' paths, each behind those around it; the first is the root.
    pub regions: Vec<String>,
    /// The number of keys of each region.
    pub keys: usize,
    /// The processes.
    pub processes: Vec<ProcessSetup>,
    /// The frequency of faults of calls and pushes.
    pub rates: Rates,
    /// The store's clock is ahead of those of the processes by so much, in milliseconds.
    pub clock_ahead: u64,
    /// The bound on the store's bytes; zero: none.
    pub max_bytes: u64,
    /// Each end of a region waits so long for the replica to have it, in milliseconds; zero: it does not wait.
    pub replica_wait: u64,
}

/// The form of what a process stores: values of another form are misses to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// Values are of another type.
    pub other_type: bool,
    /// See [`Policy::version`].
    pub version: u32,
    /// They are written as JSON.
    pub json: bool,
}

/// The settings of one process. Times are in milliseconds; zero: none.
#[derive(Clone, Debug, Default)]
pub struct ProcessSetup {
    /// Values are held near.
    pub near: bool,
    /// In some steps they are not: see [`is_near`](Self::is_near).
    pub sometimes_far: bool,
    /// Reads go to the replica.
    pub replica: bool,
    /// The lifetime of entries.
    pub ttl: u64,
    /// In percent.
    pub ttl_jitter: u32,
    /// See [`Policy::stale_for`].
    pub stale_for: u64,
    /// See [`OnStale::Refresh`].
    pub refresh_stale: bool,
    /// See [`Policy::soft_timeout`].
    pub soft_timeout: u64,
    /// See [`Policy::early_refresh_at`].
    pub early_at: u32,
    /// See [`Policy::early_refresh_beta`].
    pub early_beta: u32,
    /// See [`Policy::region_ttl`].
    pub region_ttl: u64,
    /// See [`OnUpdate::Keep`].
    pub keep_region_ttl: bool,
    /// See [`Policy::near_unverified_for`].
    pub unverified_for: u64,
    /// See [`Policy::near_outage_for`].
    pub outage_for: u64,
    /// See [`OnOutage::Error`].
    pub outage_is_error: bool,
    /// See [`Policy::absent_ttl`].
    pub absent_ttl: u64,
    /// See [`Policy::load_retry_after`].
    pub retry_after: u64,
    /// The client is not told of its own changes, which their answers tell of.
    pub own_changes_untold: bool,
    /// The client is told only of what it has read since it was told last.
    pub tracked: bool,
    /// Pushes are relied on for so long after the last sign of life of a connection; zero: until its loss.
    pub watch: u64,
    /// Calls go over so many connections, two at most, each with pushes of its own; zero is one.
    pub lanes: usize,
    /// Some calls go over a connection that is lost already, and their answers name it.
    pub lingers: bool,
    /// The form of the process's values.
    pub form: Form,
    /// The form in some steps: see [`form_of`](Self::form_of).
    pub second_form: Form,
}

/// How often calls and pushes meet a fault: of 1,000.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    /// The longest delay of a call, in milliseconds, before and after its execution each.
    pub latency: u64,
    /// Calls that fail and are not executed.
    pub fail: u32,
    /// Calls that are executed, and whose reply is lost.
    pub lose_reply: u32,
    /// Changes that their caller gives up, and that are executed later.
    pub late: u32,
    /// Leases that nobody gives back.
    pub lose_release: u32,
    /// Pushes that come late, although no later than the replies that follow them.
    pub delay_push: u32,
}

/// The limit of a store's call.
pub const CALL_LIMIT: Duration = Duration::from_millis(400);

/// The time after which a load is dropped.
pub const LOAD_LIMIT: Duration = Duration::from_secs(10);

/// The lease of a load.
pub const LEASE: Duration = Duration::from_millis(500);

impl Rates {
    pub(crate) fn is_calm(&self) -> bool {
        self.all_succeed() && self.delay_push == 0
    }

    /// Returns true if no call fails, nor takes too long.
    pub(crate) fn all_succeed(&self) -> bool {
        // An operation of several calls may take longer than its limit.
        const QUICK: u64 = 10;
        [self.fail, self.lose_reply, self.late] == [0; 3] && self.latency < QUICK
    }
}

impl ProcessSetup {
    /// The form that a step of this number uses.
    #[must_use]
    pub fn form_of(&self, step: usize) -> Form {
        const SECOND: usize = 4;
        if step.is_multiple_of(SECOND) { self.second_form } else { self.form }
    }

    /// Returns true if a step of this number uses what is held near.
    #[must_use]
    pub fn is_near(&self, step: usize) -> bool {
        const FAR: usize = 3;
        self.near && !(self.sometimes_far && step.is_multiple_of(FAR))
    }

    /// The policy of the process's cache.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let ms = Duration::from_millis;
        let mut policy = Policy::new()
            .lease(LEASE)
            .load_timeout(LOAD_LIMIT)
            .stale_for(ms(self.stale_for))
            .absent_ttl(ms(self.absent_ttl))
            .load_retry_after(ms(self.retry_after))
            .near_unverified_for(ms(self.unverified_for))
            .near_outage_for(ms(self.outage_for))
            .early_refresh_beta(self.early_beta);
        if self.ttl > 0 {
            policy = policy.ttl(ms(self.ttl)).ttl_jitter(self.ttl_jitter);
        }
        if self.early_at > 0 {
            policy = policy.early_refresh_at(self.early_at);
        }
        if self.soft_timeout > 0 {
            policy = policy.soft_timeout(ms(self.soft_timeout));
        }
        if self.region_ttl > 0 {
            let on_update = if self.keep_region_ttl { OnUpdate::Keep } else { OnUpdate::Restart };
            policy = policy.region_ttl(ms(self.region_ttl)).on_update(on_update);
        }
        if self.refresh_stale {
            policy = policy.on_stale(OnStale::Refresh);
        }
        if self.outage_is_error {
            policy = policy.on_outage(OnOutage::Error);
        }
        if self.replica {
            policy = policy.read_from(ReadFrom::Replica);
        }
        // Handles that hold nothing near are opened before any that do.
        let is_near = self.near && !self.sometimes_far;
        policy.near(if is_near { NearCache::On } else { NearCache::Off })
    }

    /// The time for which unverified values are served.
    #[must_use]
    pub fn unverified(&self) -> Duration {
        Duration::from_millis(self.unverified_for.max(self.outage_for))
    }

    /// As [`unverified`](Self::unverified), while no call fails.
    #[must_use]
    pub fn unverified_while_served(&self) -> Duration {
        Duration::from_millis(self.unverified_for)
    }
}
