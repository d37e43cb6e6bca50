//! Watching changes.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, ChildStdout};

use region_cache::RegionExt;
use serde_json::Value;
use servers::{Cluster, Flavor, TestServer, on_both};

use crate::kit::{fill, on_terminal, region, start};

on_both! {
    changes_are_shown_as_they_happen
    a_watch_ends_by_its_count_and_its_time
    a_lost_connection_is_told_and_replaced
    a_cluster_is_watched
    an_interrupt_ends_it
    what_is_busy_is_drawn_on_a_terminal
}

/// A watch that is under way.
struct Watching {
    child: Child,
    lines: BufReader<ChildStdout>,
    errors: BufReader<ChildStderr>,
}

impl Watching {
    /// Starts it, and waits until changes are pushed.
    fn start(url: &str, args: &[&str]) -> Self {
        let args: Vec<&str> = ["watch"].into_iter().chain(args.iter().copied()).collect();
        let mut child = start(url, &args);
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        errors.read_line(&mut line).unwrap();
        assert!(line.starts_with("watching "), "{line}");
        Self { child, lines, errors }
    }

    /// The next line, without its time.
    fn next(&mut self) -> (String, String) {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        let mut words = line.split_whitespace().skip(1).map(str::to_owned);
        (words.next().unwrap_or_default(), words.next().unwrap_or_default())
    }

    /// Waits for this line; others may come before it.
    fn until(&mut self, change: &str, region: &str) {
        while self.next() != (change.to_owned(), region.to_owned()) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended before {change} {region}");
        }
    }

    fn end(mut self) -> i32 {
        let mut errors = String::new();
        std::io::Read::read_to_string(&mut self.errors, &mut errors).unwrap();
        assert_eq!(errors, "");
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn changes_are_shown_as_they_happen(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let cache = fill(&server.url()).await;
    let mut watching = Watching::start(&server.url(), &["org:42"]);
    cache.region("org:43").unwrap().set("name", &"Other".to_owned()).await.unwrap();
    cache.region("org:42").unwrap().set("name", &"Doll".to_owned()).await.unwrap();
    // Nothing of org:43 comes before it.
    assert_eq!(watching.next(), ("entries".to_owned(), "org:42".to_owned()));
    region(&server.url(), &["expire", "org:42.project:7", "-y"]).exits(0);
    watching.until("ids", "org:42.project:7");
    // What ends a region around it concerns it.
    cache.root().invalidate().await.unwrap();
    watching.until("ids", ".");
    server.command(&["FLUSHALL"]);
    watching.until("all", "");
}

async fn a_watch_ends_by_its_count_and_its_time(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let cache = fill(&server.url()).await;
    let ran = region(&server.url(), &["watch", "--for", "50ms"]).exits(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", "watching . of shop\n"));
    let mut watching = Watching::start(&server.url(), &["--json", "--count", "1"]);
    cache.region("org:42").unwrap().set("name", &"Doll".to_owned()).await.unwrap();
    let mut line = String::new();
    watching.lines.read_line(&mut line).unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["change"], &line["region"]), (&"entries".into(), &"org:42".into()));
    assert!(line["at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(watching.next().0, "");
    assert_eq!(watching.end(), 0);
}

async fn a_lost_connection_is_told_and_replaced(flavor: Flavor) {
    let server = TestServer::start(flavor);
    drop(fill(&server.url()).await);
    let mut watching = Watching::start(&server.url(), &[]);
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    watching.until("lost", "");
    watching.until("back", "");
    region(&server.url(), &["touch", "org:42", "-y"]).exits(0);
    watching.until("entries", "org:42");
}

async fn a_cluster_is_watched(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    for anchor in [1, 2] {
        let url = format!("{}?anchor={anchor}", cluster.url());
        let cache = fill(&url).await;
        let mut watching = Watching::start(&url, &[]);
        // With an anchor of 2 they lie in slots of several primaries.
        for id in 42..52 {
            let org = cache.region(&format!("org:{id}")).unwrap();
            org.set("name", &"Doll".to_owned()).await.unwrap();
            watching.until("entries", &format!("org:{id}"));
        }
        cache.root().invalidate().await.unwrap();
        watching.until("ids", ".");
    }
}

async fn an_interrupt_ends_it(flavor: Flavor) {
    let server = TestServer::start(flavor);
    fill(&server.url()).await;
    let watching = Watching::start(&server.url(), &["--leases"]);
    let pid = watching.child.id().to_string();
    let killed = std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(killed.success());
    assert_eq!(watching.end(), 0);
}

async fn what_is_busy_is_drawn_on_a_terminal(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let (cache, url) = (fill(&server.url()).await, server.url());
    let writing = tokio::spawn(async move {
        let org = cache.region("org:42").unwrap();
        loop {
            org.set("name", &"Doll".to_owned()).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    let at = url.clone();
    let top = || on_terminal(&at, "top --for 3s", b"").exits(0);
    let ran = tokio::task::block_in_place(top);
    for part in ["region", "top:", "shop;", "calls/s", "changes/s", "org:42"] {
        assert!(ran.stdout.contains(part), "{part}: {ran:?}");
    }
    let ran = tokio::task::block_in_place(|| on_terminal(&url, "top", b"q"));
    assert_eq!(ran.code, 0, "{ran:?}");
    writing.abort();
    let ran = region(&url, &["top"]).exits(64);
    assert!(ran.stderr.contains("top needs a terminal"), "{ran:?}");
}
