use std::fmt::Debug;

use region_core::Value;
use serde::{Deserialize, Serialize};

use crate::history::ValueId;
use crate::plan::{Form, Key};

/// Marks the bytes of a value, so that it is found in what is stored, whatever the serializer.
const MARK: &str = "c5a7910e";

/// The digits of a value's name behind its mark.
const DIGITS: usize = 16;

/// What the processes store: values of several types.
pub(super) trait Item: Value + Debug {
    fn new(id: ValueId, key: Key, version: u64, form: Form) -> Self;
    fn id(&self) -> ValueId;
    fn key(&self) -> Key;
    /// The version of the truth that it was made from.
    fn version(&self) -> u64;
    fn form(&self) -> Form;
}

macro_rules! item {
    ($name:ident, $other_type:literal, { $text:ident, $place:ident, $truth:ident, $policy:ident }) => {
        #[derive(Clone, Debug, Serialize, Deserialize)]
        pub(super) struct $name {
            $text: String,
            $place: (usize, usize),
            $truth: u64,
            $policy: (u32, bool),
        }

        impl Item for $name {
            fn new(id: ValueId, key: Key, version: u64, form: Form) -> Self {
                Self {
                    $text: format!("{MARK}{id:016x}"),
                    $place: (key.region, key.key),
                    $truth: version,
                    $policy: (form.version, form.json),
                }
            }

            fn id(&self) -> ValueId {
                id_in(self.$text.as_bytes()).unwrap_or(ValueId::MAX)
            }

            fn key(&self) -> Key {
                Key { region: self.$place.0, key: self.$place.1 }
            }

            fn version(&self) -> u64 {
                self.$truth
            }

            fn form(&self) -> Form {
                Form { other_type: $other_type, version: self.$policy.0, json: self.$policy.1 }
            }
        }
    };
}

item!(First, false, { text, place, truth, policy });
item!(Second, true, { mark, of, version, form });

/// Finds the value in the bytes of an entry.
pub(super) fn id_in(bytes: &[u8]) -> Option<ValueId> {
    let at = bytes.windows(MARK.len()).position(|window| window == MARK.as_bytes())? + MARK.len();
    let digits = std::str::from_utf8(bytes.get(at..at + DIGITS)?).ok()?;
    ValueId::from_str_radix(digits, 16).ok()
}
