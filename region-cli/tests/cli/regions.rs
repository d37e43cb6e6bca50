//! Looking into regions, and ending them.

use std::time::Duration;

use region_cache::{Cbor, EntryAge, LoadOptions, Loaded, MessagePack, Policy, Region, RegionExt};
use serde_json::json;
use servers::{Flavor, TestServer, on_both};

use crate::kit::{Summary, cache, fill, on_terminal, region};

on_both! {
    the_tree_is_listed
    a_tree_is_cut_where_it_was_asked_to
    the_memory_of_regions_is_shown
    a_value_is_printed_by_its_format
    formats_that_describe_themselves_are_read
    an_entry_without_a_value_says_why
    a_miss_is_explained
    a_region_is_ended
    nothing_is_ended_without_a_word
    a_question_on_a_terminal_is_answered
    replicas_are_waited_for
    numbers_are_printed
    dead_regions_are_freed
}

async fn the_tree_is_listed(flavor: Flavor) {
    let server = TestServer::start(flavor);
    fill(&server.url()).await;
    let ran = region(&server.url(), &["tree"]).exits(0);
    let expected = "\
.              0 entries
  org:42       1 entry
    project:7  2 entries
  org:43       1 entry
4 regions, 4 entries
";
    assert_eq!(ran.stdout, expected);
    assert!(ran.stderr.is_empty(), "{ran:?}");
    let ran = region(&server.url(), &["tree", "org:42", "--json"]).exits(0);
    let expected = json!({
        "root": "shop",
        "region": "org:42",
        "regions": [
            {"region": "org:42", "depth": 0, "entries": 1},
            {"region": "org:42.project:7", "depth": 1, "entries": 2},
        ],
        "entries": 3,
        "cut": {"by_depth": 0, "by_limit": false},
    });
    assert_eq!(ran.json(), expected);
    let nothing = region(&server.url(), &["tree", "nowhere"]).exits(0);
    assert_eq!(nothing.stdout, "nowhere  0 entries\n1 region, 0 entries\n");
}

async fn a_tree_is_cut_where_it_was_asked_to(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let cache = fill(&server.url()).await;
    let ran = region(&server.url(), &["tree", "--depth", "1"]).exits(0);
    let end = "3 regions, 2 entries\ncut: 1 region has regions inside that --depth leaves out\n";
    assert!(ran.stdout.ends_with(end), "{ran:?}");
    let ran = region(&server.url(), &["tree", "--limit", "2"]).exits(0);
    let end = "2 regions, 1 entry\ncut: there are more regions than --limit\n";
    assert!(ran.stdout.ends_with(end), "{ran:?}");
    // More children than a page has.
    for id in 0..600 {
        let child = cache.region(&format!("many.item:{id}")).unwrap();
        child.set("k", &1u8).await.unwrap();
    }
    let json = region(&server.url(), &["tree", "many", "--json"]).exits(0).json();
    assert_eq!((&json["regions"].as_array().unwrap().len(), &json["entries"]), (&601, &json!(600)));
    let cut = region(&server.url(), &["tree", "many", "--json", "--limit", "300"]).exits(0).json();
    assert_eq!(
        (cut["regions"].as_array().unwrap().len(), &cut["cut"]["by_limit"]),
        (300, &json!(true))
    );
}

async fn the_memory_of_regions_is_shown(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let cache = fill(&server.url()).await;
    cache.region("org:43").unwrap().set("name", &"x".repeat(10_000)).await.unwrap();
    let ran = region(&server.url(), &["tree", "--bytes", "--json"]).exits(0).json();
    let bytes = |region: &str| {
        let all = ran["regions"].as_array().unwrap();
        all.iter().find(|row| row["region"] == region).unwrap()["bytes"].as_u64().unwrap()
    };
    assert_eq!(bytes("."), 0);
    assert!((50..1_000).contains(&bytes("org:42")), "{ran}");
    assert!((10_000..20_000).contains(&bytes("org:43")), "{ran}");
    let sum = [".", "org:42", "org:42.project:7", "org:43"].into_iter().map(bytes).sum::<u64>();
    assert_eq!(ran["bytes"], sum);
    let ran = region(&server.url(), &["tree", "org:43", "--bytes"]).exits(0);
    assert!(ran.stdout.contains("org:43  1 entry, ") && ran.stdout.contains(" KiB"), "{ran:?}");
    // Who may not ask is told what is missing, and sees the rest.
    let user = ["ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-memory|usage"];
    assert_eq!(server.command(&user).text(), "OK");
    let url = server.url().replace("redis://", "redis://app:secret@");
    let ran = region(&url, &["tree", "org:43", "--bytes"]).exits(0);
    assert!(ran.stdout.starts_with("org:43  1 entry\n1 region, 1 entry\nno bytes: "), "{ran:?}");
    assert!(ran.stdout.contains("+memory|usage"), "{ran:?}");
}

