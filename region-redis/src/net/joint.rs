//! Answers that hang on two connections.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;
use region_core::Source;

/// The most pairs of connections that have a name. Of others nothing is trusted.
const MOST: usize = 65_536;

/// The most lost connections that are remembered: an answer that comes late may name one.
const MOST_LOST: usize = 1024;

/// The names of pairs of connections, each over which a part of one answer was read.
#[derive(Debug, Default)]
pub(crate) struct JointSources(Mutex<Pairs>);

#[derive(Debug, Default)]
struct Pairs {
    names: HashMap<(Source, Source), Source>,
    /// The partners of each connection.
    partners: HashMap<Source, HashSet<(Source, Source)>>,
    lost: std::collections::VecDeque<Source>,
}

impl JointSources {
    /// The name of two connections; `None` if one of them is lost.
    pub(crate) fn of(&self, one: Source, other: Source) -> Option<Source> {
        if one == other {
            return Some(one);
        }
        let mut pairs = self.0.lock();
        let pair = (one, other);
        if let Some(name) = pairs.names.get(&pair) {
            return Some(*name);
        }
        let is_lost = pairs.lost.contains(&one) || pairs.lost.contains(&other);
        if is_lost || pairs.names.len() >= MOST {
            return None;
        }
        let name = Source::unique();
        pairs.names.insert(pair, name);
        for source in [one, other] {
            pairs.partners.entry(source).or_default().insert(pair);
        }
        Some(name)
    }

    /// Forgets a connection, and returns the names of all pairs that it was one of.
    pub(crate) fn lose(&self, lost: Source) -> Vec<Source> {
        let mut pairs = self.0.lock();
        pairs.lost.push_back(lost);
        if pairs.lost.len() > MOST_LOST {
            pairs.lost.pop_front();
        }
        let mut names = Vec::new();
        for pair in pairs.partners.remove(&lost).unwrap_or_default() {
            names.extend(pairs.names.remove(&pair));
            let other = if pair.0 == lost { pair.1 } else { pair.0 };
            if let Some(of_other) = pairs.partners.get_mut(&other) {
                of_other.remove(&pair);
                if of_other.is_empty() {
                    pairs.partners.remove(&other);
                }
            }
        }
        // In an order that no hasher chooses: names are given in turn.
        names.sort_unstable_by_key(|name| name.to_bits());
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_lost_with_each_of_its_connections() {
        let all = JointSources::default();
        let [above, one, other] = [(); 3].map(|()| Source::unique());
        let (first, second) = (all.of(above, one).unwrap(), all.of(above, other).unwrap());
        assert_ne!(first, second);
        assert_eq!(all.of(above, one), Some(first));
        assert_eq!(all.of(one, one), Some(one));
        assert_eq!(all.lose(one), [first]);
        assert_eq!(all.lose(one), []);
        assert_eq!(all.of(above, one), None, "an answer that comes late is not trusted");
        assert_eq!(all.lose(above), [second]);
        let pairs = all.0.lock();
        assert!(pairs.names.is_empty() && pairs.partners.is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let all = JointSources::default();
        let above = Source::unique();
        for _ in 0..MOST {
            assert!(all.of(above, Source::unique()).is_some());
        }
        assert_eq!(all.of(above, Source::unique()), None);
        assert_eq!(all.lose(above).len(), MOST);
        for _ in 0..2 * MOST_LOST {
            all.lose(Source::unique());
        }
        assert_eq!(all.0.lock().lost.len(), MOST_LOST);
    }
}
