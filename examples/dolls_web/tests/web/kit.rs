//! The service on a port of its own, and what a browser shows of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use browser::{Browser, By, ElementQueryable};
use dolls_web::app::App;
use dolls_web::database::Database;
use region_cache::http::{Condition, Health};
use region_cache::{Configuration, MemoryStore, RegionCache, RegionCacheBuilder};
use servers::{Flavor, TestServer};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Runs each case, a function of the calling module, over the memory store and over a Redis server.
macro_rules! on_both {
    ($($case:ident)*) => {
        mod memory {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() -> browser::Result<()> {
                    super::$case(crate::kit::Place::memory()).await
                }
            )*
        }
        mod redis {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() -> browser::Result<()> {
                    super::$case(crate::kit::Place::redis()).await
                }
            )*
        }
    };
}
pub(crate) use on_both;

/// The longest time until the store of an instance is ready.
const READY_LIMIT: Duration = Duration::from_secs(20);

/// More than any call takes while the machine is busy: a call that is late is a miss.
pub(crate) const CALL_TIMEOUT: &str = "20s";

/// The bytes that each instance holds near.
const NEAR_BYTES: u64 = 1 << 20;

/// What outlives an instance of the service: the database's file, and the server of the cache if there is one.
pub(crate) struct Place {
    folder: PathBuf,
    server: Option<TestServer>,
}

impl Place {
    pub(crate) fn memory() -> Self {
        Self::new(None)
    }

    pub(crate) fn redis() -> Self {
        Self::new(Some(TestServer::start(Flavor::Redis)))
    }

    fn new(server: Option<TestServer>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("dolls-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self { folder, server }
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.join("library.db")
    }

    /// The URL of the cache's server.
    pub(crate) fn url(&self) -> String {
        match &self.server {
            Some(server) => format!("redis://127.0.0.1:{}", server.port()),
            None => "memory:".to_owned(),
        }
    }

    /// The state of one instance of the service.
    fn app(&self, name: &str) -> App {
        let mut settings = vec![("REGION_CACHE_URL", self.url())];
        if self.server.is_some() {
            settings.push(("REGION_CACHE_CALL_TIMEOUT", CALL_TIMEOUT.to_owned()));
        }
        let cache = Configuration::new().with_variables(settings).unwrap().builder().unwrap();
        self.app_over(cache.near(NEAR_BYTES), name)
    }

    pub(crate) fn app_over(&self, cache: RegionCacheBuilder, name: &str) -> App {
        App::new(cache, Database::open(&self.database()).unwrap(), name).unwrap()
    }

    /// Starts an instance of the service, and waits until its store is there: without it, pages are rendered anew.
    pub(crate) async fn serve(&self, name: &str) -> Site {
        let app = self.app(name);
        let health = Health::new(app.cache.clone());
        let deadline = Instant::now() + READY_LIMIT;
        while health.check().await.status != Condition::Ready {
            assert!(Instant::now() < deadline, "the store is not ready");
            sleep(Duration::from_millis(10)).await;
        }
        Site::serve(dolls_web::router(app)).await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left of a failed test is in the way of nobody.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A service that listens, until it is dropped.
pub(crate) struct Site {
    pub(crate) address: String,
    serving: JoinHandle<()>,
}

impl Site {
    async fn serve(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, serving }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// An instance over a memory store, without a port.
pub(crate) fn app_in_memory() -> App {
    let cache = RegionCache::builder(MemoryStore::new());
    App::new(cache, Database::open(":memory:".as_ref()).unwrap(), "test").unwrap()
}

/// The stamp of each fragment that the page shows, by its element's id.
pub(crate) type Stamps = BTreeMap<String, String>;

pub(crate) async fn stamps(browser: &Browser) -> browser::Result<Stamps> {
    const READ: &str = "return Object.fromEntries(
        [...document.querySelectorAll('[data-rendered]')].map(it => [it.id, it.dataset.rendered]))";
    browser.execute(READ, Vec::new()).await?.convert()
}

/// The fragments that are new or were rendered again.
pub(crate) fn rendered<'a>(before: &Stamps, after: &'a Stamps) -> BTreeSet<&'a str> {
    let differs = |(id, stamp): &(&'a String, &String)| before.get(*id) != Some(stamp);
    after.iter().filter(differs).map(|(id, _)| id.as_str()).collect()
}

/// The fragments that are shown no more.
pub(crate) fn gone<'a>(before: &'a Stamps, after: &Stamps) -> BTreeSet<&'a str> {
    before.keys().filter(|id| !after.contains_key(*id)).map(String::as_str).collect()
}

/// Follows the link to the forms of the fragment `id`.
pub(crate) async fn open_forms(browser: &Browser, id: &str) -> browser::Result<()> {
    click(browser, &format!("#{id} > header .edit")).await?;
    browser.query(By::Css("form.rename")).first().await.map(drop)
}

/// Clicks on what `css` selects.
pub(crate) async fn click(browser: &Browser, css: &str) -> browser::Result<()> {
    browser.query(By::Css(css)).first().await?.click().await
}

/// Writes `text` into the field that `css` selects, over what is there.
pub(crate) async fn fill(browser: &Browser, css: &str, text: &str) -> browser::Result<()> {
    let field = browser.query(By::Css(css)).first().await?;
    field.clear().await?;
    field.send_keys(text).await
}

pub(crate) async fn text_of(browser: &Browser, css: &str) -> browser::Result<String> {
    browser.query(By::Css(css)).first().await?.text().await
}
