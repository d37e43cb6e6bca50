//! Memoised functions.

use std::fmt::Write as _;
use std::future::Future;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Region, RegionExt};
use crate::error::{BoxError, Error, ErrorKind, Result};
use crate::path::MAX_KEY_BYTES;
use crate::value::readback::with_all_fields;
use crate::value::serializer::{Postcard, Serializer, Value};

/// An async function whose results are stored in a region, under a key made of the serialized arguments.
/// [`RegionExt::cached`] creates it.
///
/// The key does not identify the function. Give each function a region of its own, or a name with
/// [`named`](Self::named).
///
/// ```
/// use std::convert::Infallible;
/// use region_core::{Region, RegionExt, RegionCache};
/// use region_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> region_core::Result<()> {
/// let cache = RegionCache::builder(MemoryStore::new()).build()?;
/// let square = |number: u64| async move { Ok::<_, Infallible>(number * number) };
/// let square = cache.root().cached(square).named("square");
/// assert_eq!(*square.call(7).await?, 49);
/// assert!(square.forget(&7u64).await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Cached<R, F> {
    region: R,
    name: &'static str,
    function: F,
}

impl<R: Region, F> Cached<R, F> {
    pub(crate) fn new(region: R, function: F) -> Self {
        Self { region, name: "cached", function }
    }

    /// Sets the name that the keys begin with, so that several functions can share the region.
    #[must_use]
    pub fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// Returns the function's result for `args`: from the region if it is stored there, otherwise by calling
    /// the function and storing the result.
    ///
    /// # Errors
    /// As [`Region::get_or_compute`]; [`ErrorKind::Encode`] if the arguments cannot be serialized.
    pub async fn call<A, V, Fut, E>(&self, args: A) -> Result<Arc<V>>
    where
        A: Serialize + Send + 'static,
        F: FnOnce(A) -> Fut + Clone + Send + Sync + 'static,
        V: Value,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        let key = args_key(self.name, &args)?;
        let function = self.function.clone();
        self.region.get_or_compute(&key, move || function(args)).await
    }

    /// Removes the stored result for `args`. Returns true if there was one.
    ///
    /// # Errors
    /// As [`RegionExt::remove`].
    pub async fn forget<A: Serialize + Send + Sync>(&self, args: &A) -> Result<bool> {
        let key = args_key(self.name, args)?;
        self.region.remove(&key).await
    }
}

/// Returns the key of a memoised call: the function's name, and the serialized arguments as hexadecimal
/// digits. If that would exceed the limit for keys, a SHA-256 of the arguments takes their place.
///
/// Equal arguments must serialize to equal bytes (those of a `HashMap` may not), and different arguments
/// to different bytes (two variants of an untagged enum may not).
///
/// # Errors
/// [`ErrorKind::Encode`] if the arguments cannot be serialized or leave a field out
/// (`skip_serializing_if`), which could give different arguments the same key; [`ErrorKind::InvalidKey`] if
/// the name alone is too long.
///
/// ```
/// assert_eq!(region_core::args_key("sum", &(1u8, 2u8))?, "sum(0102)");
/// # Ok::<(), region_core::Error>(())
/// ```
pub fn args_key<A: Serialize + ?Sized>(name: &str, args: &A) -> Result<String> {
    const BRACKETS: usize = "()".len();
    const HASH_MARK: char = '#';
    let mut bytes = Vec::new();
    let written = with_all_fields(args, |args| Postcard.serialize(args, &mut bytes));
    written.map_err(|error| {
        Error::new(ErrorKind::Encode, format!("the arguments of {name:?} cannot be serialized"))
            .with_source(error)
    })?;
    let mut key = String::with_capacity(name.len() + BRACKETS + 2 * bytes.len());
    key.push_str(name);
    key.push('(');
    if name.len() + BRACKETS + 2 * bytes.len() > MAX_KEY_BYTES {
        key.push(HASH_MARK);
        bytes = Sha256::digest(&bytes).to_vec();
    }
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(key, "{byte:02x}");
    }
    key.push(')');
    crate::path::check_key(&key)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_make_the_key() {
        assert_eq!(args_key("f", &()).unwrap(), "f()");
        assert_ne!(args_key("f", &("ab", "c")).unwrap(), args_key("f", &("a", "bc")).unwrap());
        assert_ne!(args_key("f", &1u8).unwrap(), args_key("g", &1u8).unwrap());
    }

    /// Bug: a field that is left out shifted those after it.
    /// Effect: different arguments shared a key, and so a result.
    /// Fix: such arguments are refused.
    #[test]
    fn arguments_that_leave_fields_out_are_refused() {
        #[derive(Serialize)]
        struct Query {
            #[serde(skip_serializing_if = "Option::is_none")]
            from: Option<u8>,
            #[serde(skip_serializing_if = "Option::is_none")]
            to: Option<u8>,
        }
        assert!(args_key("f", &Query { from: Some(1), to: Some(2) }).is_ok());
        for (from, to) in [(Some(1), None), (None, Some(1))] {
            let error = args_key("f", &Query { from, to }).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Encode);
            assert!(error.to_string().contains("skip_serializing_if"), "{error}");
        }
    }

    #[test]
    fn long_arguments_are_hashed() {
        let long = "x".repeat(MAX_KEY_BYTES);
        let key = args_key("f", &long).unwrap();
        assert!(key.starts_with("f(#") && key.len() < 80, "{key}");
        assert_ne!(key, args_key("f", &format!("{long}x")).unwrap());
        assert_ne!(key, args_key("f", &long.replacen('x', "y", 1)).unwrap());
        let name = args_key(&long, &1u8).unwrap_err();
        assert_eq!(name.kind(), ErrorKind::InvalidKey);
    }
}
