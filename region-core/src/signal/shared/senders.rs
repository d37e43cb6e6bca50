//! The sending processes that a receiver knows, and what their records tell it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::record::Record;
use crate::clock::Timestamp;
use crate::signal::Sent;

/// The difference that two readings of a store's clock may have, by several servers.
const CLOCK_SLACK: Duration = Duration::from_secs(10);

/// The sending processes that are known, by their keys.
#[derive(Default)]
pub(super) struct Senders(BTreeMap<String, Known>);

/// A sending process.
struct Known {
    /// The number of the last value that was delivered.
    delivered: u64,
    /// The number of the last value in the record that was read last.
    last: u64,
    /// The time at which its record expires, at the earliest; `None`: never.
    ends: Option<Timestamp>,
    /// The digest of a record that could not be decoded.
    unreadable: Option<u64>,
    /// Its record is not there, before its time.
    is_lost: bool,
}

/// A record as it was read.
pub(super) struct Found<T> {
    /// `None`: it could not be decoded.
    pub(super) record: Option<Record<T>>,
    /// A digest of its bytes.
    pub(super) digest: u64,
    /// The time at which it expires, at the earliest; `None`: never.
    pub(super) ends: Option<Timestamp>,
    /// It was written before the receiver was opened.
    pub(super) is_old: bool,
}

/// What a record tells.
pub(super) struct News<T> {
    /// Values may have been missed before these.
    pub(super) has_missed: bool,
    pub(super) values: Vec<Sent<T>>,
}

