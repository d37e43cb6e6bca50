//! What stands around the serializer of every region: compression, and encryption around that.

use std::sync::Arc;

use region_core::{AnySerializer, Result};

use super::Configuration;
use super::rows::PREFIX;
use super::settings::{Compression, KeySource};

/// Stands around a serializer.
pub(super) type Wrap = Arc<dyn Fn(AnySerializer) -> AnySerializer + Send + Sync>;

impl Configuration {
    /// Checks the settings of compression and encryption, and reads no key.
    pub(super) fn check_wrapping(&self) -> Result<()> {
        self.compression()?;
        self.current_key()?;
        Ok(())
    }

    /// Compression and encryption, as far as they are set. Reads the keys.
    pub(super) fn wrapping(&self) -> Result<Option<Wrap>> {
        Ok(match (self.compression()?, self.encryption()?) {
            (None, None) => None,
            (Some(wrap), None) | (None, Some(wrap)) => Some(wrap),
            (Some(inner), Some(outer)) => Some(Arc::new(move |format| outer(inner(format)))),
        })
    }

    fn compression(&self) -> Result<Option<Wrap>> {
        let given = &self.compression;
        let algorithm = match (given.algorithm, given.given().first()) {
            (Some(algorithm), _) => algorithm,
            (None, None) => return Ok(None),
            (None, Some(name)) => {
                let why = "it needs compression.algorithm, which is not set";
                return Err(self.refuse(&format!("compression.{name}"), why));
            }
        };
        if given.max_ratio == Some(0) {
            return Err(self.refuse("compression.max_ratio", "it must be more than zero"));
        }
        match algorithm {
            Compression::Off => Ok(None),
            Compression::Zstd => self.zstd().map(Some),
            Compression::Lz4 if given.level.is_some() => {
                let algorithm = self.origins.name("compression.algorithm");
                let why = format!("{algorithm} is lz4, which has no levels");
                Err(self.refuse("compression.level", &why))
            }
            Compression::Lz4 => self.lz4().map(Some),
        }
    }

    #[cfg(feature = "zstd")]
    fn zstd(&self) -> Result<Wrap> {
        let (limits, level) = (Limits::of(self), self.compression.level);
        Ok(Arc::new(move |format| {
            let compressed = match level {
                Some(level) => region_core::Compressed::zstd_level(level, format),
                None => region_core::Compressed::zstd(format),
            };
            limits.set(compressed)
        }))
    }

    #[cfg(not(feature = "zstd"))]
    fn zstd(&self) -> Result<Wrap> {
        Err(self.needs_feature("compression.algorithm", "zstd"))
    }

    #[cfg(feature = "lz4")]
    fn lz4(&self) -> Result<Wrap> {
        let limits = Limits::of(self);
        Ok(Arc::new(move |format| limits.set(region_core::Compressed::lz4(format))))
    }

    #[cfg(not(feature = "lz4"))]
    fn lz4(&self) -> Result<Wrap> {
        Err(self.needs_feature("compression.algorithm", "lz4"))
    }

    #[cfg(not(all(feature = "encryption", feature = "lz4", feature = "zstd")))]
    fn needs_feature(&self, path: &str, feature: &str) -> region_core::Error {
        self.refuse(path, &format!("it needs the feature `{feature}` of region-cache"))
    }

    /// The id of the key that writes, after the checks of all that can be checked without reading a key.
    fn current_key(&self) -> Result<Option<u32>> {
        let given = &self.encryption;
        let Some(keys) = given.keys.as_ref().filter(|keys| !keys.is_empty()) else {
            if given.current.is_some() {
                let why = "it needs encryption.keys, which has none";
                return Err(self.refuse("encryption.current", why));
            }
            if given.keys.is_some() {
                let why = "there is no key: name one, or leave the setting out";
                return Err(self.refuse("encryption.keys", why));
            }
            return Ok(None);
        };
        #[cfg(not(feature = "encryption"))]
        if !keys.is_empty() {
            return Err(self.needs_feature("encryption.keys", "encryption"));
        }
        for (id, source) in keys {
            if let KeySource::Env(name) = source
                && name.starts_with(PREFIX)
            {
                let why = format!("variables that begin with {PREFIX} are settings: take another");
                return Err(self.refuse(&key_path(*id), &why));
            }
        }
        match (given.current, keys.first_key_value()) {
            (Some(current), _) if !keys.contains_key(&current) => {
                let why = format!("no key in encryption.keys has the id {current}");
                Err(self.refuse("encryption.current", &why))
            }
            (Some(current), _) => Ok(Some(current)),
            (None, Some((only, _))) if keys.len() == 1 => Ok(Some(*only)),
            _ => {
                let why = "there are several: say by encryption.current which one writes";
                Err(self.refuse("encryption.keys", why))
            }
        }
    }

    #[cfg(feature = "encryption")]
    fn encryption(&self) -> Result<Option<Wrap>> {
        let (Some(current), Some(sources)) = (self.current_key()?, &self.encryption.keys) else {
            return Ok(None);
        };
        let read = |id: u32, source: &KeySource| {
            super::keys::read(source).map_err(|why| self.refuse(&key_path(id), &why))
        };
        let Some(writing) = sources.get(&current) else { return Ok(None) };
        let mut ring = region_core::KeyRing::new(current, read(current, writing)?);
        for (id, source) in sources.iter().filter(|(id, _)| **id != current) {
            ring = ring.reading(*id, read(*id, source)?)?;
        }
        let encrypt =
            move |format| AnySerializer::new(region_core::Encrypted::new(format, ring.clone()));
        Ok(Some(Arc::new(encrypt)))
    }

    #[cfg(not(feature = "encryption"))]
    fn encryption(&self) -> Result<Option<Wrap>> {
        self.current_key().map(|_| None)
    }
}

fn key_path(id: u32) -> String {
    format!("encryption.keys.{id}")
}

/// The limits of compression that are set.
#[cfg(any(feature = "lz4", feature = "zstd"))]
#[derive(Clone, Copy)]
struct Limits {
    above: Option<usize>,
    max_size: Option<usize>,
    max_ratio: Option<usize>,
}

#[cfg(any(feature = "lz4", feature = "zstd"))]
impl Limits {
    fn of(configuration: &Configuration) -> Self {
        let given = &configuration.compression;
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            above: given.above.map(size),
            max_size: given.max_size.map(size),
            max_ratio: given.max_ratio.map(|ratio| size(ratio.into())),
        }
    }

    fn set(self, mut compressed: region_core::Compressed<AnySerializer>) -> AnySerializer {
        if let Some(bytes) = self.above {
            compressed = compressed.above(bytes);
        }
        if let Some(bytes) = self.max_size {
            compressed = compressed.max_size(bytes);
        }
        if let Some(ratio) = self.max_ratio {
            compressed = compressed.max_ratio(ratio);
        }
        AnySerializer::new(compressed)
    }
}
