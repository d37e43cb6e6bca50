//! Which responses may be stored, and for how long: RFC 9111, sections 3 and 4.2, and stricter.

use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, HeaderName, StatusCode, header};

use super::directives::Directives;

/// The time for which a response may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Freshness {
    /// The age that the response had when it came.
    pub(super) age: Duration,
    /// From then on it is fresh for so long.
    pub(super) fresh_for: Duration,
    /// After that it may be served for so long while it is refreshed.
    pub(super) stale_for: Duration,
}

/// Why a response is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Its status says that the request failed; the next one may not.
    Failed,
    /// It must not be stored, or is not fresh for any time.
    NotCacheable,
}

/// Whether a request shows who sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    Anonymous,
    /// It has credentials, such as `Authorization` or a cookie.
    Identified,
}

/// The freshness of a response to a `GET` request of `sender`; `default_ttl` is for responses that say nothing.
pub(super) fn freshness(
    status: StatusCode,
    headers: &HeaderMap,
    sender: Sender,
    default_ttl: Option<Duration>,
    now: SystemTime,
) -> Result<Freshness, Refusal> {
    if !has_cacheable_status(status) {
        return Err(Refusal::Failed);
    }
    let directives = Directives::of(headers);
    let forbids = ["no-store", "no-cache", "private"].iter().any(|name| directives.has(name));
    let is_personal = sender == Sender::Identified || headers.contains_key(header::SET_COOKIE);
    if forbids || (is_personal && !directives.has("public")) {
        return Err(Refusal::NotCacheable);
    }
    let explicit = explicit_lifetime(&directives, headers, now);
    let default_ttl = default_ttl.filter(|_| !is_temporary(status));
    let lifetime = explicit.or(default_ttl).ok_or(Refusal::NotCacheable)?;
    let age = age(headers, now).ok_or(Refusal::NotCacheable)?;
    let fresh_for = lifetime.checked_sub(age).filter(|left| !left.is_zero());
    let must_revalidate = directives.has("must-revalidate") || directives.has("proxy-revalidate");
    let stale_for = directives.seconds("stale-while-revalidate").filter(|_| !must_revalidate);
    Ok(Freshness {
        age,
        fresh_for: fresh_for.ok_or(Refusal::NotCacheable)?,
        stale_for: Duration::from_secs(stale_for.unwrap_or(0)),
    })
}

/// Statuses whose responses hold for other requests too. 5xx are none, nor are partial responses, nor what a client
/// gets for a bad request.
fn has_cacheable_status(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 302 | 307 | 308 | 404 | 405 | 410 | 414)
}

/// Redirections for the moment, which are stored only if they say for how long: RFC 9110, section 15.1.
fn is_temporary(status: StatusCode) -> bool {
    matches!(status, StatusCode::FOUND | StatusCode::TEMPORARY_REDIRECT)
}

fn explicit_lifetime(
    directives: &Directives,
    headers: &HeaderMap,
    now: SystemTime,
) -> Option<Duration> {
    let seconds = directives.seconds("s-maxage").or_else(|| directives.seconds("max-age"));
    if let Some(seconds) = seconds {
        return Some(Duration::from_secs(seconds));
    }
    headers.get(header::EXPIRES)?;
    // A date that cannot be read, or is given twice, has passed.
    let expires = date(headers, &header::EXPIRES).unwrap_or(SystemTime::UNIX_EPOCH);
    let from = date(headers, &header::DATE).unwrap_or(now);
    Some(expires.duration_since(from).unwrap_or_default())
}

/// The date in the only header of this name.
pub(super) fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    httpdate::parse_http_date(value).ok()
}

