//! Servers that do not track what is read, or forget it.

use region_cache::{Policy, RegionExt};
use servers::{Flavor, TestServer};

use crate::kit::{connect, near, value};

servers::on_both! {
    a_client_that_may_not_have_its_reads_tracked_trusts_nothing
    own_writes_are_seen_by_a_client_that_may_not_have_its_reads_tracked
}

/// A server whose user `app` may do all that the store needs but `CLIENT TRACKING`.
fn server(flavor: Flavor) -> (TestServer, String) {
    let server = TestServer::start(flavor);
    let rules = ["~*", "&*", "+@all", "-client|tracking"];
    server.command(&[&["ACL", "SETUSER", "app", "on", ">secret"], &rules[..]].concat());
    let url = format!("redis://app:secret@127.0.0.1:{}", server.port());
    (server, url)
}

/// Every read asks: what another has set is seen by the very next read.
async fn a_client_that_may_not_have_its_reads_tracked_trusts_nothing(flavor: Flavor) {
    let (server, url) = server(flavor);
    let cache = near(connect(&url).await, Policy::new());
    let other = near(connect(&server.url()).await, Policy::new());
    let (region, theirs) = (cache.region("r").unwrap(), other.region("r").unwrap());
    for round in 0..50_u64 {
        theirs.set("k", &round).await.unwrap();
        assert_eq!(value(&region, "k").await, Some(round));
        assert_eq!(value(&region, "k").await, Some(round));
        if round.is_multiple_of(3) {
            theirs.invalidate().await.unwrap();
            assert_eq!(value(&region, "k").await, None);
        }
    }
    // Values are held near all the same, and verified by a small read.
    assert!(cache.stats().near_verifications > 0);
    let explained = region.explain::<u64>("k").await.unwrap().to_string();
    assert!(!explained.contains("trusted near"), "{explained}");
}

async fn own_writes_are_seen_by_a_client_that_may_not_have_its_reads_tracked(flavor: Flavor) {
    let (_server, url) = server(flavor);
    let cache = near(connect(&url).await, Policy::new());
    let region = cache.region("r").unwrap();
    for round in 0..50_u64 {
        region.set("k", &round).await.unwrap();
        assert_eq!(value(&region, "k").await, Some(round));
        assert!(region.remove("k").await.unwrap());
        assert_eq!(value(&region, "k").await, None);
    }
}
