//! The layer and the extractors.

use std::fmt;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::get as route;
use region_core::{Region, Regioned, TopLevel, TypedPath};
use region_http::{Cache, CacheLayer, RegionOf};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

use crate::kit::{cache, get};

pub(crate) struct Org(u64);

impl Regioned for Org {
    type Parent = TopLevel;
    type Id = u64;
    type Ids = (u64,);
    const NAME: &'static str = "org";

    fn path_from((id,): (u64,)) -> TypedPath<Self> {
        TypedPath::top().child("org", &id)
    }

    fn region_path(&self) -> TypedPath<Self> {
        Self::path_from((self.0,))
    }
}

pub(crate) struct Project(pub(crate) u64, pub(crate) String);

impl Regioned for Project {
    type Parent = Org;
    type Id = String;
    type Ids = (u64, String);
    const NAME: &'static str = "project";

    fn path_from((org, id): (u64, String)) -> TypedPath<Self> {
        Org::path_from((org,)).child("project", &id)
    }

    fn region_path(&self) -> TypedPath<Self> {
        Self::path_from((self.0, self.1.clone()))
    }
}

#[tokio::test]
async fn the_cache_of_the_layer_is_extracted() {
    let (one, other) = (cache(), cache());
    let root = async |cache: Cache| cache.stats().misses.to_string();
    let optional = async |cache: Option<Cache>| cache.is_some().to_string();
    let app = Router::new()
        .route("/one", route(root))
        .layer(CacheLayer::new(one.clone()))
        .merge(Router::new().route("/other", route(root)).layer(CacheLayer::new(other)))
        .route("/none", route(root))
        .route("/optional", route(optional));
    one.root().get::<u8>("k").await.unwrap();
    assert_eq!(get(&app, "/one", &[]).await.body, "1");
    assert_eq!(get(&app, "/other", &[]).await.body, "0");
    assert_eq!(get(&app, "/optional", &[]).await.body, "false");
    let none = get(&app, "/none", &[]).await;
    assert_eq!((none.status.as_u16(), none.body.as_str()), (500, r#"{"error":"internal"}"#));
}

#[tokio::test]
async fn a_region_is_extracted_by_the_ids_in_the_path() {
    let project = async |region: RegionOf<Project>| region.path().to_string();
    let app = Router::new()
        .route("/orgs/{org}/projects/{id}", route(project))
        .route("/orgs/{org}", route(project))
        .layer(CacheLayer::new(cache()))
        .route("/none/{org}/{id}", route(project));
    let path = get(&app, "/orgs/42/projects/a%2Eb", &[]).await;
    let expected = cache().region_at(Project::path_from((42, "a.b".to_owned()))).unwrap();
    assert_eq!(path.body, expected.path().to_string());
    assert_eq!(get(&app, "/orgs/x/projects/1", &[]).await.status, 400);
    let long = format!("/orgs/1/projects/{}", "x".repeat(600));
    assert_eq!(get(&app, &long, &[]).await.status, 400);
    assert_eq!(get(&app, "/orgs/1", &[]).await.status, 500);
    assert_eq!(get(&app, "/none/1/2", &[]).await.status, 500);
}

/// Writes down the spans of one thread.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<String>>);

impl<S: tracing::Subscriber> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let mut text = self.0.lock().unwrap();
        text.push_str(attributes.metadata().name());
        attributes.record(&mut Fields(&mut text));
    }

    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        values.record(&mut Fields(&mut self.0.lock().unwrap()));
    }
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!(" {field}={value:?}"));
    }
}

#[tokio::test]
async fn a_span_has_the_route_and_no_secret_of_the_request() {
    let spans = Spans::default();
    let subscriber = tracing_subscriber::registry().with(spans.clone());
    let guard = tracing::subscriber::set_default(subscriber);
    let app =
        Router::new().route("/orgs/{org}", route(async || "org")).layer(CacheLayer::new(cache()));
    assert_eq!(get(&app, "/orgs/42?token=secret", &[("cookie", "secret")]).await.status, 200);
    drop(guard);
    let text = spans.0.lock().unwrap().clone();
    assert_eq!(text, r#"request method="GET" route="/orgs/{org}" status=200"#);
}
