//! The settings of a layer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{HeaderName, header};
use futures_util::future::BoxFuture;
use region_core::{OnStale, Policy, Postcard, Region, RegionHandle, Result};

use super::wish::Demands;

/// The default of `body_limit`, in bytes.
const BODY_LIMIT: usize = 1024 * 1024;

/// The default of `remember_uncacheable`.
const REMEMBER_UNCACHEABLE: Duration = Duration::from_secs(10);

/// The region of a request; `None`: its response is not stored.
pub(super) type RegionOfRequest =
    Arc<dyn for<'a> Fn(&'a mut Parts) -> BoxFuture<'a, Result<Option<RegionHandle>>> + Send + Sync>;

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) region_of: RegionOfRequest,
    pub(super) body_limit: usize,
    pub(super) default_ttl: Option<Duration>,
    /// The longest time for which a response is served while it is refreshed.
    pub(super) stale_for: Duration,
    pub(super) remember_uncacheable: Duration,
    pub(super) demands: Demands,
    /// The headers of requests that show who sends them.
    pub(super) credentials: Vec<HeaderName>,
}

impl Settings {
    pub(super) fn new<F>(region_of: F) -> Self
    where
        F: for<'a> Fn(&'a mut Parts) -> BoxFuture<'a, Result<Option<RegionHandle>>>
            + Send
            + Sync
            + 'static,
    {
        Self {
            region_of: Arc::new(region_of),
            body_limit: BODY_LIMIT,
            default_ttl: None,
            stale_for: Duration::ZERO,
            remember_uncacheable: REMEMBER_UNCACHEABLE,
            demands: Demands::Honoured,
            credentials: vec![header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION],
        }
    }

    /// The region of a request, under the policy that its responses have.
    pub(super) async fn region(&self, parts: &mut Parts) -> Result<Option<RegionHandle>> {
        let Some(region) = (self.region_of)(parts).await? else { return Ok(None) };
        let policy =
            Policy::new().stale_for(self.stale_for).on_stale(OnStale::Refresh).serializer(Postcard);
        region.with_policy(policy).map(Some)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("body_limit", &self.body_limit)
            .field("default_ttl", &self.default_ttl)
            .field("stale_for", &self.stale_for)
            .field("remember_uncacheable", &self.remember_uncacheable)
            .field("demands", &self.demands)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}
