//! The exit codes, and the failures that lead to them.

use std::fmt;
use std::io;
use std::process::ExitCode;

use region_cache::{Error, ErrorKind};

/// The exit codes, for `--help`.
pub(crate) const CODES: &str = "\
Exit codes:
  0    done; for `get`: there is a value; for `doctor`: nothing is wrong
  1    something is wrong: there is no value, a finding of `doctor`, too few replicas, the server refuses
  2    the server cannot be reached, or does not serve
  64   the command line, the URL, a path or a key is wrong, or a confirmation is missing
  141  whoever reads the output has gone";

/// An exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Done,
    Wrong,
    Unreachable,
    Usage,
    /// As of a process that `SIGPIPE` ends.
    Pipe,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(match code {
            Code::Done => 0u8,
            Code::Wrong => 1,
            Code::Unreachable => 2,
            Code::Usage => 64,
            Code::Pipe => 141,
        })
    }
}

/// The reason for which a command ends early.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    message: Option<String>,
}

impl Failure {
    pub(crate) fn wrong(message: impl Into<String>) -> Self {
        Self { code: Code::Wrong, message: Some(message.into()) }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: Code::Usage, message: Some(message.into()) }
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    pub(crate) fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = match advice(&error) {
            Some(advice) => format!("{error}\n  {advice}"),
            None => error.to_string(),
        };
        Self { code: code_of(error.kind()), message: Some(message) }
    }
}

impl From<io::Error> for Failure {
    /// The failure of writing output.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self { code: Code::Pipe, message: None },
            _ => Self::wrong(format!("the output cannot be written: {error}")),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message().unwrap_or("nobody reads the output"))
    }
}

/// The exit code for an error of the library.
pub(crate) fn code_of(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::InvalidConfig | ErrorKind::InvalidPath | ErrorKind::InvalidKey => Code::Usage,
        ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Overloaded => Code::Unreachable,
        _ => Code::Wrong,
    }
}

/// A line that says what to do about an error.
pub(crate) fn advice(error: &Error) -> Option<&'static str> {
    Some(match error.kind() {
        ErrorKind::Unavailable => {
            "Check that the server runs and that the URL names it; `region doctor` looks closer."
        }
        ErrorKind::Timeout => "Try a longer --timeout; `region doctor` looks closer.",
        ErrorKind::Denied => {
            "Check the user and the password of the URL; `region doctor` lists what the user lacks."
        }
        ErrorKind::Protocol => "The server has to be Redis 7.0 or Valkey 8.0, or newer.",
        ErrorKind::InvalidPath => {
            "A path is written `org:42.project:7`, without the root; `region tree` shows some."
        }
        _ => return None,
    })
}

/// Prints what the parser of the command line says, and returns the exit code for it.
pub(crate) fn of_command_line(error: &clap::Error) -> ExitCode {
    // Where nobody reads it there is nobody to tell.
    let _ = error.print();
    if error.use_stderr() { Code::Usage.into() } else { Code::Done.into() }
}
