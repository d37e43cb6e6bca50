//! Values that depend on other regions: whether their dependencies still hold.

use std::sync::Arc;
use std::time::Duration;

use super::found::Tally;
use super::marker::{Markers, Standing};
use super::{Accept, Context, Found, FoundOne, Looked, Started, Times};
use crate::error::{Error, Result};
use crate::lifetime::Lifetime;
use crate::path::RegionPath;
use crate::stats::MissReason;
use crate::store::Freshness;
use crate::value::dependencies::{Dependencies, DependsOn};
use crate::value::made::MadeAt;
use crate::value::serializer::Value;

/// A value, or the record that there is none, which holds if its dependencies do.
pub(crate) struct Depending<V> {
    value: Option<Arc<V>>,
    freshness: Freshness,
    made: Option<MadeAt>,
    on: Dependencies,
    held: Origin,
}

/// The place where a value was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Store,
    Near,
    /// It is neither trusted nor verified.
    NearUnverified,
}

/// The outcome of asking for dependencies.
#[derive(Default)]
pub(crate) struct Resolved {
    /// The number of values from near that are no hits.
    pub(super) near_lost: usize,
    /// The number of records from near, that there is no value, that do not hold.
    pub(super) absences_lost: usize,
    /// The number of both that were neither trusted nor verified.
    pub(super) unverified_lost: usize,
    /// The outage that the policy turns into misses.
    pub(crate) outage: Option<Error>,
}

impl<V> Depending<V> {
    pub(super) fn new(
        value: Option<Arc<V>>,
        freshness: Freshness,
        made: Option<MadeAt>,
        on: Dependencies,
    ) -> Self {
        Self { value, freshness, made, on, held: Origin::Store }
    }

    /// A fresh value that is held near, or such a record that there is none.
    pub(super) fn near(
        value: Option<Arc<V>>,
        Times { left, made }: Times,
        on: Dependencies,
    ) -> Self {
        let freshness = Freshness::Fresh { left };
        Self { value, freshness, made, on, held: Origin::Near }
    }

    /// The same for what is neither trusted nor verified.
    pub(super) fn unverified(self) -> Self {
        Self { held: Origin::NearUnverified, ..self }
    }

    pub(super) fn is_absence(&self) -> bool {
        self.value.is_none()
    }

    pub(super) fn is_unverified(&self) -> bool {
        self.held == Origin::NearUnverified
    }

    /// The value as it is by what the markers show. `stale_for` is the time for which a value is stale.
    fn by(&self, markers: &Markers, stale_for: Duration) -> Found<V> {
        let (mut life, mut stale) = (Lifetime::Unlimited, None::<Duration>);
        for depends in &*self.on {
            match markers.get(&depends.region).map(|found| found.standing(depends.marker)) {
                Some(Standing::Holds(left)) => life = life.shorter(left),
                Some(Standing::Expired(ago)) => {
                    let left = stale_for.saturating_sub(ago);
                    stale = Some(stale.map_or(left, |stale| stale.min(left)));
                }
                Some(Standing::Ended) | None => return Found::Nothing(reason(markers, depends)),
            }
        }
        let (left, is_fresh) = match self.freshness {
            Freshness::Fresh { left } => (left, stale.is_none()),
            Freshness::Stale { left } => (left, false),
        };
        let left = match stale.map(Lifetime::of) {
            None => left.shorter(life),
            Some(Ok(stale)) => left.shorter(stale),
            // The time for which it is stale is over.
            Some(Err(_)) => return Found::Nothing(MissReason::Expired),
        };
        let times = Times { left, made: self.made };
        match &self.value {
            Some(value) if is_fresh => Found::Fresh(Arc::clone(value), times),
            Some(value) => Found::Stale(Arc::clone(value), times),
            None if is_fresh => Found::Absent,
            None => Found::Nothing(MissReason::Absent),
        }
    }
}

impl Resolved {
    /// Counts `depending`, which was asked about, if it was held near and does not hold.
    fn count_lost<V>(&mut self, depending: &Depending<V>, is_lost: bool) {
        if is_lost && depending.held != Origin::Store {
            match depending.is_absence() {
                true => self.absences_lost += 1,
                false => self.near_lost += 1,
            }
            self.unverified_lost += usize::from(depending.is_unverified());
        }
    }
}

impl<V> Found<V> {
    pub(crate) fn dependencies(&self) -> Option<&Dependencies> {
        match self {
            Self::Depending(depending) => Some(&depending.on),
            _ => None,
        }
    }
}

