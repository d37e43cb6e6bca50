//! Files of events: each is written by one process, at once, so that a process that is killed leaves all of its
//! events.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::clock::{Micros, now};
use crate::event::{Event, What};

/// The file of a process.
#[derive(Debug)]
pub struct Log {
    process: usize,
    file: Mutex<File>,
}

impl Log {
    /// Creates the file of a process.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn create(path: &Path, process: usize) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { process, file: Mutex::new(file) })
    }

    /// Records what happened now, and returns its time.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn record(&self, what: What) -> Micros {
        self.record_for(self.process, what)
    }

    /// Records what happened to a process now, and returns the time.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn record_for(&self, process: usize, what: What) -> Micros {
        let at = now();
        let mut line = serde_json::to_vec(&Event { at, process, what }).expect("it is JSON");
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line).expect("events can be written");
        at
    }
}

/// Reads the events of a file. A last line that was not completed is left out: its process was killed.
///
/// # Errors
/// If the file cannot be read.
pub fn read(path: &Path) -> io::Result<Vec<Event>> {
    let text = std::fs::read_to_string(path)?;
    let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines.map(|line| serde_json::from_str(line).map_err(io::Error::other)).collect()
}
