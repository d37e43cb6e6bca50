//! What can be asked for, below the token.
//!
//! | path | answer |
//! |---|---|
//! | ``, `page.css`, `page.js` | the page |
//! | `tree?path=` | the regions, as `region tree --bytes` lists them; with `&opened=1` one level at least |
//! | `explain?path=&key=` | what `region explain` says |
//! | `stats` | what `region stats` says |
//! | `events` | what is going on: server-sent events |

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Redirect, Response, Sse};
use axum::routing::get;
use axum::{Json, Router, middleware};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::events;
use super::guard::{self, Token};
use super::live::Live;
use crate::args::{Bounds, Key};
use crate::commands::tree::Listed;
use crate::commands::{explain, stats, tree};
use crate::exit::{Code, Failure};
use crate::progress::Progress;
use crate::target::{ROOT, Target};
use crate::text;

/// The most questions that the servers are asked at the same time. More wait.
const MOST_QUESTIONS: usize = 4;

/// The most pages that are kept informed at the same time. More are refused.
const MOST_PAGES: usize = 16;

/// What all requests use.
#[derive(Clone)]
pub(crate) struct Shared {
    target: Arc<Target>,
    bounds: Bounds,
    live: Arc<Live>,
    questions: Arc<Semaphore>,
    pages: Arc<Semaphore>,
}

impl Shared {
    pub(crate) fn new(target: &Arc<Target>, bounds: Bounds, live: &Arc<Live>) -> Self {
        Self {
            target: Arc::clone(target),
            bounds,
            live: Arc::clone(live),
            questions: Arc::new(Semaphore::new(MOST_QUESTIONS)),
            pages: Arc::new(Semaphore::new(MOST_PAGES)),
        }
    }
}

/// A failure as a response.
struct Refused(Failure);

impl<E: Into<Failure>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match self.0.code() {
            Code::Usage => StatusCode::BAD_REQUEST,
            Code::Unreachable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_GATEWAY,
        };
        (status, Json(json!({"error": self.0.to_string()}))).into_response()
    }
}

/// A region of the tree, as the page shows it.
#[derive(Debug, Serialize)]
struct Row<'l> {
    region: &'l str,
    label: &'l str,
    depth: usize,
    entries: u64,
    bytes: Option<String>,
    has_more: bool,
}

impl<'l> From<&'l Listed> for Row<'l> {
    fn from(listed: &'l Listed) -> Self {
        Self {
            region: &listed.region,
            label: &listed.label,
            depth: listed.depth,
            entries: listed.entries,
            bytes: listed.bytes.map(text::bytes),
            has_more: listed.is_cut,
        }
    }
}

/// All that the page needs, for who knows the token.
pub(crate) fn router(token: Token, shared: Shared) -> Router {
    let below = Router::new()
        .route("/", get(|| file("text/html; charset=utf-8", include_str!("page.html"))))
        .route("/page.css", get(|| file("text/css; charset=utf-8", include_str!("page.css"))))
        .route("/page.js", get(|| file("text/javascript; charset=utf-8", include_str!("page.js"))))
        .route("/tree", get(list))
        .route("/explain", get(explain_key))
        .route("/stats", get(numbers))
        .route("/events", get(follow))
        .with_state(shared);
    // What the page asks for is named from the folder on: so the URL ends with a slash.
    let folder = format!("/{token}/");
    Router::new()
        .route(&format!("/{token}"), get(move || async move { Redirect::temporary(&folder) }))
        .nest(&format!("/{token}/"), below)
        .layer(middleware::from_fn_with_state(token, guard::check))
}

async fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, kind)], text)
}

async fn list(State(shared): State<Shared>, query: RawQuery) -> Result<Json<Value>, Refused> {
    let Shared { target, bounds, questions, .. } = &shared;
    let _permit = questions.acquire().await;
    let top = target.root.region(&parameter(&query, "path").unwrap_or(ROOT.to_owned()))?;
    // A region that is opened shows what is inside, whatever the depth.
    let least = if parameter(&query, "opened").is_some() { 1 } else { 0 };
    let bounds = Bounds { depth: bounds.depth.max(least), ..*bounds };
    let mut report = tree::list(target, &top, bounds, Progress::untold()).await?;
    report.measure(target).await?;
    let rows: Vec<Row<'_>> = report.regions.iter().map(Row::from).collect();
    let cut = report.cut.by_limit.then_some(bounds.limit);
    Ok(Json(json!({"rows": rows, "no_bytes": report.no_bytes, "cut_at": cut})))
}

async fn explain_key(
    State(shared): State<Shared>,
    query: RawQuery,
) -> Result<Json<Value>, Refused> {
    let _permit = shared.questions.acquire().await;
    let parameter = |name| parameter(&query, name).unwrap_or_default();
    let at = Key { path: parameter("path"), key: parameter("key") };
    let report = explain::explain(&shared.target, &at).await?;
    let text = report.to_string();
    Ok(Json(json!({"outcome": report.outcome, "reason": report.reason, "text": text})))
}

async fn numbers(State(shared): State<Shared>) -> Result<Json<Value>, Refused> {
    let _permit = shared.questions.acquire().await;
    let report = stats::gather(&shared.target).await?;
    let server = |server: &stats::ServerReport| json!({"of": server.server, "rows": server.rows()});
    let root = json!({"of": format!("root {}", shared.target.root.path()), "rows": report.rows()});
    let all: Vec<Value> = [root].into_iter().chain(report.servers.iter().map(server)).collect();
    Ok(Json(json!({"numbers": all})))
}

async fn follow(State(shared): State<Shared>) -> Response {
    match Arc::clone(&shared.pages).try_acquire_owned() {
        Ok(permit) => Sse::new(events::stream(&shared.live, permit)).into_response(),
        Err(_) => {
            let error = format!("{MOST_PAGES} pages are open: close one");
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"error": error}))).into_response()
        }
    }
}

/// A parameter of the query.
fn parameter(query: &RawQuery, name: &str) -> Option<String> {
    let query = query.0.as_deref().unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}
