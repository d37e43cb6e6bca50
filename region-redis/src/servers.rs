//! The servers of a store, as a URL names them.

use std::fmt;

use region_core::{Error, ErrorKind, Result};

use crate::protocol::layout::Anchor;
use crate::server::{Access, Server};
#[cfg(feature = "tls")]
use crate::tls::Configs;
use crate::url::{self, ClusterParts, Host, Parsed, ReplicaUse, SentinelParts};

/// The servers of a store, or those that know them.
#[derive(Clone)]
pub(crate) enum Servers {
    /// The primary.
    Fixed(Server),
    Sentinel(SentinelServers),
    Cluster(ClusterServers),
}

/// A primary and its replicas that sentinels know.
#[derive(Clone)]
pub(crate) struct SentinelServers {
    /// The sentinels, with credentials of their own: one at least.
    pub(crate) sentinels: Vec<Server>,
    /// The name that the sentinels have for the primary.
    pub(crate) service: String,
    /// For the primary and the replicas, wherever they are.
    pub(crate) access: Access,
}

/// The nodes of a cluster.
#[derive(Clone)]
pub(crate) struct ClusterServers {
    /// The nodes that are asked first: one at least.
    pub(crate) nodes: Vec<Server>,
    /// For all nodes, wherever they are.
    pub(crate) access: Access,
    pub(crate) anchor: Anchor,
    pub(crate) replicas: ReplicaUse,
}

impl Servers {
    /// Reads the URL of a store.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] that names the wrong part, and shows no
    /// part of the text that may be secret.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        Ok(match url::parse(text)? {
            Parsed::Sentinel(parts) => Self::Sentinel(SentinelServers::new(parts)),
            Parsed::Cluster(parts) => Self::Cluster(ClusterServers::new(parts)),
            one => Self::Fixed(Server::of(one)?),
        })
    }

    /// Sets the credentials of the primary, of all that sentinels name, or of all nodes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] when the URL has some, or the password is empty.
    pub(crate) fn set_credentials(&mut self, user: Option<&str>, password: &str) -> Result<()> {
        match self {
            Self::Fixed(server) => server.set_credentials(user, password),
            Self::Sentinel(SentinelServers { access, .. }) => {
                access.set_credentials(user, password)
            }
            Self::Cluster(ClusterServers { nodes, access, .. }) => {
                access.set_credentials(user, password)?;
                nodes.iter_mut().try_for_each(|node| node.set_credentials(user, password))
            }
        }
    }

    /// Sets the credentials of the sentinels themselves.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] when there are none, the URL has some, or the password is empty.
    pub(crate) fn set_sentinel_credentials(
        &mut self,
        user: Option<&str>,
        password: &str,
    ) -> Result<()> {
        let Self::Sentinel(SentinelServers { sentinels, .. }) = self else {
            let why = format!("there are credentials for sentinels, and {self} is none");
            return Err(Error::new(ErrorKind::InvalidConfig, why));
        };
        sentinels.iter_mut().try_for_each(|sentinel| sentinel.set_credentials(user, password))
    }

    /// The anchors of the regions on these servers.
    pub(crate) fn anchor(&self) -> Anchor {
        match self {
            Self::Cluster(nodes) => nodes.anchor,
            Self::Fixed(_) | Self::Sentinel(_) => Anchor::ROOT,
        }
    }
}

#[cfg(feature = "tls")]
impl Servers {
    /// Sets TLS up, where the URL asks for it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] that names the part that is wrong.
    pub(crate) fn set_up_tls(&mut self, configs: &mut Configs<'_>) -> Result<()> {
        let (named, access) = match self {
            Self::Fixed(server) => return server.set_up_tls(configs),
            Self::Sentinel(SentinelServers { sentinels, access, .. }) => (sentinels, access),
            Self::Cluster(ClusterServers { nodes, access, .. }) => (nodes, access),
        };
        access.set_up_tls(configs)?;
        named.iter_mut().try_for_each(|server| server.set_up_tls(configs))
    }
}

impl SentinelServers {
    fn new(parts: SentinelParts) -> Self {
        let SentinelParts { sentinels, sentinel_access, service, access } = parts;
        let sentinels = all(sentinels, &Access::new(sentinel_access));
        Self { sentinels, service, access: Access::new(access) }
    }
}

