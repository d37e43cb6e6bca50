//! The hash slots of a cluster.

use std::fmt;
use std::sync::OnceLock;

use crc::{CRC_16_XMODEM, Crc};

/// The number of slots of a cluster.
pub(crate) const SLOTS: u16 = 16384;

const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);

/// A hash slot: all keys with the same hash tag lie in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Slot(u16);

impl Slot {
    /// The slot with this number; `None` if no slot has it.
    pub(crate) fn new(number: u16) -> Option<Self> {
        (number < SLOTS).then_some(Self(number))
    }

    pub(crate) fn number(self) -> u16 {
        self.0
    }

    /// The slot of all keys with this hash tag.
    pub(crate) fn of_tag(tag: &str) -> Self {
        Self(CRC.checksum(tag.as_bytes()) % SLOTS)
    }

    /// The smallest number that, as a hash tag in decimal digits, names this slot.
    pub(crate) fn tag(self) -> u32 {
        static TAGS: OnceLock<Box<[u32]>> = OnceLock::new();
        TAGS.get_or_init(tags)[usize::from(self.0)]
    }
}

fn tags() -> Box<[u32]> {
    let mut tags = vec![None; usize::from(SLOTS)];
    let mut left = tags.len();
    for number in 0_u32.. {
        let slot = Slot::of_tag(&number.to_string());
        let tag = &mut tags[usize::from(slot.0)];
        if tag.is_none() {
            *tag = Some(number);
            left -= 1;
        }
        if left == 0 {
            break;
        }
    }
    tags.into_iter().flatten().collect()
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(Slot::of_tag("123456789").0, 0x31C3);
        assert_eq!(Slot::new(SLOTS), None);
    }

    #[test]
    fn every_slot_has_a_tag_of_its_own() {
        for number in 0..SLOTS {
            let slot = Slot::new(number).unwrap();
            assert_eq!(Slot::of_tag(&slot.tag().to_string()), slot);
        }
        let first = Slot::of_tag("0");
        assert_eq!(first.tag(), 0);
    }
}
