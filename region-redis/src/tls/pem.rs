//! Certificates and keys in the PEM format.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use region_core::Result;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::refuse;

/// Certificates or a key.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Pem {
    File(PathBuf),
    Text(Vec<u8>),
}

impl Pem {
    /// The certificates in it: one at least.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>> {
        let text = self.text()?;
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| refuse(&format!("the certificates in {self}: {error}")))?;
        if certificates.is_empty() {
            return Err(refuse(&format!("there is no certificate in {self}")));
        }
        Ok(certificates)
    }

    /// The first private key in it.
    pub(super) fn private_key(&self) -> Result<PrivateKeyDer<'static>> {
        let key = PrivateKeyDer::from_pem_slice(&self.text()?);
        key.map_err(|error| refuse(&format!("the private key in {self}: {error}")))
    }

    fn text(&self) -> Result<Cow<'_, [u8]>> {
        match self {
            Self::Text(text) => Ok(Cow::Borrowed(text)),
            Self::File(path) => std::fs::read(path)
                .map(Cow::Owned)
                .map_err(|error| refuse(&format!("{self} cannot be read: {error}"))),
        }
    }
}

impl fmt::Display for Pem {
    /// Shows the place, not the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{path:?}"),
            Self::Text(_) => f.write_str("the given text"),
        }
    }
}
