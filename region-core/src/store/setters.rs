//! The builder methods that several terms, and several answers, have in common.

/// Writes the named builder methods for a type. Each sets the field of its name.
macro_rules! setters {
    (lineage) => {
        /// Sets the region's lineage.
        #[must_use]
        #[inline]
        pub fn lineage(mut self, lineage: Option<crate::lineage::Lineage>) -> Self {
            self.lineage = lineage;
            self
        }
    };
    (changes) => {
        /// Sets the last changes of the region's entries.
        #[must_use]
        #[inline]
        pub fn changes(mut self, changes: Option<super::ChangeRing>) -> Self {
            self.changes = changes;
            self
        }
    };
    (source) => {
        /// Sets the connection that will tell of changes.
        #[must_use]
        #[inline]
        pub fn source(mut self, source: Option<super::Source>) -> Self {
            self.source = source;
            self
        }
    };
    (trust) => {
        /// Says if the caller keeps the answer and trusts it later.
        #[must_use]
        #[inline]
        pub const fn trust(mut self, trust: super::Trust) -> Self {
            self.trust = trust;
            self
        }
    };
    (started) => {
        /// Sets the time at which the operation began that the call is a part of.
        #[must_use]
        #[inline]
        pub const fn started(mut self, started: tokio::time::Instant) -> Self {
            self.started = Some(started);
            self
        }
    };
    ($($setter:ident),+) => {
        $(setters!($setter);)+
    };
}
