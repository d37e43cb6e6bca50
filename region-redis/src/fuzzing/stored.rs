//! The keys and values on a server.

use region_core::Timestamp;

use super::input::Input;
use crate::protocol::layout::{
    Anchor, NameBuffer, PathIds, Unsure, Validator, leftover, parse, region_work, tombstone_work,
};
use crate::protocol::reclaim::Work;
use crate::time_range::TimeRange;

/// Reads names of keys, members of the work list, ids, stamps and entries, made of `bytes`.
pub fn stored(bytes: &[u8]) {
    name(bytes);
    work(bytes);
    let mut input = Input::new(bytes);
    entries(&mut input);
}

/// What is read as a name is written as that name.
fn name(bytes: &[u8]) {
    for letter in ["", "rc1:i{", "rc1:d{", "rc1:l{", "rc1:c{"] {
        let name = [letter.as_bytes(), bytes].concat();
        if let Some((kind, path)) = parse(&name, Anchor::ROOT) {
            assert_eq!(NameBuffer::new(Anchor::ROOT).of(kind, path.as_str()).as_bytes(), name);
        }
    }
}

/// What is read as work is written as that member.
fn work(bytes: &[u8]) {
    let written = match Work::parse(Anchor::ROOT, "r", bytes) {
        None => return,
        Some(Work::Tombstone(id, path)) => tombstone_work(path.as_str(), &id),
        Some(Work::Region(path)) => region_work(path.as_str()),
    };
    assert_eq!(written.as_bytes(), bytes);
}

fn entries(input: &mut Input<'_>) {
    let path: Vec<_> = (0..=input.byte() % 3).map(|_| part(input, Input::ids)).collect();
    let Some(ids) = PathIds::parse(path.iter().map(|ids| Some(&ids[..]))) else { return };
    let assumed = ids.lineage().and_then(|lineage| PathIds::assumed(&lineage, path.len()));
    if let Some(assumed) = &assumed {
        assert_eq!(assumed.lineage(), ids.lineage());
        assert_eq!(assumed.mark(), ids.mark());
    }
    let stamp = part(input, Input::stamp);
    let Some(stamp) = ids.stamp(Some(&stamp)) else { return };
    let [one, other] = [input.number(), input.number()];
    let (earliest, latest) = (one.min(other), one.max(other));
    let millis = Timestamp::from_millis;
    let within = TimeRange { earliest: millis(earliest), latest: millis(latest) };
    let stored = input.rest();
    let validator = Validator::new(&ids, stamp.ttl_end, within);
    let found = validator.validate(stored);
    let entry = validator.entry(stored.to_vec());
    assert_eq!(validator.freshness_of(stored), entry.as_ref().map(|entry| entry.freshness));
    if let Ok(valid) = &found {
        let bytes = valid.as_ref().map(|(_, at)| &stored[*at..]);
        assert_eq!(bytes, entry.as_ref().map(|entry| &entry.bytes[..]));
    }
    // A reason can be given for each entry, valid or not.
    assert!(entry.is_none() || leftover(stored, Some(&ids)).is_some());
    // Whoever knows less is either unsure or says the same.
    if let Some(assumed) = &assumed {
        let less = Validator::new(assumed, stamp.ttl_end, within).validate(stored);
        assert!(less == Err(Unsure) || less == found, "{less:?}, {found:?}");
    }
}

/// Bytes as they come, or of the right form.
fn part<'b>(input: &mut Input<'b>, form: fn(&mut Input<'b>) -> Vec<u8>) -> Vec<u8> {
    if input.byte().is_multiple_of(4) { input.slice().to_vec() } else { form(input) }
}
