//! The values of settings, and what can be known of a setting without its value.

use std::time::Duration;

use super::{EntryAge, NearCache, OnOutage, OnStale, OnUpdate};
use crate::lifetime::{Lifetime, MAX_LIFETIME};
use crate::store::ReadFrom;
use crate::value::serializer::AnySerializer;

/// One setting of a [`Policy`](super::Policy), for documentation and tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicySetting {
    /// The name of the builder method and of the derive's attribute.
    pub name: &'static str,
    /// The method and attribute that say "no limit", if there is one.
    pub unlimited: Option<&'static str>,
    /// The kind of its values.
    pub kind: PolicySettingKind,
    /// The default at the root, in words.
    pub default: &'static str,
    /// The first sentence of its documentation.
    pub summary: &'static str,
}

/// The kind of a setting's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicySettingKind {
    /// A duration in whole milliseconds, rounded up.
    Duration,
    /// One of these words; the derive spells them so.
    Word(&'static [&'static str]),
    /// A [`Serializer`](crate::Serializer).
    Serializer,
    /// A number from 0 to 4,294,967,295.
    Number,
}

/// A value that can be given for a setting.
pub(crate) trait Setting {
    const KIND: PolicySettingKind;

    /// The value as those who go by it need it.
    type Resolved;

    /// The reason why it cannot be used, if there is one.
    fn fault(&self, _name: &str) -> Option<String> {
        None
    }

    /// The checked value, ready for use.
    fn resolve(&self) -> Self::Resolved;
}

/// A duration that may be unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Unlimited,
    For(Duration),
}

/// A duration of more than zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Positive(pub(crate) Duration);

/// A duration that may be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window(pub(crate) Duration);

/// A number of hundredths within bounds, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Percent<const LEAST: u32, const GREATEST: u32>(pub(crate) u32);

impl<const LEAST: u32, const GREATEST: u32> Setting for Percent<LEAST, GREATEST> {
    const KIND: PolicySettingKind = PolicySettingKind::Number;
    type Resolved = f64;

    fn fault(&self, name: &str) -> Option<String> {
        let percent = self.0;
        (!(LEAST..=GREATEST).contains(&percent))
            .then(|| format!("{name} is {percent}; it must be from {LEAST} to {GREATEST}"))
    }

    fn resolve(&self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl Setting for Limit {
    const KIND: PolicySettingKind = PolicySettingKind::Duration;
    type Resolved = Lifetime;

    fn fault(&self, name: &str) -> Option<String> {
        match self {
            Self::Unlimited => None,
            Self::For(duration) => Positive(*duration).fault(name),
        }
    }

    fn resolve(&self) -> Lifetime {
        match self {
            Self::Unlimited => Lifetime::Unlimited,
            Self::For(duration) => Lifetime::of(*duration).unwrap_or_default(),
        }
    }
}

impl Setting for Positive {
    const KIND: PolicySettingKind = PolicySettingKind::Duration;
    type Resolved = Duration;

    fn fault(&self, name: &str) -> Option<String> {
        let duration = self.0;
        Lifetime::of(duration).is_err().then(|| {
            format!(
                "{name} is {duration:?}; it must be more than zero and at most {MAX_LIFETIME:?}"
            )
        })
    }

    fn resolve(&self) -> Duration {
        whole_millis(self.0)
    }
}

impl Setting for Window {
    const KIND: PolicySettingKind = PolicySettingKind::Duration;
    type Resolved = Duration;

    fn fault(&self, name: &str) -> Option<String> {
        let window = self.0;
        (window > MAX_LIFETIME)
            .then(|| format!("{name} is {window:?}; it must be at most {MAX_LIFETIME:?}"))
    }

    fn resolve(&self) -> Duration {
        whole_millis(self.0)
    }
}

/// Rounds up to whole milliseconds. Zero stays zero.
fn whole_millis(duration: Duration) -> Duration {
    Lifetime::of(duration).ok().and_then(Lifetime::duration).unwrap_or_default()
}

/// Settings whose every value can be used as it is.
macro_rules! plain {
    ($($ty:ty: $kind:expr;)*) => {$(
        impl Setting for $ty {
            const KIND: PolicySettingKind = $kind;
            type Resolved = Self;

            fn resolve(&self) -> Self {
                self.clone()
            }
        }
    )*};
}

plain! {
    OnUpdate: PolicySettingKind::Word(&["restart", "keep"]);
    OnStale: PolicySettingKind::Word(&["wait", "refresh"]);
    ReadFrom: PolicySettingKind::Word(&["primary", "replica"]);
    OnOutage: PolicySettingKind::Word(&["miss", "error"]);
    NearCache: PolicySettingKind::Word(&["off", "on"]);
    EntryAge: PolicySettingKind::Word(&["unknown", "recorded"]);
    AnySerializer: PolicySettingKind::Serializer;
    u32: PolicySettingKind::Number;
}
