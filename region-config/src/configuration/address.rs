//! The kind of store that a URL names.

/// The forms of a URL, for messages.
pub(super) const FORMS: &str = "memory: for the store in this process, redis:// or rediss:// for a server, unix:// for its \
                                socket, redis-sentinel:// or redis-cluster:// for several servers";

/// The kind of store that a URL names.
#[derive(Clone, Copy)]
pub(super) enum Kind<'u> {
    /// With what follows the scheme.
    Memory(&'u str),
    Redis {
        is_tls: bool,
    },
}

impl<'u> Kind<'u> {
    /// Returns the kind of store that `url` names. A message repeats no part of it: any may be one of a password.
    pub(super) fn of(url: &'u str) -> Result<Self, String> {
        let url = url.trim();
        let Some((scheme, rest)) = url.split_once(':') else {
            return Err(format!("it has no scheme; write {FORMS}"));
        };
        let scheme = scheme.to_ascii_lowercase();
        if scheme == "memory" {
            return Ok(Self::Memory(rest));
        }
        // The store knows which schemes there are of these.
        if scheme == "unix" || ["redis", "valkey"].iter().any(|server| scheme.starts_with(server)) {
            let is_tls = ["rediss", "valkeys"].iter().any(|server| {
                scheme
                    .strip_prefix(server)
                    .is_some_and(|rest| !rest.starts_with(char::is_alphabetic))
            });
            return Ok(Self::Redis { is_tls });
        }
        Err(format!("its scheme is unknown; write {FORMS}"))
    }
}

/// The URL of the server at this host.
pub(super) fn url(
    is_tls: bool,
    host: &str,
    port: Option<u16>,
    db: Option<u32>,
) -> Result<String, String> {
    let host = host.trim();
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_known) {
        return Err(
            "it is no name or address of a host; the port and the rest stand apart".to_owned()
        );
    }
    let scheme = if is_tls { "rediss" } else { "redis" };
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let db = db.map(|db| format!("/{db}")).unwrap_or_default();
    // An address of IPv6 has two colons at least; one alone parts a port from a name.
    match host.matches(':').count() {
        0 => Ok(format!("{scheme}://{host}{port}{db}")),
        1 => Err("it has a port in it, which stands apart".to_owned()),
        _ => Ok(format!("{scheme}://[{host}]{port}{db}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_become_urls() {
        for (is_tls, host, port, db, expected) in [
            (false, "h", None, None, "redis://h"),
            (true, "h.internal", Some(7), Some(2), "rediss://h.internal:7/2"),
            (false, "::1", Some(7), None, "redis://[::1]:7"),
        ] {
            assert_eq!(url(is_tls, host, port, db).unwrap(), expected);
        }
        for host in ["", "h:6379", "u:p@h", "h/1", "a b", "redis://h"] {
            assert!(url(false, host, None, None).is_err(), "{host}");
        }
    }

    #[test]
    fn the_scheme_says_if_there_is_tls() {
        for (url, expected) in [
            ("redis://h", false),
            ("rediss://h", true),
            ("VALKEYS://h", true),
            ("rediss-cluster://h", true),
            ("rediss+sentinel://h/m", true),
            ("redis-sentinel://h/m", false),
            ("redis-sentinels://h/m", false),
            ("unix:///s", false),
        ] {
            let Ok(Kind::Redis { is_tls }) = Kind::of(url) else { panic!("{url}") };
            assert_eq!(is_tls, expected, "{url}");
        }
    }
}
