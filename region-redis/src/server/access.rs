use redis::{ProtocolVersion, RedisConnectionInfo};
use region_core::{Error, ErrorKind, Result};

use super::{Address, Server};
#[cfg(feature = "tls")]
use crate::tls::{Configs, ServerTls};
use crate::url::{AccessParts, Host};

/// All that connections to a server need beside its address: the credentials, the database, and the settings of TLS.
#[derive(Clone)]
pub(crate) struct Access {
    settings: RedisConnectionInfo,
    #[cfg(feature = "tls")]
    tls: Option<ServerTls>,
}

impl Access {
    pub(crate) fn new(parts: AccessParts) -> Self {
        let AccessParts { user, password, database, tls } = parts;
        let mut settings = RedisConnectionInfo::default()
            .set_db(database)
            .set_protocol(ProtocolVersion::RESP3)
            .set_lib_name("region-cache", env!("CARGO_PKG_VERSION"));
        if let Some(user) = user {
            settings = settings.set_username(user);
        }
        if let Some(password) = password {
            settings = settings.set_password(password);
        }
        #[cfg(not(feature = "tls"))]
        debug_assert!(tls.is_none());
        Self {
            settings,
            #[cfg(feature = "tls")]
            tls: tls.map(ServerTls::of_url),
        }
    }

    /// The server at this host.
    pub(crate) fn server(&self, Host { name, port }: Host) -> Server {
        let address = match self.is_tls() {
            true => Address::Tls(name, port),
            false => Address::Tcp(name, port),
        };
        Server { address, access: self.clone() }
    }

    /// Sets credentials that are not part of the URL.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] when the URL has some, or the password is empty.
    pub(crate) fn set_credentials(&mut self, user: Option<&str>, password: &str) -> Result<()> {
        let why = match self.settings.password() {
            Some(_) => "there is a password in the URL, and another one apart from it",
            None if password.is_empty() => "the password is empty",
            None => {
                let mut settings = self.settings.clone().set_password(password);
                if let Some(user) = user.filter(|user| !user.is_empty()) {
                    settings = settings.set_username(user);
                }
                self.settings = settings;
                return Ok(());
            }
        };
        Err(Error::new(ErrorKind::InvalidConfig, why))
    }

    /// Sets TLS up, if the URL asks for it: for all servers that are made of this from then on.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] that names the part that is wrong.
    #[cfg(feature = "tls")]
    pub(crate) fn set_up_tls(&mut self, configs: &mut Configs<'_>) -> Result<()> {
        self.tls.as_mut().map_or(Ok(()), |tls| tls.set_up(configs))
    }

    #[cfg(feature = "tls")]
    pub(super) fn tls(&self) -> Option<&ServerTls> {
        self.tls.as_ref()
    }

    pub(crate) fn is_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    /// The user as a URL begins with it, without the password: `user@`.
    pub(crate) fn user(&self) -> String {
        let user = self.settings.username().unwrap_or_default();
        if user.is_empty() { String::new() } else { format!("{user}@") }
    }

    /// The database as a URL ends with it: `/1`, and nothing for database 0.
    pub(crate) fn database(&self) -> String {
        match self.settings.db() {
            0 => String::new(),
            database => format!("/{database}"),
        }
    }

    pub(crate) fn settings(&self) -> &RedisConnectionInfo {
        &self.settings
    }
}
