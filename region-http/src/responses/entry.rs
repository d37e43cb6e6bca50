//! What is stored of a response.

use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::response::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::cacheable::Freshness;

/// Headers that are of one connection, or of one receiver, and not stored.
const NOT_STORED: [HeaderName; 9] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::AGE,
    header::SET_COOKIE,
];

/// More of them, that have no constant.
const NOT_STORED_EITHER: [&str; 4] =
    ["authentication-info", "keep-alive", "proxy-authentication-info", "proxy-connection"];

/// An entry of a region that holds responses.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Entry {
    /// A response to all requests that have this key.
    Response(StoredResponse),
    /// The response is at another key.
    Varies(Variants),
    /// There was a response that must not be stored: so the next one is not waited for by others.
    Uncacheable,
}

/// The keys of the responses for a target that vary: one for the values of these request headers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Variants {
    /// Random, and part of the keys: once this entry is removed, no response is found that it led to.
    pub(super) id: u64,
    /// Sorted.
    pub(super) names: Vec<String>,
}

impl Variants {
    pub(super) fn new(names: Vec<String>) -> Self {
        Self { id: rand::random(), names }
    }
}

/// A response.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredResponse {
    status: u16,
    headers: Vec<(String, Bytes)>,
    body: Bytes,
    /// In milliseconds since 1970.
    stored_at: u64,
    /// All in milliseconds, as in [`Freshness`].
    age: u64,
    fresh_for: u64,
    stale_for: u64,
}

impl StoredResponse {
    pub(super) fn new(parts: &Parts, body: Bytes, freshness: Freshness, now: SystemTime) -> Self {
        let of_connection = connection_headers(&parts.headers);
        let is_stored = |name: &HeaderName| {
            !NOT_STORED.contains(name)
                && !NOT_STORED_EITHER.contains(&name.as_str())
                && !of_connection.iter().any(|other| other == name.as_str())
        };
        let headers = parts.headers.iter().filter(|(name, _)| is_stored(name));
        let copy = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.as_str().to_owned(), Bytes::copy_from_slice(value.as_bytes()))
        };
        Self {
            status: parts.status.as_u16(),
            headers: headers.map(copy).collect(),
            body,
            stored_at: millis(now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()),
            age: millis(freshness.age),
            fresh_for: millis(freshness.fresh_for),
            stale_for: millis(freshness.stale_for),
        }
    }

    /// The time since it was stored, by the clocks of the two processes: zero if that is in the future.
    fn stored_for(&self, now: SystemTime) -> Duration {
        let stored_at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(self.stored_at));
        stored_at.and_then(|stored_at| now.duration_since(stored_at).ok()).unwrap_or_default()
    }

    /// The time since it was produced, as `Age` says.
    pub(super) fn age(&self, now: SystemTime) -> Duration {
        Duration::from_millis(self.age) + self.stored_for(now)
    }

    /// The time for which it is fresh yet.
    pub(super) fn fresh_for(&self, now: SystemTime) -> Duration {
        Duration::from_millis(self.fresh_for).saturating_sub(self.stored_for(now))
    }

    /// Returns true if it says that it may be used when it is not fresh any more, and `stale_for` allows that.
    pub(super) fn may_be_stale(&self, stale_for: Duration) -> bool {
        self.stale_for > 0 && !stale_for.is_zero()
    }

    /// Returns false once it is older than fresh and stale together, of the latter at most `stale_for`.
    pub(super) fn is_usable(&self, stale_for: Duration, now: SystemTime) -> bool {
        let stale_for = stale_for.min(Duration::from_millis(self.stale_for));
        self.stored_for(now) < Duration::from_millis(self.fresh_for) + stale_for
    }

    /// The response with its `Age`; `None` if it cannot be one.
    pub(super) fn to_response(&self, now: SystemTime) -> Option<Response> {
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 2);
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().ok()?;
            headers.append(name, HeaderValue::from_bytes(value).ok()?);
        }
        headers.insert(header::AGE, HeaderValue::from(self.age(now).as_secs()));
        if self.status != StatusCode::NO_CONTENT.as_u16() {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        }
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = StatusCode::from_u16(self.status).ok()?;
        *response.headers_mut() = headers;
        Some(response)
    }
}

/// The names in `Connection`, in lower case.
fn connection_headers(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Freshness = Freshness {
        age: Duration::from_secs(5),
        fresh_for: Duration::from_secs(60),
        stale_for: Duration::from_secs(30),
    };

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)
    }

    fn stored(now: SystemTime) -> StoredResponse {
        let response = Response::builder()
            .status(404)
            .header("x-a", "1")
            .header("x-a", "2")
            .header("connection", "x-hop, close")
            .header("x-hop", "1")
            .header("keep-alive", "1")
            .header("set-cookie", "session=secret")
            .header("authentication-info", "nextnonce=secret")
            .header("proxy-authentication-info", "nextnonce=secret")
            .header("proxy-connection", "close")
            .header("age", "5")
            .body(())
            .unwrap();
        StoredResponse::new(&response.into_parts().0, Bytes::from_static(b"gone"), FRESH, now)
    }

    #[test]
    fn it_comes_back_with_its_age_and_without_what_was_for_one_receiver() {
        let now = now();
        let response = stored(now).to_response(now + Duration::from_millis(2500)).unwrap();
        let headers = response.headers();
        let values: Vec<_> =
            headers.get_all("x-a").iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!((response.status().as_u16(), values), (404, vec!["1", "2"]));
        assert_eq!(
            (&headers["age"], &headers["content-length"]),
            (&"7".parse().unwrap(), &"4".parse().unwrap())
        );
        let names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-a", "age", "content-length"]);
    }

    #[test]
    fn it_is_usable_while_it_is_fresh_and_as_long_as_both_sides_allow_after_that() {
        let now = now();
        let stored = stored(now);
        let seconds = Duration::from_secs;
        let table = [
            (59, 0, true),
            (60, 0, false),
            (69, 10, true),
            (70, 10, false),
            (89, 99, true),
            (90, 99, false),
        ];
        for (after, most, expected) in table {
            assert_eq!(
                stored.is_usable(seconds(most), now + seconds(after)),
                expected,
                "{after} {most}"
            );
        }
        assert_eq!(stored.fresh_for(now + seconds(20)), seconds(40));
        // A clock that is behind makes nothing older.
        assert_eq!(stored.age(now - seconds(9)), seconds(5));
    }

    #[test]
    fn bytes_that_are_no_response_are_none() {
        let now = now();
        let bad = [
            StoredResponse { status: 7, ..stored(now) },
            StoredResponse { headers: vec![("a b".to_owned(), Bytes::new())], ..stored(now) },
            StoredResponse {
                headers: vec![("a".to_owned(), Bytes::from_static(b"\n"))],
                ..stored(now)
            },
        ];
        assert!(bad.iter().all(|bad| bad.to_response(now).is_none()));
    }
}
