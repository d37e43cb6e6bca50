//! What is wrong with servers.

use std::time::Duration;

use serde_json::{Value, json};
use servers::{Certificates, Cluster, Flavor, SentinelSettings, Sentinels, TestServer, on_both};

use crate::kit::{Ran, fill, region, until};

on_both! {
    a_server_that_is_as_it_should_be
    a_user_without_permissions
    each_missing_command_is_named
    a_server_that_will_refuse_entries
    replicas_and_those_that_are_silent
    a_replica_is_no_primary
    a_server_that_cannot_be_reached
    a_wrong_password
    a_cluster_and_one_with_a_missing_slot
    it_leaves_nothing_behind
    other_ways_to_a_server
}

/// The line in the layout's page that makes the user `app`, as words of a command.
fn user_of_layout(password: &str) -> Vec<String> {
    let layout = include_str!("../../../region-redis/LAYOUT.md");
    let begin = layout.find("ACL SETUSER app").expect("the user of LAYOUT.md");
    let (line, _) = layout[begin..].split_once("```").expect("the end of the block");
    let password = format!(">{password}");
    line.split_whitespace()
        .map(|word| if word == ">password" { password.clone() } else { word.to_owned() })
        .collect()
}

fn make_user(server: &TestServer, words: &[String]) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert_eq!(server.command(&words).text(), "OK");
}

fn url_of_user(server: &TestServer) -> String {
    server.url().replace("redis://", "redis://app:secret@")
}

/// The findings about one thing.
fn findings<'j>(json: &'j Value, check: &str) -> Vec<&'j Value> {
    let all = json["findings"].as_array().unwrap().iter();
    all.filter(|finding| finding["check"] == check).collect()
}

fn finding<'j>(json: &'j Value, check: &str) -> &'j Value {
    findings(json, check).first().copied().unwrap_or_else(|| panic!("{check}: {json}"))
}

fn doctor(url: &str) -> Ran {
    region(url, &["doctor"])
}

fn doctor_json(url: &str, code: i32) -> Value {
    region(url, &["doctor", "--json"]).exits(code).json()
}

async fn a_server_that_is_as_it_should_be(flavor: Flavor) {
    let args = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"];
    let server = TestServer::start_with(flavor, &args);
    make_user(&server, &user_of_layout("secret"));
    let ran = doctor(&url_of_user(&server)).exits(0);
    assert!(ran.stdout.ends_with("\nfine\n"), "{ran:?}");
    assert!(ran.stderr.is_empty(), "{ran:?}");
    assert!(!ran.stdout.contains("unknown") && !ran.stdout.contains("WRONG"), "{ran:?}");
    let json = doctor_json(&url_of_user(&server), 0);
    assert_eq!(json["verdict"], "fine");
    for check in ["connection", "version", "role", "clock", "permissions", "memory", "tracking"] {
        let finding = finding(&json, check);
        assert_eq!((&finding["state"], &finding["advice"]), (&json!("fine"), &json!(null)));
        assert_eq!(finding["server"], url_of_user(&server).replace(":secret", ""));
    }
    assert_eq!(finding(&json, "replication")["state"], "note");
}

async fn a_user_without_permissions(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let user = ["ACL", "SETUSER", "app", "on", ">secret", "-@all", "+ping"];
    make_user(&server, &user.map(str::to_owned));
    let ran = doctor(&url_of_user(&server)).exits(1);
    assert!(ran.stdout.contains("WRONG    permissions: app may not use set, time, "), "{ran:?}");
    assert!(ran.stdout.contains("-> ACL SETUSER app +set +time "), "{ran:?}");
    assert!(ran.stdout.ends_with("\nwrong\n"), "{ran:?}");
    // What it says to do mends it.
    let advice = ran.stdout.lines().filter_map(|line| line.trim().strip_prefix("-> ACL SETUSER "));
    for line in advice {
        let words = ["ACL", "SETUSER"].into_iter().chain(line.split(' ')).map(str::to_owned);
        make_user(&server, &words.collect::<Vec<_>>());
    }
    let ran = doctor(&url_of_user(&server)).exits(1);
    assert!(ran.stdout.contains("app may not use keys that begin with rc1:"), "{ran:?}");
    make_user(&server, &["ACL", "SETUSER", "app", "~rc1:*"].map(str::to_owned));
    doctor(&url_of_user(&server)).exits(0);
}