async fn a_value_is_printed_by_its_format(flavor: Flavor) {
    let server = TestServer::start(flavor);
    fill(&server.url()).await;
    let url = server.url();
    let ran = region(&url, &["get", "org:42.project:7", "summary"]).exits(0);
    assert!(ran.stdout.contains("format: json; type and version: "), "{ran:?}");
    let value = "\n{\n  \"open\": 3,\n  \"title\": \"Russian dolls\"\n}\n";
    assert!(ran.stdout.ends_with(value), "{ran:?}");
    let json = region(&url, &["get", "org:42.project:7", "summary", "--json"]).exits(0).json();
    assert_eq!(json["value"], json!({"title": "Russian dolls", "open": 3}));
    assert_eq!(
        (&json["entry"]["state"], &json["entry"]["left_ms"]),
        (&json!("fresh"), &json!(null))
    );
    let raw = region(&url, &["get", "org:42.project:7", "summary", "--raw"]).exits(0);
    assert_eq!(raw.stdout, r#"{"title":"Russian dolls","open":3}"#);
    let ran = region(&url, &["get", "org:42", "name"]).exits(0);
    assert!(ran.stdout.contains("fresh: for ever; 30 bytes\nformat: postcard"), "{ran:?}");
    let dump = "00000000  0a 4d 61 74 72 79 6f 73 68 6b 61                 |.Matryoshka|\n";
    assert!(ran.stdout.ends_with(dump), "{ran:?}");
    let json = region(&url, &["get", "org:42", "name", "--json"]).exits(0).json();
    assert_eq!(
        (&json["value"], &json["payload"]),
        (&json!(null), &json!("0a4d617472796f73686b61"))
    );
}

async fn formats_that_describe_themselves_are_read(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let (cache, url) = (fill(&server.url()).await, server.url());
    let doll = || Summary { title: "Doll".to_owned(), open: 300 };
    let handle = cache.region("formats").unwrap();
    let msgpack = handle.with_policy(Policy::new().serializer(MessagePack)).unwrap();
    msgpack.set("msgpack", &doll()).await.unwrap();
    let cbor = handle.with_policy(Policy::new().serializer(Cbor)).unwrap();
    cbor.set("cbor", &doll()).await.unwrap();
    for format in ["msgpack", "cbor"] {
        let ran = region(&url, &["get", "formats", format]).exits(0);
        assert!(ran.stdout.contains(&format!("format: {format}; type and version: ")), "{ran:?}");
        assert!(
            ran.stdout.ends_with("\n{\n  \"open\": 300,\n  \"title\": \"Doll\"\n}\n"),
            "{ran:?}"
        );
        let json = region(&url, &["get", "formats", format, "--json"]).exits(0).json();
        assert_eq!(json["value"], json!({"title": "Doll", "open": 300}));
    }
}

async fn an_entry_without_a_value_says_why(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let (cache, url) = (fill(&server.url()).await, server.url());
    let ran = region(&url, &["get", "org:42", "nothing"]).exits(1);
    assert_eq!(ran.stderr, "region: \"nothing\" of org:42 has no value: the store has none\n");
    assert!(ran.stdout.is_empty());
    let json = region(&url, &["get", "org:42", "nothing", "--json"]).exits(1).json();
    assert_eq!((&json["entry"], &json["missing"]), (&json!(null), &json!("the store has none")));
    // A load that has found nothing.
    let absent = |_| async { Ok::<_, std::io::Error>(Loaded::<u32>::absent()) };
    let handle = cache.region("org:42").unwrap();
    handle.get_or_compute_with("absent", LoadOptions::new(), absent).await.unwrap();
    let ran = region(&url, &["get", "org:42", "absent"]).exits(1);
    assert!(ran.stdout.contains("the record that there is no value"), "{ran:?}");
    let ran = region(&url, &["explain", "org:42", "absent"]).exits(0);
    assert!(ran.stdout.contains("a miss: the entry is the record"), "{ran:?}");
    // Bytes that nobody has sealed.
    let server_keys = ["HSET", "rc1:d{shop}.org:42", "name", "\u{10}garbage"];
    server.command(&server_keys);
    let ran = region(&url, &["get", "org:42", "name"]).exits(1);
    assert!(ran.stdout.contains("damaged: ") && ran.stdout.contains("|garbage|"), "{ran:?}");
    let ran = region(&url, &["explain", "org:42", "name"]).exits(0);
    assert!(ran.stdout.contains("a miss: the bytes are damaged"), "{ran:?}");
    region(&url, &["get", "org:42", "name", "--raw"]).exits(1);
}

async fn a_miss_is_explained(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let (cache, url) = (fill(&server.url()).await, server.url());
    let explain = |path: &str, key: &str| region(&url, &["explain", path, key]).exits(0).stdout;
    let hit = explain("org:42", "name");
    assert!(hit.starts_with("\"name\" of org:42: a hit: the store has a value;"), "{hit}");
    assert!(hit.ends_with("lease: free\n"), "{hit}");
    assert!(explain("org:42", "other").contains("a miss: the store has none"));
    let nowhere = explain("nowhere.at:1", "k");
    assert!(nowhere.contains("a miss: the region does not exist\nnowhere has no ids"), "{nowhere}");
    // What it depends on.
    let (page, prices) = (cache.region("page").unwrap(), cache.region("prices").unwrap());
    let load = |_| async { Ok::<_, std::io::Error>(Loaded::new(1u32)) };
    let options = LoadOptions::new().depends_on(&prices);
    page.get_or_compute_with("k", options, load).await.unwrap();
    let holds = explain("page", "k");
    assert!(holds.contains("a hit") && holds.contains("dependency prices: holds"), "{holds}");
    prices.touch().await.unwrap();
    let ended = explain("page", "k");
    assert!(ended.contains("a miss: a region that the value depends on has ended"), "{ended}");
    let json = region(&url, &["explain", "page", "k", "--json"]).exits(0).json();
    assert_eq!(json["dependencies"], json!([{"region": "prices", "state": "ended"}]));
    // Its age, where that was recorded.
    let aged = page.with_policy(Policy::new().age(EntryAge::Recorded)).unwrap();
    aged.set("aged", &1u32).await.unwrap();
    assert!(explain("page", "aged").contains("\nage: "));
    assert!(!ended.contains("\nage: "), "{ended}");
    let json = region(&url, &["get", "page", "aged", "--json"]).exits(0).json();
    assert!(json["entry"]["age_ms"].as_u64().is_some_and(|age| age < 60_000), "{json}");
    // Stale, and a load under way.
    let kept = page.with_policy(Policy::new().stale_for(Duration::from_secs(600))).unwrap();
    kept.set("old", &1u32).await.unwrap();
    kept.expire().await.unwrap();
    let stale = explain("page", "old");
    assert!(stale.contains("a miss: the value has expired"), "{stale}");
    assert!(stale.contains("stale: for "), "{stale}");
    let (started, has_started) = tokio::sync::oneshot::channel();
    let loader = page.clone();
    let loading = tokio::spawn(async move {
        let load = || async {
            started.send(()).unwrap();
            std::future::pending::<std::io::Result<u32>>().await
        };
        loader.get_or_compute("slow", load).await
    });
    has_started.await.unwrap();
    let loading_now = explain("page", "slow");
    assert!(loading_now.contains("lease: held by a load, for "), "{loading_now}");
    loading.abort();
}

async fn a_region_is_ended(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let (cache, url) = (fill(&server.url()).await, server.url());
    let (org, project) =
        (cache.region("org:42").unwrap(), cache.region("org:42.project:7").unwrap());
    let ran = region(&url, &["touch", "org:42.project:7", "--yes"]).exits(0);
    assert_eq!(ran.stdout, "touched: org:42.project:7\n");
    assert!(!org.contains("name").await.unwrap() && !project.contains("count").await.unwrap());
    assert!(cache.region("org:43").unwrap().contains("name").await.unwrap());
    let kept = org.with_policy(Policy::new().stale_for(Duration::from_secs(600))).unwrap();
    kept.set("name", &"Matryoshka".to_owned()).await.unwrap();
    let ran = region(&url, &["expire", "org:42", "-y", "--json"]).exits(0);
    let expected = json!({"done": "expired", "region": "org:42", "replicas": null, "wanted": null});
    assert_eq!(ran.json(), expected);
    assert!(!org.contains("name").await.unwrap());
    assert!(region(&url, &["get", "org:42", "name"]).exits(0).stdout.contains("stale: for "));
    project.set("count", &8u32).await.unwrap();
    let ran = region(&url, &["invalidate", "org:42", "-y"]).exits(0);
    assert_eq!(ran.stdout, "invalidated: org:42\n");
    assert!(!project.contains("count").await.unwrap());
    cache.root().set("k", &1u32).await.unwrap();
    let ran = region(&url, &["invalidate", "org:43", "-y", "--and-touch"]).exits(0);
    assert_eq!(ran.stdout, "invalidated and touched: org:43\n");
    assert!(!cache.root().contains("k").await.unwrap());
}

async fn nothing_is_ended_without_a_word(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let (cache, url) = (fill(&server.url()).await, server.url());
    for (verb, says) in [
        (
            "invalidate",
            "Invalidate org:42, which has 1 entry, and the regions inside it (project:7)?",
        ),
        ("expire", "Expire org:42, which has 1 entry, and the regions inside it (project:7)?"),
        ("touch", "Touch org:42, which has 1 entry, and the regions around it?"),
    ] {
        let ran = region(&url, &[verb, "org:42"]).exits(64);
        assert!(ran.stderr.contains(says), "{ran:?}");
        assert!(ran.stderr.contains("Confirm it by --yes"), "{ran:?}");
        assert!(ran.stdout.is_empty(), "{ran:?}");
    }
    assert!(cache.region("org:42").unwrap().contains("name").await.unwrap());
}

async fn a_question_on_a_terminal_is_answered(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let (cache, url) = (fill(&server.url()).await, server.url());
    let org = cache.region("org:42").unwrap();
    let ran = on_terminal(&url, "invalidate org:42", b"n\n").exits(1);
    assert!(ran.stdout.contains("(project:7)? [y/N]"), "{ran:?}");
    assert!(ran.stdout.contains("nothing was done"), "{ran:?}");
    assert!(org.contains("name").await.unwrap());
    let ran = on_terminal(&url, "invalidate org:42", b"yes\n").exits(0);
    assert!(ran.stdout.contains("invalidated: org:42"), "{ran:?}");
    assert!(!org.contains("name").await.unwrap());
}

async fn replicas_are_waited_for(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let replica = server.replica();
    let (_cache, url) = (fill(&server.url()).await, server.url());
    let ran = region(&url, &["touch", "org:42", "-y", "--wait-for", "1", "--within", "60s"]);
    assert_eq!(ran.exits(0).stdout, "touched: org:42; 1 replica has it\n");
    let args = ["invalidate", "org:42", "-y", "--wait-for", "2", "--within", "200ms"];
    let ran = region(&url, &args).exits(1);
    let expected = "invalidated: org:42; only 1 of 2 replicas have it: a failover may undo it\n  \
                    It is safe to do it again.\n";
    assert_eq!(ran.stdout, expected);
    drop(replica);
}

async fn numbers_are_printed(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let (_cache, url) = (fill(&server.url()).await, server.url());
    let ran = region(&url, &["stats"]).exits(0);
    let says = [
        format!("server {url}"),
        format!("version             {flavor:?} "),
        "memory              ".to_owned(),
        "no limit".to_owned(),
        "eviction policy     noeviction".to_owned(),
    ];
    for says in says {
        assert!(ran.stdout.contains(&says), "{says}: {ran:?}");
    }
    let json = region(&url, &["stats", "--json"]).exits(0).json();
    assert_eq!((&json["root"], &json["entries"]), (&json!("shop"), &json!(0)));
    let of_server = &json["servers"][0];
    assert_eq!((&of_server["max_memory"], &of_server["replicas"]), (&json!(0), &json!(0)));
    // That of the cache, and that of the program itself; of former ones for a while.
    assert!(of_server["writers"].as_u64().unwrap() >= 2, "{json}");
}

async fn dead_regions_are_freed(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let url = server.url();
    // No process of the application is left to do it.
    {
        let store = region_cache::RedisStore::builder(&url).unwrap().without_reclaimer();
        let store = store.connect_timeout(Duration::from_secs(20)).connect().await.unwrap();
        let cache = region_cache::RegionCache::builder(store).root("shop").build().unwrap();
        for id in 0..20 {
            let child = cache.region(&format!("org:42.item:{id}")).unwrap();
            child.set("k", &1u8).await.unwrap();
        }
        cache.region("org:42").unwrap().invalidate().await.unwrap();
    }
    let dead = |id: u32| server.command(&["EXISTS", &format!("rc1:d{{shop}}.org:42.item:{id}")]);
    assert_eq!(dead(7).text(), "1");
    let ran = region(&url, &["reclaim"]).exits(0);
    assert!(ran.stdout.starts_with("reclaimed below shop: "), "{ran:?}");
    for id in 0..20 {
        assert_eq!(dead(id).text(), "0", "{id}");
    }
    let json = region(&url, &["reclaim", "--json"]).exits(0).json();
    assert_eq!(json["root"], json!("shop"));
    drop(cache(&url).await);
}
