//! The errors of the client library and of servers, turned into this project's errors.

use std::fmt::{self, Display};
use std::time::Duration;

use redis::{RedisError, ServerError, Value};
use region_core::{Error, ErrorKind};

use crate::server::Server;

/// The part that a failure concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Concerns {
    /// The call alone: the connection works.
    Call,
    /// A further connection: the main one may work.
    ExtraConnection,
    /// The connection that the call was sent over: it must not be used any more.
    Connection,
    /// The server: no connection to it may be used.
    Server,
}

/// The code of the error of a script that was told of regions above its anchor what may be out of date.
const CLAIM_REFUSED: &str = "REGIONABOVE";

/// A claim was refused: another was accepted before, which may be newer.
#[derive(Debug)]
pub(crate) struct ClaimRefused {
    /// The `tree`s of that one.
    pub(crate) record: Vec<u8>,
}

impl ClaimRefused {
    fn parse(code: &str, details: &str) -> Option<Self> {
        let digits = (code == CLAIM_REFUSED).then(|| details.as_bytes().chunks(2))?;
        let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        Some(Self { record: digits.map_while(byte).collect() })
    }

    /// The refusal that an error stands for.
    pub(crate) fn of(error: &Error) -> Option<&Self> {
        std::error::Error::source(error)?.downcast_ref()
    }
}

impl fmt::Display for ClaimRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what lies above the anchor may have changed")
    }
}

impl std::error::Error for ClaimRefused {}

/// A failed call.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) concerns: Concerns,
}

impl Failure {
    /// The failure that stands for an error reply of a server.
    pub(crate) fn refused(server: &Server, code: &str, details: Option<&str>) -> Self {
        let details = details.unwrap_or_default();
        if details.contains(NO_PASSWORD) {
            let message = format!("a password is set for {server}, which asks for none");
            let error = Error::new(ErrorKind::Denied, message);
            return Self { error, concerns: Concerns::Connection };
        }
        let text = format!("{code} {details}");
        let (kind, concerns) = classify(code, details);
        let error = Error::new(kind, format!("{server} answered: {}", text.trim_end()));
        let error = if is_transient(code, kind) { error.retryable() } else { error };
        let error = match ClaimRefused::parse(code, details) {
            Some(refused) => error.with_source(refused),
            None => error,
        };
        Self { error, concerns }
    }

    pub(crate) fn server_error(server: &Server, error: &ServerError) -> Self {
        Self::refused(server, error.code(), error.details())
    }

    /// Returns a server's answer, nil if there is none; the failure that it stands for if it is an error.
    pub(crate) fn unless_error(server: &Server, answer: Option<Value>) -> Result<Value, Self> {
        match answer {
            Some(Value::ServerError(error)) => Err(Self::server_error(server, &error)),
            answer => Ok(answer.unwrap_or_default()),
        }
    }

    /// The failure that stands for an error of the client library.
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
                (ErrorKind::InvalidConfig, "cannot be used with these settings")
            }
            _ if error.is_timeout() => return Self::timed_out(server),
            _ => (ErrorKind::Unavailable, "cannot be reached"),
        };
        let error = Error::new(kind, format!("{server} {what}")).with_source(error);
        Self { error, concerns: Concerns::Connection }
    }

    /// The failure of a handshake: one side does not trust the other, or the server does not speak TLS there.
    #[cfg(feature = "tls")]
    pub(crate) fn tls(server: &Server, error: std::io::Error) -> Self {
        let message = format!("{server} cannot be spoken to over TLS: {error}");
        let error = Error::new(ErrorKind::Unavailable, message).with_source(error);
        Self { error, concerns: Concerns::Connection }
    }

    /// The same, of a further connection.
    pub(crate) fn of_extra(self) -> Self {
        match self.concerns {
            Concerns::Connection => Self { concerns: Concerns::ExtraConnection, ..self },
            _ => self,
        }
    }

    /// The failure of a call that the server has not answered in time.
    pub(crate) fn timed_out(server: &Server) -> Self {
        let error = Error::new(ErrorKind::Timeout, format!("{server} has not answered in time"));
        Self { error, concerns: Concerns::Call }
    }

    /// The failure of a call that got an answer of the wrong form.
    pub(crate) fn unexpected(server: &Server, what: &str) -> Self {
        let error = Error::new(ErrorKind::Protocol, format!("{server} answered {what}"));
        Self { error, concerns: Concerns::Call }
    }

    /// The failure of what cannot be reached now; `server` names it.
    pub(crate) fn unavailable(server: &(impl Display + ?Sized), why: &str) -> Self {
        let error = Error::new(ErrorKind::Unavailable, format!("{server} {why}"));
        Self { error, concerns: Concerns::Connection }
    }
}

/// Limits the time of `work`; `server` names the one that has not answered by then.
pub(crate) async fn within<T, S: Display>(
    limit: Duration,
    work: impl Future<Output = Result<T, Failure>>,
    server: impl FnOnce() -> S,
) -> Result<T, Failure> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => {
            Err(Failure::unavailable(&server(), &format!("has not answered within {limit:?}")))
        }
    }
}

