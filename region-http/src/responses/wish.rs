//! What a request demands of a stored response.

use std::time::{Duration, SystemTime};

use axum::body::HttpBody;
use axum::http::request::Parts;
use axum::http::{HeaderName, Method, header};

use super::cacheable::Sender;
use super::directives::Directives;
use super::entry::StoredResponse;

/// Requests with these headers are for the service alone: they want a part, change something, or leave HTTP.
const PASSED: [HeaderName; 5] = [
    header::RANGE,
    header::IF_RANGE,
    header::IF_MATCH,
    header::IF_UNMODIFIED_SINCE,
    header::UPGRADE,
];

/// The use of `Cache-Control` in requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demands {
    Honoured,
    Ignored,
}

/// What a request demands of a stored response.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// Where the response may come from.
    pub(super) from: Origin,
    max_age: Option<Duration>,
    min_fresh: Duration,
}

/// Where the response to a request may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The cache, or the service, whose response is stored.
    Either,
    /// The service, whose response is stored.
    Service,
    /// The cache; else the request passes, and its response is not stored.
    CacheFirst,
    /// The cache alone.
    Cache,
}

impl Wish {
    /// What a request demands; `None`: the cache has no part in it.
    pub(super) fn of(parts: &Parts, body: &impl HttpBody, demands: Demands) -> Option<Self> {
        let directives = match demands {
            Demands::Honoured => Directives::of(&parts.headers),
            Demands::Ignored => Directives::default(),
        };
        let is_head = parts.method == Method::HEAD;
        let passes = PASSED.iter().any(|name| parts.headers.contains_key(name));
        let has_content = body.size_hint().exact() != Some(0);
        // Credentials, which no key shows.
        let has_user =
            parts.uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        if !(is_head || parts.method == Method::GET)
            || passes
            || has_content
            || has_user
            || directives.has("no-store")
        {
            return None;
        }
        let from = if directives.has("only-if-cached") {
            Origin::Cache
        } else if directives.has("no-cache") {
            if is_head {
                return None;
            }
            Origin::Service
        } else if is_head {
            Origin::CacheFirst
        } else {
            Origin::Either
        };
        let seconds = |name| directives.seconds(name).map(Duration::from_secs);
        let min_fresh = seconds("min-fresh").unwrap_or_default();
        Some(Self { from, max_age: seconds("max-age"), min_fresh })
    }

    /// Returns true if a stored response is recent enough, and stays fresh for long enough.
    pub(super) fn accepts(&self, stored: &StoredResponse, now: SystemTime) -> bool {
        self.max_age.is_none_or(|max_age| max_age > Duration::ZERO && stored.age(now) <= max_age)
            && (self.min_fresh.is_zero() || stored.fresh_for(now) >= self.min_fresh)
    }
}

/// Tells if a request shows who sends it.
pub(super) fn sender_of(parts: &Parts, credentials: &[HeaderName]) -> Sender {
    match credentials.iter().any(|name| parts.headers.contains_key(name)) {
        true => Sender::Identified,
        false => Sender::Anonymous,
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;

    use super::*;

    fn wish(method: &str, headers: &[(&str, &str)], body: &'static str) -> Option<Wish> {
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, body) = request.body(Body::from(body)).unwrap().into_parts();
        Wish::of(&parts, &body, Demands::Honoured)
    }

    #[test]
    fn requests_of_which_the_cache_has_no_part() {
        let none: &[(&str, &str)] = &[];
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "get"] {
            assert_eq!(wish(method, none, ""), None, "{method}");
        }
        assert_eq!(wish("GET", none, "content"), None);
        let with_user = Request::get("http://ann:secret@example.org/").body(Body::empty()).unwrap();
        let (parts, body) = with_user.into_parts();
        assert_eq!(Wish::of(&parts, &body, Demands::Honoured), None);
        for (name, value) in [
            ("range", "bytes=0-1"),
            ("if-range", "\"a\""),
            ("if-match", "*"),
            ("if-unmodified-since", "x"),
            ("upgrade", "websocket"),
            ("cache-control", "No-Store"),
            ("cache-control", "max-age=1, no-store"),
        ] {
            assert_eq!(wish("GET", &[(name, value)], ""), None, "{name}: {value}");
        }
        assert_eq!(wish("HEAD", &[("cache-control", "no-cache")], ""), None);
    }

    #[test]
    fn a_request_says_where_its_response_may_come_from() {
        let from = |method: &str, value: &str| {
            wish(method, &[("cache-control", value)], "").map(|wish| wish.from)
        };
        assert_eq!(from("GET", ""), Some(Origin::Either));
        assert_eq!(from("GET", "max-age=9"), Some(Origin::Either));
        assert_eq!(from("GET", "no-cache"), Some(Origin::Service));
        assert_eq!(from("GET", "only-if-cached"), Some(Origin::Cache));
        assert_eq!(from("HEAD", "only-if-cached"), Some(Origin::Cache));
        assert_eq!(from("HEAD", ""), Some(Origin::CacheFirst));
        assert_eq!(wish("GET", &[("pragma", "no-cache")], "").unwrap().from, Origin::Service);
    }
}
