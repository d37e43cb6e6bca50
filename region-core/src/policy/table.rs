//! The settings of a policy, each declared once.

use std::time::Duration;

use serde::Deserialize;

use super::setting::{Limit, Percent, PolicySetting, Positive, Setting, Window};
use super::{EntryAge, NearCache, OnOutage, OnStale, OnUpdate};
use crate::store::ReadFrom;
use crate::value::serializer::{AnySerializer, Serializer};

/// Declares the settings. From each follow the policy's field and builder methods, its inheritance,
/// its check, the field of [`ResolvedPolicy`] and an entry of [`Policy::SETTINGS`].
macro_rules! settings {
    ($(
        #[doc = $summary:literal]
        $(#[doc = $doc:literal])*
        $name:ident($given:ty) as $stored:ty = $store:path,
        default $default:expr, $shown:literal
        $(, unlimited $unlimited:ident = $none:expr)?;
    )*) => {
        /// The settings of a region. A setting that is left out is inherited from the region around.
        ///
        /// A policy is checked when it is put to use: by
        /// [`RegionCacheBuilder::build`](crate::RegionCacheBuilder::build) and by
        /// [`Region::with_policy`](crate::Region::with_policy).
        ///
        /// ```
        /// use std::time::Duration;
        /// use region_core::Policy;
        ///
        /// let policy = Policy::new().ttl(Duration::from_secs(600)).stale_for(Duration::from_secs(60));
        /// assert!(policy.check().is_ok());
        /// assert!(Policy::new().ttl(Duration::ZERO).check().is_err());
        /// ```
        ///
        /// Configuration files write it as a table of the settings that it sets: durations as `"10m"`, `"250 ms"`
        /// or a number of milliseconds, the lack of a limit as `"unlimited"`, a variant as a word in small letters,
        /// and a serializer as its [name](AnySerializer::named).
        ///
        /// ```
        /// use region_core::Policy;
        ///
        /// let policy: Policy = serde_json::from_str(r#"{"ttl": "10m", "on_stale": "refresh"}"#).unwrap();
        /// ```
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Policy {
            $(pub(super) $name: Option<$stored>,)*
        }

        /// A checked policy with a value for every setting.
        #[derive(Clone, Debug)]
        pub(crate) struct ResolvedPolicy {
            $(pub(crate) $name: <$stored as Setting>::Resolved,)*
        }

        impl Policy {
            /// Every setting, in the order of their methods.
            pub const SETTINGS: &'static [PolicySetting] = &[$(PolicySetting {
                name: stringify!($name),
                unlimited: settings!(@name $($unlimited)?),
                kind: <$stored as Setting>::KIND,
                default: $shown,
                summary: $summary.trim_ascii(),
            },)*];

            $(
                #[doc = $summary]
                $(#[doc = $doc])*
                #[doc = ""]
                #[doc = concat!("Default at the root: ", $shown, ".")]
                #[must_use]
                pub fn $name(mut self, $name: $given) -> Self {
                    self.$name = Some($store($name));
                    self
                }

                $(
                    #[doc = concat!("Removes the limit that [`", stringify!($name),
                        "`](Self::", stringify!($name), ") sets in a region around.")]
                    #[must_use]
                    pub fn $unlimited(mut self) -> Self {
                        self.$name = Some($none);
                        self
                    }
                )?
            )*

            /// Returns this policy with the settings that it leaves out taken from `outer`.
            #[must_use]
            pub fn within(&self, outer: &Self) -> Self {
                Self { $($name: self.$name.as_ref().or(outer.$name.as_ref()).cloned(),)* }
            }

            /// The faults of each setting by itself.
            pub(super) fn faults(&self) -> Vec<String> {
                let faults = [$(
                    self.$name.as_ref().and_then(|setting| setting.fault(stringify!($name))),
                )*];
                faults.into_iter().flatten().collect()
            }

            /// The policy of a root that sets nothing else. It is valid.
            pub(super) fn resolve(&self) -> ResolvedPolicy {
                ResolvedPolicy {
                    $($name: match &self.$name {
                        Some(setting) => setting.resolve(),
                        None => <$stored>::resolve(&$default),
                    },)*
                }
            }
        }
    };
    (@name $unlimited:ident) => { Some(stringify!($unlimited)) };
    (@name) => { None };
}

