//! The core of region-cache: what all stores and all users of them agree on. It does no I/O.
//!
//! Most users depend on the facade, `region-cache`, and find everything there. A backend depends on
//! this crate alone and implements [`Store`]; the module `conformance` (feature of the same name)
//! tells whether it does so rightly.
//!
//! | to | see |
//! |---|---|
//! | open a cache and get handles to regions | [`RegionCache`] |
//! | read, write, load, invalidate | [`Region`] and [`RegionExt`], which [`RegionHandle`] implements |
//! | read each key once in a request | [`Memo`] |
//! | say how long values live, and more | [`Policy`] |
//! | do without async code | the module `blocking` (feature of the same name) |
//! | give domain types their regions | [`Regioned`] |
//! | choose or write a format | [`Serializer`], [`Postcard`] |
//! | tell handlers and regions that something has happened | [`Signal`], [`SharedSignal`] and [`SignalExt`] |
//! | write a backend | [`Store`] |
//! | test a service | the module `testing` (feature of the same name) |

#[macro_use]
mod bits;

mod cache;
mod clock;
mod engine;
mod error;
mod explain;
mod handle;
pub mod human;
mod lifetime;
mod lineage;
mod load;
mod memo;
#[cfg(feature = "metrics")]
mod metric;
mod path;
mod policy;
mod random;
mod region;
mod regioned;
mod signal;
mod stats;
mod store;
mod striped;
mod sync;
mod timers;
mod value;

#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "testing")]
pub mod testing;

pub use cache::{RegionCache, RegionCacheBuilder};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp, TokioClock};
pub use error::{BoxError, Error, ErrorKind, Result};
pub use explain::{
    DependencyStanding, DependencyState, EntryState, Explanation, NearState, NearTrust,
    NearValidity, NearValue, ReadOutcome, StoreState,
};
pub use handle::{LoadRequest, RegionHandle};
pub use lifetime::{Lifetime, MAX_LIFETIME};
pub use lineage::{Incarnation, Incarnations, Lineage};
pub use load::LoadDependencies;
pub use memo::{MAX_MEMO_KEYS, Memo};
#[cfg(feature = "metrics")]
pub use metric::{Metric, MetricKind};
pub use path::{
    IdText, MARKER_KEY, MAX_DEPTH, MAX_KEY_BYTES, MAX_PATH_BYTES, MAX_SEGMENT_BYTES, PathError,
    PathRule, RegionPath, Segment,
};
pub use policy::{
    EntryAge, NearCache, OnOutage, OnStale, OnUpdate, Policy, PolicySetting, PolicySettingKind,
};
pub use region::{
    Answer, Batch, BatchValue, BatchWrite, Cached, Dependency, Listing, LoadOptions, Loaded,
    MAX_REGIONS_ACROSS, MAX_STEP_BYTES, MAX_STEP_KEYS, MAX_TRANSACTION_BYTES,
    MAX_TRANSACTION_WRITES, Outcome, Region, RegionExt, SetOptions, Subscription, Transaction,
    UncachedReason, Warm, WarmProgress, args_key, get_across,
};
#[doc(hidden)]
pub use regioned::private as __private;
pub use regioned::{AppendId, ParseSegmentId, PathFn, Regioned, SegmentId, TopLevel, TypedPath};
pub use signal::{
    Connecting, Connection, HandlerFailure, HandlerOutcome, MAX_PENDING_REGIONS, MAX_SIGNAL_BYTES,
    MAX_SIGNALS_KEPT, PathBelow, Received, SHARED_SIGNAL_TTL, SendReport, Sending, Sent,
    SharedSignal, Signal, SignalExt, SignalSource,
};
pub use stats::{LoadTime, MissReason, NearUse, RegionStats, Stats};
pub use store::{
    Applied, Begun, BegunKey, Change, ChangeId, ChangeRing, ChangedKey, Coverage, Cursor, EndTerms,
    Ended, Entry, Event, Freshness, Guard, Lease, LeaseTerms, LeaseToken, Leftover, Listener,
    Listeners, Listening, MAX_CHANGES, Op, OpOutcome, Page, PageTerms, Put, Read, ReadFrom,
    ReadTerms, RegionTtl, ScanItem, SharedStore, Show, Source, Store, StoreHealth, StoreProblem,
    TakeLease, Trust, Verb, When, Write, Written,
};
pub use timers::has_timers;
pub use value::codec::{EntryHeader, MAX_ENTRY_BYTES};
pub use value::dependencies::{DependsOn, MAX_DEPENDENCIES};
pub use value::envelope::{BadBytes, ENVELOPE_BYTES, Envelope, EnvelopeContent, Place};
pub use value::fingerprint::{Fingerprint, Readability, Shape};
#[cfg(feature = "cbor")]
pub use value::serializer::Cbor;
#[cfg(any(feature = "lz4", feature = "zstd"))]
pub use value::serializer::Compressed;
#[cfg(feature = "json")]
pub use value::serializer::Json;
#[cfg(feature = "msgpack")]
pub use value::serializer::MessagePack;
pub use value::serializer::{
    AnySerializer, Postcard, Serializer, SerializerId, Value, ValueContext,
};
#[cfg(feature = "encryption")]
pub use value::serializer::{Encrypted, EncryptionKey, KeyRing};
