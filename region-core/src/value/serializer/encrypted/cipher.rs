//! The bytes of an encrypted value.
//!
//! | bytes | content |
//! |---|---|
//! | 0 | the version: 1 |
//! | 1..5 | the id of the key, little-endian |
//! | 5..29 | the nonce |
//! | 29.. | what the inner serializer wrote, encrypted; at its end 16 bytes that authenticate it |
//!
//! What is authenticated beside it: bytes 0..5, a byte that says what was written, the fingerprint of its
//! type (little-endian), the length of the region's path (four bytes, little-endian), the path, the key.

use chacha20poly1305::{AeadInOut, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use rand::TryRng;
use rand::rngs::SysRng;
use smallvec::SmallVec;

use super::super::ValueContext;
use super::keys::KeyRing;
use crate::error::BoxError;
use crate::value::envelope::EnvelopeContent;

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 5;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// What was written, as it is authenticated.
const NO_ENTRY: u8 = 0;
const VALUE: u8 = 1;
const ABSENCE: u8 = 2;

/// Most regions and keys are shorter than this together, and need no allocation.
const USUAL_PLACE_BYTES: usize = 256;

/// Appends what `write` appends, encrypted for this entry.
pub(super) fn encrypt(
    keys: &KeyRing,
    context: Option<&ValueContext<'_>>,
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), BoxError>,
) -> Result<(), BoxError> {
    let (id, key) = keys.writing();
    let header = header(id);
    let mut nonce = [0; NONCE_BYTES];
    // The system's own source: a generator in this process would go on alike in two halves of a fork.
    SysRng.try_fill_bytes(&mut nonce)?;
    out.extend_from_slice(&header);
    out.extend_from_slice(&nonce);
    let start = out.len();
    write(out)?;
    let value = out.get_mut(start..).ok_or("the inner serializer took bytes away")?;
    let tag = XChaCha20Poly1305::new(key.expose().into())
        .encrypt_inout_detached(&XNonce::from(nonce), &associated(header, context), value.into())
        .map_err(|_| "too large to be encrypted")?;
    out.extend_from_slice(&tag);
    Ok(())
}

/// Returns what was encrypted to `bytes`, if it was for this entry.
pub(super) fn decrypt(
    keys: &KeyRing,
    context: Option<&ValueContext<'_>>,
    bytes: &[u8],
) -> Result<Vec<u8>, BoxError> {
    let (header, nonce, value, tag) = parts(bytes).ok_or("too short to be encrypted")?;
    let [version, id @ ..] = header;
    if version != VERSION {
        return Err("encrypted in an unknown way".into());
    }
    let id = u32::from_le_bytes(id);
    let key = keys
        .find(id)
        .ok_or_else(|| format!("encrypted with the key {id}, which is not in the key ring"))?;
    let mut value = value.to_vec();
    XChaCha20Poly1305::new(key.expose().into())
        .decrypt_inout_detached(
            &XNonce::from(nonce),
            &associated(header, context),
            value.as_mut_slice().into(),
            &Tag::from(tag),
        )
        .map_err(|_| "not encrypted for this entry and type with this key, or changed since")?;
    Ok(value)
}

type Parts<'a> = ([u8; HEADER_BYTES], [u8; NONCE_BYTES], &'a [u8], [u8; TAG_BYTES]);

fn parts(bytes: &[u8]) -> Option<Parts<'_>> {
    let (header, rest) = bytes.split_first_chunk()?;
    let (nonce, rest) = rest.split_first_chunk()?;
    let (value, tag) = rest.split_last_chunk()?;
    Some((*header, *nonce, value, *tag))
}

fn header(id: u32) -> [u8; HEADER_BYTES] {
    let [a, b, c, d] = id.to_le_bytes();
    [VERSION, a, b, c, d]
}

/// All that is authenticated beside the value. No two entries have the same.
fn associated(
    header: [u8; HEADER_BYTES],
    context: Option<&ValueContext<'_>>,
) -> SmallVec<[u8; USUAL_PLACE_BYTES]> {
    let mut bytes = SmallVec::from_slice(&header);
    let Some(context) = context else {
        bytes.push(NO_ENTRY);
        return bytes;
    };
    bytes.push(match context.content() {
        EnvelopeContent::Value => VALUE,
        EnvelopeContent::Absence => ABSENCE,
    });
    bytes.extend_from_slice(&context.fingerprint().to_le_bytes());
    let path = context.region().as_str();
    // No path is longer than `MAX_PATH_BYTES`.
    bytes.extend_from_slice(&(path.len() as u32).to_le_bytes());
    bytes.extend_from_slice(path.as_bytes());
    bytes.extend_from_slice(context.key().as_bytes());
    bytes
}
