use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Certificates for a server and a client, by an authority of their own, as files in a folder of their own:
/// `ca.pem`, `server.pem`, `server.key`, `client.pem`, `client.key`. The server's is for `localhost`.
#[derive(Debug)]
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Makes an authority, and what it signs.
    ///
    /// # Panics
    /// When a file cannot be written.
    #[must_use]
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("tls-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
        let certificates = Self { folder };
        certificates.make().unwrap_or_else(|error| panic!("no certificates: {error}"));
        certificates
    }

    /// The path of one of the files.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The content of one of the files.
    ///
    /// # Panics
    /// When there is no such file.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
    }

    fn make(&self) -> Result<(), rcgen::Error> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.distinguished_name.push(DnType::CommonName, "authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        write(&self.path("ca.pem"), &authority.pem());
        for (name, host) in [("server", "localhost"), ("client", "client")] {
            let key = KeyPair::generate()?;
            let mut params = CertificateParams::new(vec![host.to_owned()])?;
            // Another name than the authority's: else it would count as signed by itself.
            params.distinguished_name.push(DnType::CommonName, name);
            let certificate = params.signed_by(&key, &authority)?;
            write(&self.path(&format!("{name}.pem")), &certificate.pem());
            write(&self.path(&format!("{name}.key")), &key.serialize_pem());
        }
        Ok(())
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        // What is left behind in the temporary folder does no harm.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
}
