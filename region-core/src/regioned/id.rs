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

            #[inline]
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
    ($push:ident: $($id:ty),*) => {
        printed_ids!($($id: |it, text| text.$push(it.into())),*);
    };
}

macro_rules! non_zero_ids {
    ($push:ident: $($id:ty),*) => {
        printed_ids!($($id: |it, text| text.$push(it.get().into())),*);
    };
}

integer_ids!(push_unsigned: u8, u16, u32, u64);
integer_ids!(push_signed: i8, i16, i32, i64);
printed_ids!(
    usize: |it, text| text.push_unsigned(it as u64),
    isize: |it, text| text.push_signed(it as i64),
    u128: |it, text| text.push_printed(it),
    i128: |it, text| text.push_printed(it)
);
non_zero_ids!(push_unsigned: NonZeroU8, NonZeroU16, NonZeroU32, NonZeroU64);
non_zero_ids!(push_signed: NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64);
printed_ids!(
    NonZeroUsize: |it, text| text.push_unsigned(it.get() as u64),
    NonZeroIsize: |it, text| text.push_signed(it.get() as i64),
    NonZeroU128: |it, text| text.push_printed(it.get()),
    NonZeroI128: |it, text| text.push_printed(it.get())
);
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
    use crate::path::{PathError, RelativePath, Segment};

    #[test]
    fn an_id_is_appended_as_its_text() {
        fn check(id: &dyn SegmentId) {
            let mut appended = RelativePath::empty();
            appended.push_with_id("n", |text| id.append_to(text));
            let long = "m".repeat(300);
            appended.push(&long);
            let segment = Segment::with_id("n", &id.segment_id()).unwrap();
            assert_eq!(appended.segments().unwrap(), [segment, Segment::new(&long).unwrap()]);
        }
        let ids: [&dyn SegmentId; 13] = [
            &0u8,
            &-1i8,
            &1i64,
            &i64::MIN,
            &i128::MIN,
            &u64::MAX,
            &usize::MAX,
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
    fn an_id_may_be_made_of_several_parts() {
        // The second is behind a name that leaves no room inline.
        let long = "m".repeat(200);
        let id = |push: fn(&mut IdText<'_>)| {
            let mut path = RelativePath::empty();
            path.push_with_id("n", push);
            path.push_with_id(&long, push);
            let ids = path.segments()?.into_iter().map(|it| it.id().unwrap().into_owned());
            let ids: Vec<_> = ids.collect();
            assert_eq!(ids[0], ids[1]);
            Ok::<_, PathError>(ids[0].clone())
        };
        let ids = [
            id(|text| {
                1u8.append_to(text);
                text.push("/");
                (-2i64).append_to(text);
            }),
            id(|text| {
                (-3i8).append_to(text);
                4u64.append_to(text);
            }),
            id(|text| {
                text.push("a");
                text.push("");
                text.push("b");
            }),
        ];
        assert_eq!(ids.map(Result::unwrap), ["1/-2", "-34", "ab"]);
        assert!(id(|_| {}).is_err());
        assert!(id(|text| text.push(&"x".repeat(1000))).is_err());
        assert!(id(|text| text.push("")).is_err());
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
