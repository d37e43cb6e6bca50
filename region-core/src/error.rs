//! The error of every operation.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::path::{PathError, PathRule, RegionPath};

/// A source that any error may carry.
pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;

/// The result of every operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error: its kind, the operation and the region, and if a retry can help.
///
/// Cheap to clone: callers that waited for one load share its error. The loader's own error is the
/// [`source`](StdError::source); [`load_error`](Self::load_error) finds it by its type.
///
/// ```
/// use region_core::{ErrorKind, RegionPath};
///
/// let error = region_core::Error::from(RegionPath::parse("shop.").unwrap_err());
/// assert_eq!(error.kind(), ErrorKind::InvalidPath);
/// assert!(!error.can_retry());
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    retry: Retry,
    message: Box<str>,
    operation: Option<&'static str>,
    region: Option<RegionPath>,
    key: Option<Box<str>>,
    source: Option<Arc<dyn StdError + Send + Sync + 'static>>,
}

/// The kind of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A path, segment or id breaks a [`PathRule`].
    InvalidPath,
    /// A key is empty or too long.
    InvalidKey,
    /// A policy or option contradicts itself or has a value out of range.
    InvalidPolicy,
    /// A URL or a setting of a store is malformed, unknown, out of range or contradicts another; or a
    /// load function is asked for where none is registered.
    InvalidConfig,
    /// A value could not be encoded. Nothing was stored.
    Encode,
    /// An entry is larger than the store takes. Nothing was stored.
    TooLarge,
    /// The loader of a `get_or_compute` returned an error.
    Load,
    /// The loader panicked.
    LoadPanicked,
    /// The loader took longer than the policy's limit.
    LoadTimeout,
    /// Loads wait for each other: a loader asked, directly or through others, for a key whose load
    /// it is itself part of. The message names the loads.
    LoadCycle,
    /// The store cannot be reached, or refuses to serve for now.
    Unavailable,
    /// The store did not answer within the limit. Whether it did what was asked is not known.
    Timeout,
    /// This process has too many calls in flight to send another. Nothing was sent.
    Overloaded,
    /// The store refused the credentials or the operation.
    Denied,
    /// The store answered with something that it should not.
    Protocol,
    /// The store failed in another way.
    Store,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    CanHelp,
    Permanent,
}

impl Error {
    /// An error of `kind`. [`Unavailable`](ErrorKind::Unavailable),
    /// [`Timeout`](ErrorKind::Timeout) and [`Overloaded`](ErrorKind::Overloaded) can be retried;
    /// every other kind is permanent unless [`retryable`](Self::retryable) says otherwise.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            retry: match kind {
                ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Overloaded => {
                    Retry::CanHelp
                }
                _ => Retry::Permanent,
            },
            message: message.into().into_boxed_str(),
            operation: None,
            region: None,
            key: None,
            source: None,
        }))
    }

    /// Marks the error as one that a retry can mend.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.0.retry = Retry::CanHelp;
        self
    }

    /// Marks the error as one that no retry can mend.
    #[must_use]
    pub fn permanent(mut self) -> Self {
        self.0.retry = Retry::Permanent;
        self
    }

    /// Adds the error that led to this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError> + 'static) -> Self {
        self.0.source = Some(Arc::from(boxed(source)));
        self
    }

    /// Names the operation and region this is about, unless that is known already.
    #[must_use]
    pub fn on(mut self, operation: &'static str, region: &RegionPath) -> Self {
        self.0.operation.get_or_insert(operation);
        self.0.region.get_or_insert_with(|| region.clone());
        self
    }

    /// Names the key this is about, unless that is known already.
    #[must_use]
    pub fn at_key(mut self, key: &str) -> Self {
        self.0.key.get_or_insert_with(|| key.into());
        self
    }

    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns true if the same call may succeed later without any intervention.
    #[must_use]
    pub fn can_retry(&self) -> bool {
        self.0.retry == Retry::CanHelp
    }

    /// The region the failed operation was on, if it concerned one.
    #[must_use]
    pub fn region(&self) -> Option<&RegionPath> {
        self.0.region.as_ref()
    }

    /// The key the failed operation was on, if it concerned one.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.0.key.as_deref()
    }

    /// Finds the first error of type `E` among the [sources](StdError::source) of this one: the
    /// loader's own error, what led to it, or the error of a load that the loader asked for. Looks
    /// into `Arc<E>` and `Box<E>` too.
    ///
    /// An `anyhow::Error` without a context hides the error that it was made from: the feature
    /// `anyhow` makes it visible here.
    #[must_use]
    pub fn load_error<E: StdError + 'static>(&self) -> Option<&E> {
        iter::successors(self.source(), |error| (*error).source()).find_map(|error| {
            let shared = || error.downcast_ref::<Arc<E>>().map(|error| &**error);
            let owned = || error.downcast_ref::<Box<E>>().map(|error| &**error);
            error.downcast_ref::<E>().or_else(shared).or_else(owned)
        })
    }

    /// Returns true if the store did not serve the call, whatever was asked: it cannot be reached, did
    /// not answer, refuses this process, or this process has too many calls in flight. Reads treat
    /// such an error as a miss under [`OnOutage::Miss`](crate::OnOutage::Miss).
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Overloaded | ErrorKind::Denied
        )
    }
}

