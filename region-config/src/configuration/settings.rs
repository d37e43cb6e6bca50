//! The tables of settings.

use std::collections::BTreeMap;
use std::path::PathBuf;
#[cfg(feature = "redis")]
use std::time::Duration;

#[cfg(feature = "redis")]
use region_redis::{OnInvalidationFailure, OnTimeout};
use serde::{Deserialize, Deserializer};

use crate::secret::Secret;
use crate::size::Size;

/// Declares a table of settings, each of which may be left out.
macro_rules! table {
    (
        $(#[doc = $doc:literal])+
        $name:ident { $($(#[doc = $field_doc:literal])+ $(#[serde($($serde:tt)+)])? $field:ident: $type:ty;)* }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[doc = $field_doc])+ $(#[serde($($serde)+)])? pub $field: Option<$type>,)*
        }

        impl $name {
            /// Takes what is left out here from `outer`.
            pub(super) fn within(self, outer: Self) -> Self {
                Self { $($field: self.$field.or(outer.$field),)* }
            }

            /// The names of the settings that are set.
            pub(super) fn given(&self) -> Vec<&'static str> {
                let all = [$((stringify!($field), self.$field.is_some()),)*];
                all.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name).collect()
            }

            /// The names of all settings.
            #[cfg(test)]
            pub(super) const NAMES: &'static [&'static str] = &[$(stringify!($field),)*];
        }
    };
}

table! {
    /// The store: its address, by `url` or by `host`, and the credentials for it.
    StoreConfiguration {
        /// The URL of the store, in any form that [`RegionCacheExt`](crate::RegionCacheExt) lists.
        url: Secret;
        /// The host of a server, instead of `url`. Default: `localhost` if `port` or `db` is set.
        host: String;
        /// The port of a server. Default: 6379.
        port: u16;
        /// The number of the database. Default: 0.
        db: u32;
        /// The user, where it is not part of the URL. Default: the server's default user.
        user: String;
        /// The password, where it is not part of the URL.
        password: Secret;
        /// The user for the sentinels, where it is not part of the URL.
        sentinel_user: String;
        /// The password for the sentinels, where it is not part of the URL.
        sentinel_password: Secret;
        /// About how many bytes the entries of `memory:` may take. Default: no bound.
        #[serde(deserialize_with = "bytes")] max_bytes: u64;
    }
}

/// A read replica: its address, by `url` or by `host` and `port`, and the credentials for it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ReplicaConfiguration {
    /// The URL of the replica.
    pub url: Option<Secret>,
    /// The host of the replica, instead of `url`.
    pub host: Option<String>,
    /// The port of the replica, which has no default.
    pub port: Option<u16>,
    /// The number of the database. Default: that of the store, where that is named by `host`.
    pub db: Option<u32>,
    /// The user, where it is not part of the URL.
    pub user: Option<String>,
    /// The password, where it is not part of the URL.
    pub password: Option<Secret>,
}

table! {
    /// Connections over TLS, for all servers whose URL says no more of it.
    TlsConfiguration {
        /// Connections to a `host` are over TLS. Default: true if any other setting of this table is set.
        enabled: bool;
        /// The file of the authorities that are trusted. Default: those of the system.
        ca_file: PathBuf;
        /// The content of such a file.
        ca_pem: String;
        /// The file of the certificate that this client shows.
        cert_file: PathBuf;
        /// The content of such a file.
        cert_pem: String;
        /// The file of the certificate's private key.
        key_file: PathBuf;
        /// The content of such a file.
        key_pem: Secret;
        /// The name that a server's certificate has to have. Default: the host of its URL.
        server_name: String;
    }
}

table! {
    /// The near cache. [`Policy::near`](region_core::Policy::near) switches regions on or off.
    NearConfiguration {
        /// About how many bytes decoded values may take in this process; switches the near cache on. See
        /// [`RegionCacheBuilder::near`](region_core::RegionCacheBuilder::near).
        #[serde(deserialize_with = "bytes")] bytes: u64;
    }
}

