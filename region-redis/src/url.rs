//! The parser of a server's URL. Every part of it is either used or refused.

use std::borrow::Cow;

use redis::{ConnectionInfo, IntoConnectionInfo};
use region_core::{Error, ErrorKind, Result};

/// The query parameters that the URL of a unix socket may have.
const SOCKET_PARAMETERS: [&str; 3] = ["db", "user", "pass"];

/// Those that the URL of a server with TLS may have.
const TLS_PARAMETERS: [&str; 4] = ["ca", "cert", "key", "server_name"];

/// A longer name of a parameter is not repeated.
const MAX_WORD: usize = 16;

/// Parameters that other clients know.
const KNOWN_ELSEWHERE: [&str; 8] =
    ["database", "password", "protocol", "ssl", "timeout", "tls", "username", "weight"];

/// The parts of a URL.
pub(crate) struct Parts {
    pub(crate) info: ConnectionInfo,
    /// What it says of TLS, if it asks for that.
    pub(crate) tls: Option<TlsParts>,
}

/// What a URL says of TLS.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsParts {
    /// The file of authorities.
    pub(crate) ca: Option<String>,
    /// The files of the client's certificate and of its key.
    pub(crate) client: Option<(String, String)>,
    pub(crate) server_name: Option<String>,
}

/// The kinds of URLs, by what they may say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Tls,
    Socket,
}

impl Kind {
    /// The parameters that it may have.
    fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &[],
            Self::Tls => &TLS_PARAMETERS,
            Self::Socket => &SOCKET_PARAMETERS,
        }
    }
}

/// Reads `text`.
///
/// # Errors
/// [`ErrorKind::InvalidConfig`] that names the wrong part. It never repeats the text, any part of which may be
/// one of a password.
pub(crate) fn parse(text: &str) -> Result<Parts> {
    let Some(mut url) = redis::parse_redis_url(text) else {
        let schemes = "redis, rediss, valkey, valkeys, unix";
        return Err(refuse(&format!("it is not a URL with one of the schemes {schemes}")));
    };
    let kind = match url.scheme() {
        "rediss" | "valkeys" if cfg!(feature = "tls") => Kind::Tls,
        "rediss" | "valkeys" => return Err(refuse("TLS needs the feature `tls` of this library")),
        scheme if scheme.contains("unix") => Kind::Socket,
        _ => Kind::Plain,
    };
    match url.fragment() {
        Some("insecure") => {
            let why = "a server's certificate is always checked; name its authority by `ca`";
            return Err(refuse(why));
        }
        Some(_) => {
            return Err(refuse("it has a fragment (#..); a `#` in a password is written %23"));
        }
        None => {}
    }
    let parameters = parameters(url.query(), url.query_pairs(), kind)?;
    if kind != Kind::Socket {
        check_database(url.path().strip_prefix('/').unwrap_or_default())?;
    } else if !url.username().is_empty() || url.password().is_some() || url.has_host() {
        return Err(refuse(
            "a unix socket has no host; user and password are the parameters user, pass",
        ));
    }
    let tls = (kind == Kind::Tls).then(|| tls_parts(parameters)).transpose()?;
    if kind == Kind::Tls {
        // The client library opens no connection: it need not know of TLS.
        url.set_scheme("redis").map_err(|()| refuse("it has no host"))?;
        url.set_query(None);
    }
    let info = url.into_connection_info().map_err(|error| refuse(&error.to_string()))?;
    Ok(Parts { info, tls })
}

/// Returns the parameters of a URL, each with its value. Each is known and given once.
fn parameters<'u>(
    query: Option<&str>,
    pairs: impl Iterator<Item = (Cow<'u, str>, Cow<'u, str>)>,
    kind: Kind,
) -> Result<Vec<(String, String)>> {
    // What looks like a name may be a part of a password in which `?` or `&` is not encoded.
    let mut may_be_secret = query.is_some_and(|query| query.contains('@'));
    let mut found: Vec<(String, String)> = Vec::new();
    for (at, (name, value)) in pairs.enumerate() {
        let shown = shown(&name, at, may_be_secret);
        may_be_secret |= name.starts_with("pass");
        if !kind.parameters().contains(&name.as_ref()) {
            let rest = match kind {
                Kind::Socket | Kind::Tls => {
                    format!("; there are {}", kind.parameters().join(", "))
                }
                Kind::Plain if name == "db" => {
                    "; the database is the path: redis://host/3".to_owned()
                }
                Kind::Plain => String::new(),
            };
            return Err(refuse(&format!("the parameter {shown} is unknown{rest}")));
        }
        if found.iter().any(|(found, _)| *found == name) {
            return Err(refuse(&format!("the parameter {shown} is given twice")));
        }
        if name == "db" {
            check_database(&value)?;
        }
        found.push((name.into_owned(), value.into_owned()));
    }
    Ok(found)
}

fn tls_parts(parameters: Vec<(String, String)>) -> Result<TlsParts> {
    let (mut parts, mut cert, mut key) = (TlsParts::default(), None, None);
    for (name, value) in parameters {
        if value.is_empty() {
            return Err(refuse(&format!("the parameter {name:?} is empty")));
        }
        match name.as_str() {
            "ca" => parts.ca = Some(value),
            "cert" => cert = Some(value),
            "key" => key = Some(value),
            _ => parts.server_name = Some(value),
        }
    }
    parts.client = match (cert, key) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        _ => return Err(refuse("of the parameters cert, key there are both or none")),
    };
    Ok(parts)
}

