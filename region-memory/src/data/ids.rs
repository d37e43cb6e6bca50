use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use region_core::{Incarnation, Incarnations};

/// The source of new incarnations.
pub(crate) enum Ids {
    Random,
    Seeded(Box<Mutex<StdRng>>),
}

impl Ids {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self::Seeded(Box::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    pub(crate) fn draw(&self) -> Incarnation {
        match self {
            Self::Random => Incarnation::random(),
            Self::Seeded(rng) => Incarnation::from_bits(rng.lock().random()),
        }
    }

    pub(crate) fn draw_all(&self) -> Incarnations {
        Incarnations { tree: self.draw(), soft: self.draw() }
    }
}
