//! The keys of responses in their region.

use axum::extract::OriginalUri;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use sha2::{Digest, Sha256};

use super::cacheable::Sender;
use super::entry::Variants;

/// The longest host and path that a key holds as they are, in bytes. A longer one is hashed.
const MAX_PLAIN: usize = 512;

/// The most request headers that a response may vary by. One that varies by more is not stored.
const MAX_VARY: usize = 8;

/// The key of a request's target, for all requests that show as much of their sender.
///
/// The query is hashed: keys are logged, and a query may hold secrets.
pub(super) fn of_target(parts: &Parts, sender: Sender) -> String {
    // Nested routers take their prefix away.
    let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |OriginalUri(uri)| uri);
    // What stands before the service may have written another, by a header of the request.
    let seen = parts.uri.path_and_query().filter(|seen| Some(*seen) != uri.path_and_query());
    let seen =
        seen.map_or(String::new(), |seen| format!("?{}", digest([seen.as_str().as_bytes()])));
    let host = match uri.authority() {
        // Keys are logged, and what stands before the `@` may be a password.
        Some(authority) => authority.as_str().rsplit('@').next().unwrap_or_default(),
        None => parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or(""),
    };
    let mut place = format!("{} {}", host.to_ascii_lowercase(), uri.path());
    if place.len() > MAX_PLAIN {
        place = digest([place.as_bytes()]);
    }
    let query = uri.query().map(|query| digest([query.as_bytes()])).unwrap_or_default();
    let sender = match sender {
        Sender::Anonymous => "anonymous",
        Sender::Identified => "identified",
    };
    format!("http {sender} {place}?{query}{seen}")
}

/// The key of the response that is selected by the values of these headers.
pub(super) fn of_variant(target: &str, variants: &Variants, headers: &HeaderMap) -> String {
    let mut parts: Vec<Vec<u8>> = vec![variants.id.to_be_bytes().to_vec()];
    for name in &variants.names {
        parts.push(name.as_bytes().to_vec());
        let values: Vec<&[u8]> =
            headers.get_all(name).iter().map(|value| value.as_bytes()).collect();
        // Nothing is another value than an empty one.
        parts.push(values.len().to_be_bytes().to_vec());
        parts.push(values.join(&b", "[..]));
    }
    format!("{target} {}", digest(parts.iter().map(Vec::as_slice)))
}

/// The names of the headers that a response varies by, sorted; `None` if it varies by more than can be told.
pub(super) fn varies_by(headers: &HeaderMap) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for value in headers.get_all(header::VARY) {
        for name in value.to_str().ok()?.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if name == "*" {
                return None;
            }
            names.push(name.parse::<HeaderName>().ok()?.as_str().to_owned());
        }
    }
    bounded(names)
}

/// The names of both lists; `None` if they are too many.
pub(super) fn union(one: &[String], other: &[String]) -> Option<Vec<String>> {
    bounded(one.iter().chain(other).cloned().collect())
}

fn bounded(mut names: Vec<String>) -> Option<Vec<String>> {
    names.sort_unstable();
    names.dedup();
    (names.len() <= MAX_VARY).then_some(names)
}

/// The first half of a SHA-256 of the parts and their lengths, in hexadecimal digits.
fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn target(uri: &str, host: &str) -> String {
        let request = Request::get(uri).header(header::HOST, host).body(()).unwrap();
        of_target(&request.into_parts().0, Sender::Anonymous)
    }

    #[test]
    fn a_target_has_a_key_that_hides_its_query() {
        let key = target("/a?token=secret", "Example.org");
        assert!(
            key.starts_with("http anonymous example.org /a?") && !key.contains("secret"),
            "{key}"
        );
        assert_eq!(key, target("http://example.org/a?token=secret", "other.org"));
        assert_eq!(key, target("http://ann:secret@example.org/a?token=secret", "other.org"));
        let others = [
            target("/a", "example.org"),
            target("/a?", "example.org"),
            target("/b?token=secret", "example.org"),
            target("/a?token=other", "example.org"),
            target("/a?token=secret", "example.com"),
        ];
        assert!(others.iter().all(|other| *other != key), "{others:?}");
        let long = target(&format!("/{}", "x".repeat(2000)), "example.org");
        assert!(long.len() < 128, "{long}");
    }

    #[test]
    fn a_variant_has_a_key_by_the_values_of_its_headers() {
        let names = vec!["accept".to_owned(), "accept-language".to_owned()];
        let variants = Variants::new(names.clone());
        let variant = |lines: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(*name, value.parse().unwrap());
            }
            of_variant("t", &variants, &headers)
        };
        let keys = [
            variant(&[]),
            variant(&[("accept", "")]),
            variant(&[("accept", "a")]),
            variant(&[("accept-language", "a")]),
            variant(&[("accept", "a"), ("accept-language", "a")]),
            variant(&[("accept", "a, accept-language")]),
        ];
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(key), "{at}");
        }
        assert_eq!(keys[2], variant(&[("accept", "a"), ("cookie", "b")]));
        let other = of_variant("t", &Variants::new(names), &HeaderMap::new());
        assert_ne!(keys[0], other, "an entry that is gone leads nowhere");
    }

    #[test]
    fn what_a_response_varies_by_is_bounded() {
        let of = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::VARY, line.parse().unwrap());
            }
            varies_by(&headers)
        };
        assert_eq!(of(&[]), Some(vec![]));
        let both = vec!["accept".to_owned(), "cookie".to_owned()];
        assert_eq!(of(&["Cookie, accept", "Accept"]), Some(both.clone()));
        assert_eq!(of(&["*"]), None);
        assert_eq!(of(&["accept, *"]), None);
        assert_eq!(of(&["a b"]), None);
        assert_eq!(of(&["a,b,c,d,e,f,g,h,i"]), None);
        assert_eq!(union(&both[..1], &both[1..]), Some(both));
    }
}
