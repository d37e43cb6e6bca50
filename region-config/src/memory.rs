//! The store in this process, as a URL describes it.

use region_memory::MemoryStoreBuilder;

use crate::size;

/// A builder of the store that is described by `rest`, the part of a URL behind `memory:`, and by a bound on its
/// bytes that is set apart from it. An error says what is wrong.
pub(crate) fn store(rest: &str, max_bytes: Option<u64>) -> Result<MemoryStoreBuilder, String> {
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    if !matches!(place, "" | "//") {
        return Err("memory: has no host and no path".to_owned());
    }
    let mut bound = max_bytes;
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let Some(value) = parameter.strip_prefix("max_bytes=") else {
            return Err("memory: has one parameter, max_bytes".to_owned());
        };
        let bytes = size::parse(value)
            .ok_or_else(|| format!("the parameter max_bytes is not {}", size::FORM))?;
        if bound.replace(bytes).is_some() {
            return Err("the parameter max_bytes is given twice".to_owned());
        }
    }
    let builder = region_memory::MemoryStore::builder();
    Ok(match bound {
        Some(bytes) => builder.max_bytes(bytes),
        None => builder,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_memory_cannot_have_is_refused() {
        for rest in ["", "//", "?max_bytes=1MiB", "//?max_bytes=1"] {
            assert!(store(rest, None).is_ok(), "{rest}");
        }
        for (rest, word) in [
            ("//host", "no host"),
            ("/path", "no path"),
            ("?bytes=1", "one parameter, max_bytes"),
            ("?max_bytes", "one parameter, max_bytes"),
            ("?max_bytes=1&max_bytes=1", "twice"),
            ("?max_bytes=many", "not a number of bytes"),
        ] {
            let why = store(rest, None).err().unwrap();
            assert!(why.contains(word), "{rest}: {why}");
        }
        assert!(store("?max_bytes=1", Some(1)).err().unwrap().contains("twice"));
    }
}
