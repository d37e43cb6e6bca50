//! Configurations as files write them, and one put over another.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use region_core::Policy;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde_json::Value;
use serde_path_to_error::{Path, Segment, Track};

#[cfg(feature = "redis")]
use super::settings::RedisConfiguration;
use super::settings::{
    CompressionConfiguration, EncryptionConfiguration, NearConfiguration, ReplicaConfiguration,
    StoreConfiguration, TlsConfiguration,
};
use super::{Configuration, address};
use crate::tree::Tree;

/// The settings that are tables.
const TABLES: [&str; 8] =
    ["store", "tls", "redis", "near", "compression", "encryption", "policy", "regions"];

/// A setting that is wrong.
pub(super) struct Fault {
    pub(super) path: String,
    pub(super) why: String,
}

/// The fields that a file can have.
#[derive(Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    root: Option<String>,
    max_refreshes: Option<usize>,
    max_region_stats: Option<usize>,
    store: StoreConfiguration,
    replicas: Vec<ReplicaConfiguration>,
    tls: TlsConfiguration,
    #[cfg(feature = "redis")]
    redis: RedisConfiguration,
    near: NearConfiguration,
    compression: CompressionConfiguration,
    encryption: EncryptionConfiguration,
    policy: Policy,
    regions: BTreeMap<String, Policy>,
}

impl<'de> Deserialize<'de> for Configuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Tree(tree) = Tree::deserialize(deserializer)?;
        of_tree(tree).map_err(|Fault { path, why }| match path.as_str() {
            "." => D::Error::custom(why),
            path => D::Error::custom(format!("{path}: {why}")),
        })
    }
}

/// The configuration that a tree of settings describes.
pub(super) fn of_tree(tree: Value) -> Result<Configuration, Fault> {
    #[cfg(not(feature = "redis"))]
    if tree.get("redis").is_some() {
        let why = "these settings need the feature `redis` of region-cache".to_owned();
        return Err(Fault { path: "redis".to_owned(), why });
    }
    // A file that is empty, as YAML has it.
    let mut tree = if tree.is_null() { Value::Object(serde_json::Map::new()) } else { tree };
    shape(&mut tree)?;
    let mut track = Track::new();
    let fields = Fields::deserialize(serde_path_to_error::Deserializer::new(tree, &mut track));
    match fields {
        Ok(fields) => Ok(Configuration {
            root: fields.root,
            max_refreshes: fields.max_refreshes,
            max_region_stats: fields.max_region_stats,
            store: fields.store,
            replicas: fields.replicas,
            tls: fields.tls,
            #[cfg(feature = "redis")]
            redis: fields.redis,
            near: fields.near,
            compression: fields.compression,
            encryption: fields.encryption,
            policy: fields.policy,
            regions: fields.regions,
            ..Configuration::default()
        }),
        Err(error) => Err(Fault { path: shown(&track.path()), why: error.to_string() }),
    }
}