settings! {
    /// The lifetime of each entry, counted from its own write and rounded up to whole milliseconds.
    ttl(Duration) as Limit = Limit::For,
    default Limit::Unlimited, "unlimited", unlimited no_ttl = Limit::Unlimited;

    /// The share of [`ttl`](Self::ttl), in percent, that is taken off at random, from 0 to 100.
    ///
    /// Entries that are written together then expire one by one: with 10, each lives for 90 to 100 % of
    /// the ttl. It does not apply to an entry that is written with a ttl of its own.
    ttl_jitter(u32) as Percent<0, 100> = Percent,
    default Percent(0), "0";

    /// The time for which [`Loaded::Absent`](crate::Loaded::Absent) is remembered; zero forgets it.
    absent_ttl(Duration) as Window = Window,
    default Window(Duration::from_secs(10)), "10 s";

    /// The time to live that all of a region's own entries share.
    ///
    /// It starts with the first write to the region, and [`on_update`](Self::on_update) decides
    /// whether a later write starts it again. An entry whose own [`ttl`](Self::ttl) ends earlier
    /// expires earlier.
    region_ttl(Duration) as Limit = Limit::For,
    default Limit::Unlimited, "unlimited", unlimited no_region_ttl = Limit::Unlimited;

    /// The effect of a write on a [`region_ttl`](Self::region_ttl) that has begun.
    on_update(OnUpdate) as OnUpdate = std::convert::identity,
    default OnUpdate::Restart, "restart";

    /// The time for which an expired value is kept as *stale*.
    ///
    /// `get_or_compute` returns a stale value while another caller loads, and when a load fails:
    /// this is the greatest age of what it returns then. Zero keeps none.
    stale_for(Duration) as Window = Window,
    default Window(Duration::ZERO), "zero";

    /// The use of a stale value by a caller that nobody loads for yet.
    on_stale(OnStale) as OnStale = std::convert::identity,
    default OnStale::Wait, "wait";

    /// The time after which a caller that waits for a load takes the stale value instead.
    ///
    /// The load goes on, and its result is stored if nothing that covers it ended meanwhile. Without
    /// a stale value callers wait on.
    soft_timeout(Duration) as Limit = Limit::For,
    default Limit::Unlimited, "unlimited", unlimited no_soft_timeout = Limit::Unlimited;

    /// The time after a failed load for which stale values are returned and no load is tried.
    ///
    /// Each process keeps it for its own loads. Zero tries again at the next call. Where there is no
    /// stale value, every call loads.
    load_retry_after(Duration) as Window = Window,
    default Window(Duration::from_secs(1)), "1 s";

    /// The share of [`ttl`](Self::ttl), in percent, after which a load refreshes an entry early.
    ///
    /// From 1 to 100; 100 refreshes none. `get_or_compute` starts the load in the background, and still
    /// returns the value at once. There is at most one refresh for a key, across processes
    /// too while its lease is held. An entry without a limit of time is not refreshed.
    early_refresh_at(u32) as Percent<1, 100> = Percent,
    default Percent(100), "100";

    /// The weight of *XFetch*, in percent: early refreshes at random, more probable towards the end.
    ///
    /// From 0 to 10,000; 0 refreshes none so. As by [`early_refresh_at`](Self::early_refresh_at), the load
    /// runs in the background. 100 is the usual weight (a beta of one): the mean lead is the time that a load
    /// takes. The longer the loads and the greater the weight, the earlier. The time is measured by each
    /// process for its own loads of a region; until it has loaded, it refreshes none so.
    early_refresh_beta(u32) as Percent<0, 10_000> = Percent,
    default Percent(0), "0";

    /// The time after which a load is dropped, and its callers get an error.
    ///
    /// The error is [`LoadTimeout`](crate::ErrorKind::LoadTimeout); callers get a stale value
    /// instead, if there is one.
    load_timeout(Duration) as Limit = Limit::For,
    default Limit::Unlimited, "unlimited", unlimited no_load_timeout = Limit::Unlimited;

    /// The time after which another process takes over a load whose process has died.
    ///
    /// A process that lives extends its lease for as long as it loads.
    lease(Duration) as Positive = Positive,
    default Positive(Duration::from_secs(10)), "10 s";

    /// The servers that reads go to.
    read_from(ReadFrom) as ReadFrom = std::convert::identity,
    default ReadFrom::Primary, "primary";

    /// The result of a read while the store does not serve.
    on_outage(OnOutage) as OnOutage = std::convert::identity,
    default OnOutage::Miss, "miss";

    /// The switch of the near cache, which holds decoded values in this process.
    ///
    /// A value that is held near is returned without asking the store, for as long as the store would
    /// have told of every change that may concern it. The record that there is no value, of
    /// [`Loaded::Absent`](crate::Loaded::Absent), is held like one. Where that is in doubt, one small read of the
    /// region tells which of its values have changed. Over a store that pushes nothing every read is
    /// such a small read. All regions of a cache share one bound on its bytes:
    /// [`RegionCacheBuilder::near`](crate::RegionCacheBuilder::near).
    near(NearCache) as NearCache = std::convert::identity,
    default NearCache::Off, "off";

    /// The time for which a value held near is returned unverified where nothing would tell of a change.
    ///
    /// It applies to a store that pushes nothing, and while the connection that pushes come over is lost. It
    /// counts from the last answer of the store that showed the value, or from the loss of the
    /// connection. So a read may be behind the store by this time, and by the time
    /// that the store takes to notice a silent connection. Zero verifies each such read.
    ///
    /// Changes by this process are seen at once all the same, and so is each change that was pushed: what
    /// they may concern is verified. No value outlives its own lifetime. Values that are read together,
    /// as by [`get_many`](crate::Region::get_many), are of one moment; where some of them have to be read from the
    /// store, and the region has changed since, all are.
    near_unverified_for(Duration) as Window = Window,
    default Window(Duration::ZERO), "zero";

    /// The time for which a value held near is returned while the store does not serve.
    ///
    /// It takes precedence over [`on_outage`](Self::on_outage) and over a load. It counts as
    /// [`near_unverified_for`](Self::near_unverified_for) does, and with the same exceptions: a value that
    /// this process may have changed, or that a push may have concerned, is not returned. Of values that
    /// are read together those held near are returned, all of one moment; if others are missing,
    /// `on_outage` decides. Once the store serves again, values are verified first. Zero returns none.
    near_outage_for(Duration) as Window = Window,
    default Window(Duration::ZERO), "zero";

    /// The switch of the age that answers tell of a value which the cache had.
    ///
    /// `Recorded` stores each value with the time at which its load began, or at which it was set: six bytes.
    /// [`Answer::age`](crate::Answer::age) tells it, and nothing else goes by it. It is taken from the system clocks
    /// of the process that wrote the value and of the one that reads it, so it is wrong by as much as these
    /// differ. `Unknown` tells the age of values that were loaded in this process just now alone. Values are read
    /// alike whatever this says.
    age(EntryAge) as EntryAge = std::convert::identity,
    default EntryAge::Unknown, "unknown";

    /// The format of the values. Values written by another serializer are misses.
    serializer(impl Serializer) as AnySerializer = AnySerializer::new,
    default AnySerializer::default(), "`Postcard`";

    /// The version of the values' meaning. Values written under another version are misses.
    ///
    /// Change it when the meaning of a value changes but the shape of its type does not.
    version(u32) as u32 = std::convert::identity,
    default 0, "0";
}
