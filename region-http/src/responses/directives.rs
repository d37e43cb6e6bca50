//! The directives of `Cache-Control`.

use axum::http::{HeaderMap, HeaderName, header};

/// What a number of seconds that is too large counts as: RFC 9111, section 1.2.2.
const MAX_SECONDS: u64 = 1 << 31;

/// The directives of a message's `Cache-Control` headers, in their order. Names are in lower case.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Directives(Vec<(String, Option<String>)>);

impl Directives {
    /// The directives in `headers`. `Pragma: no-cache` counts where there is no `Cache-Control`.
    ///
    /// A header that is not text forbids to store, for nobody knows what it says.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut directives = Self::default();
        directives.add_all(headers, &header::CACHE_CONTROL);
        if !headers.contains_key(header::CACHE_CONTROL) {
            directives.add_all(headers, &header::PRAGMA);
            directives.0.retain(|(name, _)| name == "no-cache" || name == "no-store");
        }
        directives
    }

    fn add_all(&mut self, headers: &HeaderMap, name: &HeaderName) {
        for value in headers.get_all(name) {
            match value.to_str() {
                Ok(text) => self.0.extend(split(text).into_iter().filter_map(directive)),
                Err(_) => self.0.push(("no-store".to_owned(), None)),
            }
        }
    }

    /// Returns true if there is a directive `name`, whatever its argument: `private="a"` is `private`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(given, _)| given == name)
    }

    /// The seconds of a directive. One that is malformed, or given twice with different numbers, is zero: what
    /// nobody understands is not fresh.
    pub(super) fn seconds(&self, name: &str) -> Option<u64> {
        let mut given = self.0.iter().filter(|(given, _)| given == name).map(|(_, text)| text);
        let first = seconds(given.next()?.as_deref());
        let same = given.all(|other| seconds(other.as_deref()) == first);
        Some(first.filter(|_| same).unwrap_or(0))
    }
}

/// Splits at commas that are not within quotes.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn directive(text: &str) -> Option<(String, Option<String>)> {
    let (name, argument) = match text.split_once('=') {
        Some((name, argument)) => (name, Some(argument.trim().trim_matches('"').to_owned())),
        None => (text, None),
    };
    let name = name.trim().to_ascii_lowercase();
    (!name.is_empty()).then_some((name, argument))
}

fn seconds(argument: Option<&str>) -> Option<u64> {
    let digits = argument.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    (!digits.is_empty()).then(|| digits.parse().map_or(MAX_SECONDS, |n: u64| n.min(MAX_SECONDS)))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn of(lines: &[&'static str]) -> Directives {
        let values =
            lines.iter().map(|line| (header::CACHE_CONTROL, HeaderValue::from_static(line)));
        Directives::of(&values.collect())
    }

    #[test]
    fn names_are_of_any_case_and_arguments_may_be_quoted() {
        let directives = of(&[r#"Private="set-cookie, x-a", MAX-AGE="60""#, " , S-MaxAge = 5,"]);
        assert!(directives.has("private") && !directives.has("x-a\""));
        assert_eq!(
            (directives.seconds("max-age"), directives.seconds("s-maxage")),
            (Some(60), Some(5))
        );
        assert_eq!(directives.seconds("min-fresh"), None);
        assert_eq!(directives.0.len(), 3);
    }

    #[test]
    fn what_is_not_understood_is_not_fresh() {
        for text in ["max-age", "max-age=", "max-age=-1", "max-age=1.5", "max-age=1, max-age=2"] {
            let lines: Vec<&'static str> = vec![text];
            assert_eq!(of(&lines).seconds("max-age"), Some(0), "{text}");
        }
        assert_eq!(of(&["max-age=7", "max-age=7"]).seconds("max-age"), Some(7));
        let huge = of(&["max-age=99999999999999999999999"]);
        assert_eq!(huge.seconds("max-age"), Some(MAX_SECONDS));
    }

    #[test]
    fn pragma_counts_alone_and_bytes_forbid_to_store() {
        let mut headers = HeaderMap::new();
        headers.insert(header::PRAGMA, HeaderValue::from_static("No-Cache"));
        assert!(Directives::of(&headers).has("no-cache"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=1"));
        assert!(!Directives::of(&headers).has("no-cache"));
        let bytes = HeaderValue::from_bytes(b"max-age=60, \xff").unwrap();
        headers.append(header::CACHE_CONTROL, bytes);
        assert!(Directives::of(&headers).has("no-store"));
    }
}
