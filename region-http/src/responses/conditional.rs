//! Conditional requests: RFC 9110, section 13.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::Response;

use super::cacheable::date;

/// The conditions that a cache answers itself; the service does not see them.
const ANSWERED: [HeaderName; 2] = [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE];

/// The headers of a response that one without content keeps.
const KEPT: [HeaderName; 8] = [
    header::AGE,
    header::CACHE_CONTROL,
    header::CONTENT_LOCATION,
    header::DATE,
    header::ETAG,
    header::EXPIRES,
    header::SET_COOKIE,
    header::VARY,
];

/// Removes the conditions that [`answer`] looks at.
pub(super) fn remove_conditions(headers: &mut HeaderMap) {
    ANSWERED.iter().for_each(|name| drop(headers.remove(name)));
}

/// Returns `response`, or 304 where the request has what it says.
pub(super) fn answer(request: &HeaderMap, response: Response) -> Response {
    if response.status() != StatusCode::OK || !is_known(request, response.headers()) {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    parts.status = StatusCode::NOT_MODIFIED;
    let mut kept = HeaderMap::new();
    for name in &KEPT {
        for value in parts.headers.get_all(name) {
            kept.append(name, value.clone());
        }
    }
    parts.headers = kept;
    Response::from_parts(parts, Body::empty())
}

/// Returns true if the request names the response as one that it has.
fn is_known(request: &HeaderMap, response: &HeaderMap) -> bool {
    if request.contains_key(header::IF_NONE_MATCH) {
        let mut given = request.get_all(header::IF_NONE_MATCH).iter();
        let etag = response.get(header::ETAG).and_then(|etag| etag.to_str().ok());
        return given.any(|value| value.to_str().is_ok_and(|tags| names(tags, etag)));
    }
    let since = date(request, &header::IF_MODIFIED_SINCE);
    let modified = date(response, &header::LAST_MODIFIED);
    since.zip(modified).is_some_and(|(since, modified)| modified <= since)
}

/// Returns true if a list of tags names `etag`, by weak comparison. `*` names every response.
fn names(tags: &str, etag: Option<&str>) -> bool {
    if tags.trim() == "*" {
        return true;
    }
    let Some(opaque) = etag.and_then(opaque_tag) else { return false };
    let mut rest = tags;
    // A tag may hold commas, so they are taken one by one.
    while let Some(start) = rest.find('"') {
        let Some(length) = rest[start + 1..].find('"') else { return false };
        let end = start + 1 + length;
        if &rest[start..=end] == opaque {
            return true;
        }
        rest = &rest[end + 1..];
    }
    false
}

/// The quoted part of a tag.
fn opaque_tag(etag: &str) -> Option<&str> {
    let opaque = etag.trim();
    let opaque = opaque.strip_prefix("W/").unwrap_or(opaque);
    (opaque.len() >= 2 && opaque.starts_with('"') && opaque.ends_with('"')).then_some(opaque)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(request: &[(&str, &str)], response: &[(&str, &str)]) -> u16 {
        let map = |lines: &[(&str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
            }
            headers
        };
        let mut full = Response::new(Body::from("content"));
        *full.headers_mut() = map(response);
        answer(&map(request), full).status().as_u16()
    }

    #[test]
    fn tags_are_compared_weakly() {
        let table = [
            (r#""a""#, r#""a""#, 304),
            (r#"W/"a""#, r#""a""#, 304),
            (r#""a""#, r#"W/"a""#, 304),
            (r#""b", W/"a""#, r#""a""#, 304),
            (r#""x,y""#, r#""x,y""#, 304),
            ("*", r#""a""#, 304),
            (r#""b""#, r#""a""#, 200),
            (r#""b","c""#, r#"",""#, 200),
            ("a", r#""a""#, 200),
            (r#""a"#, r#""a""#, 200),
            (r#""a""#, "a", 200),
        ];
        for (given, etag, expected) in table {
            assert_eq!(status(&[("if-none-match", given)], &[("etag", etag)]), expected, "{given}");
        }
        assert_eq!(status(&[("if-none-match", r#""a""#)], &[]), 200);
    }

    #[test]
    fn dates_count_where_there_are_no_tags() {
        let (early, late) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:38 GMT");
        let modified = [("last-modified", early), ("etag", r#""a""#)];
        assert_eq!(status(&[("if-modified-since", early)], &modified), 304);
        assert_eq!(status(&[("if-modified-since", late)], &modified), 304);
        assert_eq!(status(&[("if-modified-since", early)], &[("last-modified", late)]), 200);
        assert_eq!(status(&[("if-modified-since", "yesterday")], &modified), 200);
        let both = [("if-modified-since", late), ("if-none-match", r#""b""#)];
        assert_eq!(status(&both, &modified), 200);
    }

    /// Another status has nothing that could be unmodified: RFC 9110, section 13.2.1.
    #[test]
    fn only_what_was_found_is_not_modified() {
        let mut request = HeaderMap::new();
        request.insert(header::IF_NONE_MATCH, r#""a""#.parse().unwrap());
        for status in [StatusCode::NOT_FOUND, StatusCode::MOVED_PERMANENTLY, StatusCode::NO_CONTENT]
        {
            let mut response = Response::new(Body::from("content"));
            *response.status_mut() = status;
            response.headers_mut().insert(header::ETAG, r#""a""#.parse().unwrap());
            assert_eq!(answer(&request, response).status(), status);
        }
    }

    #[test]
    fn a_response_without_content_keeps_what_caches_need() {
        let mut full = Response::new(Body::from("content"));
        for (name, value) in [("etag", r#""a""#), ("vary", "accept"), ("content-type", "text/html")]
        {
            full.headers_mut().insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let mut request = HeaderMap::new();
        request.insert(header::IF_NONE_MATCH, "*".parse().unwrap());
        let response = answer(&request, full);
        assert_eq!(response.status(), 304);
        let names: Vec<_> = response.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["etag", "vary"]);
    }
}
