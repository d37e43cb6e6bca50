//! The page in a browser.

use std::time::Duration;

use browser::{Browser, By, ElementQueryable, Key, Result, WebElement};
use region_cache::{RegionCache, RegionExt, Segment};
use servers::{Flavor, TestServer};

use super::served::Served;
use crate::kit::{cache, fill};

/// The longest that something may take to be shown: a server that is back is found by attempts that back off.
const LIMIT: Duration = Duration::from_secs(60);

/// Markup that would run if it were taken for markup.
const HOSTILE: &str = "<img src=x onerror=\"document.title='hurt'\">";

/// The page over a server.
struct Opened {
    server: TestServer,
    cache: RegionCache,
    served: Served,
    browser: Browser,
}

impl Opened {
    async fn start(args: &[&str]) -> Result<Self> {
        let server = TestServer::start(Flavor::Redis);
        let cache = fill(&server.url()).await;
        Self::over(server, cache, args).await
    }

    async fn over(server: TestServer, cache: RegionCache, args: &[&str]) -> Result<Self> {
        let served = Served::start(&server.url(), args);
        let browser = Browser::start().await;
        browser.goto(&served.url).await?;
        let opened = Self { server, cache, served, browser };
        opened.until_text("#state", "live").await?;
        Ok(opened)
    }

    async fn element(&self, css: &str) -> Result<WebElement> {
        self.browser.query(By::Css(css)).first().await
    }

    /// The text of the elements, if they are there.
    async fn text(&self, css: &str) -> Result<String> {
        let script = "return Array.from(document.querySelectorAll(arguments[0])).map(e => e.innerText).join('\\n')";
        let found = self.browser.execute(script, vec![css.into()]).await?;
        Ok(found.json().as_str().unwrap_or_default().to_owned())
    }