impl Context {
    /// Replaces each value that depends on other regions by the value, fresh or stale, or by nothing,
    /// as the markers of these regions say. Those that `known` lacks are read, all at the same time; after
    /// an `outage` that the call has met, only near. The operation began at `started`.
    pub(crate) async fn resolve<V: Value>(
        &self,
        found: &mut [Found<V>],
        accept: Accept,
        known: &mut Markers,
        outage: Option<&Error>,
        started: Started,
    ) -> Result<Resolved> {
        let mut resolved = Resolved::default();
        let lists = found.iter().filter_map(Found::dependencies);
        let regions = lists.flat_map(|list| list.iter().map(|depends| depends.region.clone()));
        let unknown: Vec<RegionPath> = regions.filter(|it| !known.contains_key(it)).collect();
        if !unknown.is_empty() {
            // Boxed, so that the futures of reads stay small.
            let reading = self.markers(&unknown, outage, started);
            let (markers, outage) = Box::pin(reading).await?;
            known.extend(markers);
            resolved.outage = outage;
        }
        for found in found {
            let Found::Depending(depending) = &*found else { continue };
            let new = depending.by(known, self.policy.stale_for);
            let is_lost = !matches!(new, Found::Fresh(..) | Found::Absent);
            resolved.count_lost(depending, is_lost);
            *found = match new {
                Found::Stale(..) if accept == Accept::Fresh => Found::Nothing(MissReason::Expired),
                Found::Absent if accept != Accept::FreshStaleOrAbsent => {
                    Found::Nothing(MissReason::Absent)
                }
                new => new,
            };
        }
        Ok(resolved)
    }

    /// As [`resolve`](Self::resolve), with no marker known. Without dependencies it costs nothing.
    pub(crate) async fn resolve_all<V: Value>(
        &self,
        found: &mut [Found<V>],
        accept: Accept,
        outage: Option<&Error>,
        started: Started,
    ) -> Result<Resolved> {
        if found.iter().all(|found| found.dependencies().is_none()) {
            return Ok(Resolved::default());
        }
        let mut known = Markers::default();
        Box::pin(self.resolve(found, accept, &mut known, outage, started)).await
    }

    /// Returns true if an entry with these dependencies, fresh by itself, is fresh by them too. Returns
    /// the outage too, if there was one.
    pub(crate) async fn are_fresh(
        &self,
        dependencies: Option<Dependencies>,
        started: Started,
    ) -> Result<(bool, Option<Error>)> {
        let Some(on) = dependencies else { return Ok((true, None)) };
        let freshness = Freshness::Fresh { left: Lifetime::Unlimited };
        let mut found = [Found::from(Depending::new(Some(Arc::new(())), freshness, None, on))];
        let resolved = self.resolve_all(&mut found, Accept::Fresh, None, started).await?;
        Ok((matches!(found[0], Found::Fresh(..)), resolved.outage))
    }

    /// As [`find`](Self::find), and reads the markers of `regions` at the same time.
    pub(crate) async fn find_beside_markers<V: Value>(
        &self,
        key: &str,
        accept: Accept,
        regions: &[RegionPath],
        mut started: Started,
    ) -> Result<(FoundOne<V>, Markers)> {
        let is_answer = match self.look_near::<V>(key) {
            Looked::Hit(..) | Looked::Unverified(..) => true,
            Looked::Absent | Looked::UnverifiedAbsent => accept == Accept::FreshStaleOrAbsent,
            Looked::Doubted | Looked::Depending(_) | Looked::Nothing => false,
        };
        if is_answer {
            let found = self.find(key, accept, &mut started).await?;
            return Ok((found, Markers::default()));
        }
        let (mut found, outage, markers, tally) =
            self.read_beside_markers(&[key], accept, regions, started).await?;
        let found = found.pop().unwrap_or(Found::Nothing(MissReason::Absent));
        let counts_as = tally.of_one(&found);
        Ok((FoundOne { found, outage, counts_as }, markers))
    }

    /// The same for several keys.
    pub(crate) async fn find_many_beside_markers<V: Value>(
        &self,
        keys: &[&str],
        accept: Accept,
        regions: &[RegionPath],
        started: Started,
    ) -> Result<(Vec<Found<V>>, Option<Error>, Markers)> {
        let is_near = |key: &&str| {
            matches!(self.look_near::<V>(key), Looked::Hit(..) | Looked::Unverified(..))
        };
        if keys.iter().all(is_near) {
            let (found, outage) = self.find_many(keys, accept, started).await?;
            return Ok((found, outage, Markers::default()));
        }
        let reading = self.read_beside_markers(keys, accept, regions, started);
        let (found, outage, markers, _) = reading.await?;
        Ok((found, outage, markers))
    }

    async fn read_beside_markers<V: Value>(
        &self,
        keys: &[&str],
        accept: Accept,
        regions: &[RegionPath],
        mut started: Started,
    ) -> Result<(Vec<Found<V>>, Option<Error>, Markers, Tally)> {
        keys.iter().try_for_each(|key| crate::path::check_key(key))?;
        let reading = self.markers(regions, None, started);
        let finding = self.look_up(keys, accept, &mut started);
        let (lookup, markers) = futures_util::future::join(finding, reading).await;
        let (mut lookup, (mut markers, of_markers)) = (lookup?, markers?);
        let outage = lookup.outage.as_ref();
        let resolved =
            self.resolve(&mut lookup.found, accept, &mut markers, outage, started).await?;
        let (found, outage, tally) = self.counted(lookup, resolved)?;
        Ok((found, outage.or(of_markers), markers, tally))
    }
}

impl<V> From<Depending<V>> for Found<V> {
    fn from(depending: Depending<V>) -> Self {
        Self::Depending(Box::new(depending))
    }
}

/// The reason for which a value is a miss whose marker is not the one that it hangs on.
fn reason(markers: &Markers, depends: &DependsOn) -> MissReason {
    match markers.get(&depends.region) {
        Some(Found::Nothing(MissReason::Unavailable)) => MissReason::Unavailable,
        _ => MissReason::Dependency,
    }
}
