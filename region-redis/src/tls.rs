//! TLS: the authorities that are trusted, and the certificate that this client shows.

mod pem;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use region_core::{Error, ErrorKind, Result};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use crate::url::TlsParts;
use pem::Pem;

/// The settings of connections over TLS: to servers whose URL begins with `rediss://` or `valkeys://`.
///
/// By default a server's certificate has to be signed by an authority that the operating system trusts, and has to
/// name the host of the URL. There is no way to leave this check out: for a certificate of one's own, name its
/// authority by [`ca_file`](Self::ca_file), or the certificate itself.
///
/// A URL can say the same: `rediss://host?ca=/etc/ca.pem&cert=/etc/app.pem&key=/etc/app.key&server_name=cache`. What a
/// URL says of TLS takes the place of all that [`RedisStoreBuilder::tls`](crate::RedisStoreBuilder::tls) says.
///
/// Files are in the PEM format. They are read when the store is made, and not again: a store goes on with the
/// certificates it has.
///
/// ```no_run
/// use region_redis::{RedisStore, Tls};
///
/// # async fn run() -> region_core::Result<()> {
/// let tls = Tls::new().ca_file("/etc/redis/ca.pem").client_files("/etc/app.pem", "/etc/app.key");
/// let store = RedisStore::builder("rediss://cache-primary")?.tls(tls).connect().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Tls {
    /// `None`: those of the system.
    authorities: Option<Pem>,
    client: Option<Client>,
    server_name: Option<String>,
}

/// The certificate that this client shows, and its private key.
#[derive(Clone, PartialEq, Eq)]
struct Client {
    chain: Pem,
    key: Pem,
}

/// The settings as the URL of one server gives them, and then the connector that follows from all settings.
#[derive(Clone)]
pub(crate) struct ServerTls {
    from_url: Option<Tls>,
    connector: Option<Connector>,
}

/// Opens connections over TLS.
#[derive(Clone)]
struct Connector {
    connector: TlsConnector,
    /// The name that a server's certificate has to have; `None`: the host's.
    name: Option<ServerName<'static>>,
}

impl Tls {
    /// The authorities of the operating system, and no client certificate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the certificates in this file, in the place of the system's authorities.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.authorities = Some(Pem::File(path.into()));
        self
    }

    /// As [`ca_file`](Self::ca_file), with the file's content.
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities = Some(Pem::Text(pem.into()));
        self
    }

    /// Shows the server the certificate in the file `chain` (followed by those of its authorities, if there are any
    /// between it and the one that the server trusts), whose private key is in the file `key`.
    pub fn client_files(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.client = Some(Client { chain: Pem::File(chain.into()), key: Pem::File(key.into()) });
        self
    }

    /// As [`client_files`](Self::client_files), with the files' contents.
    pub fn client_pem(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.client = Some(Client { chain: Pem::Text(chain.into()), key: Pem::Text(key.into()) });
        self
    }

    /// Sets the name that a server's certificate has to have, and that the server is told (SNI). By default it is the
    /// host of its URL.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// The configuration that follows from the settings.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] that names the part that is wrong.
    fn config(&self) -> Result<Arc<ClientConfig>> {
        // Chosen here: a program may hold several, and then none is the default.
        let provider = Arc::new(crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| refuse(&error.to_string()))?
            .with_root_certificates(self.roots()?);
        let Some(Client { chain, key }) = &self.client else {
            return Ok(Arc::new(config.with_no_client_auth()));
        };
        let (certificates, private_key) = (chain.certificates()?, key.private_key()?);
        let config = config.with_client_auth_cert(certificates, private_key);
        config.map(Arc::new).map_err(|error| {
            refuse(&format!("the client certificate in {chain} with the key in {key}: {error}"))
        })
    }

    fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        let Some(authorities) = &self.authorities else {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(refuse(
                    "the system has no certificates of authorities: install them (ca-certificates), or name one",
                ));
            }
            return Ok(roots);
        };
        for certificate in authorities.certificates()? {
            let added = roots.add(certificate);
            added.map_err(|error| refuse(&format!("a certificate in {authorities}: {error}")))?;
        }
        Ok(roots)
    }
}

