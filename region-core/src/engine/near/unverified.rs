//! Reads of values that are neither trusted nor verified, as far as the policy allows it.

use std::time::Duration;

use super::evidence::Unverified;
use super::known::Moment;
use super::{Looked, NearHandle};
use crate::engine::Context;
use crate::value::serializer::Value;

/// The states of the store that values were read at; `None`: nobody knows which.
pub(in crate::engine) type Moments = Vec<Option<Moment>>;

/// The values that a look into the near cache found, and the moments at which the store had them.
pub(in crate::engine) struct LookedMany<V> {
    pub(in crate::engine) looked: Vec<Looked<V>>,
    pub(in crate::engine) moments: Moments,
}

impl NearHandle {
    /// Has the evidence kept that unverified values are served by.
    pub(in crate::engine) fn keep_evidence(&self) {
        self.region.evidence().keep();
    }
}

impl Context {
    /// Looks for the values at `keys` in the near cache. Those that the policy allows without trust are all
    /// of one moment.
    pub(in crate::engine) fn look_near_many<V: Value>(&self, keys: &[&str]) -> LookedMany<V> {
        let first = self.trusted_moment();
        let mut found = LookedMany { looked: Vec::with_capacity(keys.len()), moments: Vec::new() };
        found.looked.extend(keys.iter().map(|key| self.look_trusted(key)));
        if found.looked.iter().any(|it| !it.is_missing()) {
            found.moments.extend([first, self.trusted_moment()]);
        }
        let longest = self.policy.near_unverified_for;
        found.moments.extend(self.look_again(keys, &mut found.looked, longest));
        found
    }

    /// Looks again for the values in doubt while the store does not serve. If what is found then is not
    /// all of one moment, only what is of the last one known stays.
    pub(in crate::engine) fn look_in_outage<V: Value>(
        &self,
        keys: &[&str],
        found: &mut LookedMany<V>,
    ) {
        let longest = self.policy.near_outage_for.max(self.policy.near_unverified_for);
        found.moments.extend(self.look_again(keys, &mut found.looked, longest));
        if keys.len() > 1 && !is_one(&found.moments) {
            found.looked.fill_with(|| Looked::Doubted);
            found.moments = self.look_again(keys, &mut found.looked, longest).into_iter().collect();
        }
    }

    /// Returns the value at `key` if it may be served without trust now.
    pub(super) fn look_unverified<V: Value>(&self, near: &NearHandle, key: &str) -> Looked<V> {
        match near.region.unverified(self.policy.near_unverified_for) {
            Some(unverified) => self.look_by(near, &unverified, key),
            None => Looked::Doubted,
        }
    }

    /// Replaces doubt by what evidence of the last `longest` tells. Returns the moment of the values that it
    /// has found, if it has found any.
    fn look_again<V: Value>(
        &self,
        keys: &[&str],
        looked: &mut [Looked<V>],
        longest: Duration,
    ) -> Option<Option<Moment>> {
        let is_doubted = |looked: &Looked<V>| matches!(looked, Looked::Doubted);
        let near = self.near.as_ref().filter(|_| looked.iter().any(is_doubted))?;
        let unverified = near.region.unverified(longest)?;
        for (key, looked) in keys.iter().zip(&mut *looked).filter(|(_, it)| is_doubted(it)) {
            *looked = self.look_by(near, &unverified, key);
        }
        let is_found = looked.iter().any(Looked::is_unverified);
        is_found.then(|| unverified.moment())
    }

    fn look_by<V: Value>(
        &self,
        near: &NearHandle,
        unverified: &Unverified,
        key: &str,
    ) -> Looked<V> {
        let judge = |entry: &mut _| near.region.judge_unverified(unverified, entry, key);
        match self.look(near, key, judge) {
            Looked::Hit(value, times) => Looked::Unverified(value, times),
            Looked::Absent => Looked::UnverifiedAbsent,
            Looked::Depending(depending) => Looked::Depending(Box::new(depending.unverified())),
            other => other,
        }
    }
}

/// Returns true if all values were seen at one moment.
pub(in crate::engine) fn is_one(moments: &[Option<Moment>]) -> bool {
    moments.windows(2).all(|pair| pair[0].is_some() && pair[0] == pair[1])
}
