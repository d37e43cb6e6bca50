//! The source of truth: a file with the version of each key, which all processes read and write.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::clock::now;
use crate::event::Place;
use crate::setup::{KEYS, REGIONS};

/// The bytes of a version.
const BYTES: usize = 8;

/// The file of the truth.
#[derive(Debug)]
pub struct Truth(File);

impl Truth {
    /// Opens the file; creates it if there is none.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).read(true).write(true).open(path)?;
        file.set_len((REGIONS.len() * KEYS * BYTES) as u64)?;
        Ok(Self(file))
    }

    /// The version of a key.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn version(&self, place: Place) -> io::Result<u64> {
        let mut bytes = [0; BYTES];
        self.0.read_exact_at(&mut bytes, at(place))?;
        Ok(u64::from_be_bytes(bytes))
    }

    /// Changes the truth about a key. Versions are times, and so never come again.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn change(&self, place: Place) -> io::Result<()> {
        self.0.write_all_at(&now().to_be_bytes(), at(place))
    }
}

fn at(place: Place) -> u64 {
    ((place.region * KEYS + place.key) * BYTES) as u64
}