/// The error of a server that is given a password and asks for none.
const NO_PASSWORD: &str = "without any password configured";

/// The errors of servers that do not permit a script what it does.
const SCRIPT_DENIED: [&str; 3] = ["NOPERM", "ACL failure", "The user executing the script"];

fn classify(code: &str, details: &str) -> (ErrorKind, Concerns) {
    match code {
        "NOAUTH" | "WRONGPASS" => (ErrorKind::Denied, Concerns::Connection),
        "NOPERM" => (ErrorKind::Denied, Concerns::Call),
        // The error of a script that was refused a command contains the refusal; the words differ by version.
        "ERR" if SCRIPT_DENIED.iter().any(|denied| details.contains(denied)) => {
            (ErrorKind::Denied, Concerns::Call)
        }
        "ERR" if details.contains("invalid password") => (ErrorKind::Denied, Concerns::Connection),
        "ERR" if details.contains("max number of clients") => {
            (ErrorKind::Unavailable, Concerns::Connection)
        }
        "OOM" | "MISCONF" | "BUSY" | "NOREPLICAS" | "UNKILLABLE" => {
            (ErrorKind::Unavailable, Concerns::Call)
        }
        CLAIM_REFUSED => (ErrorKind::Unavailable, Concerns::Call),
        _ if is_migrating(code, details) => (ErrorKind::Unavailable, Concerns::Call),
        // It is not the primary any more, or not yet: its data may lack writes.
        "READONLY" | "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "MOVED" => {
            (ErrorKind::Unavailable, Concerns::Server)
        }
        "NOPROTO" => (ErrorKind::Protocol, Concerns::Connection),
        _ => (ErrorKind::Store, Concerns::Call),
    }
}

/// Returns whether a node refused a call, before it changed anything, because the keys of the slot are being moved
/// to another node.
pub(crate) fn is_migrating(code: &str, details: &str) -> bool {
    matches!(code, "TRYAGAIN" | "ASK") || (code == "ERR" && details.contains("non local key"))
}

/// Returns whether the same call may succeed later.
fn is_transient(code: &str, kind: ErrorKind) -> bool {
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
            ("NOAUTH", "Authentication required.", ErrorKind::Denied, Concerns::Connection, false),
            (
                "WRONGPASS",
                "invalid username-password",
                ErrorKind::Denied,
                Concerns::Connection,
                false,
            ),
            ("NOPERM", "this user has no permissions", ErrorKind::Denied, Concerns::Call, false),
            (
                "ERR",
                "The user executing the script can't run this command or subcommand",
                ErrorKind::Denied,
                Concerns::Call,
                false,
            ),
            (
                "ERR",
                "max number of clients reached",
                ErrorKind::Unavailable,
                Concerns::Connection,
                true,
            ),
            ("OOM", "command not allowed", ErrorKind::Unavailable, Concerns::Call, true),
            (
                "MISCONF",
                "Redis is configured to save",
                ErrorKind::Unavailable,
                Concerns::Call,
                true,
            ),
            ("BUSY", "Redis is busy", ErrorKind::Unavailable, Concerns::Call, true),
            ("READONLY", "You can't write", ErrorKind::Unavailable, Concerns::Server, true),
            ("LOADING", "Redis is loading", ErrorKind::Unavailable, Concerns::Server, true),
            (
                "MASTERDOWN",
                "Link with MASTER is down",
                ErrorKind::Unavailable,
                Concerns::Server,
                true,
            ),
            ("TRYAGAIN", "Multiple keys request", ErrorKind::Unavailable, Concerns::Call, true),
            ("ASK", "1 127.0.0.1:7000", ErrorKind::Unavailable, Concerns::Call, true),
            ("MOVED", "1 127.0.0.1:7000", ErrorKind::Unavailable, Concerns::Server, true),
            ("CLUSTERDOWN", "Hash slot not served", ErrorKind::Unavailable, Concerns::Server, true),
            (
                "ERR",
                "Script attempted to access a non local key in a cluster node script: 1",
                ErrorKind::Unavailable,
                Concerns::Call,
                true,
            ),
            ("ERR", "wrong number of arguments", ErrorKind::Store, Concerns::Call, false),
        ];
        for (code, details, kind, concerns, can_retry) in cases {
            let failure = refused(code, details);
            assert_eq!(failure.error.kind(), kind, "{code}");
            assert_eq!(failure.concerns, concerns, "{code}");
            assert_eq!(failure.error.can_retry(), can_retry, "{code}");
        }
    }

    #[test]
    fn the_server_is_named_and_the_password_is_not() {
        let text = refused("OOM", "command not allowed").error.to_string();
        assert_eq!(text, "redis://user@db.example:6380/1 answered: OOM command not allowed");
    }
}
