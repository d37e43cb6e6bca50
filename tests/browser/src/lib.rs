//! Pages in a real browser, for tests: headless Chromium, driven by its ChromeDriver.
//!
//! ```no_run
//! use browser::{Browser, By, ElementQueryable};
//!
//! # async fn test() -> browser::Result<()> {
//! let browser = Browser::start().await;
//! browser.goto("http://127.0.0.1:8080/").await?;
//! browser.query(By::Css("form button")).first().await?.click().await?;
//! assert_eq!(browser.query(By::Css("h1")).first().await?.text().await?, "Saved");
//! # Ok(())
//! # }
//! ```

mod driver;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use thirtyfour::extensions::query::ElementPollerWithTimeout;
use thirtyfour::{ChromiumLikeCapabilities, DesiredCapabilities, WebDriver};

pub use thirtyfour;
pub use thirtyfour::error::WebDriverResult as Result;
pub use thirtyfour::extensions::query::ElementQueryable;
pub use thirtyfour::{By, Key, WebElement};

use crate::driver::Driver;

/// The longest time that a command may take, a page's load included.
pub const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// The longest time that a browser may take to start.
pub const START_LIMIT: Duration = Duration::from_secs(60);

/// The longest time that [`query`](ElementQueryable::query) waits for an element.
pub const QUERY_LIMIT: Duration = Duration::from_secs(10);

/// The time between two looks for an element.
const QUERY_INTERVAL: Duration = Duration::from_millis(20);

/// What lets the browser run as root and without a display, and connect to nothing but the pages of the test.
const ARGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
];

/// A browser with a profile of its own, which is empty at first. It ends with this value, whatever happens to the test.
///
/// It dereferences to the client, whose methods open pages and find elements.
#[derive(Debug)]
pub struct Browser {
    client: WebDriver,
    /// The processes: they end when this is dropped.
    _driver: Driver,
}

impl Browser {
    /// Starts a browser.
    ///
    /// # Panics
    /// When Chromium or its driver is not installed (the message says how to install it) or does not start in time.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a browser with further arguments, such as `--force-dark-mode`.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub async fn start_with(args: &[&str]) -> Self {
        let driver = Driver::start();
        let started = tokio::time::timeout(START_LIMIT, connect(&driver, args)).await;
        let client = match started {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => panic!("Chromium does not start: {error}\n{}", driver.log()),
            Err(_) => panic!("Chromium does not start in {START_LIMIT:?}\n{}", driver.log()),
        };
        Self { client, _driver: driver }
    }
}

impl Deref for Browser {
    type Target = WebDriver;

    fn deref(&self) -> &WebDriver {
        &self.client
    }
}

/// Opens a session, which is one browser.
async fn connect(driver: &Driver, args: &[&str]) -> Result<WebDriver> {
    let mut wanted = DesiredCapabilities::chrome();
    let profile = format!("--user-data-dir={}", driver.profile().display());
    for arg in ARGS.iter().chain(args).copied().chain([profile.as_str()]) {
        wanted.add_arg(arg)?;
    }
    let http = reqwest::Client::builder().no_proxy().timeout(COMMAND_LIMIT).build()?;
    let client = WebDriver::builder(driver.url(), wanted)
        .client(http)
        .poller(Arc::new(ElementPollerWithTimeout::new(QUERY_LIMIT, QUERY_INTERVAL)))
        .await?;
    // The processes are killed: no client has to close the session first, and block its thread for it.
    let _ = client.clone().leak();
    client.set_page_load_timeout(COMMAND_LIMIT).await?;
    client.set_script_timeout(COMMAND_LIMIT).await?;
    Ok(client)
}
