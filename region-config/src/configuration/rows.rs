//! The list of settings, with their environment variables.

use region_core::{Policy, PolicySettingKind};

use super::Configuration;

/// The beginning of the names of all environment variables.
pub(super) const PREFIX: &str = "REGION_CACHE_";

/// The environment variable with the URL of the store.
pub const URL_VARIABLE: &str = "REGION_CACHE_URL";

/// A setting of a [`Configuration`], for documentation and tools.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigurationSetting {
    /// The environment variable.
    pub variable: String,
    /// The path of the setting in a file. Some variables set two; one that is refused sets none.
    pub paths: Vec<String>,
    /// The form of the variable's value.
    pub form: &'static str,
    pub(super) kind: Kind,
}

/// The kinds of values of environment variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// As in a file: names, durations, sizes and words.
    Text,
    Number,
    /// A number that may be negative.
    Integer,
    Switch,
    /// A duration, which without a unit is a number of seconds.
    Seconds,
    /// A switch that chooses between two words.
    Words {
        on: &'static str,
        off: &'static str,
    },
    /// URLs of replicas, with commas between them.
    Urls,
    /// A table in JSON: all of it, or its single settings.
    Table,
    Settings,
    /// There is no such setting, for this reason.
    Refused(&'static str),
}

impl Kind {
    fn form(self) -> &'static str {
        match self {
            Self::Text => "as in a file",
            Self::Number | Self::Integer => "number",
            Self::Switch | Self::Words { .. } => "true or false",
            Self::Seconds => "duration, or a number of seconds",
            Self::Urls => "URLs, with commas between them",
            Self::Table | Self::Settings => "table, in JSON",
            Self::Refused(_) => "refused",
        }
    }
}

/// The variables but for those of policies, each without the prefix.
const ROWS: &[(&str, &[&str], Kind)] = &[
    ("ROOT", &["root"], Kind::Text),
    ("MAX_REFRESHES", &["max_refreshes"], Kind::Number),
    ("MAX_REGION_STATS", &["max_region_stats"], Kind::Number),
    ("URL", &["store.url"], Kind::Text),
    ("HOST", &["store.host"], Kind::Text),
    ("PORT", &["store.port"], Kind::Number),
    ("DB", &["store.db"], Kind::Number),
    ("USER", &["store.user"], Kind::Text),
    ("PASSWORD", &["store.password"], Kind::Text),
    ("SENTINEL_USER", &["store.sentinel_user"], Kind::Text),
    ("SENTINEL_PASSWORD", &["store.sentinel_password"], Kind::Text),
    ("MAX_BYTES", &["store.max_bytes"], Kind::Text),
    ("REPLICAS", &["replicas"], Kind::Urls),
    ("RR_URL", &["replicas[0].url"], Kind::Text),
    ("RR_HOST", &["replicas[0].host"], Kind::Text),
    ("RR_PORT", &["replicas[0].port"], Kind::Number),
    ("RR_DB", &["replicas[0].db"], Kind::Number),
    ("RR_USER", &["replicas[0].user"], Kind::Text),
    ("RR_PASSWORD", &["replicas[0].password"], Kind::Text),
    ("TLS", &["tls.enabled"], Kind::Switch),
    ("TLS_CA_FILE", &["tls.ca_file"], Kind::Text),
    ("TLS_CA_PEM", &["tls.ca_pem"], Kind::Text),
    ("TLS_CERT_FILE", &["tls.cert_file"], Kind::Text),
    ("TLS_CERT_PEM", &["tls.cert_pem"], Kind::Text),
    ("TLS_KEY_FILE", &["tls.key_file"], Kind::Text),
    ("TLS_KEY_PEM", &["tls.key_pem"], Kind::Text),
    ("TLS_SERVER_NAME", &["tls.server_name"], Kind::Text),
    ("CALL_TIMEOUT", &["redis.call_timeout"], Kind::Text),
    ("OP_TIMEOUT", &["redis.call_timeout"], Kind::Seconds),
    ("CONNECT_TIMEOUT", &["redis.connect_timeout"], Kind::Text),
    ("ON_TIMEOUT", &["redis.on_timeout"], Kind::Text),
    ("OP_TIMEOUT_RECONNECT", &["redis.on_timeout"], Kind::Words { on: "drop", off: "ask" }),
    ("BACKOFF_FIRST", &["redis.backoff_first"], Kind::Text),
    ("BACKOFF_LONGEST", &["redis.backoff_longest"], Kind::Text),
    ("RECONNECT_BACKOFF", &["redis.backoff_first", "redis.backoff_longest"], Kind::Seconds),
    ("MAX_IN_FLIGHT", &["redis.max_in_flight"], Kind::Number),
    ("LARGE_ENTRIES", &["redis.large_entries"], Kind::Text),
    ("MAX_ENTRY_BYTES", &["redis.max_entry_bytes"], Kind::Text),
    ("MAX_LAG", &["redis.max_lag"], Kind::Text),
    ("ON_INVALIDATION_FAILURE", &["redis.on_invalidation_failure"], Kind::Text),
    ("MAX_QUEUED", &["redis.max_queued"], Kind::Number),
    ("CLIENT_NAME", &["redis.client_name"], Kind::Text),
    ("WATCH_EVERY", &["redis.watch_every"], Kind::Text),
    ("WATCH_SILENCE", &["redis.watch_silence"], Kind::Text),
    ("WAIT_FOR_REPLICAS", &["redis.wait_for_replicas"], Kind::Number),
    ("WAIT_FOR_REPLICAS_WITHIN", &["redis.wait_for_replicas_within"], Kind::Text),
    ("RECLAIM", &["redis.reclaim"], Kind::Switch),
    ("REDIS_OPTIONS", &["redis"], Kind::Settings),
    (
        "REDIS_ARGS",
        &[],
        Kind::Refused(
            "arguments without names are a Python client's; name each in REGION_CACHE_REDIS_OPTIONS",
        ),
    ),
    ("NEAR_BYTES", &["near.bytes"], Kind::Text),
    ("COMPRESSION", &["compression.algorithm"], Kind::Text),
    ("COMPRESSION_LEVEL", &["compression.level"], Kind::Integer),
    ("COMPRESSION_ABOVE", &["compression.above"], Kind::Text),
    ("COMPRESSION_MAX_SIZE", &["compression.max_size"], Kind::Text),
    ("COMPRESSION_MAX_RATIO", &["compression.max_ratio"], Kind::Number),
    ("ENCRYPTION_CURRENT", &["encryption.current"], Kind::Number),
    ("ENCRYPTION_KEYS", &["encryption.keys"], Kind::Table),
    ("OP_TIMEOUT_RAISE", &["policy.on_outage"], Kind::Words { on: "error", off: "miss" }),
    ("REGIONS", &["regions"], Kind::Table),
];

