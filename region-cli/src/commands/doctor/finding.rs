//! What the doctor has found.

use std::fmt;

use region_cache::{Error, ErrorKind};
use serde::Serialize;

use crate::exit::{Code, advice, code_of};

/// All that was found.
#[derive(Debug, Serialize)]
pub(crate) struct DoctorReport {
    /// `fine`, `wrong` or `unreachable`.
    verdict: &'static str,
    findings: Vec<Finding>,
    #[serde(skip)]
    pub(crate) code: Code,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    check: &'static str,
    server: String,
    state: State,
    found: String,
    /// What to do; `null`: nothing.
    advice: Option<String>,
}

/// The state of a thing that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// As it should be.
    Fine,
    /// Worth knowing, and no fault.
    Note,
    /// It has to be mended.
    Wrong,
    /// The server does not tell.
    Unknown,
}

impl Default for DoctorReport {
    fn default() -> Self {
        Self { verdict: "fine", findings: Vec::new(), code: Code::Done }
    }
}

impl DoctorReport {
    pub(crate) fn add(&mut self, finding: Finding) {
        if finding.state == State::Wrong && self.code == Code::Done {
            (self.verdict, self.code) = ("wrong", Code::Wrong);
        }
        self.findings.push(finding);
    }

    /// Adds that a server cannot be reached, or does not let this user in.
    pub(crate) fn unreachable(&mut self, server: &str, error: &Error) {
        let advice = match error.kind() {
            ErrorKind::Denied => "Write the right user and password into the URL, percent-encoded.",
            ErrorKind::Unavailable => {
                "Start it, or mend the URL: host, port, and rediss:// for TLS."
            }
            _ => advice(error).unwrap_or("The message says what the server refuses."),
        };
        self.add(Finding::wrong("connection", server, error.to_string(), advice));
        if code_of(error.kind()) == Code::Unreachable {
            (self.verdict, self.code) = ("unreachable", Code::Unreachable);
        }
    }
}

impl Finding {
    pub(crate) fn new(
        check: &'static str,
        server: &str,
        state: State,
        found: impl Into<String>,
    ) -> Self {
        Self { check, server: server.to_owned(), state, found: found.into(), advice: None }
    }

    pub(crate) fn wrong(
        check: &'static str,
        server: &str,
        found: impl Into<String>,
        advice: &str,
    ) -> Self {
        Self::new(check, server, State::Wrong, found).advise(advice)
    }

    /// Says what to do.
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Note => "note",
            Self::Wrong => "WRONG",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for DoctorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut server = "";
        for finding in &self.findings {
            if finding.server != server {
                server = &finding.server;
                writeln!(f, "{server}")?;
            }
            writeln!(f, "  {:<7}  {}: {}", finding.state.word(), finding.check, finding.found)?;
            if let Some(advice) = &finding.advice {
                writeln!(f, "           -> {advice}")?;
            }
        }
        write!(f, "{}", self.verdict)
    }
}
