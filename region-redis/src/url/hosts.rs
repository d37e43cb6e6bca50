//! The hosts that a URL names.

use std::net::Ipv6Addr;

use super::pieces::Pieces;

/// The most hosts in one URL.
pub(super) const MAX_HOSTS: usize = 64;

/// The most bytes of the name of a host.
const MAX_NAME_BYTES: usize = 253;

/// A host with its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// A name or an address. That of IPv6 is without brackets.
    pub(crate) name: String,
    pub(crate) port: u16,
}

impl Host {
    /// Reads the `text` of one host, which messages call `called`.
    pub(super) fn parse(called: &str, text: &str, default_port: u16) -> Result<Self, String> {
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let Some((name, port)) = rest.split_once(']') else {
                    return Err(format!("{called} begins with a [ that is not closed"));
                };
                let address: Ipv6Addr = name
                    .parse()
                    .map_err(|_| format!("{called} has no IPv6 address between its brackets"))?;
                let port = match port.strip_prefix(':') {
                    None if !port.is_empty() => {
                        return Err(format!("only a port may follow the ] of {called}"));
                    }
                    port => port,
                };
                (address.to_string(), port)
            }
            None => match text.split_once(':') {
                Some((_, rest)) if rest.contains(':') => {
                    let why = "has more than one colon; an IPv6 address is written in brackets";
                    return Err(format!("{called} {why}"));
                }
                Some((name, port)) => (name.to_owned(), Some(port)),
                None => (text.to_owned(), None),
            },
        };
        if name.is_empty() {
            return Err(format!("{called} is missing"));
        }
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        if name.len() > MAX_NAME_BYTES || !name.bytes().all(is_known) {
            return Err(format!("{called} has characters that no host name has, or is too long"));
        }
        if matches!(name.as_str(), "0.0.0.0" | "::") {
            return Err(format!("{called} is an address to listen on, not one to connect to"));
        }
        let port = port.map_or(Ok(default_port), |port| parse_port(called, port))?;
        Ok(Self { name, port })
    }
}

impl Host {
    /// The host that a server has reported; `None` if nothing can be connected to there.
    pub(crate) fn reported(name: &str, port: &str) -> Option<Self> {
        let brackets = if name.contains(':') { ("[", "]") } else { ("", "") };
        let text = format!("{}{name}{}:{port}", brackets.0, brackets.1);
        Self::parse("it", &text, 0).ok()
    }
}

/// Reads the list of hosts: one at least, each once.
pub(super) fn all(pieces: &Pieces<'_>, default_port: u16) -> Result<Vec<Host>, String> {
    if pieces.userinfo.is_some_and(|userinfo| userinfo.contains('@')) {
        let why = "there is more than one @: user and password stand once, before the first host, and an @ in \
                   them is written %40";
        return Err(why.to_owned());
    }
    let mut hosts = Vec::new();
    for (at, text) in pieces.hosts.split(',').enumerate() {
        if at == MAX_HOSTS {
            return Err(format!("there are more than {MAX_HOSTS} hosts"));
        }
        let called = format!("host number {}", at + 1);
        let host = Host::parse(&called, text, default_port)?;
        if hosts.contains(&host) {
            return Err(format!("{called} is the same as one before it"));
        }
        hosts.push(host);
    }
    Ok(hosts)
}

fn parse_port(called: &str, text: &str) -> Result<u16, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if is_number && port > 0 => Ok(port),
        _ => Err(format!("the port of {called} is not a number from 1 to 65535")),
    }
}
