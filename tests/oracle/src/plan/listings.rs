//! Has some steps of a plan list, count and explain in the place of reads; the plans of most seeds stay what they were.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{Action, Plan};

/// Sets the draws apart from those of the plan and of the run.
const SALT: u64 = 0x11_5715;

/// One of so many plans has listings.
const ONE_OF: u32 = 5;

pub(super) fn add(plan: &mut Plan) {
    let mut rng = StdRng::seed_from_u64(plan.seed.wrapping_add(SALT));
    if !rng.random_ratio(1, ONE_OF) {
        return;
    }
    for step in plan.clients.iter_mut().flat_map(|client| &mut client.steps) {
        let other = match step.action {
            Action::Get(key) => match rng.random_range(0..8) {
                0 => Action::Explain(key),
                1 => Action::Len(key.region),
                2 => Action::Children(key.region),
                _ => continue,
            },
            Action::Contains(key) => Action::Explain(key),
            Action::Keys(region) | Action::Entries(region) if rng.random() => Action::Len(region),
            _ => continue,
        };
        step.action = other;
    }
}