/// Runs code that a user wrote. A panic in it becomes an error with the panic's message.
pub(crate) fn catch_panic<T>(run: impl FnOnce() -> T) -> Result<T, BoxError> {
    // What the code was working on is its own; nothing of this crate is left half done.
    catch_unwind(AssertUnwindSafe(run))
        .map_err(|panic| format!("panicked: {}", panic_message(&*panic)).into())
}

/// The message of a panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
}

/// Boxes an error so that its type can be found again.
fn boxed(error: impl Into<BoxError> + 'static) -> BoxError {
    #[cfg(feature = "anyhow")]
    {
        let mut error = Some(error);
        let any: &mut dyn Any = &mut error;
        if let Some(error) = any.downcast_mut::<Option<anyhow::Error>>().and_then(Option::take) {
            // `Into` would wrap the error in a private type of `anyhow`.
            return error.reallocate_into_boxed_dyn_error_without_backtrace();
        }
        error.map_or_else(|| "no error".into(), Into::into)
    }
    #[cfg(not(feature = "anyhow"))]
    error.into()
}

impl From<PathError> for Error {
    fn from(error: PathError) -> Self {
        let kind = match error.rule() {
            PathRule::EmptyKey | PathRule::KeyTooLong | PathRule::ReservedKey => {
                ErrorKind::InvalidKey
            }
            _ => ErrorKind::InvalidPath,
        };
        Self::new(kind, error.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { operation, region, key, message, source, .. } = &*self.0;
        if let Some(operation) = operation {
            write!(f, "{operation} ")?;
        }
        if let Some(region) = region {
            write!(f, "in region {region}")?;
        }
        if let Some(key) = key {
            write!(f, ", key {key:?}")?;
        }
        if operation.is_some() || region.is_some() || key.is_some() {
            f.write_str(": ")?;
        }
        f.write_str(message)?;
        match source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({:?}: {self})", self.0.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_happened_where() {
        let region = RegionPath::parse("shop.org:42").unwrap();
        let error = Error::new(ErrorKind::Encode, "the value cannot be encoded")
            .on("set", &region)
            .at_key("summary")
            .with_source(std::io::Error::other("a map without a length"));
        assert_eq!(
            error.to_string(),
            "set in region shop.org:42, key \"summary\": the value cannot be encoded: \
             a map without a length"
        );
        assert!(error.load_error::<std::io::Error>().is_some());
        assert!(error.source().is_some());
        assert_eq!(
            error.clone().on("get", &RegionPath::root("x").unwrap()).region(),
            Some(&region)
        );
    }

    /// Bug: `load_error` looked at the direct source only.
    /// Effect: it found nothing in nested loads and behind an `Arc`.
    /// Fix: it walks the whole chain of sources.
    #[test]
    fn load_error_walks_the_chain() {
        let inner = || std::io::Error::from(std::io::ErrorKind::NotFound);
        let load = |source: BoxError| Error::new(ErrorKind::Load, "").with_source(source);
        let nested = load(load(inner().into()).into());
        let shared = load(Arc::new(load(Arc::new(inner()).into())).into());
        for error in [&nested, &shared, &load(Box::new(inner()).into())] {
            let found = error.load_error::<std::io::Error>().map(std::io::Error::kind);
            assert_eq!(found, Some(std::io::ErrorKind::NotFound), "{error}");
        }
        assert!(nested.load_error::<Error>().is_some());
        assert!(nested.load_error::<fmt::Error>().is_none());
    }

    /// Bug: `anyhow` boxes an error in a private type of its own.
    /// Effect: `load_error` found nothing in the loads of a program that uses `anyhow`.
    /// Fix: with the feature `anyhow` such an error is boxed as what it is.
    #[cfg(feature = "anyhow")]
    #[test]
    fn load_error_looks_behind_anyhow() {
        let inner = || std::io::Error::from(std::io::ErrorKind::NotFound);
        let plain = anyhow::Error::from(inner());
        let with_context = anyhow::Error::from(inner()).context("reading").context("loading");
        for error in [plain, with_context] {
            let error = Error::new(ErrorKind::Load, "").with_source(error);
            assert!(error.load_error::<std::io::Error>().is_some(), "{error}");
        }
        let text = Error::new(ErrorKind::Load, "").with_source(anyhow::anyhow!("no row"));
        assert!(text.to_string().ends_with("no row"), "{text}");
    }

    #[test]
    fn only_outages_are_retryable_by_default() {
        assert!(Error::new(ErrorKind::Timeout, "").can_retry());
        assert!(Error::new(ErrorKind::Unavailable, "").can_retry());
        assert!(Error::new(ErrorKind::Overloaded, "").can_retry());
        assert!(!Error::new(ErrorKind::Denied, "").can_retry());
        assert!(!Error::new(ErrorKind::Unavailable, "wrong port").permanent().can_retry());
        assert!(Error::new(ErrorKind::Store, "busy").retryable().can_retry());
    }

    /// Bug: a rotated password was an error of every read even under `OnOutage::Miss`.
    /// Effect: a service went down with its cache.
    /// Fix: reads treat a refusal of this process, and its own overload, as an outage.
    #[test]
    fn a_refusal_and_an_overload_are_outages() {
        for kind in [ErrorKind::Denied, ErrorKind::Overloaded, ErrorKind::Timeout] {
            assert!(Error::new(kind, "").is_outage(), "{kind:?}");
        }
        for kind in [ErrorKind::InvalidConfig, ErrorKind::TooLarge, ErrorKind::Store] {
            assert!(!Error::new(kind, "").is_outage(), "{kind:?}");
        }
    }
}