impl ClusterServers {
    fn new(parts: ClusterParts) -> Self {
        let ClusterParts { nodes, access, anchor, replicas } = parts;
        let access = Access::new(access);
        Self { nodes: all(nodes, &access), access, anchor: Anchor::at(anchor), replicas }
    }
}

fn all(hosts: Vec<Host>, access: &Access) -> Vec<Server> {
    hosts.into_iter().map(|host| access.server(host)).collect()
}

impl fmt::Display for Servers {
    /// Shows no password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(server) => server.fmt(f),
            Self::Sentinel(SentinelServers { sentinels, service, access }) => {
                write_hosts(f, "sentinel", access, sentinels)?;
                write!(f, "/{service}{}", access.database())?;
                let user = sentinels.first().and_then(|sentinel| sentinel.settings().username());
                user.map_or(Ok(()), |user| write!(f, "?sentinel_user={user}"))
            }
            Self::Cluster(ClusterServers { nodes, access, anchor, replicas }) => {
                write_hosts(f, "cluster", access, nodes)?;
                let replicas = match replicas {
                    ReplicaUse::Ignore => "",
                    ReplicaUse::Read => "&replicas=read",
                };
                write!(f, "?anchor={}{replicas}", anchor.depth())
            }
        }
    }
}

fn write_hosts(
    f: &mut fmt::Formatter<'_>,
    kind: &str,
    access: &Access,
    servers: &[Server],
) -> fmt::Result {
    let scheme = if access.is_tls() { "rediss" } else { "redis" };
    write!(f, "{scheme}-{kind}://{}", access.user())?;
    for (at, server) in servers.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(f, "{comma}{}", server.address())?;
    }
    Ok(())
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Servers({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_may_be_apart_from_the_url() {
        let refusal = |result: Result<()>| result.unwrap_err().to_string();
        for (url, printed) in [
            ("redis://h", "redis://app@h:6379"),
            ("unix:///run/s", "unix://app@/run/s"),
            ("redis-sentinel://h1/main", "redis-sentinel://app@h1:26379/main"),
            ("redis-cluster://h1,h2", "redis-cluster://app@h1:6379,h2:6379?anchor=1"),
        ] {
            let mut servers = Servers::parse(url).unwrap();
            assert!(refusal(servers.set_credentials(None, "")).contains("password is empty"));
            servers.set_credentials(Some("app"), "se/cr@et").unwrap();
            assert_eq!(servers.to_string(), printed);
            let twice = refusal(servers.set_credentials(None, "other"));
            assert!(twice.contains("and another one apart from it"), "{twice}");
            let of_sentinels = servers.set_sentinel_credentials(None, "secret");
            assert_eq!(of_sentinels.is_ok(), url.contains("sentinel"), "{url}");
        }
        let mut servers = Servers::parse("redis-cluster://h1").unwrap();
        servers.set_credentials(None, "se/cr@et").unwrap();
        let Servers::Cluster(cluster) = servers else { panic!("no cluster") };
        assert_eq!(cluster.nodes[0].settings().password(), Some("se/cr@et"));
        assert_eq!(cluster.access.settings().password(), Some("se/cr@et"));
    }

    #[test]
    fn urls_are_read_and_printed_without_a_password() {
        for (url, printed) in [
            ("redis://u:secret@h/1", "redis://u@h:6379/1"),
            (
                "redis-sentinel://u:secret@h1,[::1]:7/main/1?sentinel_user=s&sentinel_password=secret",
                "redis-sentinel://u@h1:26379,[::1]:7/main/1?sentinel_user=s",
            ),
            ("redis-sentinel://h1/main", "redis-sentinel://h1:26379/main"),
            ("valkey-cluster://:secret@h1,h2", "redis-cluster://h1:6379,h2:6379?anchor=1"),
            #[cfg(feature = "tls")]
            (
                "rediss-cluster://u:secret@h1:7?replicas=read&ca=a&anchor=2",
                "rediss-cluster://u@h1:7?anchor=2&replicas=read",
            ),
        ] {
            let servers = Servers::parse(url).unwrap();
            assert_eq!(servers.to_string(), printed);
            assert_eq!(format!("{servers:?}"), format!("Servers({printed})"));
        }
    }
}
