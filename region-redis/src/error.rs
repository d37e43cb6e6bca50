//! What the client library and the server say, in this project's words.

use redis::{RedisError, ServerError};
use region_core::{Error, ErrorKind};

use crate::server::Server;

/// What a failure says of the connection it came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It works; the server refused this call.
    Works,
    /// It is of no use any more.
    Broken,
}

/// A failed call.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) verdict: Verdict,
}

impl Failure {
    /// The failure that a server's error reply means.
    pub(crate) fn refused(server: &Server, code: &str, details: Option<&str>) -> Self {
        let text = format!("{code} {}", details.unwrap_or_default());
        let (kind, verdict) = classify(code, details.unwrap_or_default());
        let error = Error::new(kind, format!("{server} answered: {}", text.trim_end()));
        let error = if is_passing(code, kind) { error.retryable() } else { error };
        Self { error, verdict }
    }

    pub(crate) fn server_error(server: &Server, error: &ServerError) -> Self {
        Self::refused(server, error.code(), error.details())
    }

    /// The failure that the client library reports.
    pub(crate) fn client(server: &Server, error: RedisError) -> Self {
        if let Some(code) = error.code() {
            return Self::refused(server, code, error.detail());
        }
        let (kind, what) = match error.kind() {
            redis::ErrorKind::AuthenticationFailed => {
                (ErrorKind::Denied, "refuses the credentials")
            }
            redis::ErrorKind::Parse | redis::ErrorKind::UnexpectedReturnType => {
                (ErrorKind::Protocol, "does not speak the protocol")
            }
            redis::ErrorKind::RESP3NotSupported => (
                ErrorKind::Protocol,
                "does not speak RESP3: it must be Redis 7 or Valkey 8, or newer",
            ),
            redis::ErrorKind::InvalidClientConfig => {
                (ErrorKind::InvalidPolicy, "cannot be used with these settings")
            }
            _ if error.is_timeout() => return Self::silent(server),
            _ => (ErrorKind::Unavailable, "cannot be reached"),
        };
        let error = Error::new(kind, format!("{server} {what}")).with_source(error);
        Self { error, verdict: Verdict::Broken }
    }

    /// The server has not answered in time.
    pub(crate) fn silent(server: &Server) -> Self {
        let error = Error::new(ErrorKind::Timeout, format!("{server} has not answered in time"));
        Self { error, verdict: Verdict::Works }
    }

    /// The server answered something that it should not.
    pub(crate) fn garbled(server: &Server, what: &str) -> Self {
        let error = Error::new(ErrorKind::Protocol, format!("{server} answered {what}"));
        Self { error, verdict: Verdict::Works }
    }

    pub(crate) fn unavailable(server: &Server, why: &str) -> Self {
        let error = Error::new(ErrorKind::Unavailable, format!("{server} {why}"));
        Self { error, verdict: Verdict::Broken }
    }
}

/// How servers say that a script may not do what it does.
const SCRIPT_DENIED: [&str; 3] = ["NOPERM", "ACL failure", "The user executing the script"];

fn classify(code: &str, details: &str) -> (ErrorKind, Verdict) {
    match code {
        "NOAUTH" | "WRONGPASS" => (ErrorKind::Denied, Verdict::Broken),
        "NOPERM" => (ErrorKind::Denied, Verdict::Works),
        // A script that was refused a command says so within its own error, each version in its words.
        "ERR" if SCRIPT_DENIED.iter().any(|denied| details.contains(denied)) => {
            (ErrorKind::Denied, Verdict::Works)
        }
        "ERR"
            if details.contains("invalid password") || details.contains("without any password") =>
        {
            (ErrorKind::Denied, Verdict::Broken)
        }
        "ERR" if details.contains("max number of clients") => {
            (ErrorKind::Unavailable, Verdict::Broken)
        }
        "OOM" | "MISCONF" | "BUSY" | "TRYAGAIN" | "NOREPLICAS" | "UNKILLABLE" => {
            (ErrorKind::Unavailable, Verdict::Works)
        }
        // It is not the primary any more, or not yet: what it holds may not be what was written.
        "READONLY" | "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "MOVED" | "ASK" => {
            (ErrorKind::Unavailable, Verdict::Broken)
        }
        "NOPROTO" => (ErrorKind::Protocol, Verdict::Broken),
        _ => (ErrorKind::Store, Verdict::Works),
    }
}

/// Whether the same call may succeed later.
fn is_passing(code: &str, kind: ErrorKind) -> bool {
    kind == ErrorKind::Unavailable || code == "NOSCRIPT"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str, details: &str) -> Failure {
        let server = Server::parse("redis://user:secret@db.example:6380/1").unwrap();
        Failure::refused(&server, code, Some(details))
    }

    #[test]
    fn each_refusal_has_its_kind() {
        let cases = [
            ("NOAUTH", "Authentication required.", ErrorKind::Denied, Verdict::Broken, false),
            ("WRONGPASS", "invalid username-password", ErrorKind::Denied, Verdict::Broken, false),
            ("NOPERM", "this user has no permissions", ErrorKind::Denied, Verdict::Works, false),
            (
                "ERR",
                "The user executing the script can't run this command or subcommand",
                ErrorKind::Denied,
                Verdict::Works,
                false,
            ),
            ("ERR", "max number of clients reached", ErrorKind::Unavailable, Verdict::Broken, true),
            ("OOM", "command not allowed", ErrorKind::Unavailable, Verdict::Works, true),
            (
                "MISCONF",
                "Redis is configured to save",
                ErrorKind::Unavailable,
                Verdict::Works,
                true,
            ),
            ("BUSY", "Redis is busy", ErrorKind::Unavailable, Verdict::Works, true),
            ("READONLY", "You can't write", ErrorKind::Unavailable, Verdict::Broken, true),
            ("LOADING", "Redis is loading", ErrorKind::Unavailable, Verdict::Broken, true),
            (
                "MASTERDOWN",
                "Link with MASTER is down",
                ErrorKind::Unavailable,
                Verdict::Broken,
                true,
            ),
            ("ERR", "wrong number of arguments", ErrorKind::Store, Verdict::Works, false),
        ];
        for (code, details, kind, verdict, can_retry) in cases {
            let failure = refused(code, details);
            assert_eq!(failure.error.kind(), kind, "{code}");
            assert_eq!(failure.verdict, verdict, "{code}");
            assert_eq!(failure.error.can_retry(), can_retry, "{code}");
        }
    }

    #[test]
    fn the_server_is_named_and_the_password_is_not() {
        let text = refused("OOM", "command not allowed").error.to_string();
        assert_eq!(text, "redis://user@db.example:6380/1 answered: OOM command not allowed");
    }
}
