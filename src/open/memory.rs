//! The store in this process, as a URL describes it.

use region_memory::MemoryStore;

/// The units that a number of bytes may have.
const UNITS: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// The store that is described by `rest`, the part of a URL behind `memory:`. An error says what is wrong.
pub(super) fn store(rest: &str) -> Result<MemoryStore, String> {
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    if !matches!(place, "" | "//") {
        return Err("memory: has no host and no path".to_owned());
    }
    let mut max_bytes = None;
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let Some(value) = parameter.strip_prefix("max_bytes=") else {
            return Err("memory: has one parameter, max_bytes".to_owned());
        };
        if max_bytes.replace(bytes(value)?).is_some() {
            return Err("the parameter max_bytes is given twice".to_owned());
        }
    }
    let builder = MemoryStore::builder();
    Ok(match max_bytes {
        Some(bytes) => builder.max_bytes(bytes),
        None => builder,
    }
    .build())
}

fn bytes(text: &str) -> Result<u64, String> {
    let unit = UNITS.iter().find_map(|(name, bytes)| Some((text.strip_suffix(name)?, *bytes)));
    let (number, unit) = unit.unwrap_or((text, 1));
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = number.parse::<u64>().ok().filter(|_| is_number);
    match parsed.and_then(|number| number.checked_mul(unit)) {
        Some(bytes) if bytes > 0 => Ok(bytes),
        _ => {
            Err("the parameter max_bytes is not a number of bytes from 1, KiB, MiB or GiB"
                .to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units() {
        for (text, expected) in [
            ("1", Some(1)),
            ("256MiB", Some(256 << 20)),
            ("1KiB", Some(1024)),
            ("2GiB", Some(2 << 30)),
            ("0", None),
            ("0KiB", None),
            ("", None),
            ("MiB", None),
            ("+1", None),
            ("1.5GiB", None),
            ("1MB", None),
            ("18446744073709551615GiB", None),
        ] {
            assert_eq!(bytes(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn what_memory_cannot_have_is_refused() {
        for rest in ["", "//", "?max_bytes=1MiB", "//?max_bytes=1"] {
            assert!(store(rest).is_ok(), "{rest}");
        }
        for (rest, word) in [
            ("//host", "no host"),
            ("/path", "no path"),
            ("?bytes=1", "one parameter, max_bytes"),
            ("?max_bytes", "one parameter, max_bytes"),
            ("?max_bytes=1&max_bytes=1", "twice"),
            ("?max_bytes=many", "not a number"),
        ] {
            let why = store(rest).err().unwrap();
            assert!(why.contains(word), "{rest}: {why}");
        }
    }
}
