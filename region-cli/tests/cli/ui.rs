//! The page for a browser: who may see it, and what it can ask for.

mod page;
mod served;

use std::io::Read;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use region_cache::RegionExt;
use serde_json::{Value, json};
use servers::{Cluster, Flavor, TestServer, on_both};

use crate::kit::{fill, region, start, until};
use served::{Served, header};

on_both! {
    what_the_page_shows_can_be_asked_for
    a_change_is_told_to_each_page
    an_outage_is_an_error_that_passes
    a_page_that_reads_slowly_is_told_what_it_has_missed
    a_cluster_is_shown
}

/// The longest that an end may take. It takes milliseconds, but a busy machine takes its time.
const SOON: Duration = Duration::from_secs(5);

/// The number of changes that no page which reads nothing can hold.
const FLOOD: u64 = 20_000;

#[tokio::test]
async fn without_the_token_nothing_is_shown() {
    let server = TestServer::start(Flavor::Redis);
    fill(&server.url()).await;
    let (served, other) = (Served::start(&server.url(), &[]), Served::start(&server.url(), &[]));
    assert!(served.token.len() >= 32 && served.token != other.token);
    let token = &served.token;
    let wrong = [
        "/".to_owned(),
        "/page.js".to_owned(),
        "/tree".to_owned(),
        "/events".to_owned(),
        format!("/?token={token}"),
        format!("/{}/", other.token),
        format!("/{token}0/"),
        format!("/{}/", &token[1..]),
        format!("/{}/tree", token.to_uppercase()),
        format!("//{token}/"),
    ];
    for path in wrong {
        for method in ["GET", "POST"] {
            let answer = served.ask(method, &path, &[]);
            assert_eq!(answer.status, 403, "{method} {path}");
            assert!(!answer.body.contains("shop") && !answer.body.contains(token), "{answer:?}");
        }
    }
    for path in ["", "page.js", "page.css", "tree", "stats", "explain?path=.&key=a"] {
        assert_eq!(served.get(path).status, 200, "{path}");
    }
    let redirect = served.ask("GET", &format!("/{token}"), &[]);
    assert_eq!(redirect.status, 307);
    assert_eq!(redirect.header("location"), Some(format!("/{token}/").as_str()));
    assert_eq!(served.get("nothing").status, 404);
}

/// The page of another site whose name was made to lead to this machine has that name in its requests.
#[tokio::test]
async fn another_name_of_the_host_is_refused() {
    let server = TestServer::start(Flavor::Redis);
    let served = Served::start(&server.url(), &[]);
    let path = format!("/{}/", served.token);
    for host in ["evil.example", "127.0.0.1.evil.example", "127.0.0.2", "0.0.0.0", "", "a b"] {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(served.send(&head).status, 403, "{host}");
    }
    assert_eq!(served.send(&format!("GET {path} HTTP/1.0\r\n\r\n")).status, 403);
    for host in ["localhost", "[::1]:8042", "127.0.0.1"] {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(served.send(&head).status, 200, "{host}");
    }
}

