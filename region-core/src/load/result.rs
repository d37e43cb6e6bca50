//! The meaning of what a load function returned for one key.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::engine::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::lifetime::{Lifetime, MAX_LIFETIME};
use crate::region::{Loaded, UncachedReason};
use crate::value::dependencies::DependsOn;
use crate::value::envelope::EnvelopeContent;
use crate::value::serializer::Value;

/// The value of a key after its load, and what is to be stored.
pub(super) struct LoadResult<V> {
    pub(super) value: Option<Arc<V>>,
    storing: Storing,
}

/// The kind of entry to store, with a ttl that takes precedence over the policy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Storing {
    Nothing,
    Value(Option<Duration>),
    Absence(Option<Duration>),
}

/// The entry to store.
pub(super) struct NewEntry {
    pub(super) bytes: Bytes,
    pub(super) ttl: Option<Duration>,
    pub(super) content: EnvelopeContent,
}

impl<V: Value> LoadResult<V> {
    /// `previous` is the value that the load function got. `None` is a key that it left out.
    ///
    /// # Errors
    /// If the load function says that the value is not modified, and got none.
    pub(super) fn of(loaded: Option<Loaded<V>>, previous: Option<&Arc<V>>) -> Result<Self> {
        let (value, storing) = match loaded {
            None => (None, Storing::Nothing),
            Some(Loaded::Value { value, ttl }) => (Some(Arc::new(value)), Storing::Value(ttl)),
            Some(Loaded::Absent { ttl }) => (None, Storing::Absence(ttl)),
            Some(Loaded::NotModified { ttl }) => match previous {
                Some(previous) => (Some(Arc::clone(previous)), Storing::Value(ttl)),
                None => return Err(Error::new(ErrorKind::Load, NOT_MODIFIED)),
            },
            Some(Loaded::DontStore(value)) => (Some(Arc::new(value)), Storing::Nothing),
        };
        Ok(Self { value, storing })
    }

    /// The reason if the load function wants nothing to be stored.
    pub(super) fn declined(&self) -> Option<UncachedReason> {
        matches!(self.storing, Storing::Nothing).then_some(UncachedReason::Declined)
    }

    /// The entry to store at `key`, if there is one. The load began `took` ago.
    ///
    /// # Errors
    /// [`ErrorKind::Encode`] and [`ErrorKind::TooLarge`].
    pub(super) fn entry(
        &self,
        context: &Context,
        key: &str,
        depends_on: &[DependsOn],
        took: Duration,
    ) -> Result<Option<NewEntry>> {
        let (content, ttl) = match self.storing {
            Storing::Nothing => return Ok(None),
            Storing::Value(ttl) => (EnvelopeContent::Value, ttl),
            Storing::Absence(ttl) => {
                (EnvelopeContent::Absence, Some(ttl.unwrap_or(context.policy().absent_ttl)))
            }
        };
        if ttl.is_some_and(|ttl| ttl.is_zero()) {
            return Ok(None);
        }
        let ttl = ttl.map(|ttl| ttl.min(MAX_LIFETIME));
        let bytes = match &self.value {
            Some(value) => context.codec().encode_loaded(key, &**value, depends_on, took)?,
            None => context.codec().encode_absence::<V>(key, depends_on)?,
        };
        Ok(Some(NewEntry { bytes, ttl, content }))
    }
}

impl NewEntry {
    /// The ttl, the policy's included. Jitter shortens it.
    pub(super) fn lifetime(&self, context: &Context) -> Lifetime {
        let own = self.ttl.and_then(|ttl| Lifetime::of(ttl).ok());
        own.unwrap_or(context.policy().ttl)
    }
}

const NOT_MODIFIED: &str =
    "the load function says that the value is not modified, but got no value";

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Option<Duration> = Some(Duration::from_secs(1));

    #[test]
    fn every_result_has_its_meaning() {
        let old = Arc::new(1);
        let table = [
            (None, None, Storing::Nothing),
            (Some(Loaded::new(2)), Some(2), Storing::Value(None)),
            (Some(Loaded::Value { value: 2, ttl: TTL }), Some(2), Storing::Value(TTL)),
            (Some(Loaded::absent()), None, Storing::Absence(None)),
            (Some(Loaded::Absent { ttl: TTL }), None, Storing::Absence(TTL)),
            (Some(Loaded::not_modified()), Some(1), Storing::Value(None)),
            (Some(Loaded::NotModified { ttl: TTL }), Some(1), Storing::Value(TTL)),
            (Some(Loaded::DontStore(2)), Some(2), Storing::Nothing),
        ];
        for (loaded, value, storing) in table {
            let result = LoadResult::of(loaded.clone(), Some(&old)).unwrap();
            let found = (result.value.as_deref().copied(), result.storing);
            assert_eq!(found, (value, storing), "{loaded:?}");
        }
        let error = LoadResult::<i32>::of(Some(Loaded::not_modified()), None).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Load);
    }
}
