use std::io::Write;

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use super::algorithm::{expect_end, read_up_to};
use crate::error::BoxError;

/// The first bytes of a frame whose blocks are independent and have at most 64 KiB: the magic number, the
/// flags (version 1, independent blocks, a size), and the size of the blocks. A decoder sets memory aside
/// for the size of blocks that the header claims, so all other headers are refused.
const HEADER: [u8; 6] = [0x04, 0x22, 0x4D, 0x18, 0x68, 0x40];

/// The end of a frame. A decoder takes the end of the bytes for it.
const END: [u8; 4] = [0; 4];

pub(super) fn compress(bytes: &[u8]) -> Result<Vec<u8>, BoxError> {
    let info = FrameInfo::new()
        .block_size(BlockSize::Max64KB)
        .block_mode(BlockMode::Independent)
        .content_size(Some(u64::try_from(bytes.len())?));
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::with_capacity(bytes.len() / 2));
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

pub(super) fn decompress(bytes: &[u8], limit: usize) -> Result<Vec<u8>, BoxError> {
    let Some((size, _)) = bytes.strip_prefix(&HEADER).and_then(<[u8]>::split_first_chunk) else {
        return Err("compressed in an unknown form of lz4".into());
    };
    let mut decoder = FrameDecoder::new(bytes);
    let value = read_up_to(limit, &mut decoder)?;
    expect_end(decoder.get_ref())?;
    match bytes.ends_with(&END) && u64::from_le_bytes(*size) == u64::try_from(value.len())? {
        true => Ok(value),
        false => Err("compressed bytes were cut short".into()),
    }
}
