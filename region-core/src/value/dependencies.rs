//! The dependencies of a value on other regions, as its envelope lists them.

use std::sync::Arc;

use crate::path::RegionPath;

/// The most regions that one value may depend on.
pub const MAX_DEPENDENCIES: usize = 32;

const LENGTH_BYTES: usize = 2;
const MARKER_BYTES: usize = 8;

/// A region that a value depends on, and the marker that the region had before the value was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DependsOn {
    /// The region.
    pub region: RegionPath,
    /// The id of its marker.
    pub marker: u64,
}

/// The dependencies of one value; never none.
pub(crate) type Dependencies = Arc<[DependsOn]>;

/// Appends the list to `out`: a byte with the number of regions, and for each the length of its path in
/// two bytes, the path, and the marker in eight bytes.
pub(crate) fn write(list: &[DependsOn], out: &mut Vec<u8>) {
    debug_assert!(list.len() <= MAX_DEPENDENCIES, "the list is bounded where it is made");
    // Neither number is cut: both have limits that fit.
    out.push(list.len() as u8);
    for DependsOn { region, marker } in list {
        let path = region.as_str().as_bytes();
        out.extend_from_slice(&(path.len() as u16).to_le_bytes());
        out.extend_from_slice(path);
        out.extend_from_slice(&marker.to_le_bytes());
    }
}

/// Reads what [`write`] wrote, and returns the bytes after it. `None` if these are other bytes.
pub(crate) fn read(bytes: &[u8]) -> Option<(Dependencies, &[u8])> {
    let (&count, mut rest) = bytes.split_first()?;
    let count = usize::from(count);
    if count == 0 || count > MAX_DEPENDENCIES {
        return None;
    }
    let mut list = Vec::with_capacity(count);
    for _ in 0..count {
        let (length, after) = rest.split_first_chunk::<LENGTH_BYTES>()?;
        let (path, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        let (marker, after) = after.split_first_chunk::<MARKER_BYTES>()?;
        let region = RegionPath::from_bytes(path).ok()?;
        list.push(DependsOn { region, marker: u64::from_le_bytes(*marker) });
        rest = after;
    }
    Some((list.into(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(count: usize) -> Vec<DependsOn> {
        let path = |at| RegionPath::parse(&format!("r.org:{at}")).unwrap();
        (0..count).map(|at| DependsOn { region: path(at), marker: at as u64 }).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        for count in [1, 2, MAX_DEPENDENCIES] {
            let mut bytes = Vec::new();
            write(&list(count), &mut bytes);
            bytes.extend_from_slice(b"rest");
            let (read, rest) = read(&bytes).unwrap();
            assert_eq!((&read[..], rest), (&list(count)[..], &b"rest"[..]));
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        let mut bytes = Vec::new();
        write(&list(2), &mut bytes);
        for len in 0..bytes.len() {
            assert!(read(&bytes[..len]).is_none(), "cut to {len}");
        }
        bytes[0] = 0;
        assert!(read(&bytes).is_none(), "none");
        bytes[0] = MAX_DEPENDENCIES as u8 + 1;
        assert!(read(&bytes).is_none(), "too many");
        let path = [&[1, 1, 0, b'%'][..], &[0; 8]].concat();
        assert!(read(&path).is_none(), "no path");
    }
}
