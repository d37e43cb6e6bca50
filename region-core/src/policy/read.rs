//! Policies as configuration files write them.

use serde::de::{Deserialize, Deserializer, Error};

use super::setting::{Limit, Percent, Positive, Setting, Window};
use crate::human;

/// Refuses a value out of range. A reader of settings knows which one it is.
fn checked<S: Setting, E: Error>(setting: S) -> Result<S, E> {
    match setting.fault("the value") {
        None => Ok(setting),
        Some(fault) => Err(E::custom(fault)),
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        checked(human::limit(deserializer)?.map_or(Self::Unlimited, Self::For))
    }
}

impl<'de> Deserialize<'de> for Positive {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        checked(Self(human::duration(deserializer)?))
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        checked(Self(human::duration(deserializer)?))
    }
}

impl<'de, const LEAST: u32, const GREATEST: u32> Deserialize<'de> for Percent<LEAST, GREATEST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        checked(Self(u32::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use crate::policy::{
        EntryAge, NearCache, OnOutage, OnStale, OnUpdate, Policy, PolicySettingKind,
    };
    use crate::store::ReadFrom;

    fn read(value: Value) -> Result<Policy, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn every_setting_is_read_as_its_method_sets_it() {
        let second = Duration::from_secs(1);
        for (name, value, set) in [
            ("ttl", json!("1s"), Policy::new().ttl(second)),
            ("ttl", json!("unlimited"), Policy::new().no_ttl()),
            ("ttl_jitter", json!(10), Policy::new().ttl_jitter(10)),
            ("absent_ttl", json!(1000), Policy::new().absent_ttl(second)),
            ("region_ttl", json!("1 s"), Policy::new().region_ttl(second)),
            ("on_update", json!("keep"), Policy::new().on_update(OnUpdate::Keep)),
            ("stale_for", json!("1s"), Policy::new().stale_for(second)),
            ("on_stale", json!("refresh"), Policy::new().on_stale(OnStale::Refresh)),
            ("soft_timeout", json!("1s"), Policy::new().soft_timeout(second)),
            ("load_retry_after", json!("1s"), Policy::new().load_retry_after(second)),
            ("early_refresh_at", json!(80), Policy::new().early_refresh_at(80)),
            ("early_refresh_beta", json!(100), Policy::new().early_refresh_beta(100)),
            ("load_timeout", json!("1s"), Policy::new().load_timeout(second)),
            ("lease", json!("1s"), Policy::new().lease(second)),
            ("read_from", json!("replica"), Policy::new().read_from(ReadFrom::Replica)),
            ("on_outage", json!("error"), Policy::new().on_outage(OnOutage::Error)),
            ("near", json!("on"), Policy::new().near(NearCache::On)),
            ("near_unverified_for", json!("1s"), Policy::new().near_unverified_for(second)),
            ("near_outage_for", json!("1s"), Policy::new().near_outage_for(second)),
            ("age", json!("recorded"), Policy::new().age(EntryAge::Recorded)),
            ("serializer", json!("postcard"), Policy::new().serializer(crate::Postcard)),
            ("version", json!(3), Policy::new().version(3)),
        ] {
            let read = read(json!({ name: value })).unwrap();
            assert_eq!(format!("{read:?}"), format!("{set:?}"), "{name}");
            assert_ne!(format!("{read:?}"), format!("{:?}", Policy::new()), "{name}");
        }
    }

    /// Bug guarded against: a setting that is added to the table, and that no file can name.
    #[test]
    fn every_setting_of_the_table_has_a_form() {
        for setting in Policy::SETTINGS {
            let value = match setting.kind {
                PolicySettingKind::Duration => json!("1s"),
                PolicySettingKind::Number => json!(1),
                PolicySettingKind::Serializer => json!("postcard"),
                PolicySettingKind::Word(words) => {
                    for word in words {
                        assert!(read(json!({ setting.name: word })).is_ok(), "{}", setting.name);
                    }
                    continue;
                }
            };
            assert!(read(json!({ setting.name: value })).is_ok(), "{}", setting.name);
            if setting.unlimited.is_some() {
                assert!(read(json!({ setting.name: "unlimited" })).is_ok(), "{}", setting.name);
            }
        }
    }

    #[test]
    fn wrong_values_are_refused() {
        for (value, says) in [
            (json!({ "ttl": "soon" }), "expected a duration such as \"5s\""),
            (json!({ "ttl": 0 }), "the value is 0ns; it must be more than zero"),
            (json!({ "ttl_jitter": 101 }), "the value is 101; it must be from 0 to 100"),
            (json!({ "lease": "unlimited" }), "expected a duration"),
            (json!({ "stale_for": "200 years" }), "it must be at most"),
            (json!({ "on_stale": "now" }), "expected `wait` or `refresh`"),
            (json!({ "version": -1 }), "`-1`, expected u32"),
            (json!({ "serializer": "pickle" }), "\"pickle\" is no serializer; there are postcard"),
            (json!({ "tll": "1s" }), "unknown field `tll`"),
        ] {
            let error = read(value).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
