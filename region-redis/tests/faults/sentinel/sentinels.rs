//! The sentinels themselves fail.

use std::time::Duration;

use region_core::{ErrorKind, Verb};
use region_redis::{OnInvalidationFailure, RedisStore};
use servers::{Flavor, SentinelSettings};

use super::kit::{connect, failed_over, moved, of, start, start_with, with_replicas};
use super::liar::{Liar, Lie};
use crate::kit::{bounded, builder, end, get, set, until, until_ok};
use crate::permissions;

servers::on_both! {
    one_sentinel_of_three_answers
    a_sentinel_that_lies_is_not_believed
    a_store_is_opened_before_the_sentinels
    sentinels_have_a_password_of_their_own
    a_sentinel_user_needs_few_permissions
    servers_may_refuse_to_tell_their_role
    a_primary_that_no_sentinel_knows
}

async fn one_sentinel_of_three_answers(flavor: Flavor) {
    let mut servers = start(flavor);
    servers.sentinels.all_mut()[0].kill();
    servers.sentinels.all()[1].pause();
    let store = connect(&servers).await;
    set(&store, "r", "k", "1").await.unwrap();
    with_replicas(&store, 2).await;
    // Two are needed for a failover.
    tokio::task::block_in_place(|| servers.sentinels.all_mut()[0].restart());
    let port = servers.servers[0].port();
    servers.servers[0].kill();
    servers.sentinels.all_mut()[1].kill();
    let promoted = failed_over(&servers, port);
    moved(&store, promoted).await;
    until_ok(|| set(&store, "r", "k", "2")).await;
}

/// It claims to know the newest configuration.
async fn a_sentinel_that_lies_is_not_believed(flavor: Flavor) {
    let mut servers = start(flavor);
    let port = servers.servers[0].port();
    let lies =
        [Lie::Primary(1), Lie::Primary(servers.servers[1].port()), Lie::Silence, Lie::Garbage];
    let mut stores = Vec::new();
    let mut liars = Vec::new();
    for lie in lies {
        let liar = Liar::start(lie).await;
        // With a single true one there is no majority before the liar is heard.
        let truthful = servers.sentinels.all()[0].port();
        let url = format!("redis-sentinel://127.0.0.1:{},127.0.0.1:{truthful}/main", liar.port());
        let store =
            builder(&url).connect().await.unwrap_or_else(|error| panic!("{lie:?}: {error}"));
        moved(&store, port).await;
        with_replicas(&store, 2).await;
        stores.push(store);
        liars.push(liar);
    }
    servers.servers[0].kill();
    let promoted = failed_over(&servers, port);
    for store in &stores {
        until_ok(|| set(store, "r", "k", "2")).await;
        moved(store, promoted).await;
    }
    assert!(liars.iter().all(|liar| liar.asked() > 0));
}

async fn a_store_is_opened_before_the_sentinels(flavor: Flavor) {
    let mut servers = start(flavor);
    let writer = connect(&servers).await;
    set(&writer, "r", "k", "old").await.unwrap();
    servers.sentinels.all_mut().iter_mut().for_each(servers::Sentinel::kill);
    let early = || of(&servers).on_invalidation_failure(OnInvalidationFailure::Queue);
    let error = bounded(early().connect()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("known to no sentinel that answers"), "{error}");
    let store = early().build().unwrap();
    assert!(store.primary().is_none());
    assert!(store.stats().primary.server.starts_with("redis-sentinel://"));
    assert!(bounded(get(&store, "r", "k")).await.is_err());
    bounded(end(&store, "r", Verb::Invalidate)).await.unwrap();
    // Who has a connection does not need them.
    assert_eq!(get(&writer, "r", "k").await.unwrap().as_deref(), Some("old"));
    tokio::task::block_in_place(|| {
        servers.sentinels.all_mut().iter_mut().for_each(servers::Sentinel::restart);
    });
    assert_eq!(until_ok(|| get(&store, "r", "k")).await, None, "what was queued comes first");
    with_replicas(&store, 2).await;
}

async fn sentinels_have_a_password_of_their_own(flavor: Flavor) {
    let password = Some("secret".to_owned());
    let servers = start_with(flavor, &SentinelSettings { password, ..Default::default() });
    let url = servers.sentinels.url();
    let store = builder(&format!("{url}?sentinel_password=secret")).connect().await.unwrap();
    set(&store, "r", "k", "1").await.unwrap();
    with_replicas(&store, 2).await;
    for url in [url.clone(), format!("{url}?sentinel_password=secretly")] {
        let error = builder(&url).connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}

/// With the permissions that `LAYOUT.md` names.
async fn a_sentinel_user_needs_few_permissions(flavor: Flavor) {
    let (command, _) = permissions::user("watcher");
    let user: Vec<_> = command.split_whitespace().skip(2).collect();
    let lines = vec![format!("user {}", user.join(" "))];
    let servers = start_with(flavor, &SentinelSettings { lines, ..Default::default() });
    let url =
        format!("{}?sentinel_user=watcher&sentinel_password=password", servers.sentinels.url());
    let store = builder(&url).connect().await.unwrap();
    set(&store, "r", "k", "1").await.unwrap();
    with_replicas(&store, 2).await;
    let subscribed = || {
        let clients =
            servers.sentinels.all().iter().filter_map(|one| one.command(&["CLIENT", "LIST"]));
        clients.into_iter().any(|clients| {
            let text = clients.text();
            text.lines().any(|line| line.contains("user=watcher") && line.contains(" sub=7 "))
        })
    };
    until("the store to listen to a sentinel", subscribed).await;
    for sentinel in servers.sentinels.all() {
        let log = sentinel.command(&["ACL", "LOG"]).unwrap();
        let refused = format!("{log:?}");
        // The client library tells of itself, to servers that know how to be told.
        let is_known = log
            .list()
            .iter()
            .all(|entry| entry.list().iter().any(|field| field.text() == "client|setinfo"));
        assert!(is_known, "{refused}");
    }
}

/// As several providers do: `INFO` tells it.
async fn servers_may_refuse_to_tell_their_role(flavor: Flavor) {
    let servers = start(flavor);
    for server in &servers.servers {
        let user = "ACL SETUSER app on >password allkeys allchannels +@all -role";
        assert_eq!(server.command(&user.split(' ').collect::<Vec<_>>()).text(), "OK");
    }
    let url = servers.sentinels.url().replace("://", "://app:password@");
    let store = builder(&url).connect().await.unwrap();
    set(&store, "r", "k", "1").await.unwrap();
    with_replicas(&store, 2).await;
}

async fn a_primary_that_no_sentinel_knows(flavor: Flavor) {
    let servers = start(flavor);
    let url = servers.sentinels.url().replace("/main", "/other");
    let error = bounded(builder(&url).connect()).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(error.to_string().contains("/other") && source.contains("does not know"), "{source}");
    let error = RedisStore::builder(&url).unwrap().replica("redis://h").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
    let waiting = builder(&url).build().unwrap();
    until("attempts", || waiting.stats().primary.connects > 1).await;
    tokio::time::timeout(Duration::from_secs(20), get(&waiting, "r", "k"))
        .await
        .unwrap()
        .unwrap_err();
}
