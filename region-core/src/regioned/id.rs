use std::borrow::Cow;
use std::num::{
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroIsize, NonZeroU8,
    NonZeroU16, NonZeroU32, NonZeroU64, NonZeroU128, NonZeroUsize,
};
use std::rc::Rc;
use std::sync::Arc;

/// A type whose values can be the id of a segment.
///
/// Ids that are not equal must have different texts. The text may contain any characters, because it is
/// escaped. It must not be empty: opening the region would return an error.
///
/// ```
/// use std::borrow::Cow;
/// use region_core::SegmentId;
///
/// struct OrgId(u64);
///
/// impl SegmentId for OrgId {
///     fn segment_id(&self) -> Cow<'_, str> {
///         self.0.to_string().into()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the id of a region's segment",
    label = "not a segment id",
    note = "use an integer, `bool`, `char` or a string, or implement `SegmentId` for `{Self}`"
)]
pub trait SegmentId {
    /// Returns the id as text, not escaped.
    fn segment_id(&self) -> Cow<'_, str>;
}

/// A segment id that can be parsed from its text. Listing the ids of a region's children needs it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read back from a region's segment",
    note = "implement `ParseSegmentId` for `{Self}`"
)]
pub trait ParseSegmentId: SegmentId + Sized {
    /// Returns the id with this text, or `None` if no id has it.
    fn parse_segment_id(text: &str) -> Option<Self>;
}

macro_rules! printed_ids {
    ($($id:ty),*) => {$(
        impl SegmentId for $id {
            fn segment_id(&self) -> Cow<'_, str> {
                self.to_string().into()
            }
        }

        impl ParseSegmentId for $id {
            fn parse_segment_id(text: &str) -> Option<Self> {
                // Texts such as `+7` and `007` parse too, but they are not what `7` is written as.
                text.parse().ok().filter(|id: &Self| id.to_string() == text)
            }
        }
    )*};
}

printed_ids!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, bool, char);
printed_ids!(NonZeroU8, NonZeroU16, NonZeroU32, NonZeroU64, NonZeroU128, NonZeroUsize);
printed_ids!(NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroIsize);

macro_rules! text_ids {
    ($($id:ty),*) => {$(
        impl SegmentId for $id {
            fn segment_id(&self) -> Cow<'_, str> {
                Cow::Borrowed(self)
            }
        }

        impl ParseSegmentId for $id {
            fn parse_segment_id(text: &str) -> Option<Self> {
                Some(text.into())
            }
        }
    )*};
}

text_ids!(String, Box<str>, Arc<str>, Rc<str>);

impl SegmentId for str {
    fn segment_id(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

impl SegmentId for Cow<'_, str> {
    fn segment_id(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

impl<T: SegmentId + ?Sized> SegmentId for &T {
    fn segment_id(&self) -> Cow<'_, str> {
        (**self).segment_id()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_only_from_its_own_text() {
        assert_eq!(u32::parse_segment_id("7"), Some(7));
        assert_eq!(u32::parse_segment_id("07"), None);
        assert_eq!(u32::parse_segment_id("+7"), None);
        assert_eq!(i8::parse_segment_id("-128"), Some(-128));
        assert_eq!(char::parse_segment_id("é"), Some('é'));
        assert_eq!(String::parse_segment_id("a.b"), Some("a.b".to_owned()));
    }
}
