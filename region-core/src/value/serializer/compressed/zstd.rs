use ::zstd::bulk;
use ::zstd::stream::read::Decoder;

use super::algorithm::{expect_end, read_up_to};
use crate::error::BoxError;

/// The least that a decoder can be told to accept: windows of a kilobyte.
const MIN_WINDOW_LOG: u32 = 10;

/// The largest window that the format has.
const MAX_WINDOW_LOG: u32 = 31;

pub(super) fn compress(bytes: &[u8], level: i32) -> Result<Vec<u8>, BoxError> {
    Ok(bulk::compress(bytes, level)?)
}

pub(super) fn decompress(bytes: &[u8], limit: usize) -> Result<Vec<u8>, BoxError> {
    let mut decoder = Decoder::with_buffer(bytes)?.single_frame();
    // A decoder sets memory aside for the window that the header claims.
    decoder.window_log_max(window_log(limit))?;
    let value = read_up_to(limit, &mut decoder)?;
    expect_end(decoder.finish())?;
    Ok(value)
}

/// The binary logarithm of a window that is large enough for values of `limit` bytes.
fn window_log(limit: usize) -> u32 {
    let log = limit.max(1).checked_next_power_of_two().map_or(MAX_WINDOW_LOG, usize::ilog2);
    log.clamp(MIN_WINDOW_LOG, MAX_WINDOW_LOG)
}
