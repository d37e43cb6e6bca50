use serde::{Deserialize, Serialize};

use crate::history::ValueId;
use crate::plan::Key;

/// Marks the bytes of a value, so that it is found in what is stored.
const MARK: [u8; 8] = [0xc5, 0xa7, 0x91, 0x0e, 0x5d, 0xe3, 0x78, 0x42];

/// What the processes store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Item {
    mark: [u8; 8],
    id: [u8; 8],
    region: usize,
    key: usize,
    /// The version of the truth that it was made from.
    pub(super) version: u64,
}

impl Item {
    pub(super) fn new(id: ValueId, key: Key, version: u64) -> Self {
        Self { mark: MARK, id: id.to_be_bytes(), region: key.region, key: key.key, version }
    }

    pub(super) fn id(&self) -> ValueId {
        ValueId::from_be_bytes(self.id)
    }

    pub(super) fn is_of(&self, key: Key) -> bool {
        self.mark == MARK && self.region == key.region && self.key == key.key
    }
}

/// Finds the value in the bytes of an entry.
pub(super) fn id_in(bytes: &[u8]) -> Option<ValueId> {
    let at = bytes.windows(MARK.len()).position(|window| window == MARK)? + MARK.len();
    Some(ValueId::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
