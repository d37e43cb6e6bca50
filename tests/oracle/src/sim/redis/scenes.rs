//! The dense plans that there are, by what goes wrong in them.

use region_core::Verb;

use super::dense::{Blow, Deed, Is, Scene};

/// Entries of so many bytes are large: none, or all that are drawn.
const NONE_LARGE: &[usize] = &[64 * 1024];
const SOME_LARGE: &[usize] = &[64 * 1024, 40];

const PLAIN: Scene = Scene {
    regions: &["a", "b"],
    keys: 1,
    processes: 2,
    clients: 2,
    steps: 14,
    deeds: &[],
    blows: &[],
    blow_count: 6,
    cancel: 0,
    near: Is::Sometimes,
    replica: Is::Never,
    queues: Is::Never,
    shares: Is::Never,
    depends: Is::Never,
    ttls: &[0],
    latencies: &[0, 1, 3],
    lags: &[2],
    large: NONE_LARGE,
    loads: &[0, 5],
};

/// The primary is put back to what it held, while connections stay or are away.
const PUT_BACK: Scene = Scene {
    processes: 1,
    clients: 3,
    steps: 20,
    deeds: &[
        (6, Deed::Get),
        (4, Deed::Set),
        (2, Deed::Reload),
        (2, Deed::Remove),
        (4, Deed::End(Verb::Invalidate)),
        (1, Deed::End(Verb::Expire)),
    ],
    blows: &[
        (4, Blow::Save),
        (4, Blow::Restore),
        (5, Blow::PutBack),
        (1, Blow::Restart),
        (1, Blow::EvictCounts),
        (2, Blow::Outage),
        (1, Blow::Cut),
    ],
    blow_count: 14,
    cancel: 300,
    latencies: &[0, 3, 25],
    ..PLAIN
};

/// What a process has sent arrives when it has given the connection up.
const LATE: Scene = Scene {
    regions: &["a"],
    clients: 3,
    steps: 16,
    deeds: &[
        (8, Deed::Set),
        (2, Deed::SetMany),
        (2, Deed::Remove),
        (2, Deed::Get),
        (2, Deed::Compute),
        (1, Deed::Reload),
        (2, Deed::End(Verb::Invalidate)),
    ],
    blows: &[(6, Blow::HoldThere), (1, Blow::Silence), (2, Blow::Cut), (1, Blow::Outage)],
    blow_count: 8,
    cancel: 100,
    large: SOME_LARGE,
    loads: &[0, 40],
    ..PLAIN
};

/// The replica lags, stands still, and takes over.
const LAGGING: Scene = Scene {
    steps: 20,
    deeds: &[
        (8, Deed::Get),
        (2, Deed::GetMany),
        (4, Deed::Set),
        (2, Deed::Remove),
        (1, Deed::Compute),
        (3, Deed::End(Verb::Invalidate)),
        (1, Deed::End(Verb::Touch)),
    ],
    blows: &[
        (4, Blow::HoldReplica),
        (3, Blow::ReleaseReplica),
        (2, Blow::FailOver),
        (1, Blow::Cut),
        (1, Blow::HoldBack),
    ],
    blow_count: 8,
    replica: Is::Sometimes,
    lags: &[2, 20, 100],
    ..PLAIN
};

/// Invalidations cannot reach the primary, and are queued.
const QUEUED: Scene = Scene {
    regions: &["a", "a.b"],
    clients: 3,
    steps: 18,
    deeds: &[
        (6, Deed::Get),
        (3, Deed::Set),
        (2, Deed::Compute),
        (4, Deed::End(Verb::Invalidate)),
        (2, Deed::End(Verb::Touch)),
        (1, Deed::End(Verb::Expire)),
    ],
    blows: &[
        (3, Blow::Outage),
        (2, Blow::HoldThere),
        (2, Blow::HoldBack),
        (2, Blow::Cut),
        (4, Blow::Freeze),
        (2, Blow::RefuseAll),
        (2, Blow::Accept),
        (1, Blow::FailOver),
    ],
    blow_count: 8,
    replica: Is::Sometimes,
    queues: Is::Always,
    lags: &[2, 60],
    ..PLAIN
};

/// Values near hang on pushes, which come late or never.
const PUSHED: Scene = Scene {
    keys: 2,
    processes: 3,
    steps: 22,
    deeds: &[
        (12, Deed::Get),
        (2, Deed::GetMany),
        (3, Deed::Compute),
        (4, Deed::Set),
        (1, Deed::SetMany),
        (1, Deed::Remove),
        (2, Deed::End(Verb::Invalidate)),
        (1, Deed::End(Verb::Expire)),
    ],
    blows: &[
        (3, Blow::Cut),
        (3, Blow::HoldBack),
        (2, Blow::Silence),
        (1, Blow::HoldThere),
        (1, Blow::EvictIds),
        (1, Blow::EvictEntries),
    ],
    cancel: 60,
    near: Is::Always,
    large: SOME_LARGE,
    loads: &[0, 10],
    ..PLAIN
};

/// Several caches are over one store.
const SHARED: Scene = Scene {
    keys: 2,
    processes: 3,
    steps: 16,
    deeds: &[
        (12, Deed::Get),
        (2, Deed::Compute),
        (5, Deed::Set),
        (2, Deed::Remove),
        (2, Deed::End(Verb::Invalidate)),
        (1, Deed::End(Verb::Touch)),
    ],
    blows: &[
        (2, Blow::HoldReplica),
        (2, Blow::ReleaseReplica),
        (1, Blow::Cut),
        (2, Blow::HoldBack),
        (2, Blow::HoldThere),
    ],
    cancel: 60,
    near: Is::Sometimes,
    replica: Is::Sometimes,
    shares: Is::Always,
    lags: &[2, 60],
    ..PLAIN
};

/// Loads run while keys are lost and their regions end.
const LOADED: Scene = Scene {
    clients: 3,
    steps: 14,
    deeds: &[
        (8, Deed::Compute),
        (8, Deed::Get),
        (2, Deed::Set),
        (1, Deed::Remove),
        (2, Deed::End(Verb::Invalidate)),
        (1, Deed::End(Verb::Touch)),
        (1, Deed::End(Verb::Expire)),
    ],
    blows: &[
        (5, Blow::EvictIds),
        (3, Blow::EvictEntries),
        (3, Blow::EvictLeases),
        (1, Blow::HoldThere),
    ],
    blow_count: 12,
    depends: Is::Sometimes,
    loads: &[5, 30, 90],
    ..PLAIN
};

/// A lookup misses, and what begins a load finds values that others have brought meanwhile.
const BEGUN: Scene = Scene {
    regions: &["a"],
    keys: 3,
    processes: 3,
    clients: 3,
    steps: 14,
    deeds: &[
        (8, Deed::ComputeMany),
        (8, Deed::Get),
        (2, Deed::Set),
        (1, Deed::End(Verb::Invalidate)),
        (4, Deed::End(Verb::Expire)),
    ],
    blows: &[(1, Blow::Cut), (1, Blow::HoldBack), (1, Blow::EvictEntries)],
    blow_count: 3,
    near: Is::Always,
    ttls: &[0, 60, 120],
    loads: &[5, 30, 90],
    ..PLAIN
};

/// All of them.
pub(super) const ALL: &[Scene] = &[PUT_BACK, LATE, LAGGING, QUEUED, PUSHED, SHARED, LOADED, BEGUN];