async fn each_missing_command_is_named(flavor: Flavor) {
    let server = TestServer::start(flavor);
    make_user(&server, &user_of_layout("secret"));
    for (command, code, state) in [
        ("hrandfield", 1, "wrong"),
        ("script|load", 1, "wrong"),
        ("zscore", 1, "wrong"),
        ("wait", 0, "note"),
        ("role", 0, "note"),
        ("client|tracking", 0, "note"),
    ] {
        make_user(&server, &["ACL", "SETUSER", "app", &format!("-{command}")].map(str::to_owned));
        let json = doctor_json(&url_of_user(&server), code);
        let named: Vec<_> = findings(&json, "permissions");
        assert_eq!(named.len(), 1, "{json}");
        assert_eq!(named[0]["state"], state, "{json}");
        let advice = format!("ACL SETUSER app +{command}");
        assert_eq!(named[0]["advice"], advice, "{json}");
        make_user(&server, &["ACL", "SETUSER", "app", &format!("+{command}")].map(str::to_owned));
    }
}

async fn a_server_that_will_refuse_entries(flavor: Flavor) {
    let args = ["--maxmemory", "100mb", "--maxmemory-policy", "noeviction"];
    let server = TestServer::start_with(flavor, &args);
    let ran = doctor(&server.url()).exits(1);
    assert!(ran.stdout.contains("of 100.0 MiB used; noeviction: once full, it refuses entries"));
    assert!(ran.stdout.contains("-> Set maxmemory-policy allkeys-lru"), "{ran:?}");
    server.command(&["CONFIG", "SET", "maxmemory-policy", "volatile-ttl"]);
    assert_eq!(finding(&doctor_json(&server.url(), 0), "memory")["state"], "note");
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    let json = doctor_json(&server.url(), 0);
    assert!(finding(&json, "memory")["found"].as_str().unwrap().ends_with("without a limit"));
}

async fn replicas_and_those_that_are_silent(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let replica = server.replica();
    // The primary says a little later than the replica that it follows.
    until("the replica to be online", || {
        server.command(&["INFO", "replication"]).text().contains("state=online")
    })
    .await;
    let json = doctor_json(&server.url(), 0);
    assert_eq!(finding(&json, "replication")["found"], "1 replica follows");
    assert_eq!(finding(&json, "min-replicas")["state"], "note");
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    let json = doctor_json(&server.url(), 0);
    assert_eq!(finding(&json, "min-replicas")["state"], "fine");
    replica.pause();
    let mut last = Value::Null;
    until("the replica to be found silent", || {
        last = region(&server.url(), &["doctor", "--json"]).json();
        finding(&last, "replication")["state"] == "wrong"
    })
    .await;
    let found = finding(&last, "replication")["found"].as_str().unwrap();
    assert!(found.contains(&format!("127.0.0.1:{} is silent for ", replica.port())), "{found}");
    replica.resume();
}

async fn a_replica_is_no_primary(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let replica = server.replica();
    let ran = doctor(&replica.url()).exits(1);
    assert!(ran.stdout.contains("WRONG    role: slave: it refuses writes"), "{ran:?}");
    assert!(ran.stdout.contains("-> Name the primary in the URL"), "{ran:?}");
}