/// The name of the parameter at place `at`, or its number if the name may be part of a password.
fn shown(name: &str, at: usize, may_be_secret: bool) -> String {
    let known = SOCKET_PARAMETERS.iter().chain(&TLS_PARAMETERS).chain(&KNOWN_ELSEWHERE);
    let is_known = known.into_iter().any(|known| *known == name);
    let is_word = name.len() <= MAX_WORD && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    if is_known || (is_word && !may_be_secret) {
        return format!("{name:?}");
    }
    format!("number {} (a ? in a password is written %3F, a & %26)", at + 1)
}

fn check_database(text: &str) -> Result<()> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    if text.is_empty() || (is_number && text.parse::<i32>().is_ok()) {
        return Ok(());
    }
    Err(refuse("the database is not a number"))
}

fn refuse(why: &str) -> Error {
    let message = format!(
        "the URL of a server is wrong: {why}; write redis://[user][:password@]host[:port][/database], \
         with rediss for TLS, or unix:///path/to.sock[?db=1&user=..&pass=..]"
    );
    Error::new(ErrorKind::InvalidConfig, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bug: parameters that a URL cannot have were ignored.
    /// Effect: `redis://host?db=3` wrote to database 0.
    /// Fix: each parameter is used or refused by its name.
    #[test]
    fn what_a_url_cannot_say_is_refused_by_name() {
        for (url, says) in [
            ("redis://:secret@h?db=3", "\"db\" is unknown; the database is the path"),
            ("redis://:secret@h/2?timeout=3", "\"timeout\""),
            ("unix:///s?db=3&password=secret", "\"password\""),
            ("unix:///s?db=3&db=4", "\"db\" is given twice"),
            ("unix:///s?dbb=3&pass=secret", "\"dbb\""),
            ("redis://:secret@h?dbb=3", "\"dbb\""),
            ("unix:///s?db=three&pass=secret", "database is not a number"),
            ("redis://:secret@h/x", "database is not a number"),
            ("redis://:secret@h/1/2", "database is not a number"),
            ("redis://:secret@h/-1", "database is not a number"),
            ("redis://:secret@h/99999999999", "database is not a number"),
            ("redis://:secret@h#1", "fragment"),
            ("http://:secret@h", "schemes"),
            ("", "schemes"),
            ("localhost", "schemes"),
            ("redis://", ""),
            ("unix://user:secret@h/s", "no host"),
        ] {
            let error = parse(url).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{url}");
            let text = error.to_string();
            assert!(text.contains(says), "{url}: {text}");
            assert!(!text.contains("secret"), "{text}");
        }
    }

    /// Bug: a refusal repeated the name of an unknown parameter.
    /// Effect: part of a password in which `?` or `&` is not encoded was shown in errors.
    /// Fix: after a `pass`, or where an `@` follows, only names that are known for parameters are repeated; else words.
    #[test]
    fn no_part_of_a_password_is_taken_for_a_name() {
        for url in [
            "redis://app:?secret@h",
            "redis://app:12?secret@h:6379/3",
            "redis://app:12?3&secret=@h",
            "unix:///s?pass=1&secret",
            "unix:///s?pass=1&2=3&secret=4",
            "unix:///s?pass=1&secret&secret",
            "unix:///s?1secret=",
        ] {
            let text = parse(url).err().unwrap().to_string();
            assert!(text.contains("the parameter number") && !text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn what_a_url_can_say_is_used() {
        for (url, database, user) in [
            ("redis://h", 0, None),
            ("redis://h/", 0, None),
            ("redis://u:p@h:1/3", 3, Some("u")),
            ("unix:///s?db=2&user=u&pass=p", 2, Some("u")),
            ("redis+unix:///s?db=2", 2, None),
        ] {
            let Parts { info, tls } = parse(url).unwrap();
            assert_eq!(tls, None, "{url}");
            assert_eq!(info.redis_settings().db(), database, "{url}");
            assert_eq!(info.redis_settings().username(), user, "{url}");
        }
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn tls_needs_its_feature() {
        for url in ["rediss://:secret@h", "valkeys://:secret@h"] {
            let text = parse(url).err().unwrap().to_string();
            assert!(text.contains("TLS needs the feature") && !text.contains("secret"), "{text}");
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn what_a_url_says_of_tls_is_used() {
        let parts = parse("rediss://u:p@h:7/3?ca=/a%20b.pem&cert=c.pem&key=c.key&server_name=n");
        let Parts { info, tls } = parts.unwrap();
        assert_eq!(info.addr().to_string(), "h:7");
        assert_eq!((info.redis_settings().db(), info.redis_settings().username()), (3, Some("u")));
        let client = Some(("c.pem".to_owned(), "c.key".to_owned()));
        let (ca, server_name) = (Some("/a b.pem".to_owned()), Some("n".to_owned()));
        assert_eq!(tls, Some(TlsParts { ca, client, server_name }));
        assert_eq!(parse("valkeys://h").unwrap().tls, Some(TlsParts::default()));
    }

    #[cfg(feature = "tls")]
    #[test]
    fn what_a_url_cannot_say_of_tls_is_refused_by_name() {
        for (url, says) in [
            ("rediss://:secret@h?cert=c", "both or none"),
            ("rediss://:secret@h?key=c", "both or none"),
            ("rediss://:secret@h?ca=", "\"ca\" is empty"),
            ("rediss://:secret@h?ca=a&ca=b", "\"ca\" is given twice"),
            ("rediss://:secret@h?cacert=a", "\"cacert\" is unknown; there are ca, cert, key"),
            ("rediss://:secret@h?db=1", "\"db\" is unknown"),
            ("redis://:secret@h?ca=a", "\"ca\" is unknown"),
            ("rediss://:secret@h#insecure", "always checked"),
            ("rediss://:secret@h/x", "database is not a number"),
        ] {
            let error = parse(url).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{url}");
            let text = error.to_string();
            assert!(text.contains(says) && !text.contains("secret"), "{url}: {text}");
        }
    }
}
