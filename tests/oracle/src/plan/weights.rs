//! Draws by weights.

use rand::RngExt;
use rand::rngs::StdRng;

/// Things to draw from, each as often as its weight says.
pub(crate) type Weights<T> = &'static [(u32, T)];

pub(crate) fn weighted<T: Copy>(rng: &mut StdRng, weights: Weights<T>) -> T {
    let all: u32 = weights.iter().map(|(weight, _)| weight).sum();
    let mut at = rng.random_range(0..all);
    for (weight, thing) in weights {
        match at.checked_sub(*weight) {
            None => return *thing,
            Some(rest) => at = rest,
        }
    }
    weights[0].1
}