/// The age by `Age` or by `Date`, whichever is more; `None` if `Age` cannot be read.
fn age(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let dated = date(headers, &header::DATE).and_then(|date| now.duration_since(date).ok());
    // Dates are in whole seconds.
    let apparent = dated.map_or(0, |age| age.as_secs());
    let given = match headers.get(header::AGE) {
        Some(value) => value.to_str().ok()?.trim().parse().ok()?,
        None => 0,
    };
    Some(Duration::from_secs(apparent.max(given)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const IN_A_MINUTE: &str = "expires: Sun, 06 Nov 1994 08:50:37 GMT";

    /// Seconds for which a response is fresh, and stale after that.
    type Judged = Result<(u64, u64), Refusal>;

    fn judge(status: u16, lines: &[&str], sender: Sender) -> Judged {
        let parsed = lines.iter().map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())
        });
        let mut headers = HeaderMap::new();
        for (name, value) in parsed {
            headers.append(name, value);
        }
        let now = httpdate::parse_http_date(NOW).unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        let found = freshness(status, &headers, sender, None, now)?;
        Ok((found.fresh_for.as_secs(), found.stale_for.as_secs()))
    }

    #[test]
    fn the_table_of_cacheability() {
        use Refusal::{Failed, NotCacheable};
        use Sender::{Anonymous, Identified};
        const NO: Judged = Err(NotCacheable);
        let minute = "cache-control: max-age=60";
        let table: &[(u16, &[&str], Sender, Judged)] = &[
            (200, &[minute], Anonymous, Ok((60, 0))),
            (200, &[], Anonymous, NO),
            (200, &["cache-control: public"], Anonymous, NO),
            (200, &["cache-control: max-age=0"], Anonymous, NO),
            (200, &["cache-control: max-age=60, s-maxage=5"], Anonymous, Ok((5, 0))),
            (200, &["cache-control: s-maxage=0, max-age=60"], Anonymous, NO),
            (200, &["cache-control: no-store, max-age=60"], Anonymous, NO),
            (200, &["cache-control: no-cache, max-age=60"], Anonymous, NO),
            (200, &["cache-control: private, max-age=60"], Anonymous, NO),
            (200, &["cache-control: Private, max-age=60"], Anonymous, NO),
            (200, &["cache-control: private=\"x-name\", max-age=60"], Anonymous, NO),
            (200, &[minute, "cache-control: private"], Anonymous, NO),
            (200, &["pragma: no-cache", IN_A_MINUTE], Anonymous, NO),
            // Expires, and what takes precedence over it.
            (200, &[IN_A_MINUTE], Anonymous, Ok((60, 0))),
            (200, &[IN_A_MINUTE, "date: Sun, 06 Nov 1994 08:50:07 GMT"], Anonymous, Ok((30, 0))),
            (200, &[IN_A_MINUTE, IN_A_MINUTE], Anonymous, NO),
            (200, &["expires: 0"], Anonymous, NO),
            (200, &["expires: Sat, 05 Nov 1994 08:49:37 GMT"], Anonymous, NO),
            (200, &["expires: 0", minute], Anonymous, Ok((60, 0))),
            // Age.
            (200, &[minute, "age: 20"], Anonymous, Ok((40, 0))),
            (200, &[minute, "age: 60"], Anonymous, NO),
            (200, &[minute, "age: old"], Anonymous, NO),
            (200, &[minute, "age: -1"], Anonymous, NO),
            (200, &[minute, "date: Sun, 06 Nov 1994 08:49:07 GMT"], Anonymous, Ok((30, 0))),
            (
                200,
                &[minute, "date: Sun, 06 Nov 1994 08:49:07 GMT", "age: 40"],
                Anonymous,
                Ok((20, 0)),
            ),
            (200, &[minute, "date: Sun, 06 Nov 1994 08:48:37 GMT"], Anonymous, NO),
            (200, &[minute, "date: Sun, 06 Nov 1994 08:50:37 GMT"], Anonymous, Ok((60, 0))),
            (200, &[IN_A_MINUTE, "date: Sun, 06 Nov 1994 08:49:07 GMT"], Anonymous, Ok((60, 0))),
            // Statuses.
            (404, &[minute], Anonymous, Ok((60, 0))),
            (301, &[minute], Anonymous, Ok((60, 0))),
            (206, &[minute], Anonymous, Err(Failed)),
            (304, &[minute], Anonymous, Err(Failed)),
            (401, &[minute], Anonymous, Err(Failed)),
            (403, &[minute], Anonymous, Err(Failed)),
            (429, &[minute], Anonymous, Err(Failed)),
            (500, &[minute], Anonymous, Err(Failed)),
            (501, &[minute], Anonymous, Err(Failed)),
            (503, &["cache-control: public, max-age=60"], Anonymous, Err(Failed)),
            // Who asked.
            (200, &[minute], Identified, NO),
            (200, &["cache-control: s-maxage=60"], Identified, NO),
            (200, &["cache-control: public, max-age=60"], Identified, Ok((60, 0))),
            (200, &[minute, "set-cookie: a=b"], Anonymous, NO),
            (200, &["cache-control: public, max-age=9", "set-cookie: a=b"], Anonymous, Ok((9, 0))),
            // Stale while revalidate.
            (200, &["cache-control: max-age=60, stale-while-revalidate=9"], Anonymous, Ok((60, 9))),
            (
                200,
                &["cache-control: max-age=60, stale-while-revalidate=9, must-revalidate"],
                Anonymous,
                Ok((60, 0)),
            ),
        ];
        for (status, headers, sender, expected) in table {
            let found = judge(*status, headers, *sender);
            assert_eq!(found, *expected, "{status} {headers:?} {sender:?}");
        }
    }

    #[test]
    fn the_default_is_for_responses_that_say_nothing() {
        let default = Some(Duration::from_secs(7));
        let judge = |headers: &HeaderMap| {
            freshness(StatusCode::OK, headers, Sender::Anonymous, default, SystemTime::now())
        };
        let mut headers = HeaderMap::new();
        assert_eq!(judge(&headers).map(|found| found.fresh_for), Ok(Duration::from_secs(7)));
        headers.insert(header::CACHE_CONTROL, "max-age=0".parse().unwrap());
        assert_eq!(judge(&headers), Err(Refusal::NotCacheable));
    }

    /// Bug: a redirection for the moment that said nothing was stored for the default time. Effect: a visitor who was
    /// sent to sign in took all others with him. Fix: RFC 9110 lets caches guess of the other statuses only.
    #[test]
    fn the_default_is_not_for_redirections_of_the_moment() {
        let judge = |status: u16, headers: &HeaderMap| {
            let status = StatusCode::from_u16(status).unwrap();
            let default = Some(Duration::from_secs(7));
            freshness(status, headers, Sender::Anonymous, default, SystemTime::now()).is_ok()
        };
        let mut headers = HeaderMap::new();
        for (status, is_stored) in
            [(301, true), (302, false), (307, false), (308, true), (404, true)]
        {
            assert_eq!(judge(status, &headers), is_stored, "{status}");
        }
        headers.insert(header::CACHE_CONTROL, "max-age=5".parse().unwrap());
        assert!(judge(302, &headers) && judge(307, &headers));
    }
}
