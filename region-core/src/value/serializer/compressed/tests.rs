use std::marker::PhantomData;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::value::serializer::Postcard;

/// Each algorithm, and its marker.
fn each() -> Vec<(u8, Compressed<Postcard>)> {
    vec![
        #[cfg(feature = "zstd")]
        (1, Compressed::zstd(Postcard)),
        #[cfg(feature = "lz4")]
        (2, Compressed::lz4(Postcard)),
    ]
}

fn write(serializer: &impl Serializer, value: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = b"before".to_vec();
    let written = serializer.serialize(value, &mut out).map_err(|error| error.to_string());
    written.map(|()| out.split_off(6))
}

fn read(serializer: &impl Serializer, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let value = serializer.deserialize(bytes, PhantomData::<Vec<u8>>);
    value.map_err(|error| error.to_string())
}

/// Text as it is stored: it repeats itself, a little.
fn text(size: usize) -> Vec<u8> {
    let lines =
        (0..).flat_map(|n: u32| format!("{{\"id\":{n},\"name\":\"doll {n}\"}},").into_bytes());
    lines.take(size).collect()
}

fn noise(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    StdRng::seed_from_u64(7).fill_bytes(&mut bytes);
    bytes
}

/// A decoder of zstd may see in the header that the value is too large.
fn assert_too_large(error: &str) {
    assert!(error.contains("decompresses to more than") || error.contains("memory"), "{error}");
}

#[test]
fn large_values_become_smaller_and_come_back() {
    for (marker, compressed) in each() {
        for size in [1024, 5000, 70_000, 3_000_000] {
            let written = write(&compressed, &text(size)).unwrap();
            assert_eq!(written[0], marker);
            assert!(written.len() < size / 2, "{size} {}", written.len());
            assert_eq!(read(&compressed, &written).unwrap(), text(size));
        }
    }
}

#[test]
fn small_values_and_noise_take_one_byte_more() {
    for (_, compressed) in each() {
        for value in [text(0), text(1000), noise(1000), noise(100_000)] {
            let plain = write(&Postcard, &value).unwrap();
            let written = write(&compressed, &value).unwrap();
            assert_eq!(written, [&[STORED], &plain[..]].concat());
            assert_eq!(read(&compressed, &written).unwrap(), value);
        }
        let all = compressed.above(0);
        assert!(write(&all, &text(200)).unwrap().len() < 200);
    }
}

/// The bytes say by which algorithm they are compressed, so it can be changed.
#[test]
fn each_reads_what_the_other_wrote() {
    for (_, writer) in each() {
        for (_, reader) in each() {
            assert_eq!(writer.id(), reader.id());
            let written = write(&writer, &text(5000)).unwrap();
            assert_eq!(read(&reader, &written).unwrap(), text(5000));
        }
    }
}

#[test]
fn a_format_is_compressed_under_an_id_of_its_own() {
    for (_, compressed) in each() {
        assert_ne!(compressed.id(), ID);
        assert_ne!(compressed.clone().id(), Compressed::new(compressed.algorithm, compressed).id());
    }
}

#[test]
fn values_above_the_limits_are_neither_written_nor_read() {
    for (_, compressed) in each() {
        let small = compressed.clone().max_size(100_000);
        let error = write(&small, &text(200_000)).unwrap_err();
        assert!(error.contains("its limit is 100000"), "{error}");
        let written = write(&compressed, &text(200_000)).unwrap();
        assert_too_large(&read(&small, &written).unwrap_err());
        assert!(read(&compressed.max_size(200_010), &written).is_ok());
    }
}

/// A megabyte of zeros becomes a few bytes, and those may become no megabyte again.
#[test]
fn what_compresses_too_well_is_stored_as_it_is() {
    let zeros = vec![0; 1 << 20];
    for (marker, compressed) in each() {
        let (strict, lax) = (compressed.clone().max_ratio(8), compressed.max_ratio(usize::MAX));
        assert_eq!(write(&strict, &zeros).unwrap()[0], STORED);
        let written = write(&lax, &zeros).unwrap();
        assert_eq!(written[0], marker);
        assert!(written.len() < 10_000);
        assert_eq!(read(&lax, &written).unwrap(), zeros);
        assert_too_large(&read(&strict, &written).unwrap_err());
    }
}

#[test]
fn damaged_bytes_are_refused() {
    for (_, compressed) in each() {
        let written = write(&compressed, &text(3000)).unwrap();
        for cut in 0..written.len() {
            assert!(read(&compressed, &written[..cut]).is_err(), "{cut}");
        }
        let error = read(&compressed, &[&written[..], b"x"].concat()).unwrap_err();
        assert!(error.contains("left over"), "{error}");
        for marker in [3, 0x80, 0xFF] {
            let mut other = written.clone();
            other[0] = marker;
            assert!(read(&compressed, &other).unwrap_err().contains("unknown way"));
        }
        let mut flipped = written.clone();
        for at in 0..written.len() {
            flipped[at] ^= 0x10;
            let _ = read(&compressed, &flipped);
            flipped[at] ^= 0x10;
        }
    }
}

/// A frame of zstd with this header, and one byte in it.
#[cfg(feature = "zstd")]
fn zstd_frame(header: &[u8]) -> Vec<u8> {
    let (magic, block) = ([0x28, 0xB5, 0x2F, 0xFD], [0x09, 0, 0, b'x']);
    [&[1], &magic[..], header, &block].concat()
}

/// A decoder of zstd sets memory aside for the window that the header claims, in C.
#[cfg(feature = "zstd")]
#[test]
fn a_zstd_header_that_lies_is_refused() {
    let compressed = Compressed::zstd(Postcard);
    let honest = [0x20, 1];
    assert_eq!(zstd::decompress(&zstd_frame(&honest)[1..], 1).unwrap(), b"x");
    // A window of 64 megabytes, which decoders take if nobody forbids it, and one segment of a terabyte.
    let (window, segment) = ([0x00, 16 << 3], [0xE0, 0, 0, 0, 0, 0, 1, 0, 0]);
    for header in [&window[..], &segment] {
        let error = read(&compressed, &zstd_frame(header)).unwrap_err();
        assert!(error.contains("memory"), "{error}");
    }
    // A size within the limit that is not reached.
    assert!(read(&compressed, &zstd_frame(&[0x60, 0xFF, 0xEF])).is_err());
}

/// One of lz4 sets aside a block of the size that the header claims.
#[cfg(feature = "lz4")]
#[test]
fn an_lz4_header_for_larger_blocks_is_refused() {
    use std::io::Write;

    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

    let compressed = Compressed::lz4(Postcard);
    let plain = write(&Postcard, &text(3000)).unwrap();
    for (block, mode, is_read) in [
        (BlockSize::Max64KB, BlockMode::Independent, true),
        (BlockSize::Max64KB, BlockMode::Linked, false),
        (BlockSize::Max4MB, BlockMode::Independent, false),
    ] {
        let size = Some(plain.len() as u64);
        let info = FrameInfo::new().block_size(block).block_mode(mode).content_size(size);
        let mut encoder = FrameEncoder::with_frame_info(info, vec![2]);
        encoder.write_all(&plain).unwrap();
        assert_eq!(read(&compressed, &encoder.finish().unwrap()).is_ok(), is_read);
    }
}
