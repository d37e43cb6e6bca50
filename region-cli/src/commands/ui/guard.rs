//! Who may see the page: a browser on this machine that knows the token.
//!
//! The token is a part of the path, so everything that the page asks for has it too. A cookie would be sent to every
//! other server on this machine as well, whatever its port.

use std::fmt;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CONNECTION, HOST, HeaderName, HeaderValue};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use crate::text;

/// The number of random bytes in a token.
const TOKEN_BYTES: usize = 16;

/// The names of this machine that a browser on it may use. A page of another site whose name leads here has that name.
const HOSTS: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// The headers of every response. The page loads nothing from elsewhere, no page embeds it, and nothing is kept.
const HEADERS: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
];

/// The secret that the URL of the page has.
#[derive(Clone)]
pub(crate) struct Token(Arc<str>);

impl Token {
    pub(crate) fn random() -> Self {
        Self(text::hex(&rand::random::<[u8; TOKEN_BYTES]>()).into())
    }

    /// Returns true if the path begins with the token. The time that it takes tells nothing of the token.
    fn begins(&self, path: &str) -> bool {
        let first = path.split('/').nth(1).unwrap_or_default();
        self.0.as_bytes().ct_eq(first.as_bytes()).into()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Lets requests through that may see the page, and puts the headers on every response.
pub(crate) async fn check(State(token): State<Token>, request: Request, next: Next) -> Response {
    let mut response = match refusal(&token, &request) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    };
    for (name, value) in HEADERS {
        let headers = response.headers_mut();
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

/// The answer to a request that may not see the page.
fn refusal(token: &Token, request: &Request) -> Option<Response> {
    let forbidden = |why: &'static str| {
        // Who knows no token has no use for the connection.
        Some((StatusCode::FORBIDDEN, [(CONNECTION, "close")], why).into_response())
    };
    if !is_local(request.headers()) {
        return forbidden("Open the page by the URL that `region ui` has printed.\n");
    }
    if !token.begins(request.uri().path()) {
        return forbidden("The URL has no valid token: `region ui` prints a new one each time.\n");
    }
    if request.method() != Method::GET {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        return Some((status, [(ALLOW, "GET")], "The page can only be read.\n").into_response());
    }
    None
}

/// Returns true if the request names this machine, by a name that leads to it alone. The port may be that of a tunnel.
fn is_local(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let host = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    host.is_some_and(|host| HOSTS.iter().any(|known| host.host().eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(hosts: &[&'static str]) -> HeaderMap {
        hosts.iter().map(|host| (HOST, HeaderValue::from_static(host))).collect()
    }

    #[test]
    fn only_names_of_this_machine_are_local() {
        for host in ["127.0.0.1:80", "localhost:8042", "LOCALHOST", "[::1]:8042", "127.0.0.1"] {
            assert!(is_local(&headers(&[host])), "{host}");
        }
        for host in
            ["evil.example", "127.0.0.1.evil.example:80", "localhost.evil", "", "0.0.0.0", "a b"]
        {
            assert!(!is_local(&headers(&[host])), "{host}");
        }
        assert!(!is_local(&headers(&[])) && !is_local(&headers(&["localhost", "localhost"])));
    }

    #[test]
    fn the_token_is_the_first_part_of_the_path() {
        let (token, other) = (Token::random(), Token::random());
        assert_eq!(token.to_string().len(), 2 * TOKEN_BYTES);
        for path in [format!("/{token}"), format!("/{token}/"), format!("/{token}/tree")] {
            assert!(token.begins(&path) && !other.begins(&path), "{path}");
        }
        for path in ["", "/", "*", "//"] {
            assert!(!token.begins(path), "{path}");
        }
        assert!(!token.begins(&format!("/{token}0/")) && !token.begins(&format!("//{token}/")));
    }
}