impl Senders {
    pub(super) fn keys(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Takes the record at `key`.
    pub(super) fn found<T>(&mut self, key: &str, found: Found<T>) -> News<T> {
        let nothing = |has_missed| News { has_missed, values: Vec::new() };
        let Found { record, digest, ends, is_old } = found;
        let Some(record) = record else {
            let known = self.0.entry(key.to_owned()).or_insert_with(Known::new);
            (known.ends, known.is_lost) = (ends, false);
            let is_new = known.unreadable.replace(digest) != Some(digest);
            return nothing(is_new && !is_old);
        };
        let (first, last) = (record.first, record.last());
        let Some(known) = self.0.get_mut(key) else {
            let known = Known { delivered: last, last, ends, ..Known::new() };
            self.0.insert(key.to_owned(), known);
            let values = if is_old { Vec::new() } else { record.values };
            let values = values.into_iter().map(|letter| letter.into_sent()).collect();
            return News { has_missed: record.has_dropped_early && !is_old, values };
        };
        // Of one that was never decoded no number is known: that was told when it was found.
        let is_first = known.unreadable.take().is_some() && known.last == 0;
        let is_gap = match is_first {
            true => record.has_dropped_early,
            false => first > known.delivered.saturating_add(1),
        };
        // A record that goes back is one of an older copy of the data: others may have gone with it.
        let has_missed = last < known.last || is_gap;
        let skipped = known.delivered.saturating_sub(first.saturating_sub(1));
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        let values = record.values.into_iter().skip(skipped).map(|letter| letter.into_sent());
        (known.last, known.ends, known.is_lost) = (last, ends, false);
        known.delivered = known.delivered.max(last);
        News { has_missed, values: values.collect() }
    }

    /// Notes that there is no record at `key` at the time `now`, at the latest. Returns true if that shows a loss.
    ///
    /// A sender whose record was lost stays known: it puts its record again.
    pub(super) fn absent(&mut self, key: &str, now: Timestamp) -> bool {
        let Some(known) = self.0.get_mut(key) else { return false };
        if known.ends.is_some_and(|ends| ends <= now.saturating_add(CLOCK_SLACK)) {
            self.0.remove(key);
            return false;
        }
        !std::mem::replace(&mut known.is_lost, true)
    }
}

impl Known {
    /// One of whom nothing could be read yet.
    fn new() -> Self {
        Self { delivered: 0, last: 0, ends: None, unreadable: None, is_lost: false }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::record::Letter;
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    /// A record of the values from `first` to `last`, each its own number.
    fn record(first: u64, last: u64) -> Found<u64> {
        let letter = |value| Letter::new(&Sent::new(Arc::new(value), None));
        let values = (first..=last).map(letter).collect();
        let record = Some(Record { first, has_dropped_early: false, values });
        Found { record, digest: last, ends: Some(at(600)), is_old: false }
    }

    fn read(senders: &mut Senders, found: Found<u64>) -> (bool, Vec<u64>) {
        let News { has_missed, values } = senders.found("a", found);
        (has_missed, values.iter().map(|sent| **sent).collect())
    }

    #[test]
    fn each_value_is_told_once_and_gaps_are_noticed() {
        let mut senders = Senders::default();
        assert_eq!(read(&mut senders, record(1, 2)), (false, vec![1, 2]));
        assert_eq!(read(&mut senders, record(1, 2)), (false, vec![]));
        assert_eq!(read(&mut senders, record(2, 4)), (false, vec![3, 4]));
        assert_eq!(read(&mut senders, record(5, 5)), (false, vec![5]));
        assert_eq!(read(&mut senders, record(7, 8)), (true, vec![7, 8]));
        assert_eq!(read(&mut senders, record(7, 8)), (false, vec![]));
    }

    #[test]
    fn a_sender_that_comes_anew_is_believed_unless_it_has_dropped_values() {
        let mut senders = Senders::default();
        assert_eq!(read(&mut senders, record(5, 6)), (false, vec![5, 6]));
        let mut senders = Senders::default();
        let mut dropped = record(5, 6);
        dropped.record.as_mut().unwrap().has_dropped_early = true;
        assert_eq!(read(&mut senders, dropped), (true, vec![5, 6]));
        let mut senders = Senders::default();
        assert_eq!(read(&mut senders, Found { is_old: true, ..record(5, 6) }), (false, vec![]));
        assert_eq!(read(&mut senders, record(5, 7)), (false, vec![7]));
    }

    #[test]
    fn a_record_that_goes_back_is_noticed_once() {
        let mut senders = Senders::default();
        assert_eq!(read(&mut senders, record(1, 5)), (false, vec![1, 2, 3, 4, 5]));
        assert_eq!(read(&mut senders, record(1, 3)), (true, vec![]));
        assert_eq!(read(&mut senders, record(1, 3)), (false, vec![]));
        assert_eq!(read(&mut senders, record(1, 6)), (false, vec![6]));
    }

    #[test]
    fn a_record_that_cannot_be_decoded_is_noticed_once() {
        let unreadable = |digest| Found { record: None::<Record<u64>>, digest, ..record(1, 1) };
        let mut senders = Senders::default();
        assert_eq!(read(&mut senders, unreadable(1)), (true, vec![]));
        assert_eq!(read(&mut senders, unreadable(1)), (false, vec![]));
        assert_eq!(read(&mut senders, unreadable(2)), (true, vec![]));
        assert_eq!(read(&mut senders, record(3, 3)), (false, vec![3]));
        assert_eq!(read(&mut senders, unreadable(3)), (true, vec![]));
        assert_eq!(read(&mut senders, record(5, 5)), (true, vec![5]));
    }

    #[test]
    fn a_record_that_is_gone_before_its_time_was_lost() {
        for (now, is_lost) in [(100, true), (589, true), (591, false), (700, false)] {
            let mut senders = Senders::default();
            read(&mut senders, record(1, 1));
            assert_eq!(senders.absent("a", at(now)), is_lost, "at {now}");
            assert!(!senders.absent("a", at(now)), "it is told once");
            assert_eq!(senders.contains("a"), is_lost);
        }
    }

    #[test]
    fn a_record_that_is_put_again_tells_nothing_twice() {
        let mut senders = Senders::default();
        assert_eq!(read(&mut senders, record(1, 2)), (false, vec![1, 2]));
        assert!(senders.absent("a", at(1)));
        assert_eq!(read(&mut senders, record(1, 3)), (false, vec![3]));
        assert!(senders.absent("a", at(2)));
        assert_eq!(read(&mut senders, record(5, 5)), (true, vec![5]));
        assert!(senders.absent("a", at(3)) && !senders.absent("a", at(599)));
        assert!(!senders.contains("a"));
    }
}
