//! Reads the disk. Everything here blocks.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::Path;

/// The bytes of a file that are read at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// The names in a directory that count, in order.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) dirs: Vec<OsString>,
    pub(crate) files: Vec<OsString>,
}

/// Lists a directory. What is neither a plain file nor a directory is left out, links too; and so is
/// what another file system is mounted on: some hold files without an end.
pub(crate) fn list(dir: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    let device = device(&fs::metadata(dir)?);
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        // An entry that is gone by now is as good as never seen.
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            // A directory that cannot be looked at is reported when it is listed.
            if entry.metadata().map_or(true, |metadata| self::device(&metadata) == device) {
                listing.dirs.push(entry.file_name());
            }
        } else if kind.is_file() {
            listing.files.push(entry.file_name());
        }
    }
    listing.dirs.sort_unstable();
    listing.files.sort_unstable();
    Ok(listing)
}

/// Returns whether a file says it is longer than what a file system keeps beside the name, and yet takes no
/// room.
#[cfg(unix)]
fn is_made_up(metadata: &Metadata) -> bool {
    const BESIDE_THE_NAME: u64 = 64 * 1024;
    metadata.len() > BESIDE_THE_NAME && std::os::unix::fs::MetadataExt::blocks(metadata) == 0
}

#[cfg(not(unix))]
fn is_made_up(_: &Metadata) -> bool {
    false
}

/// The file system that something is on, where there is a number for it.
#[cfg(unix)]
fn device(metadata: &Metadata) -> Option<u64> {
    Some(std::os::unix::fs::MetadataExt::dev(metadata))
}

#[cfg(not(unix))]
fn device(_: &Metadata) -> Option<u64> {
    None
}

/// Counts the lines and bytes of a file. A line ends at a newline.
///
/// Nothing is read beyond the length that the file has when it is opened, and nothing of a file that
/// has a length but takes no room: the files of `/proc` and its like are made up as they are read, and
/// some never end.
pub(crate) fn count(file: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(file)?;
    if metadata.len() == 0 {
        return Ok((0, 0));
    }
    if is_made_up(&metadata) {
        return Err(io::Error::other("takes no room on the disk"));
    }
    let mut file = File::open(file)?.take(metadata.len());
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut lines, mut bytes) = (0, 0);
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => return Ok((lines, bytes)),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        bytes += read as u64;
        lines += buffer[..read].iter().filter(|byte| **byte == b'\n').count() as u64;
    }
}
