//! The parser of a server's URL. Every part of it is either used or refused.

use redis::{ConnectionInfo, IntoConnectionInfo};
use region_core::{Error, ErrorKind, Result};

/// The query parameters that the URL of a unix socket may have.
const SOCKET_PARAMETERS: [&str; 3] = ["db", "user", "pass"];

/// A longer name of a parameter is not repeated.
const MAX_WORD: usize = 16;

/// Parameters that other clients know.
const KNOWN_ELSEWHERE: [&str; 8] =
    ["database", "password", "protocol", "ssl", "timeout", "tls", "username", "weight"];

/// Reads `text`.
///
/// # Errors
/// [`ErrorKind::InvalidConfig`] that names the wrong part. It never repeats the text, any part of which may be
/// one of a password.
pub(crate) fn parse(text: &str) -> Result<ConnectionInfo> {
    let Some(url) = redis::parse_redis_url(text) else {
        return Err(refuse("it is not a URL with one of the schemes redis, valkey, unix"));
    };
    let is_socket = match url.scheme() {
        "rediss" | "valkeys" => return Err(refuse("TLS is not supported")),
        scheme => scheme.contains("unix"),
    };
    if url.fragment().is_some() {
        return Err(refuse("it has a fragment (#..); a `#` in a password is written %23"));
    }
    // What looks like a name may be a part of a password in which `?` or `&` is not encoded.
    let mut may_be_secret = url.query().is_some_and(|query| query.contains('@'));
    let mut seen: Vec<String> = Vec::new();
    for (at, (name, value)) in url.query_pairs().enumerate() {
        let shown = shown(&name, at, may_be_secret);
        may_be_secret |= name.starts_with("pass");
        if !is_socket {
            let rest = if name == "db" { "; the database is the path: redis://host/3" } else { "" };
            return Err(refuse(&format!("the parameter {shown} is unknown{rest}")));
        }
        if !SOCKET_PARAMETERS.contains(&name.as_ref()) {
            return Err(refuse(&format!(
                "the parameter {shown} is unknown; there are db, user, pass"
            )));
        }
        if seen.iter().any(|seen| *seen == name) {
            return Err(refuse(&format!("the parameter {shown} is given twice")));
        }
        if name == "db" {
            check_database(&value)?;
        }
        seen.push(name.into_owned());
    }
    if !is_socket {
        check_database(url.path().strip_prefix('/').unwrap_or_default())?;
    } else if !url.username().is_empty() || url.password().is_some() || url.has_host() {
        return Err(refuse(
            "a unix socket has no host; user and password are the parameters user, pass",
        ));
    }
    url.into_connection_info().map_err(|error| refuse(&error.to_string()))
}

/// The name of the parameter at place `at`, or its number if the name may be part of a password.
fn shown(name: &str, at: usize, may_be_secret: bool) -> String {
    let is_known = SOCKET_PARAMETERS.iter().chain(&KNOWN_ELSEWHERE).any(|known| *known == name);
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
        "the URL of a server is wrong: {why}; write redis://[user][:password@]host[:port][/database] \
         or unix:///path/to.sock[?db=1&user=..&pass=..]"
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
            ("rediss://:secret@h", "TLS"),
            ("valkeys://:secret@h", "TLS"),
            ("http://:secret@h", "schemes"),
            ("", "schemes"),
            ("localhost", "schemes"),
            ("redis://", ""),
            ("unix://user:secret@h/s", "no host"),
        ] {
            let error = parse(url).unwrap_err();
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
            let text = parse(url).unwrap_err().to_string();
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
            let info = parse(url).unwrap();
            assert_eq!(info.redis_settings().db(), database, "{url}");
            assert_eq!(info.redis_settings().username(), user, "{url}");
        }
    }
}
