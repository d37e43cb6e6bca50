//! The parser of URLs: from text to the servers that it names. Every part of it is either used or refused.

mod hosts;
mod parameters;
mod pieces;
mod scheme;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use redis::{ConnectionAddr, IntoConnectionInfo};
use region_core::{Error, ErrorKind, Result};

pub(crate) use hosts::Host;
use parameters::Parameters;
use pieces::{Pieces, decoded};
use scheme::{Kind, SCHEMES, Scheme};

/// The port of a server, if the URL names none.
const SERVER_PORT: u16 = 6379;

/// The port of a sentinel, if the URL names none.
const SENTINEL_PORT: u16 = 26379;

/// The most bytes of the name that sentinels have for a primary.
const MAX_SERVICE_BYTES: usize = 256;

/// The parts of a URL.
pub(crate) enum Parsed {
    Server(Host, AccessParts),
    Socket(PathBuf, AccessParts),
    Sentinel(SentinelParts),
    Cluster(ClusterParts),
}

/// What a URL says about connections to a server, wherever that is.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct AccessParts {
    /// Only together with a password.
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: i64,
    /// What it says of TLS, if it asks for that.
    pub(crate) tls: Option<TlsParts>,
}

/// What a URL says of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsParts {
    /// The file of authorities.
    pub(crate) ca: Option<String>,
    /// The files of the client's certificate and of its key.
    pub(crate) client: Option<(String, String)>,
    pub(crate) server_name: Option<String>,
}

/// A primary and its replicas that sentinels know.
pub(crate) struct SentinelParts {
    /// One at least.
    pub(crate) sentinels: Vec<Host>,
    pub(crate) sentinel_access: AccessParts,
    /// The name that the sentinels have for the primary.
    pub(crate) service: String,
    /// For the primary and the replicas.
    pub(crate) access: AccessParts,
}

/// A cluster.
pub(crate) struct ClusterParts {
    /// The nodes that are asked first: one at least.
    pub(crate) nodes: Vec<Host>,
    /// For all nodes.
    pub(crate) access: AccessParts,
    /// The number of a path's segments, from the root on, whose entries share a hash slot: 1 at least.
    pub(crate) anchor: usize,
    pub(crate) replicas: ReplicaUse,
}

/// The use that is made of a cluster's replicas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ReplicaUse {
    /// None, except to take over from their primary.
    #[default]
    Ignore,
    /// They serve reads whose policy allows that.
    Read,
}

/// Reads `text`.
///
/// # Errors
/// [`ErrorKind::InvalidConfig`] that names the wrong part. It never repeats the text, any part of which may be
/// one of a password.
pub(crate) fn parse(text: &str) -> Result<Parsed> {
    // A file or variable that a URL comes from may end with a newline.
    let text = text.trim();
    let Some((name, rest)) = text.split_once("://") else {
        return Err(refuse(None, "it does not begin with a scheme and ://"));
    };
    let Some(scheme) = Scheme::parse(name) else {
        return Err(refuse(None, &format!("its scheme is none of {}", SCHEMES.join(", "))));
    };
    parsed(scheme, rest).map_err(|why| refuse(Some(scheme.kind), &why))
}

fn parsed(scheme: Scheme, rest: &str) -> Result<Parsed, String> {
    if rest.contains(char::is_control) {
        return Err("it has a control character; in a password that is percent-encoded".to_owned());
    }
    if scheme.is_tls && !cfg!(feature = "tls") {
        return Err("TLS needs the feature `tls` of this library".to_owned());
    }
    let pieces = Pieces::split(rest)?;
    let parsed = match scheme.kind {
        Kind::Socket => socket(rest, &pieces),
        Kind::Server => server(scheme, &pieces),
        Kind::Sentinel => sentinel(scheme, &pieces),
        Kind::Cluster => cluster(scheme, &pieces),
    };
    parsed.map_err(|why| why + pieces.hint())
}

