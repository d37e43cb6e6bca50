//! Loads whose values' lives end before they do.

use std::collections::HashMap;

use super::super::Harness;
use super::super::gate::{LoadGate, cache, get, joined, region};
use crate::cache::RegionCache;
use crate::error::Error;
use crate::handle::RegionHandle;
use crate::policy::Policy;
use crate::region::{Region, RegionExt};

/// The ways to end a value in the middle of its load.
#[derive(Clone, Copy, Debug)]
enum End {
    Invalidate,
    InvalidateAncestor,
    Touch,
    TouchBelow,
    Remove,
    Set,
}

impl End {
    const ALL: [Self; 6] = [
        Self::Invalidate,
        Self::InvalidateAncestor,
        Self::Touch,
        Self::TouchBelow,
        Self::Remove,
        Self::Set,
    ];

    async fn end(self, cache: &RegionCache, region: &RegionHandle) {
        match self {
            Self::Invalidate => region.invalidate().await,
            Self::InvalidateAncestor => cache.region("a:1").unwrap().invalidate().await,
            Self::Touch => region.touch().await,
            Self::TouchBelow => region.child("below").unwrap().touch().await,
            Self::Remove => region.remove("k").await.map(drop),
            Self::Set => region.set("k", &99u32).await,
        }
        .unwrap();
    }

    /// The value that is there afterwards.
    fn leaves(self) -> Option<u32> {
        matches!(self, Self::Set).then_some(99)
    }
}

/// A load during which its value's life ended is not stored, but its caller gets it. Promise 1.
pub async fn a_load_that_is_outlived_is_not_stored<H: Harness>(harness: &H) {
    for end in End::ALL {
        let cache = cache(harness, harness.store().await);
        let region = cache.region("a:1.b").unwrap();
        let gate = LoadGate::new();
        let loading = gate.call(&region, 1);
        gate.begun().await;
        end.end(&cache, &region).await;
        gate.release();
        assert_eq!(joined(loading).await.unwrap(), 1, "{end:?}");
        assert_eq!(get(&region).await, end.leaves(), "{end:?}");
        assert_eq!(cache.stats().fenced_fills, 1, "{end:?}");
    }
}

/// A caller that starts after the end does not share a load that began before it. Promise 1.
pub async fn late_callers_do_not_join_outlived_loads<H: Harness>(harness: &H) {
    for end in End::ALL {
        let cache = cache(harness, harness.store().await);
        let region = cache.region("a:1.b").unwrap();
        let (old, new) = (LoadGate::new(), LoadGate::open());
        let early = old.call(&region, 1);
        old.begun().await;
        end.end(&cache, &region).await;
        let late = joined(new.call(&region, 2)).await.unwrap();
        assert_eq!(late, end.leaves().unwrap_or(2), "{end:?}");
        old.release();
        assert_eq!(joined(early).await.unwrap(), 1, "{end:?}");
        assert_eq!(get(&region).await, Some(late), "{end:?}");
    }
}

/// One of several keys that is removed in the middle of their load does not keep the others from
/// being stored, nor is it stored itself. Promise 1.
pub async fn one_fenced_key_of_many_is_left_out<H: Harness>(harness: &H) {
    let region = region(harness, Policy::new()).await;
    let removing = region.clone();
    let load = move |keys: Vec<String>| {
        let region = removing.clone();
        async move {
            region.remove("b").await?;
            Ok::<_, Error>(keys.into_iter().map(|key| (key, 1)).collect::<HashMap<_, u32>>())
        }
    };
    let values = region.get_or_compute_many(&["a", "b", "c"], load).await.unwrap();
    assert!(values.iter().all(|value| value.as_deref() == Some(&1)));
    let stored = region.get_many::<u32>(&["a", "b", "c"]).await.unwrap();
    let stored: Vec<_> = stored.iter().map(|value| value.as_deref().copied()).collect();
    assert_eq!(stored, [Some(1), None, Some(1)]);
}
