//! From a cache's errors to responses.

use std::fmt;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use region_core::{Error, ErrorKind};

/// The default of [`CacheError::retry_after`].
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An error of a cache as a response: what a handler returns as its error.
///
/// | kind | status | `error` in the body |
/// |---|---|---|
/// | `InvalidPath`, `InvalidKey` | 400 | `bad_request` |
/// | `Unavailable`, `Overloaded`, `Denied` | 503 | `unavailable` |
/// | `Timeout`, `LoadTimeout` | 504 | `timeout` |
/// | all others | 500 | `internal` |
///
/// `Load` has the status of the cache's error that the loader returned, if it returned one. Responses with
/// 503 and 504 have `Retry-After` if a [retry can help](Error::can_retry).
///
/// The body is `{"error":".."}` and says nothing else: neither messages nor names of servers, regions or keys.
/// The error itself is in the response's extensions, as an [`Error`], for layers that log it. A `tracing` event
/// of level `WARN` tells the kind of each error with a status of 500 and more.
///
/// ```
/// use axum::{http::header::RETRY_AFTER, response::IntoResponse};
/// use region_core::{Error, ErrorKind};
/// use region_http::CacheError;
///
/// let error = Error::new(ErrorKind::Unavailable, "redis://10.0.0.7 refuses");
/// let response = CacheError::from(error).into_response();
/// assert_eq!(response.status(), 503);
/// assert_eq!(response.headers()[RETRY_AFTER], "1");
/// ```
///
/// A loader's own error is found by its type, to answer with another status:
///
/// ```
/// use axum::{http::StatusCode, response::{IntoResponse, Response}};
/// use region_http::CacheError;
///
/// fn answer(error: region_core::Error) -> Response {
///     match error.load_error::<std::io::Error>() {
///         Some(source) if source.kind() == std::io::ErrorKind::NotFound => {
///             StatusCode::NOT_FOUND.into_response()
///         }
///         _ => CacheError::from(error).into_response(),
///     }
/// }
/// ```
#[derive(Clone)]
pub struct CacheError {
    error: Error,
    retry_after: Duration,
}

impl CacheError {
    /// Sets what `Retry-After` says, rounded up to whole seconds. The default is one second.
    #[must_use]
    pub fn retry_after(self, retry_after: Duration) -> Self {
        Self { retry_after, ..self }
    }

    /// The cache's error.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match cause(&self.error).kind() {
            ErrorKind::InvalidPath | ErrorKind::InvalidKey => StatusCode::BAD_REQUEST,
            ErrorKind::Unavailable | ErrorKind::Overloaded | ErrorKind::Denied => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            ErrorKind::Timeout | ErrorKind::LoadTimeout => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The value of `Retry-After`, if the response has one.
    fn retry_after_value(&self, status: StatusCode) -> Option<HeaderValue> {
        let is_passing =
            matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT);
        let seconds = self.retry_after.as_secs() + u64::from(self.retry_after.subsec_nanos() > 0);
        (is_passing && cause(&self.error).can_retry()).then(|| HeaderValue::from(seconds))
    }
}

/// The cache's error that led to a failed load, or the error itself.
fn cause(error: &Error) -> &Error {
    let mut cause = error;
    while cause.kind() == ErrorKind::Load
        && let Some(inner) = cause.load_error::<Error>()
    {
        cause = inner;
    }
    cause
}

impl From<Error> for CacheError {
    fn from(error: Error) -> Self {
        Self { error, retry_after: RETRY_AFTER }
    }
}

impl IntoResponse for CacheError {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            let region = self.error.region().map(tracing::field::display);
            tracing::warn!(kind = ?self.error.kind(), region, "a request fails for its cache");
        }
        let mut response = error_response(status);
        if let Some(value) = self.retry_after_value(status) {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response.extensions_mut().insert(self.error);
        response
    }
}

/// A response that says nothing but the class of its error.
pub(crate) fn error_response(status: StatusCode) -> Response {
    let body = match status {
        StatusCode::BAD_REQUEST => r#"{"error":"bad_request"}"#,
        StatusCode::SERVICE_UNAVAILABLE => r#"{"error":"unavailable"}"#,
        StatusCode::GATEWAY_TIMEOUT => r#"{"error":"timeout"}"#,
        _ => r#"{"error":"internal"}"#,
    };
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, body).into_response()
}

impl fmt::Debug for CacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CacheError").field(&self.error).finish()
    }
}

impl fmt::Display for CacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for CacheError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
