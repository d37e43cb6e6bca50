//! The parameters of URLs.

use region_core::MAX_DEPTH;

use super::TlsParts;
use super::scheme::{Kind, Scheme};

/// The parameters that the URL of a unix socket may have.
const SOCKET: [&str; 3] = ["db", "user", "pass"];

/// Those that each URL with TLS may have.
const TLS: [&str; 4] = ["ca", "cert", "key", "server_name"];

const SENTINEL: [&str; 2] = ["sentinel_user", "sentinel_password"];

const CLUSTER: [&str; 2] = ["anchor", "replicas"];

/// A longer name of a parameter is not repeated.
const MAX_WORD: usize = 16;

/// Parameters that other clients know.
const KNOWN_ELSEWHERE: [&str; 9] = [
    "database",
    "password",
    "protocol",
    "sentinel_username",
    "ssl",
    "timeout",
    "tls",
    "username",
    "weight",
];

/// The parameters of a URL. Each is known, and given once.
pub(super) struct Parameters(Vec<(String, String)>);

impl Scheme {
    /// The parameters that its URLs may have.
    fn parameters(self) -> Vec<&'static str> {
        let own: &[&str] = match self.kind {
            Kind::Server => &[],
            Kind::Socket => &SOCKET,
            Kind::Sentinel => &SENTINEL,
            Kind::Cluster => &CLUSTER,
        };
        let tls: &[&str] = if self.is_tls { &TLS } else { &[] };
        [own, tls].concat()
    }
}

impl Parameters {
    /// Reads the `query` of a URL of this `scheme`.
    pub(super) fn parse(query: Option<&str>, scheme: Scheme) -> Result<Self, String> {
        let query = query.unwrap_or_default();
        let known = scheme.parameters();
        // What looks like a name may be a part of a password in which `?` or `&` is not encoded.
        let mut may_be_secret = query.contains('@');
        let mut found: Vec<(String, String)> = Vec::new();
        for (at, (name, value)) in form_urlencoded::parse(query.as_bytes()).enumerate() {
            let shown = shown(&name, at, may_be_secret);
            may_be_secret |= name.contains("pass");
            if !known.contains(&name.as_ref()) {
                let rest = match scheme.kind {
                    Kind::Server if name == "db" => {
                        "; the database is the path: redis://host/3".to_owned()
                    }
                    _ if known.is_empty() => String::new(),
                    _ => format!("; there are {}", known.join(", ")),
                };
                return Err(format!("the parameter {shown} is unknown{rest}"));
            }
            if found.iter().any(|(found, _)| *found == name) {
                return Err(format!("the parameter {shown} is given twice"));
            }
            if value.is_empty() && scheme.kind != Kind::Socket {
                return Err(format!("the parameter {shown} is empty"));
            }
            if value.contains(char::REPLACEMENT_CHARACTER) {
                return Err(format!("the parameter {shown} is not UTF-8 when it is decoded"));
            }
            found.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(found))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(found, _)| found == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// What they say of TLS, in a URL that asks for it.
    pub(super) fn tls(&mut self, scheme: Scheme) -> Result<Option<TlsParts>, String> {
        if !scheme.is_tls {
            return Ok(None);
        }
        let (ca, server_name) = (self.take("ca"), self.take("server_name"));
        let client = match (self.take("cert"), self.take("key")) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => return Err("of the parameters cert, key there are both or none".to_owned()),
        };
        Ok(Some(TlsParts { ca, client, server_name }))
    }

    pub(super) fn anchor(&mut self) -> Result<usize, String> {
        let Some(text) = self.take("anchor") else { return Ok(1) };
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(depth) if is_number && (1..=MAX_DEPTH).contains(&depth) => Ok(depth),
            _ => Err(format!("the parameter \"anchor\" is not a number from 1 to {MAX_DEPTH}")),
        }
    }
}

/// The name of the parameter at place `at`, or its number if the name may be part of a password.
fn shown(name: &str, at: usize, may_be_secret: bool) -> String {
    let known = [&SOCKET[..], &TLS, &SENTINEL, &CLUSTER, &KNOWN_ELSEWHERE].concat();
    let is_word = name.len() <= MAX_WORD && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    if known.contains(&name) || (is_word && !may_be_secret) {
        return format!("{name:?}");
    }
    format!("number {} (a ? in a password is written %3F, a & %26)", at + 1)
}
