//! Explanations as lines of text.

use std::fmt::{Display, Formatter, Result};

use super::{
    DependencyStanding, EntryState, Explanation, NearState, NearTrust, NearValidity, ReadOutcome,
    StoreState,
};
use crate::stats::MissReason;
use crate::store::{Freshness, Lease, Leftover};
use crate::value::codec::EntryHeader;
use crate::value::envelope::EnvelopeContent;

impl Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { region, key, type_name, outcome, policy, .. } = self;
        writeln!(f, "{key:?} of {region}, as {type_name}: {outcome}")?;
        match &self.near {
            None => writeln!(f, "near: the policy keeps nothing near")?,
            Some(near) => near.fmt(f)?,
        }
        match &self.store {
            Err(error) => writeln!(f, "store: cannot be read: {error}")?,
            Ok(store) => store.fmt(f)?,
        }
        if self.is_loading {
            writeln!(f, "load: under way in this process")?;
        }
        write!(
            f,
            "policy: ttl {}, region_ttl {}, stale_for {:?}, read_from {:?}, on_outage {:?}, near {:?}, \
             near_unverified_for {:?}, near_outage_for {:?}, version {}",
            policy.ttl,
            policy.region_ttl,
            policy.stale_for,
            policy.read_from,
            policy.on_outage,
            policy.near,
            policy.near_unverified_for,
            policy.near_outage_for,
            policy.version,
        )
    }
}

impl Display for ReadOutcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::NearHit => "a hit: a trusted value is held near",
            Self::VerifiedNearHit => {
                "a hit: a value is held near, and the store says that it is valid"
            }
            Self::UnverifiedNearHit => {
                "a hit: a value is held near, which the policy allows without trust"
            }
            Self::StoreHit => "a hit: the store has a value",
            Self::Miss(reason) => return write!(f, "a miss: {reason}"),
            Self::Error => "an error of the store",
        })
    }
}

impl Display for MissReason {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Absent => "the store has no value",
            Self::Expired => "the value has expired",
            Self::Fenced => "the value is from before an invalidation",
            Self::BadBytes => "the bytes are damaged, or from another place",
            Self::OtherType => "the value has another type, version or serializer",
            Self::Dependency => "a region that the value depends on has ended",
            Self::Unavailable => "the store cannot be read",
        })
    }
}

impl Display for NearTrust {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Trusted => "trusted",
            Self::Unknown => "not known",
            Self::OwnChange => "in doubt while a change by this process is under way",
            Self::Changed => "in doubt since a push or a change by this process",
            Self::ConnectionLost => "in doubt since the connection was lost that tells of changes",
        })
    }
}

impl Display for NearState {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { lineage, changes, .. } = self;
        writeln!(f, "near: lineage {lineage}; changes {changes}")?;
        if !self.is_listening {
            writeln!(f, "near: the store pushes nothing")?;
        }
        let Some(value) = self.value else { return writeln!(f, "near value: none") };
        let form = if value.is_decoded { "decoded" } else { "as bytes" };
        let validity = match value.validity {
            NearValidity::Valid => "valid",
            NearValidity::Doubted => "in doubt",
            NearValidity::Outdated => "outdated",
        };
        let content = match value.content {
            EnvelopeContent::Value => "near value",
            EnvelopeContent::Absence => "near record that there is no value",
        };
        writeln!(f, "{content}: {validity}, held {form}, fresh for: {}", value.left)
    }
}

impl Display for StoreState {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.lineage {
            None => writeln!(
                f,
                "store: shows no lineage: the region does not exist, or it is left out"
            )?,
            Some(lineage) => writeln!(f, "store: {lineage:?}")?,
        }
        if let Some(changes) = &self.changes {
            writeln!(f, "store: last change {:?}", changes.last())?;
        }
        match &self.entry {
            None => writeln!(f, "entry: {}", invalid(self.leftover))?,
            Some(entry) => entry.fmt(f)?,
        }
        match self.lease {
            None => writeln!(f, "lease: not known"),
            Some(Lease::Held { left, .. }) => {
                writeln!(f, "lease: held by a load, for {left:?} unless it is extended")
            }
            Some(Lease::NotTaken | Lease::Granted) => writeln!(f, "lease: free"),
        }
    }
}

/// Describes the store's answer without a valid entry.
fn invalid(leftover: Option<Leftover>) -> &'static str {
    match leftover {
        None => "none",
        Some(Leftover::Expired) => "one that has expired, and is not freed yet",
        Some(Leftover::Fenced) => "one of an earlier lineage, which is not freed yet",
    }
}

impl Display for EntryState {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.freshness {
            Freshness::Fresh { left } => {
                writeln!(f, "entry: fresh for: {left}; {} bytes", self.bytes)?
            }
            Freshness::Stale { left } => {
                writeln!(f, "entry: stale for: {left}; {} bytes", self.bytes)?
            }
        }
        if let Some(header) = &self.header {
            header.fmt(f)?;
        }
        if let Some(fault) = &self.fault {
            writeln!(f, "entry: {fault}")?;
        }
        for dependency in &self.dependencies {
            let state = match dependency.state {
                DependencyStanding::Holds => "which has not changed",
                DependencyStanding::Expired => "which has expired since",
                DependencyStanding::Ended => "which has ended since",
                DependencyStanding::Unknown => "which cannot be read",
            };
            writeln!(f, "entry: depends on {}, {state}", dependency.region)?;
        }
        Ok(())
    }
}

impl Display for EntryHeader {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(
            f,
            "entry: serializer {} (expected {}), fingerprint {:016x} (expected {:016x}), {:?}",
            self.serializer.get(),
            self.expected_serializer.get(),
            self.fingerprint,
            self.expected_fingerprint,
            self.content,
        )
    }
}