impl Configuration {
    /// Returns every environment variable, and the settings that it sets.
    ///
    /// ```
    /// use region_config::Configuration;
    ///
    /// let settings = Configuration::settings();
    /// let timeout = settings.iter().find(|setting| setting.variable == "REGION_CACHE_CALL_TIMEOUT");
    /// assert_eq!(timeout.unwrap().paths, ["redis.call_timeout"]);
    /// ```
    #[must_use]
    pub fn settings() -> Vec<ConfigurationSetting> {
        let fixed = ROWS.iter().map(|(name, paths, kind)| {
            let paths = paths.iter().map(|path| (*path).to_owned()).collect();
            setting(name, paths, *kind)
        });
        let of_policies = Policy::SETTINGS.iter().map(|of_policy| {
            let kind = match of_policy.kind {
                PolicySettingKind::Number => Kind::Number,
                _ => Kind::Text,
            };
            let paths = vec![format!("policy.{}", of_policy.name)];
            setting(&of_policy.name.to_ascii_uppercase(), paths, kind)
        });
        fixed.chain(of_policies).collect()
    }
}

fn setting(name: &str, paths: Vec<String>, kind: Kind) -> ConfigurationSetting {
    ConfigurationSetting { variable: format!("{PREFIX}{name}"), paths, form: kind.form(), kind }
}

#[cfg(test)]
mod tests {
    use super::super::settings::{
        CompressionConfiguration, EncryptionConfiguration, NearConfiguration, StoreConfiguration,
        TlsConfiguration,
    };
    use super::*;

    /// A setting that is added to a table needs a variable, and no two variables have one name.
    #[test]
    fn every_setting_has_one_variable() {
        let settings = Configuration::settings();
        let mut expected: Vec<String> = Vec::new();
        let mut add = |table: &str, names: &[&str]| {
            expected.extend(names.iter().map(|name| format!("{table}.{name}")));
        };
        add("store", StoreConfiguration::NAMES);
        add("tls", TlsConfiguration::NAMES);
        add("near", NearConfiguration::NAMES);
        add("compression", CompressionConfiguration::NAMES);
        add("encryption", EncryptionConfiguration::NAMES);
        #[cfg(feature = "redis")]
        add("redis", super::super::settings::RedisConfiguration::NAMES);
        for path in expected {
            assert!(settings.iter().any(|setting| setting.paths.contains(&path)), "{path}");
        }
        let mut names: Vec<_> = settings.iter().map(|setting| &setting.variable).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), settings.len());
    }

    /// A setting that is added to the store's builder needs one here.
    #[cfg(feature = "redis")]
    #[test]
    fn every_setting_of_the_store_has_one_here() {
        for setting in region_redis::RedisStoreBuilder::SETTINGS {
            let path = super::super::build::path_of(setting.name);
            let name = path.strip_prefix("redis.").unwrap();
            assert!(super::super::settings::RedisConfiguration::NAMES.contains(&name), "{path}");
        }
    }
}
