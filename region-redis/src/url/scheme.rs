//! The schemes of URLs.

/// The schemes, as messages list them. Of each there is a twin for Valkey, and `+` may stand for `-`.
pub(super) const SCHEMES: [&str; 7] = [
    "redis",
    "rediss",
    "unix",
    "redis-sentinel",
    "rediss-sentinel",
    "redis-cluster",
    "rediss-cluster",
];

/// What the scheme of a URL says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Scheme {
    pub(super) kind: Kind,
    pub(super) is_tls: bool,
}

/// The kinds of URLs, by what they name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Server,
    Socket,
    Sentinel,
    Cluster,
}

impl Scheme {
    pub(super) fn parse(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        if name == "unix" {
            return Some(Self { kind: Kind::Socket, is_tls: false });
        }
        let (server, rest) = match name.split_once(['-', '+']) {
            Some((server, rest)) => (server, Some(rest)),
            None => (name.as_str(), None),
        };
        let is_tls = match server {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            _ => return None,
        };
        let kind = match rest {
            None => Kind::Server,
            Some("sentinel") => Kind::Sentinel,
            Some("cluster") => Kind::Cluster,
            Some("unix") if !is_tls && name.contains('+') => Kind::Socket,
            Some(_) => return None,
        };
        Some(Self { kind, is_tls })
    }
}

impl Kind {
    /// The form of such URLs, for messages.
    pub(super) fn form(self) -> &'static str {
        match self {
            Self::Server | Self::Socket => {
                "redis://[[user]:password@]host[:port][/database], with rediss for TLS, or \
                 unix:///path/to.sock[?db=1&user=..&pass=..]"
            }
            Self::Sentinel => {
                "redis-sentinel://[[user]:password@]host[:port][,host[:port]..]/primary[/database]\
                 [?sentinel_user=..&sentinel_password=..], with rediss-sentinel for TLS"
            }
            Self::Cluster => {
                "redis-cluster://[[user]:password@]host[:port][,host[:port]..][?anchor=1&replicas=read], with \
                 rediss-cluster for TLS"
            }
        }
    }
}