#[cfg(feature = "redis")]
table! {
    /// The limits of a `RedisStore`, and what else its builder can set. Each setting is as the builder's method of
    /// its name says, and has its default.
    RedisConfiguration {
        /// The longest that a call takes.
        #[serde(deserialize_with = "duration")] call_timeout: Duration;
        /// The longest that opening a connection takes.
        #[serde(deserialize_with = "duration")] connect_timeout: Duration;
        /// The action on the connections when a call times out: `ask` or `drop`.
        on_timeout: OnTimeout;
        /// The first delay between attempts to connect.
        #[serde(deserialize_with = "duration")] backoff_first: Duration;
        /// The longest delay between attempts to connect.
        #[serde(deserialize_with = "duration")] backoff_longest: Duration;
        /// The most calls that are in flight to one server.
        max_in_flight: usize;
        /// The size at which an entry is large.
        #[serde(deserialize_with = "bytes")] large_entries: u64;
        /// The most bytes an entry may have.
        #[serde(deserialize_with = "bytes")] max_entry_bytes: u64;
        /// The longest lag of a replica that is read from.
        #[serde(deserialize_with = "duration")] max_lag: Duration;
        /// The action on an invalidation that cannot reach the server: `error` or `queue`.
        on_invalidation_failure: OnInvalidationFailure;
        /// The most regions whose invalidations are queued.
        max_queued: usize;
        /// The name of the connections in the server's `CLIENT LIST`.
        client_name: String;
        /// The time between two requests for a sign of life from each connection.
        #[serde(deserialize_with = "duration")] watch_every: Duration;
        /// The longest that a connection may show no sign of life.
        #[serde(deserialize_with = "duration")] watch_silence: Duration;
        /// The number of replicas that each invalidation waits for; needs `wait_for_replicas_within`.
        wait_for_replicas: u32;
        /// The longest that an invalidation waits for replicas.
        #[serde(deserialize_with = "duration")] wait_for_replicas_within: Duration;
        /// Says if this process frees the memory of invalidated regions. Default: true.
        reclaim: bool;
    }
}

/// An algorithm of compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Compression {
    /// Nothing is compressed.
    Off,
    /// Zstandard: the smallest values (feature `zstd`).
    Zstd,
    /// LZ4: the least time (feature `lz4`).
    Lz4,
}

table! {
    /// The compression of all values, whatever the format of their region:
    /// [`Compressed`](https://docs.rs/region-core/latest/region_core/struct.Compressed.html).
    CompressionConfiguration {
        /// The algorithm. Default: nothing is compressed. It can be changed: earlier values are still read.
        algorithm: Compression;
        /// The level of `zstd`, from 1, the fastest, to 22; negative ones are faster still. Default: 1.
        level: i32;
        /// The size from which values are compressed. Default: 1 KiB.
        #[serde(deserialize_with = "bytes")] above: u64;
        /// The largest size of a value before it is compressed. Default: 64 MiB.
        #[serde(deserialize_with = "bytes")] max_size: u64;
        /// The most bytes that one compressed byte may become. Default: 256.
        max_ratio: u32;
    }
}

/// The place of a key of encryption: 32 bytes, which text says in 64 hexadecimal digits or in Base64.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeySource {
    /// A file with the key: its 32 bytes, or text. It is read when the cache is built.
    File(PathBuf),
    /// The environment variable with the text. Its name must not begin with `REGION_CACHE_`.
    Env(String),
    /// The text itself.
    Value(Secret),
}

table! {
    /// The encryption of all values, whatever the format of their region, bound to region and key of the entry:
    /// [`Encrypted`](https://docs.rs/region-core/latest/region_core/struct.Encrypted.html).
    EncryptionConfiguration {
        /// The id of the key that writes. Default: that of the only key.
        current: u32;
        /// The keys by their ids. All of them read.
        keys: BTreeMap<u32, KeySource>;
    }
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(Option::<Size>::deserialize(deserializer)?.map(|Size(bytes)| bytes))
}

#[cfg(feature = "redis")]
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    #[derive(Deserialize)]
    struct Given(#[serde(deserialize_with = "region_core::human::duration")] Duration);

    Ok(Option::<Given>::deserialize(deserializer)?.map(|Given(duration)| duration))
}
