use hashbrown::HashMap;
use region_core::{Lease, LeaseTerms, LeaseToken, Lineage, TakeLease, Timestamp};

/// Void leases are looked for once there are this many, and again when the number has doubled.
const FIRST_CLEANUP: usize = 64;

/// The leases of one region's keys.
#[derive(Clone)]
pub(crate) struct Leases {
    held: HashMap<Box<str>, Held>,
    cleanup_at: usize,
}

#[derive(Clone)]
struct Held {
    token: LeaseToken,
    until: Timestamp,
    lineage: Lineage,
}

impl Held {
    fn is_live(&self, lineage: &Lineage, now: Timestamp) -> bool {
        self.until > now && self.lineage == *lineage
    }
}

impl Leases {
    pub(crate) fn new() -> Self {
        Self { held: HashMap::new(), cleanup_at: FIRST_CLEANUP }
    }

    /// Takes or extends the lease of `key` as `terms` say.
    pub(crate) fn take(
        &mut self,
        key: &str,
        terms: LeaseTerms,
        lineage: &Lineage,
        now: Timestamp,
        is_fresh: bool,
    ) -> Lease {
        let until = now.saturating_add(terms.duration);
        let live = self.held.get_mut(key).filter(|held| held.is_live(lineage, now));
        match live {
            Some(held) if held.token == terms.token => {
                held.until = until;
                return Lease::Granted;
            }
            Some(held) if !(is_fresh && terms.take == TakeLease::UnlessFresh) => {
                return Lease::Held { by: held.token, left: held.until.since(now) };
            }
            _ => {}
        }
        match terms.take {
            TakeLease::Extend => return Lease::NotTaken,
            TakeLease::UnlessFresh if is_fresh => return Lease::NotTaken,
            TakeLease::UnlessFresh | TakeLease::Always => {}
        }
        self.clean_up(lineage, now);
        let held = Held { token: terms.token, until, lineage: lineage.clone() };
        self.held.insert(key.into(), held);
        Lease::Granted
    }

    /// Returns true if `token` holds the lease of `key`.
    pub(crate) fn is_held(
        &self,
        key: &str,
        token: LeaseToken,
        lineage: &Lineage,
        now: Timestamp,
    ) -> bool {
        self.held.get(key).is_some_and(|held| held.token == token && held.is_live(lineage, now))
    }

    pub(crate) fn void(&mut self, key: &str) {
        if !self.held.is_empty() {
            self.held.remove(key);
        }
    }

    /// Drops the lease of `key` if `token` holds it; then returns true.
    pub(crate) fn release(&mut self, key: &str, token: LeaseToken) -> bool {
        let is_held = self.held.get(key).is_some_and(|held| held.token == token);
        if is_held {
            self.held.remove(key);
        }
        is_held
    }

    pub(crate) fn clear(&mut self) {
        if self.held.capacity() > 0 {
            *self = Self::new();
        }
    }

    /// Returns true if no lease is live.
    pub(crate) fn is_empty_at(&self, lineage: &Lineage, now: Timestamp) -> bool {
        !self.held.values().any(|held| held.is_live(lineage, now))
    }

    fn clean_up(&mut self, lineage: &Lineage, now: Timestamp) {
        if self.held.len() >= self.cleanup_at {
            self.held.retain(|_, held| held.is_live(lineage, now));
            self.cleanup_at = FIRST_CLEANUP.max(self.held.len() * 2);
        }
    }
}
