//! The settings of regions.

mod read;
mod resolved;
mod setting;
mod table;

use serde::Deserialize;

use crate::error::{Error, ErrorKind, Result};
use setting::Limit;

pub use crate::value::made::EntryAge;
pub use setting::{PolicySetting, PolicySettingKind};
pub use table::Policy;
pub(crate) use table::ResolvedPolicy;

/// The effect of a write on the TTL that a region's own entries share ([`Policy::region_ttl`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUpdate {
    /// The TTL starts again: a region stays for as long as it is written to.
    #[default]
    Restart,
    /// The TTL goes on: the region's entries expire that long after its first write.
    Keep,
}

/// The use of a stale value by a call of `get_or_compute` that finds no load under way for its key.
/// While one is under way, a stale value is returned at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnStale {
    /// The caller loads, and waits for the load until [`Policy::soft_timeout`]. It gets the stale
    /// value if the load fails or takes longer.
    #[default]
    Wait,
    /// *Stale-while-revalidate*: the caller gets the stale value at once, and the load runs in the
    /// background. It is fenced as every load is, goes on when nobody waits for it, and there is at
    /// most one for a key, across processes too while its lease is held.
    Refresh,
}

/// The result of a read while the store does not serve: see
/// [`Error::is_outage`](crate::Error::is_outage).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnOutage {
    /// A miss. `get_or_compute` loads, and returns the value without storing it.
    #[default]
    Miss,
    /// The error.
    Error,
}

/// Says if values are held near: see [`Policy::near`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NearCache {
    /// Every read asks the store.
    #[default]
    Off,
    /// Decoded values are held in this process.
    On,
}

impl Policy {
    /// Creates a policy that inherits every setting.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks every setting, and the settings against one another.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPolicy`], listing every fault.
    pub fn check(&self) -> Result<()> {
        let mut faults = self.faults();
        faults.extend(self.contradiction());
        if faults.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::InvalidPolicy, format!("bad policy: {}", faults.join("; "))))
    }

    fn contradiction(&self) -> Option<String> {
        let (Some(Limit::For(ttl)), Some(Limit::For(region_ttl))) = (self.ttl, self.region_ttl)
        else {
            return None;
        };
        (ttl > region_ttl && self.on_update == Some(OnUpdate::Keep)).then(|| {
            format!(
                "ttl is {ttl:?}, but with OnUpdate::Keep no entry outlives the region_ttl of \
                 {region_ttl:?}: shorten ttl, or leave it out"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::setting::Window;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_inner_policy_wins_and_the_rest_is_inherited() {
        let outer = Policy::new().ttl(SECOND).stale_for(SECOND).version(3);
        let merged = Policy::new().no_ttl().version(4).within(&outer);
        assert_eq!(merged.ttl, Some(Limit::Unlimited));
        assert_eq!(merged.stale_for, Some(Window(SECOND)));
        assert_eq!(merged.version, Some(4));
    }

    #[test]
    fn every_fault_is_listed() {
        let policy = Policy::new().ttl_jitter(101).early_refresh_at(0).early_refresh_beta(10_001);
        let policy = policy.ttl(Duration::ZERO).lease(Duration::MAX).stale_for(Duration::MAX);
        let error = policy.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidPolicy);
        let text = error.to_string();
        for name in
            ["ttl is 0ns", "lease is", "stale_for is", "jitter is 101", "at is 0", "beta is 10001"]
        {
            assert!(text.contains(name), "{text}");
        }
    }

    #[test]
    fn a_ttl_that_no_entry_can_reach_is_a_contradiction() {
        let policy = Policy::new().ttl(2 * SECOND).region_ttl(SECOND);
        assert!(policy.check().is_ok());
        let policy = policy.on_update(OnUpdate::Keep);
        assert!(policy.check().unwrap_err().to_string().contains("shorten ttl"));
        assert!(policy.clone().no_ttl().check().is_ok());
    }

    /// The table is what documentation and the derive are compared with.
    #[test]
    fn every_setting_has_a_line() {
        let lines: Vec<_> = Policy::SETTINGS.iter().map(|s| (s.name, s.default)).collect();
        let durations = [
            "ttl",
            "absent_ttl",
            "region_ttl",
            "stale_for",
            "soft_timeout",
            "load_retry_after",
            "load_timeout",
            "lease",
            "near_unverified_for",
            "near_outage_for",
        ];
        for setting in Policy::SETTINGS {
            let is_duration = setting.kind == PolicySettingKind::Duration;
            assert_eq!(is_duration, durations.contains(&setting.name), "{}", setting.name);
            assert!(setting.summary.ends_with('.'), "{}", setting.summary);
            let unlimited = setting.unlimited.is_some();
            assert_eq!(unlimited, setting.default == "unlimited", "{}", setting.name);
        }
        assert_eq!(lines.len(), 21);
        assert!(lines.contains(&("lease", "10 s")) && lines.contains(&("version", "0")));
    }

    #[test]
    fn what_nobody_sets_has_its_default() {
        let resolved = ResolvedPolicy::new(&Policy::new()).unwrap();
        assert_eq!(resolved.ttl, crate::Lifetime::Unlimited);
        assert_eq!(resolved.lease, 10 * SECOND);
        assert_eq!(resolved.stale_for, Duration::ZERO);
        assert_eq!(resolved.version, 0);
        let rounded = ResolvedPolicy::new(&Policy::new().lease(Duration::from_micros(1))).unwrap();
        assert_eq!(rounded.lease, Duration::from_millis(1));
    }
}
