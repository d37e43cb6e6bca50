//! Draws operations.

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::event::{Action, Load, LoadResult, Place, Verb};
use crate::item::{Kind, ValueId};
use crate::setup::{KEYS, REGIONS};

pub(super) struct Draw {
    rng: SmallRng,
}

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: SmallRng::seed_from_u64(seed) }
    }

    /// The next operation. New values get their names from `new_id`.
    pub(super) fn action(&mut self, new_id: &dyn Fn() -> ValueId) -> Action {
        let (place, region) = (self.place(), self.region());
        match self.rng.random_range(0..200) {
            0..60 => Action::Get(place, self.kind()),
            60..84 => Action::GetMany(region, self.some_keys(), self.kind()),
            84..88 => Action::Contains(place),
            88..138 => Action::Compute(place, self.kind(), self.load()),
            138..150 => Action::ComputeMany(region, self.some_keys(), self.kind(), self.load()),
            150..160 => Action::Set(place, new_id(), self.ttl(4)),
            160..166 => {
                let values = self.some_keys().into_iter().map(|key| (key, new_id()));
                Action::SetMany(region, values.collect())
            }
            166..169 => Action::SetIfAbsent(place, new_id()),
            169..173 => Action::Remove(place),
            173..175 => Action::RemoveMany(region, self.some_keys()),
            175..178 => Action::Take(place, self.kind()),
            178..182 => {
                let mut write = |key| (key, self.rng.random::<bool>().then(new_id));
                Action::Transact(region, (0..KEYS).map(&mut write).collect())
            }
            182..184 => Action::RestartTtl(region),
            _ => {
                // Half of the verbs concern small parts of the tree.
                let region = if self.rng.random() { region } else { region.max(self.region()) };
                Action::End(region, self.verb())
            }
        }
    }

    fn region(&mut self) -> usize {
        self.rng.random_range(0..REGIONS.len())
    }

    fn place(&mut self) -> Place {
        Place { region: self.region(), key: self.rng.random_range(0..KEYS) }
    }

    fn kind(&mut self) -> Kind {
        if self.rng.random_ratio(1, 10) { Kind::Wide } else { Kind::Small }
    }

    fn some_keys(&mut self) -> Vec<usize> {
        let keys: Vec<_> = (0..KEYS).filter(|_| self.rng.random()).collect();
        if keys.is_empty() { vec![0] } else { keys }
    }

    fn one_of(&mut self, values: &[u64]) -> u64 {
        *values.choose(&mut self.rng).unwrap_or(&0)
    }

    /// Of `of` values one has a lifetime of its own.
    fn ttl(&mut self, of: u32) -> Option<u64> {
        self.rng.random_ratio(1, of).then(|| self.one_of(&[30, 300]))
    }

    fn verb(&mut self) -> Verb {
        let verbs = [Verb::Invalidate, Verb::Touch, Verb::Expire, Verb::InvalidateAndTouch];
        *verbs.choose(&mut self.rng).unwrap_or(&Verb::Invalidate)
    }

    fn load(&mut self) -> Load {
        let result = match self.rng.random_range(0..20) {
            0..13 => LoadResult::Value,
            13 => LoadResult::Error,
            14 | 15 => LoadResult::Absent,
            16..19 => LoadResult::NotModified,
            _ => LoadResult::DontStore,
        };
        Load {
            result,
            takes: self.one_of(&[0, 0, 0, 2, 10, 50, 300]),
            ttl: self.ttl(6),
            reload: self.rng.random_ratio(1, 8),
            on: self.rng.random_ratio(1, 6).then(|| self.region()),
            adds: self.rng.random_ratio(1, 12).then(|| self.region()),
        }
    }
}
