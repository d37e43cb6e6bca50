use std::io::Read;

#[cfg(feature = "lz4")]
use super::lz4;
#[cfg(feature = "zstd")]
use super::zstd;
use crate::error::BoxError;

/// The markers of compressed values. They are stored: never use one for something else.
const ZSTD: u8 = 1;
const LZ4: u8 = 2;

/// A way to compress bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    #[cfg(feature = "zstd")]
    Zstd { level: i32 },
    #[cfg(feature = "lz4")]
    Lz4,
}

impl Algorithm {
    pub(super) fn marker(self) -> u8 {
        match self {
            #[cfg(feature = "zstd")]
            Self::Zstd { .. } => ZSTD,
            #[cfg(feature = "lz4")]
            Self::Lz4 => LZ4,
        }
    }

    pub(super) fn compress(self, bytes: &[u8]) -> Result<Vec<u8>, BoxError> {
        match self {
            #[cfg(feature = "zstd")]
            Self::Zstd { level } => zstd::compress(bytes, level),
            #[cfg(feature = "lz4")]
            Self::Lz4 => lz4::compress(bytes),
        }
    }

    /// Returns what was compressed to `bytes`, by the algorithm of this marker. At most `limit` bytes.
    pub(super) fn decompress(marker: u8, bytes: &[u8], limit: usize) -> Result<Vec<u8>, BoxError> {
        match marker {
            #[cfg(feature = "zstd")]
            ZSTD => zstd::decompress(bytes, limit),
            #[cfg(feature = "lz4")]
            LZ4 => lz4::decompress(bytes, limit),
            #[cfg(not(feature = "zstd"))]
            ZSTD => Err("compressed by zstd, and the feature `zstd` is off".into()),
            #[cfg(not(feature = "lz4"))]
            LZ4 => Err("compressed by lz4, and the feature `lz4` is off".into()),
            other => Err(format!("compressed in the unknown way {other}").into()),
        }
    }
}

/// Reads all of `decoder`. At most `limit` bytes; memory is taken for what there is.
pub(super) fn read_up_to(limit: usize, decoder: &mut impl Read) -> Result<Vec<u8>, BoxError> {
    let mut bytes = Vec::new();
    let most = u64::try_from(limit)?.saturating_add(1);
    decoder.take(most).read_to_end(&mut bytes)?;
    match bytes.len() <= limit {
        true => Ok(bytes),
        false => Err(format!("decompresses to more than {limit} bytes").into()),
    }
}

/// Refuses bytes behind the end of what was compressed.
pub(super) fn expect_end(rest: &[u8]) -> Result<(), BoxError> {
    match rest.len() {
        0 => Ok(()),
        left => Err(format!("{left} bytes are left over").into()),
    }
}
