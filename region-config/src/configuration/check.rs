//! The checks of settings against one another.

use region_core::{RegionPath, Result};

use super::address::{self, Kind};
use super::rows::URL_VARIABLE;
use super::settings::ReplicaConfiguration;
use super::{Configuration, quoted};

/// The host of a server that is named by its port or database alone.
const DEFAULT_HOST: &str = "localhost";

/// The address of the store.
pub(super) enum Address {
    /// The store in this process, with what follows its scheme.
    Memory(String),
    /// Servers, by their URL.
    Servers {
        #[cfg_attr(not(feature = "redis"), expect(dead_code))]
        url: String,
        is_tls: bool,
    },
}

impl Configuration {
    /// Checks what concerns the cache and not its store.
    pub(super) fn check_cache(&self) -> Result<()> {
        if let Some(root) = &self.root {
            RegionPath::parse(root)
                .map_err(|error| self.refuse("root", &format!("{root:?}: {}", error.rule())))?;
        }
        self.check_wrapping()?;
        self.policy.check().map_err(|error| self.refuse("policy", &error.to_string()))?;
        for (names, policy) in &self.regions {
            let at = format!("regions.{}", quoted(names));
            let path = RegionPath::parse(names)
                .map_err(|error| self.refuse(&at, &error.rule().to_string()))?;
            if let Some(segment) = path.segments().find(|segment| segment.id().is_some()) {
                let why = format!(
                    "a policy is for all regions of these names: leave the id of {segment} out"
                );
                return Err(self.refuse(&at, &why));
            }
            policy.check().map_err(|error| self.refuse(&at, &error.to_string()))?;
        }
        Ok(())
    }

    /// Checks what concerns the store, and builds none.
    pub(super) fn check_store(&self) -> Result<()> {
        match self.address()? {
            Address::Memory(rest) => self.check_memory(&rest),
            Address::Servers { .. } => self.check_servers(),
        }
    }

    #[cfg(feature = "memory")]
    fn check_memory(&self, rest: &str) -> Result<()> {
        self.memory_builder(rest).map(drop)
    }

    #[cfg(not(feature = "memory"))]
    fn check_memory(&self, _: &str) -> Result<()> {
        Err(self.needs("memory"))
    }

    #[cfg(feature = "redis")]
    fn check_servers(&self) -> Result<()> {
        self.redis_builder().map(drop)
    }

    #[cfg(not(feature = "redis"))]
    fn check_servers(&self) -> Result<()> {
        Err(self.needs("redis"))
    }

    /// The address of the store, after the checks of all that belongs to it.
    pub(super) fn address(&self) -> Result<Address> {
        let store = &self.store;
        let apart: Vec<_> = store
            .given()
            .into_iter()
            .filter(|name| ["host", "port", "db"].contains(name))
            .collect();
        let address = match (&store.url, apart.first()) {
            (Some(_), Some(part)) => {
                let why = format!("{} names the server already: set one of them", self.url_name());
                return Err(self.refuse(&format!("store.{part}"), &why));
            }
            (Some(url), None) => match Kind::of(url.expose()) {
                Ok(Kind::Memory(rest)) => Address::Memory(rest.to_owned()),
                Ok(Kind::Redis { is_tls }) => {
                    Address::Servers { url: url.expose().to_owned(), is_tls }
                }
                Err(why) => return Err(self.refuse_url(&why)),
            },
            (None, Some(_)) => {
                let (is_tls, host) = (self.asks_for_tls(), store.host.as_deref());
                let url = address::url(is_tls, host.unwrap_or(DEFAULT_HOST), store.port, store.db)
                    .map_err(|why| self.refuse("store.host", &why))?;
                Address::Servers { url, is_tls }
            }
            (None, None) => {
                let why =
                    format!("is not set, and {URL_VARIABLE} is not set; write {}", address::FORMS);
                return Err(self.refuse("store.url", &why));
            }
        };
        self.check_credentials()?;
        match &address {
            Address::Memory(_) => self.check_that_no_server_is_set()?,
            Address::Servers { is_tls, .. } => {
                if store.max_bytes.is_some() {
                    let why = format!("it bounds memory:, and {} names a server", self.url_name());
                    return Err(self.refuse("store.max_bytes", &why));
                }
                self.check_tls(*is_tls)?;
            }
        }
        Ok(address)
    }

    fn check_credentials(&self) -> Result<()> {
        let store = &self.store;
        let pairs = [
            ("user", "password", store.user.is_some(), store.password.is_some()),
            (
                "sentinel_user",
                "sentinel_password",
                store.sentinel_user.is_some(),
                store.sentinel_password.is_some(),
            ),
        ];
        for (user, password, has_user, has_password) in pairs {
            if has_user && !has_password {
                let why = format!("there is no password for it: set store.{password}");
                return Err(self.refuse(&format!("store.{user}"), &why));
            }
        }
        Ok(())
    }

