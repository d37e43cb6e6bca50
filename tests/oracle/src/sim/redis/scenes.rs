//! The dense plans that there are, by what goes wrong in them.

use region_core::Verb;

use super::dense::{Blow, Deed, Is, Scene};
use crate::plan::weights::Weights;

/// Entries of so many bytes are large: none, or all that are drawn.
const NONE_LARGE: &[usize] = &[64 * 1024];
const SOME_LARGE: &[usize] = &[64 * 1024, 40];
const ALL_LARGE: &[usize] = &[40];

/// Nothing goes wrong; but calls may take so long that no plan of these is calm.
const NOTHING: Weights<Blow> = &[(1, Blow::Accept)];

/// There are two processes at least.
const EACH_ITS_OWN: &[usize] = &[0, 1];

/// All caches are over one store.
const ONE_STORE: &[usize] = &[0, 0, 0];

const PLAIN: Scene = Scene {
    regions: &["a", "b"],
    keys: 1,
    processes: 2,
    clients: 2,
    steps: 14,
    pauses: &[4, 25, 120],
    deeds: &[],
    blows: &[],
    blow_count: 6,
    moment: 30,
    cancel: 0,
    near: Is::Sometimes,
    replica: Is::Never,
    queues: Is::Never,
    stores: &[],
    depends: Is::Never,
    ttls: &[0],
    stale: &[0],
    replica_wait: 0,
    outage_for: &[0],
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
    latencies: &[0, 3, 8],
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
    stores: ONE_STORE,
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

/// The primary is put back between two writes that are in flight.
const IN_FLIGHT: Scene = Scene {
    processes: 1,
    clients: 5,
    steps: 20,
    pauses: &[4],
    deeds: &[(6, Deed::Get), (4, Deed::Set), (4, Deed::End(Verb::Invalidate))],
    blows: &[(1, Blow::PutBack)],
    blow_count: 20,
    moment: 6,
    latencies: &[5, 8],
    ..PLAIN
};

/// Invalidations fail while connections are being prepared, and are queued behind what has been replayed.
const PREPARING: Scene = Scene {
    processes: 1,
    clients: 4,
    steps: 40,
    pauses: &[60],
    deeds: &[(6, Deed::Get), (3, Deed::Set), (3, Deed::End(Verb::Invalidate))],
    blows: &[(1, Blow::CutAndHold)],
    blow_count: 6,
    moment: 60,
    near: Is::Never,
    queues: Is::Always,
    latencies: &[3, 5],
    ..PLAIN
};

/// Of a process's connections that alone is silent over which it has read large entries.
const SILENT_LARGE: Scene = Scene {
    regions: &["a"],
    keys: 3,
    steps: 30,
    pauses: &[60],
    deeds: &[(14, Deed::Get), (2, Deed::Set)],
    blows: &[(1, Blow::SilenceNewest)],
    blow_count: 4,
    near: Is::Always,
    stores: EACH_ITS_OWN,
    large: ALL_LARGE,
    ..PLAIN
};

/// A push of another's change comes while a cache writes, and concerns another cache over its store too.
const HELD_PUSHES: Scene = Scene {
    regions: &["a"],
    keys: 2,
    processes: 3,
    clients: 3,
    steps: 30,
    pauses: &[4, 25],
    deeds: &[(14, Deed::Get), (3, Deed::Set)],
    near: Is::Always,
    stores: &[0, 0, 2],
    latencies: &[5, 8],
    blows: NOTHING,
    ..PLAIN
};

/// Caches over one store hold near what they have read from a replica.
const SHARED_LAGGING: Scene = Scene {
    steps: 24,
    pauses: &[4, 25],
    deeds: &[(12, Deed::Get), (3, Deed::Set), (1, Deed::Remove), (1, Deed::End(Verb::Touch))],
    blows: &[(1, Blow::HoldReplica), (1, Blow::ReleaseReplica)],
    clients: 1,
    processes: 2,
    near: Is::Always,
    replica: Is::Always,
    stores: &[0, 0],
    lags: &[20, 100],
    ..SHARED
};

/// One of several caches over one store ends what another serves near while the primary is away.
const SHARED_OUTAGE: Scene = Scene {
    steps: 24,
    pauses: &[25],
    deeds: &[(12, Deed::Get), (2, Deed::Compute), (4, Deed::End(Verb::Invalidate))],
    blows: &[(3, Blow::Outage), (1, Blow::Freeze), (1, Blow::Silence)],
    processes: 2,
    near: Is::Always,
    replica: Is::Never,
    queues: Is::Always,
    stores: &[0, 0],
    outage_for: &[300, 3000],
    ..SHARED
};

/// Regions around others end while entries are read under the lineage that is trusted.
const NESTED: Scene = Scene {
    regions: &["a", "a.b", "a.b.c"],
    keys: 3,
    steps: 24,
    pauses: &[4, 25],
    deeds: &[(14, Deed::Get), (5, Deed::Set), (3, Deed::End(Verb::Invalidate))],
    near: Is::Always,
    latencies: &[3, 8],
    stores: EACH_ITS_OWN,
    blows: NOTHING,
    ..PLAIN
};

/// As its like in the other world: each process needs a marker that lives longer than that of another.
const MARKED: Scene = Scene {
    regions: &["d", "w"],
    processes: 3,
    clients: 3,
    steps: 20,
    pauses: &[4],
    deeds: &[
        (8, Deed::Compute),
        (4, Deed::Reload),
        (6, Deed::Get),
        (1, Deed::End(Verb::Touch)),
        (1, Deed::End(Verb::Invalidate)),
    ],
    near: Is::Sometimes,
    depends: Is::Always,
    ttls: &[1000, 10_000_000, 30_000_000, 100_000_000],
    stale: &[0, 1000, 3000, 10_000],
    latencies: &[3, 5],
    loads: &[0, 3],
    stores: EACH_ITS_OWN,
    blows: NOTHING,
    ..PLAIN
};

/// Regions are listed and counted, and what is there is explained, while they end and are reclaimed; nothing fails.
const LISTED: Scene = Scene {
    regions: &["", "a", "a.b", "a.b.c"],
    keys: 2,
    clients: 3,
    steps: 20,
    pauses: &[0, 4],
    deeds: &[
        (2, Deed::Keys),
        (5, Deed::Len),
        (5, Deed::Children),
        (3, Deed::Explain),
        (3, Deed::Get),
        (6, Deed::Set),
        (4, Deed::Compute),
        (1, Deed::Remove),
        (4, Deed::End(Verb::Invalidate)),
        (1, Deed::End(Verb::Touch)),
        (1, Deed::End(Verb::Expire)),
    ],
    latencies: &[0, 1],
    loads: &[5, 15],
    ..PLAIN
};

/// Regions end once the replica is known to have it, and the replica takes over.
const ACKNOWLEDGED: Scene = Scene {
    steps: 16,
    pauses: &[25, 60],
    deeds: &[(6, Deed::Get), (4, Deed::Set), (5, Deed::End(Verb::Invalidate))],
    blows: &[(3, Blow::FailOver), (2, Blow::HoldReplica), (2, Blow::ReleaseReplica)],
    lags: &[20, 60],
    replica_wait: 150,
    ..PLAIN
};

/// All of them.
pub(super) const ALL: &[Scene] = &[
    PUT_BACK,
    LATE,
    LAGGING,
    QUEUED,
    PUSHED,
    SHARED,
    LOADED,
    BEGUN,
    IN_FLIGHT,
    PREPARING,
    SILENT_LARGE,
    HELD_PUSHES,
    SHARED_LAGGING,
    SHARED_OUTAGE,
    NESTED,
    MARKED,
    LISTED,
    LISTED,
    ACKNOWLEDGED,
];
