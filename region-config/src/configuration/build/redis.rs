//! The builder of a store on Redis or Valkey.

use std::time::Duration;

use region_core::{Error, ErrorKind, Result};
use region_redis::{Backoff, RedisStore, RedisStoreBuilder};

use super::super::Configuration;
use super::super::address;
use super::super::check::Address;
use super::super::settings::ReplicaConfiguration;

/// The default of both times of [`RedisStoreBuilder::watch`].
const DEFAULT_WATCH: Duration = Duration::from_millis(500);

/// The words that the store's errors about a setting begin with, before its name.
const OF_SETTING: &str = "the setting ";

/// The settings here whose names the store has not.
const OTHER_NAMES: [(&str, &str); 5] = [
    ("backoff", "redis.backoff_first"),
    ("wait_for_replicas", "redis.wait_for_replicas_within"),
    ("watch: every", "redis.watch_every"),
    ("watch: silence", "redis.watch_silence"),
    ("without_reclaimer", "redis.reclaim"),
];

/// Passes each setting that is set to the builder's method of its name.
macro_rules! pass_on {
    ($builder:ident, $settings:ident: $($name:ident)*) => {
        $(if let Some(value) = $settings.$name {
            $builder = $builder.$name(value);
        })*
    };
}

impl Configuration {
    pub(in crate::configuration) fn redis_builder(&self) -> Result<RedisStoreBuilder> {
        let Address::Servers { url, .. } = self.address()? else {
            let why = "it names the store in this process, and a server is asked for";
            return Err(self.refuse("store.url", why));
        };
        let builder = RedisStore::builder(&url)
            .map_err(|error| self.refuse(self.url_path(), &error.to_string()))?;
        let builder = self.with_replicas(self.with_credentials(builder)?)?;
        let builder = self.with_limits(self.with_tls(builder)?)?;
        builder.check().map_err(|error| self.named(&error))?;
        Ok(builder)
    }

    fn with_credentials(&self, mut builder: RedisStoreBuilder) -> Result<RedisStoreBuilder> {
        let store = &self.store;
        if let Some(password) = &store.password {
            let set = builder.credentials(store.user.as_deref(), password.expose());
            builder = set.map_err(|error| {
                let why = format!("{error} (the URL is {})", self.url_name());
                self.refuse("store.password", &why)
            })?;
        }
        if let Some(password) = &store.sentinel_password {
            let set =
                builder.sentinel_credentials(store.sentinel_user.as_deref(), password.expose());
            builder =
                set.map_err(|error| self.refuse("store.sentinel_password", &error.to_string()))?;
        }
        Ok(builder)
    }

    fn with_replicas(&self, mut builder: RedisStoreBuilder) -> Result<RedisStoreBuilder> {
        for (number, replica) in self.replicas.iter().enumerate() {
            let at = format!("replicas[{number}]");
            let url = self.replica_url(&at, replica)?;
            let added = match &replica.password {
                Some(password) => builder.replica_with_credentials(
                    &url,
                    replica.user.as_deref(),
                    password.expose(),
                ),
                None => builder.replica(&url),
            };
            builder = added.map_err(|error| {
                let field = if replica.host.is_some() { "host" } else { "url" };
                self.refuse(&format!("{at}.{field}"), &error.to_string())
            })?;
        }
        Ok(builder)
    }

    /// The URL of a replica, at this path.
    fn replica_url(&self, at: &str, replica: &ReplicaConfiguration) -> Result<String> {
        let refuse = |field: &str, why: &str| Err(self.refuse(&format!("{at}.{field}"), why));
        if replica.user.is_some() && replica.password.is_none() {
            return refuse("user", "there is no password for it");
        }
        match (&replica.url, &replica.host) {
            (Some(_), Some(_)) => refuse("host", "the replica is named by its url already"),
            (Some(_), None) if replica.port.is_some() || replica.db.is_some() => {
                refuse("url", "port and db are part of it: set neither apart")
            }
            (Some(url), None) => Ok(url.expose().to_owned()),
            (None, None) => refuse("host", "is not set, nor is url"),
            (None, Some(_)) if replica.port.is_none() => {
                refuse("port", "is not set, and the port of a replica has no default")
            }
            (None, Some(host)) => {
                let db = replica.db.or(self.store.db);
                address::url(self.asks_for_tls(), host, replica.port, db)
                    .map_err(|why| self.refuse(&format!("{at}.host"), &why))
            }
        }
    }

    #[cfg(feature = "tls")]
    fn with_tls(&self, builder: RedisStoreBuilder) -> Result<RedisStoreBuilder> {
        use region_redis::Tls;

        if self.first_of_tls().is_none() {
            return Ok(builder);
        }
        let (given, mut tls) = (&self.tls, Tls::new());
        if let Some(file) = &given.ca_file {
            tls = tls.ca_file(file);
        }
        if let Some(text) = &given.ca_pem {
            tls = tls.ca_pem(text.as_str());
        }
        if let (Some(cert), Some(key)) = (&given.cert_file, &given.key_file) {
            tls = tls.client_files(cert, key);
        }
        if let (Some(cert), Some(key)) = (&given.cert_pem, &given.key_pem) {
            tls = tls.client_pem(cert.as_str(), key.expose());
        }
        if let Some(name) = &given.server_name {
            tls = tls.server_name(name);
        }
        Ok(builder.tls(tls))
    }

