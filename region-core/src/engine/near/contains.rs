//! The existence of a value of any type, by what is held near.

use super::NearHandle;
use super::region::Judgement;
use super::values::NearEntry;
use crate::engine::Context;
use crate::value::envelope::BadBytes;

/// The most types of a key's values that are looked at.
const MAX_TYPES: usize = 4;

impl Context {
    /// Returns true if a trusted value of any type is held near at `key`, false if the trusted record that there is
    /// none is. `None`: the store has to be asked. It does no I/O, and counts nothing.
    pub(crate) fn near_contains(&self, key: &str) -> Option<bool> {
        let near = self.near.as_ref()?;
        let values = self.engine.near.values()?;
        // What was written last is held as bytes, beside a value that it took the place of.
        let encoded = values.get(near.encoded(), key);
        if let Some(answer) = encoded.and_then(|entry| self.contained_in(near, key, entry)) {
            return Some(answer);
        }
        let (region, codec) = (near.region.id(), near.codec);
        for _ in 0..MAX_TYPES {
            let mut decoded = values.get_any_decoded(region, codec, key)?;
            if near.region.judge(&mut decoded, key) != Judgement::Outdated && decoded.is_fresh() {
                return self.contained_in(near, key, decoded);
            }
            // Another type may have taken its place. If that is lost instead, it is read anew.
            values.remove_any_decoded(region, codec, key);
        }
        None
    }

    fn contained_in(&self, near: &NearHandle, key: &str, mut entry: NearEntry) -> Option<bool> {
        if !is_valid(near.region.judge(&mut entry, key)) || !entry.is_fresh() {
            return None;
        }
        let (is_value, depends) = match entry.value.bytes() {
            None => (!entry.value.is_absence(), entry.depends().cloned()),
            Some(bytes) => match self.codec.check(key, bytes) {
                Ok(list) => (true, list.map(|list| self.near_dependencies(&list))),
                Err(BadBytes::Absent) => (false, None),
                // The store may have other bytes by now.
                Err(_) => return None,
            },
        };
        match depends {
            Some(depends) if is_value => {
                is_valid(self.judge_dependencies(&depends)).then_some(true)
            }
            // An absence whose dependencies have ended is no value either.
            _ => Some(is_value),
        }
    }
}

fn is_valid(judgement: Judgement) -> bool {
    matches!(judgement, Judgement::Valid | Judgement::ValidAt(_))
}