async fn a_server_that_cannot_be_reached(flavor: Flavor) {
    let mut server = TestServer::start(flavor);
    let url = server.url();
    server.kill();
    let ran = doctor(&url).exits(2);
    assert!(ran.stdout.contains("WRONG    connection: "), "{ran:?}");
    assert!(ran.stdout.contains("-> Start it, or mend the URL"), "{ran:?}");
    assert!(ran.stdout.ends_with("\nunreachable\n"), "{ran:?}");
    assert_eq!(doctor_json(&url, 2)["verdict"], "unreachable");
}

async fn a_wrong_password(flavor: Flavor) {
    let server = TestServer::start(flavor);
    make_user(&server, &user_of_layout("right"));
    let ran = doctor(&url_of_user(&server)).exits(1);
    assert!(ran.stdout.contains("WRONG    connection: "), "{ran:?}");
    assert!(ran.stdout.contains("-> Write the right user and password"), "{ran:?}");
    // The default user has no password, and the URL has one.
    let url = server.url().replace("redis://", "redis://:secret@");
    let ran = doctor(&url).exits(1);
    assert!(ran.stdout.contains("which asks for none"), "{ran:?}");
}

async fn a_cluster_and_one_with_a_missing_slot(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    let json = doctor_json(&cluster.url(), 0);
    assert_eq!(findings(&json, "cluster").len(), 3, "{json}");
    for finding in findings(&json, "tracking") {
        assert_eq!(finding["found"], "changes are pushed", "{json}");
    }
    let all = "state ok, 16384 of 16384 slots served by 3 primaries";
    assert_eq!(finding(&json, "cluster")["found"], all);
    fill(&cluster.url()).await;
    let ran = region(&cluster.url(), &["tree"]).exits(0);
    assert!(ran.stdout.ends_with("4 regions, 4 entries\n"), "{ran:?}");
    let stats = region(&cluster.url(), &["stats", "--json"]).exits(0).json();
    assert_eq!(stats["servers"].as_array().unwrap().len(), 3);
    let ended = region(&cluster.url(), &["invalidate", "org:42", "-y"]).exits(0);
    assert_eq!(ended.stdout, "invalidated: org:42\n");
    cluster.on_primaries(&["CLUSTER", "DELSLOTS", "0"]);
    let ran = doctor(&cluster.url()).exits(1);
    assert!(ran.stdout.contains(", 16383 of 16384 slots served by "), "{ran:?}");
    assert!(ran.stdout.contains("-> Start the nodes that are down"), "{ran:?}");
}

async fn it_leaves_nothing_behind(flavor: Flavor) {
    let server = TestServer::start(flavor);
    doctor(&server.url()).exits(0);
    let keys = server.command(&["KEYS", "*region-doctor*"]);
    assert_eq!(keys.list(), []);
    // Nor does what it says depend on what is there.
    fill(&server.url()).await;
    doctor(&server.url()).exits(0);
    let ran = region(&server.url(), &["get", "org:42", "name"]).exits(0);
    assert!(ran.stdout.contains("Matryoshka"), "{ran:?}");
}

async fn other_ways_to_a_server(flavor: Flavor) {
    let certificates = Certificates::new();
    let server = TestServer::start_tls(flavor, &certificates, false);
    let ca = certificates.path("ca.pem");
    doctor(&format!("{}?ca={}", server.tls_url(), ca.display())).exits(0);
    let untrusted = doctor(&server.tls_url()).exits(2);
    assert!(untrusted.stdout.contains("over TLS"), "{untrusted:?}");
    doctor(&format!("unix://{}", server.socket().display())).exits(0);
    let sentinels = Sentinels::start(flavor, server.port(), 0, &SentinelSettings::default());
    let ran = doctor(&sentinels.url()).exits(0);
    assert!(ran.stdout.contains(&server.url()), "{ran:?}");
    tokio::time::timeout(Duration::from_secs(60), fill(&sentinels.url())).await.unwrap();
    let ran = region(&sentinels.url(), &["tree"]).exits(0);
    assert!(ran.stdout.ends_with("4 regions, 4 entries\n"), "{ran:?}");
}
