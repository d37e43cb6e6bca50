//! An entry of the store, as far as it can be understood without the type of its value.

use std::marker::PhantomData;

use region_cache::{
    Cbor, Entry, Envelope, EnvelopeContent, Freshness, Json, MessagePack, Place, RegionPath,
    Serializer,
};
use serde::Serialize;
use serde_json::Value;

use crate::target::Root;
use crate::text;

/// The formats whose ids this program knows.
const FORMATS: [(u8, &str); 6] = [
    (1, "postcard"),
    (JSON, "json"),
    (MESSAGE_PACK, "msgpack"),
    (CBOR, "cbor"),
    (16, "compressed"),
    (17, "encrypted"),
];

const JSON: u8 = 2;
const MESSAGE_PACK: u8 = 3;
const CBOR: u8 = 4;

/// Reads the value of a format that describes itself; `None` of any other, and of what JSON cannot express.
pub(crate) fn decode(envelope: &Envelope<'_>) -> Option<Value> {
    let (bytes, seed) = (envelope.payload, PhantomData::<Value>);
    let mut value = match envelope.serializer.get() {
        JSON => Json.deserialize(bytes, seed).ok()?,
        MESSAGE_PACK => MessagePack.deserialize(bytes, seed).ok()?,
        CBOR => Cbor.deserialize(bytes, seed).ok()?,
        _ => return None,
    };
    // Whatever features of serde_json another crate of the build enables.
    value.sort_all_objects();
    Some(value)
}

/// An entry, and what its envelope says.
#[derive(Debug, Serialize)]
pub(crate) struct EntryReport {
    /// `fresh` or `stale`.
    pub(crate) state: &'static str,
    /// The time left in that state, in milliseconds; `null`: without an end.
    pub(crate) left_ms: Option<u64>,
    /// The size with the envelope.
    pub(crate) bytes: usize,
    /// `value`, `absence` (the record that there is no value), or `damaged`.
    pub(crate) content: &'static str,
    /// The reason for which it is damaged.
    pub(crate) fault: Option<String>,
    /// The serializer.
    pub(crate) format: Option<String>,
    /// The fingerprint of the value's type, shape and version, in hexadecimal digits.
    pub(crate) fingerprint: Option<String>,
    /// The time since the value was made, if that was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) age_ms: Option<u64>,
    /// The regions that the value depends on.
    pub(crate) depends_on: Vec<String>,
}

/// An entry with the envelope that could be opened.
pub(crate) struct Opened<'a> {
    pub(crate) report: EntryReport,
    pub(crate) envelope: Option<Envelope<'a>>,
}

/// Opens the envelope of an entry.
pub(crate) fn open<'a>(
    root: &Root,
    region: &RegionPath,
    key: &str,
    entry: &'a Entry,
) -> Opened<'a> {
    let (state, left) = match entry.freshness {
        Freshness::Fresh { left } => ("fresh", left),
        Freshness::Stale { left } => ("stale", left),
    };
    let mut report = EntryReport {
        state,
        left_ms: text::millis(left),
        bytes: entry.bytes.len(),
        content: "damaged",
        fault: None,
        format: None,
        fingerprint: None,
        age_ms: None,
        depends_on: Vec::new(),
    };
    let envelope = match Envelope::open(&entry.bytes, Place::of_region(region).of_key(key)) {
        Ok(envelope) => {
            report.content = match envelope.content {
                EnvelopeContent::Value => "value",
                EnvelopeContent::Absence => "absence",
            };
            report.format = Some(format_name(envelope.serializer.get()));
            report.fingerprint = Some(format!("{:016x}", envelope.fingerprint));
            let age = envelope.made_at().map(|made| made.elapsed().unwrap_or_default());
            report.age_ms = age.and_then(|age| u64::try_from(age.as_millis()).ok());
            let names = envelope.depends_on().iter().map(|on| root.name(&on.region));
            report.depends_on = names.collect();
            Some(envelope)
        }
        Err(bad) => {
            report.fault = Some(bad.to_string());
            None
        }
    };
    Opened { report, envelope }
}

fn format_name(id: u8) -> String {
    let known = FORMATS.iter().find(|(known, _)| *known == id);
    known.map_or_else(|| format!("serializer {id}"), |(_, name)| (*name).to_owned())
}

impl EntryReport {
    /// The lines that describe it.
    pub(crate) fn lines(&self) -> Vec<String> {
        let left = self.left_ms.map_or("ever".to_owned(), |left| {
            text::duration(std::time::Duration::from_millis(left))
        });
        let mut lines = vec![format!("{}: for {left}; {} bytes", self.state, self.bytes)];
        match (&self.fault, &self.format, &self.fingerprint) {
            (Some(fault), ..) => lines.push(format!("damaged: {fault}")),
            (None, Some(format), Some(fingerprint)) => {
                lines.push(format!("format: {format}; type and version: {fingerprint}"));
            }
            _ => {}
        }
        if let Some(age) = self.age_ms {
            let age = text::duration(std::time::Duration::from_millis(age));
            lines.push(format!("age: {age}"));
        }
        if !self.depends_on.is_empty() {
            lines.push(format!("depends on: {}", self.depends_on.join(", ")));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use region_cache::Postcard;

    use super::*;

    #[test]
    fn the_ids_are_those_of_the_library() {
        let ids = [Json.id(), MessagePack.id(), Cbor.id()];
        assert_eq!(ids.map(|id| id.get()), [JSON, MESSAGE_PACK, CBOR]);
        assert_eq!(format_name(Postcard.id().get()), "postcard");
    }
}
