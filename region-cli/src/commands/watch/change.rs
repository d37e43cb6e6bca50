//! Changes, as servers push them and as they are printed.

use std::fmt;
use std::time::SystemTime;

use redis::{PushInfo, PushKind, Value};
use region_cache::RegionPath;
use serde::Serialize;

/// The version of the layout, with which all names begin: see `region-redis/LAYOUT.md`.
const VERSION: &str = "rc1:";

/// A push of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A key has changed.
    Key(KeyName),
    /// The server was flushed.
    All,
    /// The connection is gone.
    Lost,
}

/// The name of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyName(String);

/// The kinds of keys whose changes are of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ids,
    Entries,
    Leases,
}

/// Says if leases are of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leases {
    Shown,
    Hidden,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Ids, Self::Entries, Self::Leases];

    fn letter(self) -> char {
        match self {
            Self::Ids => 'i',
            Self::Entries => 'd',
            Self::Leases => 'l',
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ids => "ids",
            Self::Entries => "entries",
            Self::Leases => "leases",
        }
    }

    /// Returns true if a change of `region` concerns what is watched.
    pub(crate) fn concerns(
        self,
        region: &RegionPath,
        watched: &RegionPath,
        leases: Leases,
    ) -> bool {
        match self {
            Self::Ids => region.is_within(watched) || watched.is_within(region),
            Self::Entries => region.is_within(watched),
            Self::Leases => leases == Leases::Shown && region.is_within(watched),
        }
    }
}

/// The beginnings of the names of all keys that may concern the watched region. None is the beginning of another.
pub(crate) fn prefixes(watched: &RegionPath, leases: Leases) -> Vec<String> {
    let first = watched.prefixes().next().unwrap_or_default();
    let kinds =
        Kind::ALL.into_iter().filter(|kind| leases == Leases::Shown || *kind != Kind::Leases);
    kinds.map(|kind| format!("{VERSION}{}{{{first}", kind.letter())).collect()
}

impl Change {
    /// The changes in one push.
    pub(crate) fn of_push(push: PushInfo) -> Vec<Self> {
        match push.kind {
            PushKind::Disconnection => vec![Self::Lost],
            PushKind::Invalidate => match push.data.into_iter().next() {
                Some(Value::Array(names)) => names.iter().filter_map(Self::of_name).collect(),
                _ => vec![Self::All],
            },
            _ => Vec::new(),
        }
    }

    fn of_name(name: &Value) -> Option<Self> {
        let name = match name {
            Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?,
            Value::SimpleString(text) => text,
            _ => return None,
        };
        Some(Self::Key(KeyName(name.to_owned())))
    }
}

impl KeyName {
    /// The kind of the key, and its region; `None` if it is of no interest.
    pub(crate) fn parse(&self) -> Option<(Kind, RegionPath)> {
        let mut rest = self.0.strip_prefix(VERSION)?.chars();
        let letter = rest.next()?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.letter() == letter)?;
        // Braces stand around the hash tag; those of a path are escaped.
        let path = rest.as_str().replace(['{', '}'], "");
        Some((kind, RegionPath::parse(&path).ok()?))
    }
}

/// A line of the output.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    /// When this program heard of it, by the clock of this machine.
    at: String,
    /// `ids`, `entries`, `leases`, `all`, `lost` or `back`.
    change: &'static str,
    region: Option<String>,
}

impl Line {
    pub(crate) fn new(at: SystemTime, change: &'static str, region: Option<String>) -> Self {
        Self { at: humantime::format_rfc3339_millis(at).to_string(), change, region }
    }

    /// The line for a connection that replaces a lost one.
    pub(crate) fn back() -> Self {
        Self::new(SystemTime::now(), "back", None)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, change, region } = self;
        write!(f, "{at}  {change:<7}  {}", region.as_deref().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RegionPath {
        RegionPath::parse(text).unwrap()
    }

    #[test]
    fn names_of_keys_are_read() {
        let parse = |name: &str| KeyName(name.to_owned()).parse();
        assert_eq!(parse("rc1:i{shop}.org:42"), Some((Kind::Ids, path("shop.org:42"))));
        assert_eq!(parse("rc1:d{shop.org:42}.a"), Some((Kind::Entries, path("shop.org:42.a"))));
        assert_eq!(parse("rc1:l{shop}"), Some((Kind::Leases, path("shop"))));
        for other in ["rc1:c{shop}", "rc1:w{00}", "rc1:i{}", "rc2:i{shop}", "rc1:"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn what_ends_a_region_around_concerns_it() {
        let watched = path("shop.org:42");
        let concerns = |kind: Kind, region| kind.concerns(&path(region), &watched, Leases::Hidden);
        assert!(concerns(Kind::Ids, "shop") && concerns(Kind::Ids, "shop.org:42.a"));
        assert!(!concerns(Kind::Ids, "shop.org:4") && !concerns(Kind::Entries, "shop"));
        assert!(concerns(Kind::Entries, "shop.org:42"));
        assert!(!concerns(Kind::Leases, "shop.org:42"));
    }

    #[test]
    fn prefixes_do_not_overlap() {
        let prefixes = prefixes(&path("shop.org:42"), Leases::Shown);
        assert_eq!(prefixes, ["rc1:i{shop", "rc1:d{shop", "rc1:l{shop"]);
    }
}
