use crate::path::RegionPath;
use crate::value::envelope::EnvelopeContent;

/// The entry that a value is written for, or that bytes were found at. See [`Serializer::serialize_for`].
///
/// [`Serializer::serialize_for`]: crate::Serializer::serialize_for
///
/// ```
/// use region_core::{EnvelopeContent, RegionPath, ValueContext};
///
/// let region = RegionPath::parse("shop.org:42")?;
/// let context = ValueContext::new(&region, "summary", 0x0123_4567_89AB_CDEF);
/// assert_eq!(context.key(), "summary");
/// assert_eq!(context.of_absence().content(), EnvelopeContent::Absence);
/// # Ok::<(), region_core::PathError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueContext<'a> {
    region: &'a RegionPath,
    key: &'a str,
    fingerprint: u64,
    content: EnvelopeContent,
}

impl<'a> ValueContext<'a> {
    /// Creates the context of a value at `key` in the region at `region`, whose type, format and version
    /// have this fingerprint.
    #[must_use]
    pub const fn new(region: &'a RegionPath, key: &'a str, fingerprint: u64) -> Self {
        Self { region, key, fingerprint, content: EnvelopeContent::Value }
    }

    /// Returns the context of the record that there is no such value.
    #[must_use]
    pub const fn of_absence(mut self) -> Self {
        self.content = EnvelopeContent::Absence;
        self
    }

    /// Returns the path of the region.
    #[must_use]
    pub const fn region(&self) -> &'a RegionPath {
        self.region
    }

    /// Returns the key.
    #[must_use]
    pub const fn key(&self) -> &'a str {
        self.key
    }

    /// Returns the fingerprint that is stored with the value: of its type, its version and the formats
    /// inside.
    #[must_use]
    pub const fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Says if it is a value or the record that there is none.
    #[must_use]
    pub const fn content(&self) -> EnvelopeContent {
        self.content
    }
}