impl ServerTls {
    /// For a server whose URL says this of TLS.
    pub(crate) fn of_url(parts: TlsParts) -> Self {
        let says_more = parts != TlsParts::default();
        let TlsParts { ca, client, server_name } = parts;
        let file = |path: String| Pem::File(path.into());
        let client = client.map(|(chain, key)| Client { chain: file(chain), key: file(key) });
        let tls = Tls { authorities: ca.map(file), client, server_name };
        Self { from_url: says_more.then_some(tls), connector: None }
    }

    /// Sets it up.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] that names the part that is wrong.
    pub(crate) fn set_up(&mut self, configs: &mut Configs<'_>) -> Result<()> {
        configs.are_used |= self.from_url.is_none();
        let settings = self.from_url.as_ref().or(configs.settings).cloned().unwrap_or_default();
        let name = settings.server_name.as_deref().map(server_name).transpose()?;
        let connector = TlsConnector::from(configs.config(&settings)?);
        self.connector = Some(Connector { connector, name });
        Ok(())
    }

    /// Checks that a certificate can have the name that it has to have for the server at `host`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] otherwise.
    pub(crate) fn check_name(&self, host: &str) -> Result<()> {
        match &self.connector {
            Some(Connector { name: Some(_), .. }) => Ok(()),
            _ => server_name(host).map(|_| ()),
        }
    }

    /// Makes `stream`, which leads to `host`, a connection over TLS.
    pub(crate) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let Some(Connector { connector, name }) = &self.connector else {
            return Err(std::io::Error::other("TLS has not been set up"));
        };
        let name = match name {
            Some(name) => name.clone(),
            None => server_name(host).map_err(std::io::Error::other)?,
        };
        connector.connect(name, stream).await
    }
}

/// The configurations of a store's servers. Equal settings share one, and with it what is remembered of earlier
/// handshakes.
pub(crate) struct Configs<'t> {
    /// For servers whose URL says no more than that there is TLS.
    settings: Option<&'t Tls>,
    are_used: bool,
    made: Vec<(Tls, Arc<ClientConfig>)>,
}

impl<'t> Configs<'t> {
    pub(crate) fn new(settings: Option<&'t Tls>) -> Self {
        Self { settings, are_used: false, made: Vec::new() }
    }

    fn config(&mut self, settings: &Tls) -> Result<Arc<ClientConfig>> {
        if let Some((_, config)) = self.made.iter().find(|(made, _)| made == settings) {
            return Ok(Arc::clone(config));
        }
        let config = settings.config()?;
        self.made.push((settings.clone(), Arc::clone(&config)));
        Ok(config)
    }

    /// Checks that the settings are those of some server.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] otherwise: who asks for TLS and does not get it has to know.
    pub(crate) fn finish(self) -> Result<()> {
        if self.are_used || self.settings.is_none() {
            return Ok(());
        }
        let why = "there are settings for it, and no server uses them: write rediss:// in its URL";
        Err(refuse(why))
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>> {
    let wrong = |_| refuse(&format!("no certificate can have the name {name:?}"));
    ServerName::try_from(name.to_owned()).map_err(wrong)
}

fn refuse(why: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, format!("TLS: {why}"))
}

impl fmt::Debug for Tls {
    /// Shows no content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |pem: &Pem| pem.to_string();
        f.debug_struct("Tls")
            .field("ca", &self.authorities.as_ref().map(shown))
            .field("cert", &self.client.as_ref().map(|client| shown(&client.chain)))
            .field("key", &self.client.as_ref().map(|client| shown(&client.key)))
            .field("server_name", &self.server_name)
            .finish()
    }
}
