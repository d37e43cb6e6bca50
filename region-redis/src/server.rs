//! The address of a server, and the credentials for it.

mod access;

use std::fmt;
use std::path::PathBuf;

use redis::RedisConnectionInfo;
use region_core::{Error, ErrorKind, Result};

#[cfg(feature = "tls")]
use crate::tls::{Configs, ServerTls};
#[cfg(feature = "client")]
use crate::url::Host;
use crate::url::Parsed;
pub(crate) use access::Access;

/// The user that a server takes a client for which names none.
const DEFAULT_USER: &str = "default";

/// A server's address, the database on it, and the credentials for it.
///
/// In text: `redis://[[user]:password@]host[:port][/database]`, or
/// `unix:///path/to.sock[?db=1&user=..&pass=..]`; `valkey://` and `valkey+unix://` mean the same. With `rediss://` or
/// `valkeys://` the connections are over TLS (feature `tls`), and the parameters `ca`, `cert`, `key` and `server_name`
/// say whom to trust: see `Tls`. Special characters are percent-encoded. A printed server shows no password.
///
/// A password for a server whose default user has none is an error: such a server takes any, and may have
/// lost its configuration. Another user that has none (`nopass`) is not found out, and any password is accepted
/// for it: to ask for a user's settings takes an administrator's permission, and to try a wrong password would
/// put a failed login into the server's `ACL LOG` with each connection.
///
/// ```
/// use region_redis::Server;
///
/// let server = Server::parse("redis://app:secret@cache.internal:6380/2")?;
/// assert_eq!(server.to_string(), "redis://app@cache.internal:6380/2");
/// # Ok::<(), region_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Server {
    address: Address,
    access: Access,
}

/// The address that a server listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(String, u16),
    /// As `Tcp`, over TLS.
    Tls(String, u16),
    Unix(PathBuf),
}

impl Server {
    /// Parses the URL of a server.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] when the text is not such a URL, or has a parameter that is not listed above.
    pub fn parse(url: &str) -> Result<Self> {
        Self::of(crate::url::parse(url)?)
    }

    /// The server that a URL names.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] when it names a list.
    pub(crate) fn of(parsed: Parsed) -> Result<Self> {
        match parsed {
            Parsed::Server(host, access) => Ok(Access::new(access).server(host)),
            Parsed::Socket(path, access) => {
                Ok(Self { address: Address::Unix(path), access: Access::new(access) })
            }
            Parsed::Sentinel(_) | Parsed::Cluster(_) => {
                let message = "the URL is wrong: it has to name one server, by redis://, rediss:// or unix://";
                Err(Error::new(ErrorKind::InvalidConfig, message))
            }
        }
    }

    /// Returns the server at another address, as a server has reported it, with the same credentials and settings;
    /// `None` if nothing can be connected to there.
    #[cfg(feature = "client")]
    #[must_use]
    pub fn at(&self, host: &str, port: u16) -> Option<Self> {
        Host::reported(host, &port.to_string()).map(|host| self.access.server(host))
    }

    /// Sets credentials that are not part of the URL.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] when the URL has some, or the password is empty.
    pub(crate) fn set_credentials(&mut self, user: Option<&str>, password: &str) -> Result<()> {
        self.access.set_credentials(user, password)
    }

    #[cfg(feature = "tls")]
    pub(crate) fn tls(&self) -> Option<&ServerTls> {
        self.access.tls()
    }

    /// Sets TLS up, if the URL asks for it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] that names the part that is wrong.
    #[cfg(feature = "tls")]
    pub(crate) fn set_up_tls(&mut self, configs: &mut Configs<'_>) -> Result<()> {
        self.access.set_up_tls(configs)?;
        match (&self.address, self.tls()) {
            (Address::Tls(host, _), Some(tls)) => tls.check_name(host),
            _ => Ok(()),
        }
    }

    /// Returns whether both are the same database at the same address.
    pub(crate) fn is_at(&self, other: &Self) -> bool {
        self.address == other.address && self.settings().db() == other.settings().db()
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Returns the password, if it is the default user's.
    pub(crate) fn password_of_default_user(&self) -> Option<&str> {
        let settings = self.settings();
        let is_default = settings.username().is_none_or(|user| user == DEFAULT_USER);
        settings.password().filter(|_| is_default)
    }

    pub(crate) fn settings(&self) -> &RedisConnectionInfo {
        self.access.settings()
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.address {
            Address::Tcp(..) => "redis",
            Address::Tls(..) => "rediss",
            Address::Unix(_) => "unix",
        };
        write!(f, "{scheme}://{}{}{}", self.access.user(), self.address, self.access.database())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) | Self::Tls(host, port) if host.contains(':') => {
                write!(f, "[{host}]:{port}")
            }
            Self::Tcp(host, port) | Self::Tls(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_printed_without_the_password() {
        for (url, printed) in [
            ("redis://localhost", "redis://localhost:6379"),
            ("valkey://:secret@127.0.0.1:7000/3", "redis://127.0.0.1:7000/3"),
            ("redis://us%40er:se%2Fcret@h", "redis://us@er@h:6379"),
            ("redis://[::1]:7000", "redis://[::1]:7000"),
            #[cfg(feature = "tls")]
            ("valkeys://us:secret@h/3?ca=a.pem", "rediss://us@h:6379/3"),
            ("unix:///run/redis.sock?db=2&pass=secret", "unix:///run/redis.sock/2"),
        ] {
            let server = Server::parse(url).unwrap();
            assert_eq!(server.to_string(), printed);
            assert!(!format!("{server:?}").contains("secret"));
        }
    }
}
