//! Producing a response by the service, and telling what of it may be stored.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::response::Parts as ResponseParts;
use axum::http::{HeaderValue, Request, header};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use region_core::{Loaded, RegionExt, RegionHandle, SetOptions};
use tower::{Service, ServiceExt};

use super::body::{Collected, collect};
use super::cacheable::{Freshness, Refusal, Sender, freshness};
use super::conditional;
use super::entry::{Entry, StoredResponse, Variants};
use super::key;
use super::settings::Settings;

/// The time for which it is remembered what a response varies by. After that it is found out anew, by a response
/// that is not stored.
const REMEMBER_VARIES: Duration = Duration::from_secs(24 * 3600);

/// Produces the response to one request, for all who ask for its key.
pub(super) struct Producer {
    pub(super) request: Arc<Parts>,
    pub(super) sender: Sender,
    pub(super) settings: Arc<Settings>,
    pub(super) region: RegionHandle,
    /// The key of the request's target.
    pub(super) target: String,
    /// The headers whose values select the response at the key that is loaded.
    pub(super) names: Vec<String>,
    pub(super) produced: Produced,
}

/// The response itself, which may be for the producer's own request alone.
#[derive(Clone, Default)]
pub(super) struct Produced(Arc<Mutex<State>>);

#[derive(Default)]
enum State {
    #[default]
    NotBegun,
    Begun,
    Done(Box<Response>),
}

/// What others get, and the response.
type Kept = (Loaded<Entry>, Response);

impl Produced {
    /// Takes the response, if the producer is done.
    pub(super) fn take(&self) -> Option<Response> {
        let mut state = self.0.lock();
        match std::mem::take(&mut *state) {
            State::Done(response) => {
                *state = State::Begun;
                Some(*response)
            }
            other => {
                *state = other;
                None
            }
        }
    }

    /// Returns true if the service was called.
    pub(super) fn has_begun(&self) -> bool {
        !matches!(*self.0.lock(), State::NotBegun)
    }

    fn set(&self, state: State) {
        *self.0.lock() = state;
    }
}

impl Producer {
    /// Calls `service`. What it returns is for all who wait for the key.
    pub(super) async fn run<S>(self, service: S) -> Result<Loaded<Entry>, Infallible>
    where
        S: Service<Request<Body>, Error = Infallible>,
        S::Response: IntoResponse,
    {
        self.produced.set(State::Begun);
        let mut parts = Parts::clone(&self.request);
        conditional::remove_conditions(&mut parts.headers);
        let Ok(response) = service.oneshot(Request::from_parts(parts, Body::empty())).await;
        let (loaded, response) = self.keep(response.into_response()).await;
        self.produced.set(State::Done(Box::new(response)));
        Ok(loaded)
    }

    async fn keep(&self, response: Response) -> Kept {
        let now = SystemTime::now();
        let (status, headers) = (response.status(), response.headers());
        match freshness(status, headers, self.sender, self.settings.default_ttl, now) {
            Err(Refusal::Failed) => (Loaded::DontStore(Entry::Uncacheable), response),
            Err(Refusal::NotCacheable) => (self.uncacheable(), response),
            Ok(freshness) => match key::varies_by(headers) {
                None => (self.uncacheable(), response),
                Some(names) if names.iter().all(|name| self.names.contains(name)) => {
                    let (parts, body) = response.into_parts();
                    self.store(parts, body, freshness, now).await
                }
                Some(names) => (self.varies(names).await, response),
            },
        }
    }

    async fn store(
        &self,
        mut parts: ResponseParts,
        body: Body,
        freshness: Freshness,
        now: SystemTime,
    ) -> Kept {
        let failed = || Loaded::DontStore(Entry::Uncacheable);
        let whole = match collect(body, self.settings.body_limit).await {
            Collected::Whole(whole) => whole,
            Collected::NotStored(body) => {
                return (self.uncacheable(), Response::from_parts(parts, body));
            }
            Collected::Failed(body) => return (failed(), Response::from_parts(parts, body)),
        };
        let length = parts.headers.get(header::CONTENT_LENGTH);
        if length.is_some_and(|length| *length != HeaderValue::from(whole.len())) {
            return (failed(), Response::from_parts(parts, Body::from(whole)));
        }
        if let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(now)) {
            parts.headers.entry(header::DATE).or_insert(date);
        }
        let stored = StoredResponse::new(&parts, whole.clone(), freshness, now);
        let loaded = Loaded::new(Entry::Response(stored)).ttl(freshness.fresh_for);
        (loaded, Response::from_parts(parts, Body::from(whole)))
    }

    /// Others need not wait for the next response to be the first to learn that it is not for them.
    fn uncacheable(&self) -> Loaded<Entry> {
        match self.settings.remember_uncacheable {
            Duration::ZERO => Loaded::DontStore(Entry::Uncacheable),
            ttl => Loaded::new(Entry::Uncacheable).ttl(ttl),
        }
    }

    /// The response varies by headers whose values are not in the key of the load.
    async fn varies(&self, names: Vec<String>) -> Loaded<Entry> {
        if self.names.is_empty() {
            let entry = Entry::Varies(Variants::new(names));
            return Loaded::new(entry).ttl(REMEMBER_VARIES);
        }
        let Some(names) = key::union(&self.names, &names) else { return self.uncacheable() };
        // It is at the target's key, not at that of the load. It needs no fence: it only says where to look, and
        // what is there is compared with all that it varies by before it is stored.
        let variants = Variants::new(names);
        let entry = Entry::Varies(variants.clone());
        let options = SetOptions::new().ttl(REMEMBER_VARIES);
        if let Err(error) = self.region.set_with(&self.target, &entry, options).await {
            tracing::debug!(kind = ?error.kind(), "it is not stored what a response varies by");
        }
        Loaded::DontStore(Entry::Varies(variants))
    }
}
