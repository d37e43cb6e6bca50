//! Values held near that depend on other regions.

use std::sync::Arc;

use super::NearHandle;
use super::region::Judgement;
use crate::engine::Context;
use crate::engine::marker::{Marker, codec_identity};
use crate::path::MARKER_KEY;
use crate::value::dependencies::{Dependencies, DependsOn};

/// The dependencies of a value held near. It is a hit only while the marker of each region is one too.
pub(in crate::engine) struct NearDependencies {
    pub(super) list: Dependencies,
    /// The regions of the list.
    regions: Box<[NearHandle]>,
}

impl NearDependencies {
    /// The number of regions.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }
}

impl Context {
    /// Makes the form in which a near entry holds its dependencies.
    pub(super) fn near_dependencies(&self, list: &Dependencies) -> Arc<NearDependencies> {
        let near = &self.engine.near;
        let regions = list.iter().map(|depends| {
            near.open(&self.engine.store, &depends.region, codec_identity(&depends.region))
        });
        Arc::new(NearDependencies { list: Arc::clone(list), regions: regions.collect() })
    }

    /// Judges a value by the markers that are held near. It does no I/O.
    pub(super) fn judge_dependencies(&self, dependencies: &NearDependencies) -> Judgement {
        let pairs = dependencies.list.iter().zip(&dependencies.regions);
        let mut judgements = pairs.map(|(depends, region)| self.judge_dependency(depends, region));
        judgements.find(|it| *it != Judgement::Valid).unwrap_or(Judgement::Valid)
    }

    fn judge_dependency(&self, depends: &DependsOn, region: &NearHandle) -> Judgement {
        let Some(values) = self.engine.near.values() else { return Judgement::Doubted };
        let place = region.decoded::<Marker>();
        let Some(mut entry) = values.get(place, MARKER_KEY) else { return Judgement::Doubted };
        // What is known to be outdated has perhaps been written anew, so the store is asked.
        let entry = match region.region.judge(&mut entry, MARKER_KEY) {
            _ if !entry.is_fresh() => return Judgement::Doubted,
            Judgement::Valid => entry,
            Judgement::ValidAt(sum) => {
                self.note_verified(region, place, MARKER_KEY, entry.verified_at(sum))
            }
            Judgement::Doubted | Judgement::Outdated => return Judgement::Doubted,
        };
        match entry.value.into_value::<Marker>() {
            Some(marker) if marker.id == depends.marker => Judgement::Valid,
            Some(marker) if marker.follows(depends.marker) => Judgement::Doubted,
            Some(_) => Judgement::Outdated,
            None => Judgement::Doubted,
        }
    }
}

impl std::fmt::Debug for NearDependencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("NearDependencies").field(&self.list).finish()
    }
}
