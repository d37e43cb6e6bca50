//! The table of settings. Each is declared once, in [`each_setting`]: its field, default, check,
//! documentation and builder method follow from there.

use std::time::Duration;

use region_core::{Error, ErrorKind, Result};

use super::{Acknowledgement, LONGEST_WAIT, OnInvalidationFailure, OnTimeout, StoreSetting};
use crate::backoff::Backoff;
use crate::server::Server;
use crate::servers::Servers;

/// The most bytes of a value in Redis.
pub(crate) const LARGEST_ENTRY: usize = 512 * 1024 * 1024;

/// Declares [`Settings`] from the table of [`each_setting`].
macro_rules! declare_settings {
    (
        plain { $($(#[doc = $doc:literal])+ $field:ident by $method:ident($value:ident: $taken:ty): $type:ty = $default:expr, $words:literal, $check:path;)* }
        own { $($(#[doc = $own_doc:literal])+ $own:ident ($own_name:literal): $own_type:ty = $own_default:expr, $own_words:literal, $own_check:path;)* }
    ) => {
        /// All settings of a store.
        #[derive(Clone, Debug)]
        pub(crate) struct Settings {
            pub(crate) servers: Servers,
            /// The replicas, if it is not the servers themselves that know them.
            pub(crate) replicas: Vec<Server>,
            #[cfg(feature = "testing")]
            pub(crate) connector: crate::testing::Connector,
            $($(#[doc = $doc])+ pub(crate) $field: $type,)*
            $($(#[doc = $own_doc])+ pub(crate) $own: $own_type,)*
        }

        impl Settings {
            pub(crate) fn new(servers: Servers) -> Self {
                Self {
                    servers,
                    replicas: Vec::new(),
                    #[cfg(feature = "testing")]
                    connector: crate::testing::Connector::default(),
                    $($field: $default,)*
                    $($own: $own_default,)*
                }
            }

            /// Refuses what is out of range.
            pub(crate) fn check(&self) -> Result<()> {
                $($check(stringify!($method), &self.$field)?;)*
                $($own_check($own_name, &self.$own)?;)*
                if self.max_lag < self.watch * 2 {
                    return Err(refuse("max_lag", "must be at least twice as long as watch: every"));
                }
                Ok(())
            }
        }

        /// The rows of the table of settings.
        pub(crate) const ROWS: &[StoreSetting] = &[
            $(StoreSetting {
                name: stringify!($method),
                default: $words,
                summary: concat!($($doc),+).trim_ascii(),
            },)*
            $(StoreSetting {
                name: $own_name,
                default: $own_words,
                summary: concat!($($own_doc),+).trim_ascii(),
            },)*
        ];
    };
}

/// The table of settings, given to the macro `$receiver`. Each has a line of documentation, a field, the
/// name by which the builder knows it, its type, its default, in words too, and a check. Those in `own`
/// have builder methods of another form, which are written by hand.
macro_rules! each_setting {
    ($receiver:ident) => {
        $receiver! {
            plain {
                /// The longest that a call takes, waiting for a connection included.
                call by call_timeout(limit: Duration): Duration = Duration::from_millis(500), "500 ms", wait;
                /// The longest that opening a connection takes.
                connect by connect_timeout(limit: Duration): Duration = Duration::from_secs(1), "1 s", wait;
                /// The action on the connections when a call times out.
                on_timeout by on_timeout(on_timeout: OnTimeout): OnTimeout = OnTimeout::Ask, "`Ask`", any;
                /// The delays between attempts to connect.
                backoff by backoff(backoff: Backoff): Backoff = Backoff::default(), "100 ms, doubled up to 10 s", any;
                /// The most calls that are in flight to one server. Further calls wait for these, within their own
                /// limit; then they fail as [`Overloaded`](region_core::ErrorKind::Overloaded).
                in_flight by max_in_flight(calls: usize): usize = 8192, "8192", permits;
                /// The size in bytes at which an entry is large: it goes over a separate connection, so that small
                /// entries need not wait behind it.
                large by large_entries(bytes: usize): usize = 64 * 1024, "64 KiB", some_bytes;
                /// The most bytes an entry may have; the server takes up to 512 MiB.
                max_entry by max_entry_bytes(bytes: usize): usize = 64 * 1024 * 1024, "64 MiB", entry_bytes;
                /// The longest replica lag; a replica that lags longer is not read from, and what was read from it is not
                /// trusted any more.
                max_lag by max_lag(lag: Duration): Duration = Duration::from_secs(5), "5 s", wait;
                /// The action on an invalidation that cannot reach the server.
                on_invalidation_failure by on_invalidation_failure(on_failure: OnInvalidationFailure): OnInvalidationFailure = OnInvalidationFailure::Error, "`Error`", any;
                /// The most regions whose invalidations are queued; when the queue is full, further invalidations
                /// fail.
                queue by max_queued(regions: usize): usize = 10_000, "10,000", any;
                /// The name that the connections show in the server's `CLIENT LIST`.
                client_name by client_name(name: impl Into<String>): String = "region-cache".to_owned(), "`region-cache`", visible;
            }
            own {
                /// The time between two requests for a sign of life from each connection.
                watch ("watch: every"): Duration = Duration::from_millis(500), "500 ms", wait;
                /// The longest that a connection may show no sign of life when it is asked for one.
                silence ("watch: silence"): Duration = Duration::from_millis(500), "500 ms", wait;
                /// The number of replicas that each invalidation waits for, and the longest that it waits.
                acknowledgement ("wait_for_replicas"): Option<Acknowledgement> = None, "none", acknowledged;
                /// The reclaimer: a task that frees what invalidations leave behind.
                reclaim ("without_reclaimer"): bool = true, "it does", any;
            }
        }
    };
}

pub(crate) use each_setting;

each_setting!(declare_settings);

fn refuse(name: &str, why: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, format!("the setting {name} {why}"))
}

fn any<T>(_: &str, _: &T) -> Result<()> {
    Ok(())
}

fn wait(name: &str, wait: &Duration) -> Result<()> {
    if (Duration::from_millis(1)..=LONGEST_WAIT).contains(wait) {
        return Ok(());
    }
    Err(refuse(name, &format!("is {wait:?}: it must be from 1 ms to {LONGEST_WAIT:?}")))
}

fn acknowledged(name: &str, wanted: &Option<Acknowledgement>) -> Result<()> {
    wanted.map_or(Ok(()), |wanted| wait(name, &wanted.within))
}

fn permits(name: &str, calls: &usize) -> Result<()> {
    if (1..=tokio::sync::Semaphore::MAX_PERMITS).contains(calls) {
        return Ok(());
    }
    Err(refuse(name, "must be from 1 to what a semaphore holds"))
}

fn some_bytes(name: &str, bytes: &usize) -> Result<()> {
    if *bytes > 0 { Ok(()) } else { Err(refuse(name, "must not be 0 bytes")) }
}

fn entry_bytes(name: &str, bytes: &usize) -> Result<()> {
    if (1..=LARGEST_ENTRY).contains(bytes) {
        return Ok(());
    }
    Err(refuse(name, "must be from 1 byte to 512 MiB"))
}

fn visible(name: &str, text: &str) -> Result<()> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(refuse(name, "must be of visible ASCII characters, without spaces"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of the table say what the defaults are.
    #[test]
    fn the_words_for_the_defaults_are_true() {
        let settings = Settings::new(Servers::parse("redis://h").unwrap());
        let millis = |millis| Duration::from_millis(millis);
        let actual = [
            ("call_timeout", settings.call == millis(500), "500 ms"),
            ("connect_timeout", settings.connect == millis(1000), "1 s"),
            ("max_in_flight", settings.in_flight == 8192, "8192"),
            ("large_entries", settings.large == 64 * 1024, "64 KiB"),
            ("max_entry_bytes", settings.max_entry == 64 * 1024 * 1024, "64 MiB"),
            ("max_lag", settings.max_lag == millis(5000), "5 s"),
            ("max_queued", settings.queue == 10_000, "10,000"),
            ("watch: every", settings.watch == millis(500), "500 ms"),
            ("watch: silence", settings.silence == millis(500), "500 ms"),
        ];
        for (name, is_so, words) in actual {
            let row = ROWS.iter().find(|row| row.name == name).unwrap();
            assert!(is_so && row.default == words, "{row:?}");
        }
        assert!(settings.check().is_ok());
    }
}