fn socket(rest: &str, pieces: &Pieces<'_>) -> Result<Parsed, String> {
    let parameters = Parameters::parse(pieces.query, Scheme { kind: Kind::Socket, is_tls: false })?;
    if let Some(database) = parameters.get("db") {
        self::database(database)?;
    }
    let no_host = "a unix socket has no host; user and password are the parameters user, pass";
    if pieces.userinfo.is_some() || !pieces.hosts.is_empty() {
        return Err(no_host.to_owned());
    }
    let url = redis::parse_redis_url(&format!("unix://{rest}")).ok_or("it has no path")?;
    let info = url.into_connection_info().map_err(|error| error.to_string())?;
    let ConnectionAddr::Unix(path) = info.addr().clone() else { return Err(no_host.to_owned()) };
    let given = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let settings = info.redis_settings();
    let (user, password) = (given(settings.username()), given(settings.password()));
    check_user("user", user.as_deref(), password.as_deref())?;
    Ok(Parsed::Socket(path, AccessParts { user, password, database: settings.db(), tls: None }))
}

fn server(scheme: Scheme, pieces: &Pieces<'_>) -> Result<Parsed, String> {
    let mut parameters = Parameters::parse(pieces.query, scheme)?;
    if pieces.hosts.contains(',') {
        let why = "it names several hosts; those of sentinels or of a cluster are named by redis-sentinel:// or \
                   redis-cluster://";
        return Err(why.to_owned());
    }
    let host = Host::parse("the host", pieces.hosts, SERVER_PORT)?;
    let database = database(pieces.path.strip_prefix('/').unwrap_or_default())?;
    let (user, password) = pieces.credentials()?;
    Ok(Parsed::Server(host, AccessParts { user, password, database, tls: parameters.tls(scheme)? }))
}

fn sentinel(scheme: Scheme, pieces: &Pieces<'_>) -> Result<Parsed, String> {
    let mut parameters = Parameters::parse(pieces.query, scheme)?;
    let sentinels = hosts::all(pieces, SENTINEL_PORT)?;
    let path = pieces.path.strip_prefix('/').unwrap_or_default();
    let (service, path) = path.split_once('/').unwrap_or((path, ""));
    let service = decoded("the name of the primary", service)?;
    if service.is_empty() {
        return Err("the path, which names the primary as the sentinels do, is missing".to_owned());
    }
    let is_odd = |char: char| char.is_control() || char.is_whitespace() || "@/?#".contains(char);
    if service.len() > MAX_SERVICE_BYTES || service.contains(is_odd) {
        return Err("the path is no name that sentinels have for a primary".to_owned());
    }
    let database = database(path)?;
    let (user, password) = pieces.credentials()?;
    let tls = parameters.tls(scheme)?;
    let access = AccessParts { user, password, database, tls: tls.clone() };
    let user = parameters.take("sentinel_user");
    let password = parameters.take("sentinel_password");
    check_user("sentinel_user", user.as_deref(), password.as_deref())?;
    let sentinel_access = AccessParts { user, password, database: 0, tls };
    Ok(Parsed::Sentinel(SentinelParts { sentinels, sentinel_access, service, access }))
}

fn cluster(scheme: Scheme, pieces: &Pieces<'_>) -> Result<Parsed, String> {
    let mut parameters = Parameters::parse(pieces.query, scheme)?;
    let nodes = hosts::all(pieces, SERVER_PORT)?;
    if database(pieces.path.strip_prefix('/').unwrap_or_default())? != 0 {
        return Err("a cluster has no other database than 0".to_owned());
    }
    let (user, password) = pieces.credentials()?;
    let access = AccessParts { user, password, database: 0, tls: parameters.tls(scheme)? };
    let anchor = parameters.anchor()?;
    let replicas = match parameters.take("replicas").as_deref() {
        None | Some("ignore") => ReplicaUse::Ignore,
        Some("read") => ReplicaUse::Read,
        Some(_) => return Err("the parameter \"replicas\" is neither read nor ignore".to_owned()),
    };
    Ok(Parsed::Cluster(ClusterParts { nodes, access, anchor, replicas }))
}

fn database(text: &str) -> Result<i64, String> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<i32>() {
        _ if text.is_empty() => Ok(0),
        Ok(database) if is_number => Ok(database.into()),
        _ => Err("the database is not a number".to_owned()),
    }
}

/// Refuses a user without a password: a client sends the name only together with one.
fn check_user(part: &str, user: Option<&str>, password: Option<&str>) -> Result<(), String> {
    if user.is_some() && password.is_none() {
        return Err(format!("there is a {part} and no password for it"));
    }
    Ok(())
}

fn refuse(kind: Option<Kind>, why: &str) -> Error {
    let form = kind.map_or(Kind::Server, |kind| kind).form();
    Error::new(ErrorKind::InvalidConfig, format!("the URL is wrong: {why}; write {form}"))
}