    /// Waits until an element has this in its text.
    async fn until_text(&self, css: &str, part: &str) -> Result<()> {
        let deadline = std::time::Instant::now() + LIMIT;
        while !self.text(css).await?.contains(part) {
            let in_time = std::time::Instant::now() < deadline;
            assert!(in_time, "no {part:?} in {css}: {}", self.text("body").await?);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// The rows of the tree that are shown: the label and the number of entries of each.
    async fn tree(&self) -> Result<Vec<String>> {
        let script = "return Array.from(document.querySelectorAll('#tree-rows tr')).map(row => \
                      row.cells[0].querySelector('.name').textContent + ' ' + row.cells[1].textContent)";
        let rows = self.browser.execute(script, Vec::new()).await?;
        let rows = rows.json().as_array().cloned().unwrap_or_default();
        Ok(rows.iter().map(|row| row.as_str().unwrap_or_default().to_owned()).collect())
    }

    /// Waits until these rows are shown.
    async fn until_tree(&self, expected: &[&str]) -> Result<()> {
        let deadline = std::time::Instant::now() + LIMIT;
        while self.tree().await? != expected {
            let in_time = std::time::Instant::now() < deadline;
            assert!(
                in_time,
                "{expected:?}, not {:?}: {}",
                self.tree().await?,
                self.text("body").await?
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Keeps a region busy until it is shown so: one that is not is soon forgotten.
    async fn busy(&self, region: &str, shown: &str) -> Result<()> {
        let region = self.cache.region(region).unwrap();
        let writing = tokio::spawn(async move {
            loop {
                region.set("name", &"Doll".to_owned()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        let shown = self.until_text("#regions-table", shown).await;
        writing.abort();
        shown
    }

    async fn explain(&self, region: &str, key: &str) -> Result<()> {
        for (css, text) in [("#explain-path", region), ("#explain-key", key)] {
            let input = self.element(css).await?;
            input.clear().await?;
            input.send_keys(text).await?;
        }
        self.element("#explain-form button").await?.click().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tree_is_shown_and_opened() -> Result<()> {
    let opened = Opened::start(&["--depth", "1"]).await?;
    opened.until_tree(&[". 0", "org:42 1", "org:43 1"]).await?;
    assert!(opened.text("tr[data-region='org:42'] td:nth-child(3)").await?.ends_with("bytes"));
    // With the mouse.
    opened.element("tr[data-region='org:42'] .twist").await?.click().await?;
    let with_projects = [". 0", "org:42 1", "project:7 2", "org:43 1"];
    opened.until_tree(&with_projects).await?;
    opened.element("tr[data-region='org:42'] .twist").await?.click().await?;
    opened.until_tree(&[". 0", "org:42 1", "org:43 1"]).await?;
    // With the keys: it was selected by the click.
    let selected = opened.browser.active_element().await?;
    assert_eq!(selected.attr("data-region").await?.as_deref(), Some("org:42"));
    assert_eq!(selected.attr("aria-expanded").await?.as_deref(), Some("false"));
    selected.send_keys(Key::Right + "").await?;
    opened.until_tree(&with_projects).await?;
    for key in [Key::Right, Key::Enter] {
        opened.browser.active_element().await?.send_keys(key + "").await?;
    }
    let form = opened.element("#explain-path").await?;
    assert_eq!(form.prop("value").await?.as_deref(), Some("org:42.project:7"));
    let focused = opened.browser.active_element().await?;
    assert_eq!(focused.attr("id").await?.as_deref(), Some("explain-key"));
    // What was opened stays so when the tree changes.
    let project = opened.cache.region("org:42.project:7").unwrap();
    project.set("more", &1u32).await.unwrap();
    opened.until_tree(&[". 0", "org:42 1", "project:7 3", "org:43 1"]).await?;
    // Another region to begin at, and one that cannot be.
    let begin = opened.element("#tree-path").await?;
    begin.clear().await?;
    begin.send_keys("org:42" + Key::Enter).await?;
    opened.until_tree(&["org:42 1", "project:7 3"]).await?;
    begin.send_keys("..x" + Key::Enter).await?;
    opened.until_text("#tree-problem", "A path is written").await?;
    begin.clear().await?;
    begin.send_keys("." + Key::Enter).await?;
    opened.until_tree(&[". 0", "org:42 1", "project:7 3", "org:43 1"]).await?;
    assert_eq!(opened.text("#tree-problem").await?, "");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_made_through_a_cache_appears() -> Result<()> {
    let opened = Opened::start(&[]).await?;
    opened.until_tree(&[". 0", "org:42 1", "project:7 2", "org:43 1"]).await?;
    opened.cache.region("org:44").unwrap().set("name", &"Doll".to_owned()).await.unwrap();
    opened.until_text("#lines .entries", "org:44").await?;
    opened.until_tree(&[". 0", "org:42 1", "project:7 2", "org:43 1", "org:44 1"]).await?;
    opened.until_text("#servers-table", &opened.server.url()).await?;
    opened.busy("org:44", "org:44").await?;
    // What is paused is shown later.
    opened.element("#pause").await?.click().await?;
    opened.element("#clear").await?.click().await?;
    opened.cache.region("org:42").unwrap().invalidate().await.unwrap();
    opened.until_text("#waiting", "waiting").await?;
    assert_eq!(opened.text("#lines").await?, "");
    opened.element("#pause").await?.click().await?;
    opened.until_text("#lines .ids", "org:42").await?;
    opened.until_tree(&[". 0", "org:43 1", "org:44 1"]).await?;
    opened.element("summary").await?.click().await?;
    opened.until_text("#numbers", "eviction policy").await?;
    opened.until_text("#numbers", "keys found").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_key_says_why() -> Result<()> {
    let opened = Opened::start(&[]).await?;
    opened.explain("org:42", "nothing").await?;
    opened.until_text("#explain-answer h3.miss", "A miss: the store has none").await?;
    opened.explain("org:42", "name").await?;
    opened.until_text("#explain-answer h3.hit", "A hit").await?;
    opened.until_text("#explain-answer pre", "format: postcard").await?;
    opened.explain("org:45.project:1", "name").await?;
    opened.until_text("#explain-answer h3.miss", "the region does not exist").await?;
    opened.explain("shop.org:42", "name").await?;
    opened.until_text("#explain-answer [role=alert]", "write org:42 for shop.org:42").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_names_are_text() -> Result<()> {
    let server = TestServer::start(Flavor::Redis);
    let cache = cache(&server.url()).await;
    let hostile = Segment::with_id("doll", HOSTILE).unwrap();
    let region = cache.region(&hostile.to_string()).unwrap();
    region.set(HOSTILE, &1u32).await.unwrap();
    let opened = Opened::over(server, cache, &[]).await?;
    opened.until_text("#tree-rows", "<img src=x").await?;
    region.set(HOSTILE, &2u32).await.unwrap();
    opened.until_text("#lines .entries", "<img src=x").await?;
    opened.busy(hostile.as_str(), "<img src=x").await?;
    for (key, says) in [(HOSTILE, "A hit"), ("</pre><script>", "A miss")] {
        opened.explain(hostile.as_str(), key).await?;
        opened.until_text("#explain-answer h3", says).await?;
        opened.until_text("#explain-answer pre", &format!("{key:?} of doll:<img")).await?;
    }
    opened.explain(HOSTILE, "a").await?;
    opened.until_text("#explain-answer", "<img src=x").await?;
    for css in ["img", "pre script", "script:not([src])"] {
        assert!(opened.browser.find_all(By::Css(css)).await?.is_empty(), "{css}");
    }
    assert_eq!(opened.browser.title().await?, "region ui: shop");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_shown_and_passes_by_itself() -> Result<()> {
    let mut opened = Opened::start(&["--timeout", "2s"]).await?;
    opened.server.kill();
    opened.until_text("#problem", "Check that the server runs").await?;
    opened.until_text("#state", "no connection").await?;
    opened.until_text("#lines .lost", "lost").await?;
    opened.explain("org:42", "name").await?;
    opened.until_text("#explain-answer [role=alert]", "Check that the server runs").await?;
    opened.server.restart();
    opened.until_text("#state", "live").await?;
    opened.until_text("#lines .back", "back").await?;
    let org = opened.cache.region("org:50").unwrap();
    crate::kit::until_async("the cache to write", || async {
        org.set("name", &"Back".to_owned()).await.is_ok()
    })
    .await;
    opened.until_tree(&[". 0", "org:50 1"]).await?;
    for place in ["#problem", "#tree-problem"] {
        assert_eq!(opened.text(place).await?, "", "{place}");
    }
    // The program itself ends.
    opened.served.child.kill().unwrap();
    opened.until_text("#problem", "Start it again, and open the URL that it prints").await
}