#[tokio::test]
async fn it_can_only_be_read() {
    let server = TestServer::start(Flavor::Redis);
    let served = Served::start(&server.url(), &[]);
    for method in ["POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"] {
        for path in ["", "tree", "explain?path=.&key=a", "events"] {
            let answer = served.ask(method, &format!("/{}/{path}", served.token), &[]);
            assert_eq!(
                (answer.status, answer.header("allow")),
                (405, Some("GET")),
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn each_response_has_headers_that_keep_it_here() {
    let server = TestServer::start(Flavor::Redis);
    let served = Served::start(&server.url(), &[]);
    let origin = header("Origin", "http://127.0.0.1:8000");
    let path = |rest: &str| format!("/{}/{rest}", served.token);
    for (method, path, status) in [
        ("GET", path(""), 200),
        ("GET", path("tree"), 200),
        ("GET", path("tree?path=a..b"), 400),
        ("GET", "/".to_owned(), 403),
        ("GET", path("nothing"), 404),
        ("POST", path(""), 405),
    ] {
        let answer = served.ask(method, &path, &[&origin]);
        assert_eq!(answer.status, status, "{method} {path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{name} of {method} {path}");
        }
        let mut names = answer.headers.iter().map(|(name, _)| name);
        assert!(!names.any(|name| name.starts_with("access-control")), "{answer:?}");
    }
}

/// The kernel's list of sockets names the address that each port is listened on.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn only_the_loopback_interface_is_listened_on() {
    const LISTENS: &str = "0A";
    let server = TestServer::start(Flavor::Redis);
    let served = Served::start(&server.url(), &[]);
    let port = format!(":{:04X}", served.port);
    let mut found = Vec::new();
    for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let sockets = std::fs::read_to_string(file).unwrap_or_default();
        let fields = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let listening = fields.filter(|fields| fields.get(3) == Some(&LISTENS));
        let local = listening.map(|fields| fields[1].to_owned());
        found.extend(local.filter(|address| address.ends_with(&port)));
    }
    let loopback = u32::from_ne_bytes([127, 0, 0, 1]);
    assert_eq!(found, [format!("{loopback:08X}{port}")]);
}

#[tokio::test]
async fn an_interrupt_ends_it_at_once_though_a_page_is_open() {
    let server = TestServer::start(Flavor::Redis);
    let mut served = Served::start(&server.url(), &[]);
    let mut events = served.events();
    assert_eq!(events.next().0, "now");
    let began = Instant::now();
    let pid = served.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert!(events.rest_ends(), "the stream goes on");
}

#[tokio::test]
async fn a_port_can_be_chosen_and_it_ends_by_its_time() {
    let server = TestServer::start(Flavor::Redis);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ran = region(&server.url(), &["ui", "--port", &port]).exits(1);
    assert!(ran.stderr.contains("another --port") && ran.stdout.is_empty(), "{ran:?}");
    drop(taken);
    let ran = region(&server.url(), &["ui", "--port", &port, "--for", "50ms"]).exits(0);
    assert!(ran.stdout.starts_with(&format!("http://127.0.0.1:{port}/")), "{ran:?}");
    assert!(ran.stderr.contains("Ctrl-C ends it"), "{ran:?}");
}

#[tokio::test]
async fn no_more_pages_are_kept_informed_than_the_limit() {
    const MOST: usize = 16;
    let server = TestServer::start(Flavor::Redis);
    let served = Served::start(&server.url(), &[]);
    let mut open: Vec<_> = (0..MOST).map(|_| served.events()).collect();
    open.iter_mut().for_each(|events| assert_eq!(events.next().0, "now"));
    let refused = served.get("events");
    assert_eq!(refused.status, 503);
    assert!(refused.body.contains("16 pages are open"), "{refused:?}");
    assert_eq!(served.get("tree").status, 200);
    open.pop();
    until("a place for a page", || served.try_events().is_some()).await;
}

/// Somebody who knows no token may hold as many connections as there can be: for seconds, and then they end.
#[tokio::test]
async fn connections_that_ask_for_nothing_end() {
    let server = TestServer::start(Flavor::Redis);
    let served = Served::start(&server.url(), &[]);
    let idle: Vec<_> = (0..100).map(|_| served.connect()).collect();
    assert_eq!(served.get("tree").status, 200);
    drop(idle);
}

async fn what_the_page_shows_can_be_asked_for(flavor: Flavor) {
    let server = TestServer::start(flavor);
    fill(&server.url()).await;
    let served = Served::start(&server.url(), &["--depth", "1"]);
    let tree = served.json("tree");
    let shown = |row: &Value| {
        assert!(row["bytes"].as_str().is_some(), "{row}");
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        (text("region"), text("label"), row["depth"].as_u64(), row["has_more"].as_bool())
    };
    let row = |region: &str, label: &str, depth, has_more| {
        (region.to_owned(), label.to_owned(), Some(depth), Some(has_more))
    };
    let rows: Vec<_> = tree["rows"].as_array().unwrap().iter().map(shown).collect();
    let expected = [
        row(".", ".", 0, false),
        row("org:42", "org:42", 1, true),
        row("org:43", "org:43", 1, false),
    ];
    assert_eq!(rows, expected);
    let below = served.json("tree?path=org%3A42");
    assert_eq!(below["rows"][1]["region"], "org:42.project:7");
    assert_eq!(below["rows"][1]["entries"], 2);
    let explained = served.json("explain?path=org:42&key=no%26thing");
    assert_eq!(
        (&explained["outcome"], &explained["reason"]),
        (&json!("miss"), &json!("the store has none"))
    );
    assert!(explained["text"].as_str().unwrap().starts_with("\"no&thing\" of org:42: a miss"));
    assert_eq!(served.json("explain?path=org:42&key=name")["outcome"], "hit");
    let stats = served.json("stats")["numbers"].clone();
    assert_eq!((&stats[0]["of"], &stats[1]["of"]), (&json!("root shop"), &json!(server.url())));
    assert_eq!(stats[1]["rows"][0][0], "version");
    for (path, says) in [
        ("tree?path=shop.org:42", "write org:42"),
        ("explain?path=org:42&key=", "a key is not empty"),
        ("explain?path=a..b&key=a", "A path is written"),
    ] {
        let refused = served.get(path);
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(refused.json()["error"].as_str().unwrap().contains(says), "{refused:?}");
    }
    let served = Served::start(&server.url(), &["--limit", "2", "--depth", "0"]);
    assert_eq!(served.json("tree")["rows"].as_array().unwrap().len(), 1);
    let opened = served.json("tree?path=.&opened=1");
    assert_eq!((&opened["rows"][1]["region"], &opened["cut_at"]), (&json!("org:42"), &json!(2)));
}

async fn a_change_is_told_to_each_page(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let cache = fill(&server.url()).await;
    let served = Served::start(&server.url(), &[]);
    let (mut one, mut other) = (served.events(), served.events());
    for events in [&mut one, &mut other] {
        while events.until("now")["is_watching"] != true {}
    }
    let name = cache.region("org:42").unwrap();
    for events in [&mut one, &mut other] {
        name.set("name", &"Doll".to_owned()).await.unwrap();
        let line = events.until("line");
        assert_eq!((&line["change"], &line["region"]), (&json!("entries"), &json!("org:42")));
    }
    let is_busy = |now: &Value| now["regions"]["rows"].to_string().contains("org:42");
    while !is_busy(&one.until("now")) {}
    let now = one.until("now");
    assert_eq!(now["trouble"], json!(null));
    assert_eq!(now["servers"]["columns"][4], "found");
    assert_eq!(now["servers"]["rows"][0][5], json!(server.url()));
}

async fn an_outage_is_an_error_that_passes(flavor: Flavor) {
    let mut server = TestServer::start(flavor);
    drop(fill(&server.url()).await);
    let served = Served::start(&server.url(), &["--timeout", "2s"]);
    let mut events = served.events();
    assert_eq!(served.get("tree").status, 200);
    server.kill();
    events.until("now");
    until("the tree to fail", || served.get("tree").status == 503).await;
    for path in ["tree", "explain?path=.&key=a", "stats"] {
        let failed = served.get(path);
        assert_eq!(failed.status, 503, "{failed:?}");
        let error = failed.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains("Check that the server runs"), "{error}");
    }
    let is_told = |now: &Value| {
        now["trouble"].as_str().is_some_and(|why| why.contains("Check that the server runs"))
            && now["down"] == json!([server.url()])
    };
    while !is_told(&events.until("now")) {}
    server.restart();
    until("the tree", || served.get("tree").status == 200).await;
    while events.until("now")["trouble"] != json!(null) {}
    while events.until("now")["down"] != json!([]) {}
}