    /// Refuses what only a server has.
    fn check_that_no_server_is_set(&self) -> Result<()> {
        let of_store =
            self.store.given().into_iter().filter(|name| !["url", "max_bytes"].contains(name));
        let mut paths: Vec<_> = of_store.map(|name| format!("store.{name}")).collect();
        paths.extend(self.tls.given().into_iter().map(|name| format!("tls.{name}")));
        paths.extend((!self.replicas.is_empty()).then(|| "replicas[0].host".to_owned()));
        match paths.first() {
            None => Ok(()),
            Some(path) => {
                let why = format!("it is for a server, and {} names none", self.url_name());
                Err(self.refuse(path, &why))
            }
        }
    }

    /// True if a server that is named by its host is connected to over TLS.
    pub(super) fn asks_for_tls(&self) -> bool {
        self.tls.enabled.unwrap_or(!self.tls.given().is_empty())
    }

    /// The first setting of TLS beside its switch.
    pub(super) fn first_of_tls(&self) -> Option<String> {
        let given = self.tls.given().into_iter().find(|name| *name != "enabled");
        given.map(|name| format!("tls.{name}"))
    }

    fn check_tls(&self, is_tls: bool) -> Result<()> {
        let tls = &self.tls;
        let first = self.first_of_tls();
        if let (Some(false), Some(first)) = (tls.enabled, &first) {
            let why = format!("{} says that there is no TLS", self.origins.name("tls.enabled"));
            return Err(self.refuse(first, &why));
        }
        let given = tls.given();
        let has = |name: &str| given.contains(&name);
        for (one, other) in
            [("ca_file", "ca_pem"), ("cert_file", "cert_pem"), ("key_file", "key_pem")]
        {
            if has(one) && has(other) {
                let why = format!("{} is set too: set one of them", self.name_of_tls(other));
                return Err(self.refuse(&format!("tls.{one}"), &why));
            }
        }
        for (one, other) in [("cert_file", "key_file"), ("cert_pem", "key_pem")] {
            let (set, missing) = match (has(one), has(other)) {
                (true, false) => (one, other),
                (false, true) => (other, one),
                _ => continue,
            };
            let why = format!("it needs tls.{missing}, which is not set");
            return Err(self.refuse(&format!("tls.{set}"), &why));
        }
        let uses = is_tls || self.replicas.iter().any(is_over_tls);
        match (tls.enabled, first) {
            (Some(false), _) if uses => {
                let why = format!("{} asks for TLS", self.url_name());
                Err(self.refuse("tls.enabled", &why))
            }
            (Some(true), None) if !uses => Err(self.refuse_tls("tls.enabled")),
            (_, Some(first)) if !uses => Err(self.refuse_tls(&first)),
            _ => Ok(()),
        }
    }

    fn refuse_tls(&self, path: &str) -> region_core::Error {
        let url = self.url_name();
        self.refuse(path, &format!("{url} does not ask for TLS: write rediss:// in it"))
    }

    fn name_of_tls(&self, name: &str) -> String {
        self.origins.name(&format!("tls.{name}"))
    }

    /// The name of the setting that names the store.
    pub(super) fn url_name(&self) -> String {
        self.origins.name(self.url_path())
    }

    /// The path of the setting that names the store.
    pub(super) fn url_path(&self) -> &'static str {
        match (&self.store.url, &self.store.host, &self.store.port) {
            (Some(_), ..) | (None, None, None) => "store.url",
            (None, Some(_), _) => "store.host",
            (None, None, Some(_)) => "store.port",
        }
    }

    pub(super) fn refuse_url(&self, why: &str) -> region_core::Error {
        self.refuse("store.url", &format!("the URL is wrong: {why}"))
    }

    pub(super) fn refuse(&self, path: &str, why: &str) -> region_core::Error {
        self.origins.refuse(path, why)
    }

    /// The error of a URL whose store is not built in.
    #[cfg(not(all(feature = "memory", feature = "redis")))]
    pub(super) fn needs(&self, feature: &str) -> region_core::Error {
        self.refuse_url(&format!("its store needs the feature `{feature}` of region-cache"))
    }
}

fn is_over_tls(replica: &ReplicaConfiguration) -> bool {
    let url = replica.url.as_ref().map(|url| Kind::of(url.expose()));
    matches!(url, Some(Ok(Kind::Redis { is_tls: true })))
}
