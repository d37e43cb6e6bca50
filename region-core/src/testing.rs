//! A kit for testing services that use this cache: faults, recordings and time, all under the
//! test's control.
//!
//! - [`Faulty`] wraps a store and injects what goes wrong in production: errors, lost replies, slow
//!   and hanging calls, lost and late pushes. It also holds calls at a gate, so that a test can
//!   interleave two callers exactly.
//! - [`Recorder`] wraps a store and remembers every call: for "this was served without asking the
//!   store" and "one load, one write".
//! - [`ManualClock`] is a clock that stands still until the test moves it.
//! - [`fix_path_hashes`] and [`RegionCacheBuilder::seed`](crate::RegionCacheBuilder::seed) let a simulation repeat a
//!   run exactly.
//!
//! Both wrappers are stores themselves, so they nest, and they do nothing until told to. Cloning one
//! gives another handle to the same script or recording: keep one, give the other to the cache.
//!
//! ```
//! use region_core::testing::{Faulty, Method, Recorder};
//! use region_core::{ErrorKind, ReadTerms, RegionPath, Store};
//!
//! # async fn example(store: impl Store) -> region_core::Result<()> {
//! let recorder = Recorder::new(store);
//! let faulty = Faulty::new(recorder.clone());
//! let shop = RegionPath::root("shop")?;
//!
//! faulty.on(Method::Read).nth(2).fail(ErrorKind::Unavailable);
//! assert!(faulty.read(&shop, &["a"], ReadTerms::default()).await.is_ok());
//! assert!(faulty.read(&shop, &["a"], ReadTerms::default()).await.is_err());
//! assert_eq!(recorder.count(Method::Read), 1, "the second read never reached the store");
//! # Ok(())
//! # }
//! ```

mod faulty;
mod method;
mod recorder;

pub use crate::clock::ManualClock;
pub use crate::path::fix_path_hashes;
pub use faulty::{Fault, Faulty, On, OnPush, Pause};
pub use method::Method;
pub use recorder::{Call, MAX_CALLS, OpKind, Outcome, RecordedOp, Recorder, Request};