/// Refuses what is no table where one has to be, since serde's own message would repeat it: it may be a URL with
/// a password. Text in the list of replicas is the URL of one.
fn shape(tree: &mut Value) -> Result<(), Fault> {
    let Value::Object(tables) = tree else { return Err(no_table(".")) };
    for (name, value) in tables {
        match (name.as_str(), value) {
            ("replicas", Value::Array(replicas)) => {
                for (number, replica) in replicas.iter_mut().enumerate() {
                    if replica.is_string() {
                        *replica = serde_json::json!({ "url": replica.take() });
                    }
                    if !replica.is_object() {
                        return Err(no_table(&format!("replicas[{number}]")));
                    }
                }
            }
            ("replicas", _) => {
                let why = "it is not a list, of tables or URLs".to_owned();
                return Err(Fault { path: name.clone(), why });
            }
            ("regions", Value::Object(policies)) => {
                let wrong = policies.iter().find(|(_, policy)| !policy.is_object());
                if let Some((names, _)) = wrong {
                    return Err(no_table(&format!("regions.{}", super::quoted(names))));
                }
            }
            (name, value) if TABLES.contains(&name) && !value.is_object() => {
                return Err(no_table(name));
            }
            ("encryption", Value::Object(settings)) => {
                shape_keys(settings.get_mut("keys").unwrap_or(&mut Value::Null))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The same of the keys of encryption. Text is the key itself.
fn shape_keys(keys: &mut Value) -> Result<(), Fault> {
    let keys = match keys {
        Value::Null => return Ok(()),
        Value::Object(keys) => keys,
        _ => return Err(no_table("encryption.keys")),
    };
    for (id, source) in keys {
        let fault = |why: &str| {
            let path = format!("encryption.keys.{}", super::quoted(id));
            Err(Fault { path, why: why.to_owned() })
        };
        if id.parse::<u32>().is_err() {
            return fault("the id of a key is a number, from 0 to 4294967295");
        }
        if source.is_string() {
            *source = serde_json::json!({ "value": source.take() });
        }
        if !source.is_object() {
            return fault(r#"it is no key: write { file = ".." } or { env = ".." }"#);
        }
    }
    Ok(())
}

fn no_table(path: &str) -> Fault {
    Fault { path: path.to_owned(), why: "it is not a table of settings".to_owned() }
}

/// The path of a setting as files write it: what is no bare word stands in quotes.
fn shown(path: &Path) -> String {
    let mut text = String::new();
    for segment in path.iter() {
        match segment {
            Segment::Seq { index } => text.push_str(&format!("[{index}]")),
            Segment::Map { key } => {
                let dot = if text.is_empty() { "" } else { "." };
                text.push_str(&format!("{dot}{}", super::quoted(key)));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    if text.is_empty() { ".".to_owned() } else { text }
}

impl Configuration {
    /// Returns this configuration with the settings of `other` in the place of its own.
    ///
    /// Setting by setting, and each region's policy too, with three exceptions. The replicas of `other` take
    /// the place of all there are. An address of the store takes the place of the other form: a `url` that of
    /// `host`, `port` and `db`, and a `host` that of `url`. And where `other` names `memory:` by a URL, what
    /// only a server has (credentials, replicas, TLS) is dropped; where it names a server, the bound of
    /// memory's bytes is.
    #[must_use]
    pub fn overridden_by(mut self, other: Self) -> Self {
        self.give_way_to(&other);
        let given = other.given();
        let is_given = |path: &str| {
            given.iter().any(|given| given == path)
                || (!other.replicas.is_empty() && path.starts_with("replicas"))
        };
        self.origins.put_over(other.origins.clone(), is_given);
        let mut regions = self.regions;
        for (names, policy) in other.regions {
            match regions.entry(names) {
                Entry::Occupied(mut outer) => {
                    let merged = policy.within(outer.get());
                    outer.insert(merged);
                }
                Entry::Vacant(free) => {
                    free.insert(policy);
                }
            }
        }
        Self {
            root: other.root.or(self.root),
            max_refreshes: other.max_refreshes.or(self.max_refreshes),
            max_region_stats: other.max_region_stats.or(self.max_region_stats),
            store: other.store.within(self.store),
            replicas: if other.replicas.is_empty() { self.replicas } else { other.replicas },
            tls: other.tls.within(self.tls),
            #[cfg(feature = "redis")]
            redis: other.redis.within(self.redis),
            near: other.near.within(self.near),
            compression: other.compression.within(self.compression),
            encryption: other.encryption.within(self.encryption),
            policy: other.policy.within(&self.policy),
            regions,
            reads_replica: other.reads_replica || self.reads_replica,
            origins: self.origins,
        }
    }

    /// Drops what an address in `other` takes the place of.
    fn give_way_to(&mut self, other: &Self) {
        let (own, new) = (&mut self.store, &other.store);
        if let Some(url) = &new.url {
            (own.host, own.port, own.db) = (None, None, None);
            if let Ok(address::Kind::Memory(_)) = address::Kind::of(url.expose()) {
                *own = StoreConfiguration { max_bytes: own.max_bytes, ..Default::default() };
                self.replicas.clear();
                self.tls = TlsConfiguration::default();
            } else {
                own.max_bytes = None;
            }
        } else if new.host.is_some() {
            own.url = None;
            own.max_bytes = None;
        }
    }

    /// The paths of the settings that are set, but for policies.
    fn given(&self) -> Vec<String> {
        let of = |table: &str, names: Vec<&str>| -> Vec<String> {
            names.into_iter().map(|name| format!("{table}.{name}")).collect()
        };
        let mut given = of("store", self.store.given());
        given.extend(of("tls", self.tls.given()));
        #[cfg(feature = "redis")]
        given.extend(of("redis", self.redis.given()));
        given.extend(of("near", self.near.given()));
        given.extend(of("compression", self.compression.given()));
        given.extend(of("encryption", self.encryption.given()));
        given.extend(self.root.is_some().then(|| "root".to_owned()));
        given
    }
}
