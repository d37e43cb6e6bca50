//! Scenes of dense plans that were thought of later: drawn apart, so that the plans of most seeds stay what they were.

use rand::RngExt;
use region_core::Verb;
use region_memory::Loss;

use super::dense::{Deed, Scene};
use super::scenes::{FIRST_NEAR, MARKERS, PLAIN, TWO_CONNECTIONS, channel, one_of, push_late};
use super::{LoadResult, ProcessSetup};

pub(super) const ALL: &[Scene] = &[
    EXTENDED_MARKERS,
    EXTENDED_MARKERS,
    BEGINNINGS,
    LOST_LINEAGES,
    LOST_LINEAGES,
    LISTED,
    LISTED_FAULTS,
];

/// Each process needs a marker that lives longer than that of another, and the region ends all the time.
const EXTENDED_MARKERS: Scene = Scene {
    regions: &["d", "w"],
    steps: 16,
    pauses: &[0, 5],
    deeds: &[
        (6, Deed::Compute),
        (4, Deed::Reload),
        (6, Deed::Get),
        (1, Deed::End(Verb::Touch)),
        (1, Deed::End(Verb::Invalidate)),
    ],
    results: &[(1, LoadResult::Value)],
    loads: &[0, 3],
    depends_on: Some(0),
    cancel: 0,
    setup: |_, setup| setup.rates.latency = 8,
    process: |rng| ProcessSetup {
        ttl: one_of(rng, &[1000, 10_000_000, 30_000_000, 100_000_000]),
        stale_for: one_of(rng, &[0, 1000, 3000, 10_000]),
        ..ProcessSetup::default()
    },
    ..MARKERS
};

/// Processes begin again and again, and live long enough to change what they have just read.
const BEGINNINGS: Scene = Scene {
    processes: 2,
    steps: 20,
    pauses: &[8, 15],
    deeds: &[(6, Deed::Get), (5, Deed::Set)],
    setup: |_, setup| (setup.rates.delay_push, setup.rates.latency) = (900, 5),
    process: |_| ProcessSetup {
        near: true,
        sometimes_far: true,
        lanes: 2,
        tracked: true,
        ..ProcessSetup::default()
    },
    ..FIRST_NEAR
};

/// One of two connections breaks, over which lineages were read that are assumed over the other. A region ends whose
/// own entries nobody reads, so that no push of these tells of it.
const LOST_LINEAGES: Scene = Scene {
    regions: &["a", "a.b"],
    steps: 30,
    pauses: &[2, 5],
    deeds: &[
        (24, Deed::Get),
        (8, Deed::Set),
        (1, Deed::End(Verb::Invalidate)),
        (1, Deed::End(Verb::Expire)),
    ],
    depends_on: Some(0),
    first_apart: true,
    setup: |_, setup| (setup.rates.delay_push, setup.rates.latency) = (300, 1),
    process: |_| ProcessSetup { near: true, lanes: 2, tracked: true, ..ProcessSetup::default() },
    ..TWO_CONNECTIONS
};

/// Regions are listed and counted, and what is there is explained, while they end; nothing fails.
const LISTED: Scene = Scene {
    regions: &["", "a", "a.b", "a.b.c"],
    keys: 3,
    processes: 2,
    clients: 2,
    steps: 14,
    deeds: &[
        (3, Deed::Keys),
        (3, Deed::Len),
        (4, Deed::Children),
        (4, Deed::Explain),
        (2, Deed::Get),
        (6, Deed::Set),
        (1, Deed::SetMany),
        (1, Deed::Compute),
        (1, Deed::Remove),
        (2, Deed::End(Verb::Invalidate)),
        (1, Deed::End(Verb::InvalidateAndTouch)),
        (1, Deed::End(Verb::Touch)),
        (1, Deed::End(Verb::Expire)),
    ],
    process: |rng| {
        let (near, stale_for) = (rng.random(), one_of(rng, &[0, 1000]));
        ProcessSetup { near, stale_for, ..channel(rng) }
    },
    ..PLAIN
};

/// The same, while connections break and the store loses what it holds.
const LISTED_FAULTS: Scene = Scene {
    faults: &[
        (2, Deed::Lose(Loss::Incarnations)),
        (1, Deed::Lose(Loss::Entries)),
        (1, Deed::Cut),
        (2, Deed::BackUp),
        (2, Deed::RollBack),
    ],
    setup: push_late,
    ..LISTED
};
