//! A page is opened in the browser, and no process outlives it.

use std::fs;

use browser::{Browser, By, ElementQueryable, Key, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const PAGE: &str = "<!doctype html><title>Test</title><h1>Before</h1><input>
    <script>
        document.querySelector('input').onchange = event =>
            document.querySelector('h1').textContent = event.target.value;
    </script>";

/// Serves the page on a free port, until the runtime of the test ends. Returns its address.
async fn serve() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(format!("{head}{PAGE}").as_bytes()).await;
        }
    });
    Ok(address)
}

/// The processes that were started with the profile, and have not ended.
fn processes_with(profile: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok());
    let command_lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    command_lines.filter(|line| String::from_utf8_lossy(line).contains(profile)).count()
}

fn profile_of(browser: &Browser) -> String {
    let told = browser.capabilities().get("chrome").and_then(|chrome| chrome.get("userDataDir"));
    told.and_then(|folder| folder.as_str()).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_runs_its_scripts() -> Result<()> {
    let browser = Browser::start().await;
    browser.goto(serve().await?).await?;
    assert_eq!(browser.title().await?, "Test");
    let heading = browser.query(By::Css("h1")).first().await?;
    assert_eq!(heading.text().await?, "Before");
    browser.find(By::Css("input")).await?.send_keys("After" + Key::Enter).await?;
    assert_eq!(heading.text().await?, "After");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_that_panics_leaves_no_process() {
    let test = tokio::spawn(async {
        let browser = Browser::start().await;
        let profile = profile_of(&browser);
        assert!(processes_with(&profile) > 0);
        std::panic::panic_any(profile);
    });
    let profile = test.await.unwrap_err().into_panic().downcast::<String>().unwrap();
    // Signals are delivered when the processes next run.
    let ended = async {
        while processes_with(&profile) > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(browser::START_LIMIT, ended).await.unwrap();
    assert!(!fs::exists(&*profile).unwrap());
}
