//! One request and its response.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use region_core::{Answer, Error, ErrorKind, LoadOptions, Outcome, Region, RegionHandle};
use tower::{Service, ServiceExt};
use tracing::Instrument;

use super::cacheable::Sender;
use super::conditional;
use super::entry::{Entry, StoredResponse, Variants};
use super::forget::Forget;
use super::key;
use super::produce::{Produced, Producer};
use super::settings::Settings;
use super::wish::{Origin, Wish, sender_of};
use crate::error::{CacheError, error_response};

/// The most keys that are looked at for one request: that of its target, those of variants, and one of them anew.
const MAX_LOOKUPS: usize = 4;

/// Responds to a request from the cache, or by `service`.
pub(super) async fn respond<S>(
    service: S,
    settings: Arc<Settings>,
    request: Request<Body>,
) -> Response
where
    S: Service<Request<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
{
    let (mut parts, body) = request.into_parts();
    if !parts.method.is_safe() {
        let region = settings.region(&mut parts).await.ok().flatten();
        let forget = region.map(|region| Forget::new(region, &parts));
        let response = pass(service, parts, body).await;
        if let Some(forget) = forget {
            forget.after(response.status()).await;
        }
        return response;
    }
    let Some(wish) = Wish::of(&parts, &body, settings.demands) else {
        return pass(service, parts, body).await;
    };
    let region = match settings.region(&mut parts).await {
        Ok(Some(region)) => region,
        Ok(None) => return pass(service, parts, body).await,
        Err(error) => {
            tracing::debug!(kind = ?error.kind(), "a request has no region");
            return pass(service, parts, body).await;
        }
    };
    let sender = sender_of(&parts, &settings.credentials);
    let target = key::of_target(&parts, sender);
    let exchange = Exchange { request: Arc::new(parts), sender, settings, region, target };
    let found = match wish.from {
        Origin::Either | Origin::Service => exchange.load(&service, &wish).await,
        Origin::Cache | Origin::CacheFirst => exchange.look_up(&wish).await,
    };
    match found {
        Some(response) => exchange.finish(response),
        None if wish.from == Origin::Cache => error_response(StatusCode::GATEWAY_TIMEOUT),
        None => pass(service, Arc::unwrap_or_clone(exchange.request), Body::empty()).await,
    }
}

async fn pass<S>(service: S, parts: Parts, body: Body) -> Response
where
    S: Service<Request<Body>, Error = Infallible>,
    S::Response: IntoResponse,
{
    let Ok(response) = service.oneshot(Request::from_parts(parts, body)).await;
    response.into_response()
}

/// A request that the cache may have a part in.
struct Exchange {
    request: Arc<Parts>,
    sender: Sender,
    settings: Arc<Settings>,
    region: RegionHandle,
    /// The key of the request's target.
    target: String,
}

impl Exchange {
    /// The response that is stored, or else produced; `None`: the request has to pass.
    async fn load<S>(&self, service: &S, wish: &Wish) -> Option<Response>
    where
        S: Service<Request<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Response: IntoResponse,
        S::Future: Send,
    {
        let mut variants = None;
        let mut is_reload = wish.from == Origin::Service;
        if is_reload {
            // A load at the target's key would only find out again what the response varies by.
            variants = self.variants().await;
        }
        for _ in 0..MAX_LOOKUPS {
            let produced = Produced::default();
            let loaded = self.load_at(service, variants.as_ref(), is_reload, &produced).await;
            if let Some(response) = produced.take() {
                return Some(response);
            }
            let (entry, outcome) = match loaded {
                Ok(answer) => (answer.value().clone()?, answer.outcome()),
                Err(error) => return self.failed(error, &produced),
            };
            match &*entry {
                Entry::Response(stored) => {
                    let now = SystemTime::now();
                    let is_ended =
                        outcome == Outcome::Stale && !stored.may_be_stale(self.settings.stale_for);
                    if is_reload || (!is_ended && self.accepts(stored, wish, now)) {
                        return stored.to_response(now);
                    }
                    is_reload = true;
                }
                Entry::Varies(others) if variants.as_ref() == Some(others) => return None,
                Entry::Varies(others) => variants = Some(others.clone()),
                Entry::Uncacheable => return None,
            }
        }
        None
    }

    /// Loads the response of the target, or the one of its variants that is for the request.
    async fn load_at<S>(
        &self,
        service: &S,
        variants: Option<&Variants>,
        is_reload: bool,
        produced: &Produced,
    ) -> region_core::Result<Answer<Option<Arc<Entry>>>>
    where
        S: Service<Request<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Response: IntoResponse,
        S::Future: Send,
    {
        let producer = Producer {
            request: Arc::clone(&self.request),
            sender: self.sender,
            settings: Arc::clone(&self.settings),
            region: self.region.clone(),
            target: self.target.clone(),
            names: variants.map(|variants| variants.names.clone()).unwrap_or_default(),
            produced: produced.clone(),
        };
        let (service, span) = (service.clone(), tracing::Span::current());
        let load = move |_old| producer.run(service).instrument(span);
        let options = LoadOptions::new();
        let options = if is_reload { options.reload() } else { options };
        self.region.get_or_compute_answer_with(&self.key(variants), options, load).await
    }

    /// The stored response, if there is one that is fresh.
    async fn look_up(&self, wish: &Wish) -> Option<Response> {
        let key = self.key(self.variants().await.as_ref());
        let entry = self.region.get::<Entry>(&key).await.ok()??;
        let now = SystemTime::now();
        match &*entry {
            Entry::Response(stored) if self.accepts(stored, wish, now) => stored.to_response(now),
            _ => None,
        }
    }

    /// The variants of the responses for the target, if they are known to vary.
    async fn variants(&self) -> Option<Variants> {
        match &*self.region.get::<Entry>(&self.target).await.ok()?? {
            Entry::Varies(variants) => Some(variants.clone()),
            Entry::Response(_) | Entry::Uncacheable => None,
        }
    }

    fn key(&self, variants: Option<&Variants>) -> String {
        match variants {
            None => self.target.clone(),
            Some(variants) => key::of_variant(&self.target, variants, &self.request.headers),
        }
    }

    fn accepts(&self, stored: &StoredResponse, wish: &Wish, now: SystemTime) -> bool {
        stored.is_usable(self.settings.stale_for, now) && wish.accepts(stored, now)
    }

    /// The response after a failed load; `None`: the request has to pass.
    fn failed(&self, error: Error, produced: &Produced) -> Option<Response> {
        let is_own = produced.has_begun();
        match error.kind() {
            // The service has been asked, and would fail again.
            ErrorKind::LoadPanicked | ErrorKind::LoadTimeout if is_own => {
                Some(CacheError::from(error).into_response())
            }
            kind => {
                tracing::debug!(?kind, "a request passes for its cache fails");
                None
            }
        }
    }

    fn finish(&self, response: Response) -> Response {
        let response = conditional::answer(&self.request.headers, response);
        match self.request.method == Method::HEAD {
            true => response.map(|_| Body::empty()),
            false => response,
        }
    }
}
