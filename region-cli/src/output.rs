//! The output: lines of text, or one JSON value a line.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

use crate::exit::Failure;

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

/// The standard output. Each report is written, and seen, at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output(pub(crate) Format);

impl Output {
    /// Prints a report, in the form that was asked for.
    pub(crate) fn print(self, report: &(impl Serialize + Display)) -> Result<(), Failure> {
        let line = match self.0 {
            Format::Text => report.to_string(),
            Format::Json => serde_json::to_string(report)
                .map_err(|error| Failure::wrong(format!("no JSON can be made of it: {error}")))?,
        };
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{}", line.trim_end())?;
        Ok(stdout.flush()?)
    }

    /// Writes bytes as they are.
    pub(crate) fn write(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        Ok(stdout.flush()?)
    }
}

/// Says something to whoever started the command, beside its output.
pub(crate) fn say(text: &str) {
    // It is of no consequence: where nobody reads it there is nobody to tell.
    let _ = writeln!(io::stderr(), "{text}");
}