    #[cfg(not(feature = "tls"))]
    fn with_tls(&self, builder: RedisStoreBuilder) -> Result<RedisStoreBuilder> {
        match self.first_of_tls() {
            None => Ok(builder),
            Some(path) => Err(self.refuse(&path, "it needs the feature `tls` of region-cache")),
        }
    }

    fn with_limits(&self, mut builder: RedisStoreBuilder) -> Result<RedisStoreBuilder> {
        let limits = &self.redis;
        pass_on!(builder, limits: call_timeout connect_timeout on_timeout max_in_flight max_lag
            on_invalidation_failure max_queued);
        if let Some(name) = &limits.client_name {
            builder = builder.client_name(name);
        }
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        if let Some(large) = limits.large_entries {
            builder = builder.large_entries(bytes(large));
        }
        if let Some(most) = limits.max_entry_bytes {
            builder = builder.max_entry_bytes(bytes(most));
        }
        if limits.backoff_first.is_some() || limits.backoff_longest.is_some() {
            builder = builder.backoff(self.backoff()?);
        }
        if limits.watch_every.is_some() || limits.watch_silence.is_some() {
            let silence = limits.watch_silence.unwrap_or(DEFAULT_WATCH);
            builder = builder.watch(limits.watch_every.unwrap_or(DEFAULT_WATCH), silence);
        }
        if limits.reclaim == Some(false) {
            builder = builder.without_reclaimer();
        }
        let missing = match (limits.wait_for_replicas, limits.wait_for_replicas_within) {
            (None, None) => return Ok(builder),
            (Some(replicas), Some(within)) => {
                return Ok(builder.wait_for_replicas(replicas, within));
            }
            (Some(_), None) => ("redis.wait_for_replicas", "redis.wait_for_replicas_within"),
            (None, Some(_)) => ("redis.wait_for_replicas_within", "redis.wait_for_replicas"),
        };
        Err(self.refuse(missing.0, &format!("it needs {}, which is not set", missing.1)))
    }

    fn backoff(&self) -> Result<Backoff> {
        let (limits, default) = (&self.redis, Backoff::default());
        let first = limits.backoff_first.unwrap_or(default.first());
        let longest = limits.backoff_longest.unwrap_or(default.longest());
        let path = match limits.backoff_first {
            Some(_) => "redis.backoff_first",
            None => "redis.backoff_longest",
        };
        Backoff::new(first, longest).map_err(|error| self.refuse(path, &error.to_string()))
    }

    /// An error of the store, which names a setting as its builder does, with the setting's name here.
    pub(super) fn named(&self, error: &Error) -> Error {
        let text = error.to_string();
        if error.kind() != ErrorKind::InvalidConfig {
            return error.clone();
        }
        if let Some(rest) = text.strip_prefix(OF_SETTING) {
            let names = RedisStoreBuilder::SETTINGS.iter().map(|setting| setting.name);
            // Of two names of which one begins with the other, the longer one.
            let name = names.filter(|name| rest.starts_with(name)).max_by_key(|name| name.len());
            if let Some(name) = name {
                return self.refuse(&path_of(name), &text);
            }
        }
        if text.starts_with("TLS") {
            let path = self.first_of_tls().unwrap_or_else(|| self.url_path().to_owned());
            return self.refuse(&path, &text);
        }
        error.clone()
    }
}

/// The path of the setting that the store's builder calls `name`.
pub(in crate::configuration) fn path_of(name: &str) -> String {
    match OTHER_NAMES.iter().find(|(other, _)| *other == name) {
        Some((_, path)) => (*path).to_owned(),
        None => format!("redis.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_of_watch_is_the_stores() {
        let builder = || RedisStore::builder("redis://h").unwrap();
        let set = builder().watch(DEFAULT_WATCH, DEFAULT_WATCH);
        assert_eq!(format!("{set:?}"), format!("{:?}", builder()));
    }

    #[test]
    fn errors_of_the_store_get_the_names_of_settings_here() {
        let mut configuration = Configuration::of_url("redis://h");
        configuration.redis.watch_every = Some(Duration::ZERO);
        let error = configuration.check().unwrap_err().to_string();
        assert!(error.starts_with("redis.watch_every: the setting watch: every is 0ns"), "{error}");
        configuration.redis.watch_every = None;
        configuration.redis.max_entry_bytes = Some(u64::MAX);
        let error = configuration.check().unwrap_err().to_string();
        assert!(error.starts_with("redis.max_entry_bytes: the setting"), "{error}");
    }
}
