use std::borrow::Cow;
use std::num::{
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroIsize, NonZeroU8,
    NonZeroU16, NonZeroU32, NonZeroU64, NonZeroU128, NonZeroUsize,
};
use std::rc::Rc;
use std::sync::Arc;

use crate::path::IdText;

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

    /// Appends the text of [`segment_id`](Self::segment_id) to `text`. An implementation may have a way that
    /// allocates nothing.
    fn append_to(&self, text: &mut IdText<'_>) {
        text.push(&self.segment_id());
    }
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
    ($($id:ty: |$it:ident, $text:ident| $append:expr),*) => {$(
        impl SegmentId for $id {
            fn segment_id(&self) -> Cow<'_, str> {
                self.to_string().into()
            }

            fn append_to(&self, $text: &mut IdText<'_>) {
                let $it = *self;
                $append;
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

macro_rules! integer_ids {
    ($($id:ty),*) => {
        printed_ids!($($id: |it, text| text.push_plain(itoa::Buffer::new().format(it))),*);
    };
}

macro_rules! non_zero_ids {
    ($($id:ty),*) => {
        printed_ids!($($id: |it, text| text.push_plain(itoa::Buffer::new().format(it.get()))),*);
    };
}

integer_ids!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);
non_zero_ids!(NonZeroU8, NonZeroU16, NonZeroU32, NonZeroU64, NonZeroU128, NonZeroUsize);
non_zero_ids!(NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroIsize);
printed_ids!(
    bool: |it, text| text.push(if it { "true" } else { "false" }),
    char: |it, text| text.push(it.encode_utf8(&mut [0; 4]))
);

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

    #[inline]
    fn append_to(&self, text: &mut IdText<'_>) {
        (**self).append_to(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::{RelativePath, Segment};

    #[test]
    fn an_id_is_appended_as_its_text() {
        fn check(id: &dyn SegmentId) {
            let mut appended = RelativePath::empty();
            appended.push("n", Some(|text: &mut IdText<'_>| id.append_to(text))).unwrap();
            let segment = Segment::with_id("n", &id.segment_id()).unwrap();
            assert_eq!(appended.as_str(), segment.as_str());
        }
        let ids: [&dyn SegmentId; 9] = [
            &0u8,
            &i128::MIN,
            &u64::MAX,
            &NonZeroI16::MIN,
            &true,
            &'.',
            &"a.b:c%".to_owned(),
            &&"\0é",
            &Cow::Borrowed("x"),
        ];
        ids.into_iter().for_each(check);
    }

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
