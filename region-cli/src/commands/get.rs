//! `region get`: the value at a key.

use std::fmt;

use region_cache::{Entry, Leftover, ReadFrom, ReadTerms, Store};
use serde::Serialize;
use serde_json::Value;

use crate::args::Get;
use crate::commands::entry::{self, EntryReport};
use crate::exit::{Code, Failure};
use crate::output::{Format, Output};
use crate::target::{Target, check_key};
use crate::text;

/// The most bytes of a value that are printed as a hex dump.
const MOST_DUMPED: usize = 4096;

/// The value at a key.
#[derive(Debug, Serialize)]
struct GetReport {
    region: String,
    key: String,
    /// `null`: the store has no valid entry.
    entry: Option<EntryReport>,
    /// The value, of a format that describes itself.
    value: Option<Value>,
    /// The bytes of another value, in hexadecimal digits.
    payload: Option<String>,
    /// The reason for which there is no value.
    missing: Option<String>,
    #[serde(skip)]
    dump: Option<String>,
}

pub(crate) async fn run(target: &Target, get: &Get, output: Output) -> Result<Code, Failure> {
    let region = target.root.region(&get.at.path)?;
    let key = check_key(&get.at.key)?;
    let read = target.store.read(&region, &[key], ReadTerms::new(ReadFrom::Primary)).await?;
    let leftover = read.leftovers.first().map(|(_, leftover)| *leftover);
    let found = read.entries.into_iter().next().flatten();
    let mut report = GetReport {
        region: target.root.name(&region),
        key: key.to_owned(),
        entry: None,
        value: None,
        payload: None,
        missing: None,
        dump: None,
    };
    let Some(found) = found else {
        let why = reason(leftover);
        if output.0 == Format::Json {
            report.missing = Some(why.to_owned());
            output.print(&report)?;
        }
        let message = format!("{key:?} of {} has no value: {why}", report.region);
        return Err(Failure::wrong(message));
    };
    let payload = fill(&mut report, &found, target, &region, output);
    if get.raw {
        let Some(payload) = payload else {
            return Err(Failure::wrong(report.missing.unwrap_or_default()));
        };
        output.write(payload)?;
        return Ok(Code::Done);
    }
    output.print(&report)?;
    Ok(if report.missing.is_some() { Code::Wrong } else { Code::Done })
}

/// Describes an entry; returns the bytes of its value, if it has one.
fn fill<'e>(
    report: &mut GetReport,
    found: &'e Entry,
    target: &Target,
    region: &region_cache::RegionPath,
    output: Output,
) -> Option<&'e [u8]> {
    let opened = entry::open(&target.root, region, &report.key, found);
    let content = opened.report.content;
    report.entry = Some(opened.report);
    let bytes: &[u8] = match &opened.envelope {
        Some(envelope) if content == "value" => envelope.payload,
        Some(_) => {
            report.missing = Some("the entry is the record that there is no value".to_owned());
            return None;
        }
        None => {
            report.missing = Some("the bytes are damaged, or from another place".to_owned());
            &found.bytes
        }
    };
    report.value = opened.envelope.as_ref().and_then(entry::decode);
    if report.value.is_none() {
        match output.0 {
            Format::Json => report.payload = Some(text::hex(bytes)),
            Format::Text => report.dump = Some(text::hex_dump(bytes, MOST_DUMPED)),
        }
    }
    report.missing.is_none().then_some(bytes)
}

/// The reason for which there is no valid entry.
pub(crate) fn reason(leftover: Option<Leftover>) -> &'static str {
    match leftover {
        Some(Leftover::Expired) => "it has expired, and is not freed yet",
        Some(Leftover::Fenced) => "it is from before an invalidation, and is not freed yet",
        _ => "the store has none",
    }
}

impl fmt::Display for GetReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?} of {}", self.key, self.region)?;
        for line in self.entry.iter().flat_map(EntryReport::lines) {
            writeln!(f, "{line}")?;
        }
        if let Some(missing) = &self.missing {
            writeln!(f, "no value: {missing}")?;
        }
        if let Some(value) = &self.value {
            write!(f, "\n{value:#}")?;
        }
        if let Some(dump) = &self.dump {
            write!(f, "\n{dump}")?;
        }
        Ok(())
    }
}