async fn a_page_that_reads_slowly_is_told_what_it_has_missed(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let served = Served::start(&server.url(), &[]);
    let mut events = served.slow_events().await;
    while events.until("now")["is_watching"] != true {}
    let client = ::redis::Client::open(server.url()).unwrap();
    let config = ::redis::AsyncConnectionConfig::new().set_response_timeout(None);
    let connection = client.get_multiplexed_async_connection_with_config(&config).await;
    let mut connection = connection.unwrap();
    for step in 0..FLOOD / 500 {
        let mut pipe = ::redis::pipe();
        for id in step * 500..(step + 1) * 500 {
            pipe.set(format!("rc1:d{{shop}}.item:{id}"), 0).ignore();
        }
        pipe.query_async::<()>(&mut connection).await.unwrap();
    }
    let (mut lines, mut left_out) = (0, 0);
    while lines + left_out < FLOOD {
        match events.next() {
            (kind, _) if kind == "line" => lines += 1,
            (kind, told) if kind == "left_out" => left_out += told["count"].as_u64().unwrap(),
            _ => {}
        }
    }
    assert_eq!(lines + left_out, FLOOD);
    assert!(left_out > 0 && lines > 0, "{lines} lines, {left_out} left out");
}

async fn a_cluster_is_shown(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    let url = format!("{}?anchor=2", cluster.url());
    let cache = fill(&url).await;
    let served = Served::start(&url, &[]);
    let tree = served.json("tree");
    let labels = tree["rows"].as_array().unwrap().iter().map(|row| row["label"].as_str().unwrap());
    assert_eq!(labels.collect::<Vec<_>>(), [".", "org:42", "project:7", "org:43"]);
    assert_eq!(tree["no_bytes"], json!(null));
    assert!(
        tree["rows"].as_array().unwrap()[1..].iter().all(|row| row["bytes"] != "0 bytes"),
        "{tree}"
    );
    let mut events = served.events();
    let is_known = |now: &Value| {
        now["is_watching"] == true && now["servers"]["rows"].as_array().unwrap().len() >= 3
    };
    while !is_known(&events.until("now")) {}
    cache.region("org:43").unwrap().set("name", &"Doll".to_owned()).await.unwrap();
    while events.until("line")["region"] != "org:43" {}
}

/// It says where it is before anything else, and no password.
#[tokio::test]
async fn a_server_that_is_down_is_said_before_a_page_is_served() {
    let mut server = TestServer::start(Flavor::Redis);
    let url = server.url().replace("redis://", "redis://:secret@");
    server.kill();
    let mut child = start(&url, &["ui"]);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2));
    assert!(said.contains("cannot be reached") && !said.contains("secret"), "{said}");
}
