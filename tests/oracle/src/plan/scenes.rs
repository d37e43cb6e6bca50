//! The scenes of dense plans: each is about mechanisms that other plans seldom meet.

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use region_core::Verb;
use region_memory::Loss;

use super::dense::{Deed, Scene};
use super::{LoadResult, ProcessSetup, Setup};

pub(super) const ALL: &[Scene] = &[
    MARKERS,
    DROPPED_MARKERS,
    DROPPED_CALLS,
    WAITING,
    UNVERIFIED,
    FIRST_NEAR,
    SILENCE,
    ONE_MOMENT,
    REGION_TTL,
    TWO_CONNECTIONS,
    TWO_CONNECTIONS,
];

/// Answers and pushes come over two connections, in no common order.
pub(super) const TWO_CONNECTIONS: Scene = Scene {
    keys: 2,
    processes: 2,
    deeds: &[
        (10, Deed::Get),
        (1, Deed::Compute),
        (3, Deed::Set),
        (1, Deed::Remove),
        (1, Deed::End(Verb::Touch)),
        (1, Deed::End(Verb::Invalidate)),
        (1, Deed::End(Verb::Expire)),
    ],
    faults: &[(1, Deed::Cut)],
    setup: push_late,
    process: |rng| ProcessSetup {
        near: true,
        lanes: 2,
        sometimes_far: rng.random_ratio(1, 4),
        ..channel(rng)
    },
    ..PLAIN
};

/// One key, a few regions, nothing fails: what the scenes differ from.
pub(super) const PLAIN: Scene = Scene {
    regions: &["", "a"],
    keys: 1,
    processes: 3,
    clients: 3,
    steps: 10,
    pauses: &[0, 5, 30],
    deeds: &[(1, Deed::Get)],
    faults: &[],
    results: &[(1, LoadResult::Value)],
    loads: &[0, 3, 30],
    depends_on: None,
    first_apart: false,
    cancel: 0,
    setup: |_, _| {},
    process: |_| ProcessSetup::default(),
};

/// Values of all regions depend on one of them, which ends all the time, and their lifetimes differ, so that markers
/// have to be replaced and extended.
pub(super) const MARKERS: Scene = Scene {
    regions: &["", "d", "w"],
    pauses: &[0, 5],
    deeds: &[
        (8, Deed::Compute),
        (4, Deed::Reload),
        (6, Deed::Get),
        (3, Deed::Contains),
        (2, Deed::End(Verb::Expire)),
        (2, Deed::End(Verb::Touch)),
        (1, Deed::End(Verb::Invalidate)),
    ],
    results: &[(9, LoadResult::Value), (1, LoadResult::Error), (1, LoadResult::Absent)],
    loads: &[0, 0, 3],
    depends_on: Some(1),
    cancel: 150,
    setup: push_late,
    process: |rng| ProcessSetup {
        ttl: one_of(rng, &[5, 60, 0, 10_000_000]),
        stale_for: one_of(rng, &[0, 1000, 10_000]),
        near: rng.random(),
        absent_ttl: 200,
        ..ProcessSetup::default()
    },
    ..PLAIN
};

/// The same, and calls are dropped that take a marker.
const DROPPED_MARKERS: Scene = Scene {
    cancel: 400,
    setup: |_, setup| setup.rates.latency = 8,
    process: |rng| ProcessSetup {
        ttl: one_of(rng, &[5, 10_000_000]),
        stale_for: one_of(rng, &[0, 1000, 10_000]),
        ..ProcessSetup::default()
    },
    ..MARKERS
};

/// Calls are dropped while others join their loads.
const DROPPED_CALLS: Scene = Scene {
    regions: &[""],
    processes: 2,
    clients: 4,
    pauses: &[0, 2],
    deeds: &[(12, Deed::Compute), (2, Deed::Reload), (1, Deed::End(Verb::Invalidate))],
    results: &[(4, LoadResult::Value), (2, LoadResult::Error), (1, LoadResult::Panic)],
    loads: &[0, 3],
    cancel: 400,
    ..PLAIN
};

/// Processes wait for each other's loads, many of which fail.
const WAITING: Scene = Scene {
    regions: &["", "a"],
    clients: 2,
    pauses: &[30, 100],
    deeds: &[(8, Deed::Compute), (2, Deed::End(Verb::Invalidate)), (1, Deed::Remove)],
    results: &[(6, LoadResult::Value), (4, LoadResult::Error), (2, LoadResult::Panic)],
    loads: &[3, 30, 100],
    ..PLAIN
};

