//! The health of a service, as far as its cache goes.

mod probe;
mod report;

use std::sync::Arc;
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use region_core::RegionCache;

pub use report::{Condition, HealthReport, StoreReport};

use probe::Prober;

/// The time that a store without a limit of its own has to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// The time that a report takes beyond its two reads, at most.
const MARGIN: Duration = Duration::from_millis(500);

/// An endpoint that tells load balancers and operators how the cache of a service fares.
///
/// | [`Condition`] | meaning | status |
/// |---|---|---|
/// | `ready` | everything works | 200 |
/// | `degraded` | requests are served, but something does not work: the store cannot be read and reads miss, a replica is down or lags, pushes are lost, invalidations are queued | 200 |
/// | `down` | reads fail: the store cannot be read, and [`Policy::on_outage`](region_core::Policy::on_outage) of the root region makes that an error; or the store does not answer at all | 503 |
///
/// The body is a [`HealthReport`] as JSON, which names no server, region or error message:
///
/// ```json
/// {"status":"degraded","store":{"reachable":true,"error":null,"millis":1},"problems":["replica_down"]}
/// ```
///
/// Each report reads the store once, past the near cache; requests that come meanwhile share that read. A report
/// never takes longer than its [time limit](Self::within), whatever the store does.
///
/// ```
/// use axum::{Router, body::Body, http::Request};
/// use region_core::RegionCache;
/// use region_http::Health;
/// use region_memory::MemoryStore;
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = RegionCache::builder(MemoryStore::new()).build()?;
/// let app: Router = Router::new().route("/health", Health::new(cache).route());
/// let response = app.oneshot(Request::get("/health").body(Body::empty())?).await?;
/// assert_eq!(response.status(), 200);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Health {
    prober: Arc<Prober>,
    within: Duration,
    ready: StatusCode,
    degraded: StatusCode,
    down: StatusCode,
}

impl Health {
    /// Creates the endpoint of `cache`.
    #[must_use]
    pub fn new(cache: RegionCache) -> Self {
        let within = cache.store().limit().map_or(ANSWER_WITHIN, |limit| 2 * limit + MARGIN);
        Self {
            prober: Arc::new(Prober::new(cache)),
            within,
            ready: StatusCode::OK,
            degraded: StatusCode::OK,
            down: StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Sets the longest time that a report takes. A store that has not answered by then is `down`. The default is
    /// one second; for a store that [limits its calls](region_core::Store::limit), half a second more than two calls.
    #[must_use]
    pub fn within(self, within: Duration) -> Self {
        Self { within, ..self }
    }

    /// Sets the status of responses in a condition.
    ///
    /// ```
    /// use axum::http::StatusCode;
    /// use region_http::{Condition, Health};
    ///
    /// # fn health(health: Health) -> Health {
    /// // Take a service out of rotation that has lost its replica.
    /// health.status_code(Condition::Degraded, StatusCode::SERVICE_UNAVAILABLE)
    /// # }
    /// ```
    #[must_use]
    pub fn status_code(mut self, condition: Condition, code: StatusCode) -> Self {
        match condition {
            Condition::Ready => self.ready = code,
            Condition::Degraded => self.degraded = code,
            Condition::Down => self.down = code,
        }
        self
    }

    /// Reports once. Must be called within a tokio runtime that has timers.
    ///
    /// # Cancel safety
    /// It may be dropped at any time. The read goes on in the background, within the same time limit.
    pub async fn check(&self) -> HealthReport {
        self.prober.report(self.within).await
    }

    /// The route of the endpoint: `GET` and `HEAD`.
    pub fn route<S: Clone + Send + Sync + 'static>(self) -> MethodRouter<S> {
        get(move || {
            let health = self.clone();
            async move { health.respond().await }
        })
    }

    async fn respond(&self) -> Response {
        let report = self.check().await;
        let code = match report.status {
            Condition::Ready => self.ready,
            Condition::Degraded => self.degraded,
            Condition::Down => self.down,
        };
        let headers =
            [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
        (code, headers, report.to_json()).into_response()
    }
}