/// What is held near is in doubt, and the store does not serve.
const UNVERIFIED: Scene = Scene {
    regions: &["", "a"],
    processes: 2,
    deeds: &[
        (6, Deed::Compute),
        (4, Deed::ComputeValue),
        (6, Deed::Get),
        (3, Deed::Contains),
        (2, Deed::Set),
        (1, Deed::Remove),
        (1, Deed::End(Verb::Invalidate)),
        (1, Deed::End(Verb::Touch)),
    ],
    faults: &[(3, Deed::Outage), (1, Deed::Cut), (3, Deed::Silence)],
    results: &[(2, LoadResult::Value), (3, LoadResult::Absent)],
    loads: &[0, 3],
    setup: push_late,
    process: |rng| ProcessSetup {
        near: true,
        absent_ttl: 1000,
        unverified_for: one_of(rng, &[0, 0, 30]),
        outage_for: one_of(rng, &[100, 1000, 3000]),
        outage_is_error: rng.random(),
        watch: one_of(rng, &[0, 5, 30]),
        ..channel(rng)
    },
    ..PLAIN
};

/// Processes begin, and change with one handle what they read with another for the first time.
pub(super) const FIRST_NEAR: Scene = Scene {
    regions: &[""],
    clients: 4,
    steps: 12,
    pauses: &[2, 5],
    deeds: &[(6, Deed::Get), (5, Deed::Set), (1, Deed::Remove)],
    faults: &[(1, Deed::Kill)],
    setup: |_, setup| (setup.rates.delay_push, setup.rates.latency) = (700, 8),
    process: |rng| ProcessSetup {
        near: true,
        sometimes_far: true,
        lanes: 2,
        tracked: true,
        own_changes_untold: rng.random(),
        ..ProcessSetup::default()
    },
    ..PLAIN
};

/// Connections break or fall silent, and only that tells of changes.
const SILENCE: Scene = Scene {
    keys: 2,
    processes: 2,
    deeds: &[
        (8, Deed::Get),
        (3, Deed::Set),
        (1, Deed::End(Verb::Touch)),
        (1, Deed::End(Verb::Invalidate)),
    ],
    faults: &[(2, Deed::Silence), (2, Deed::Cut), (1, Deed::Lose(Loss::Entries))],
    setup: push_late,
    process: |rng| ProcessSetup {
        near: true,
        watch: one_of(rng, &[0, 5, 30]),
        lingers: rng.random(),
        unverified_for: one_of(rng, &[0, 0, 30]),
        ..channel(rng)
    },
    ..PLAIN
};

/// Several values are read and changed together.
const ONE_MOMENT: Scene = Scene {
    keys: 3,
    processes: 2,
    deeds: &[
        (6, Deed::GetMany),
        (2, Deed::Get),
        (1, Deed::ComputeMany),
        (3, Deed::SetMany),
        (1, Deed::Transact),
        (1, Deed::Set),
        (1, Deed::End(Verb::Touch)),
    ],
    faults: &[(2, Deed::Outage), (1, Deed::Cut), (1, Deed::BackUp), (1, Deed::RollBack)],
    setup: push_late,
    process: |rng| ProcessSetup {
        near: true,
        unverified_for: one_of(rng, &[0, 30, 300]),
        outage_for: one_of(rng, &[0, 300]),
        ..channel(rng)
    },
    ..PLAIN
};

/// Regions end by their lifetime, which differs between processes.
const REGION_TTL: Scene = Scene {
    keys: 2,
    processes: 2,
    pauses: &[5, 30],
    deeds: &[
        (8, Deed::Get),
        (3, Deed::Set),
        (2, Deed::Compute),
        (1, Deed::RestartTtl),
        (1, Deed::Remove),
    ],
    setup: push_late,
    process: |rng| ProcessSetup {
        near: true,
        region_ttl: one_of(rng, &[0, 20, 100, 400]),
        ..channel(rng)
    },
    ..PLAIN
};

pub(super) fn one_of(rng: &mut StdRng, values: &[u64]) -> u64 {
    *values.choose(rng).unwrap_or(&0)
}

/// Pushes come late.
pub(super) fn push_late(rng: &mut StdRng, setup: &mut Setup) {
    setup.rates.delay_push = *[0, 300, 700].choose(rng).unwrap_or(&0);
}

/// What differs between the channels of stores.
pub(super) fn channel(rng: &mut StdRng) -> ProcessSetup {
    let (own_changes_untold, tracked) = (rng.random(), rng.random());
    ProcessSetup { own_changes_untold, tracked, ..ProcessSetup::default() }
}
