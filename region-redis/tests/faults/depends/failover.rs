//! A server takes over that never heard of the end of a dependency.

use region_core::{Policy, Store, Verb};
use servers::{Flavor, TestServer};

use super::kit::{Page, VERBS, near, strict};
use crate::failover::Pair;
use crate::kit::{connect, lose, path, until_ok, unwatched};

servers::on_both! {
    an_end_that_a_failover_undoes_is_told_again
    a_value_that_a_failover_brings_back_is_not_read_by_who_replaced_it
    a_primary_that_lost_a_marker_unsaid_is_found_out
}

/// Promise 6: the process that ended the dependency tells the new primary, before anything is read.
async fn an_end_that_a_failover_undoes_is_told_again(flavor: Flavor) {
    for policy in [strict(Policy::new()), strict(near())] {
        for verb in VERBS {
            let mut pair = Pair::start(flavor).await;
            let page = Page::new(connect(&pair.address.url()).await, policy.clone());
            // Who goes on takes back what it has put; so the value is of one that has gone.
            let other = page.beside(connect(&pair.address.url()).await, Policy::new());
            let loaded = other.load(other.options()).await;
            assert_eq!(page.get().await, Some(loaded));
            drop(other);
            pair.sync().await;
            pair.replication.silence();
            page.end(verb).await.unwrap();
            assert_eq!(page.get().await, None, "{verb:?}");
            pair.fail_over();
            let region = path("r");
            let store = connect(&pair.address.url()).await;
            assert_eq!(until_ok(|| page.try_get()).await, None, "{verb:?}");
            // It has told: another process, which knows nothing of it, sees it too.
            until_ok(|| store.len(&region)).await;
            let other = page.beside(store, Policy::new());
            assert_eq!(other.get().await, None, "{verb:?}");
            assert_eq!(other.load(other.options()).await, loaded + 1, "{verb:?}");
        }
    }
}

/// Promise 6: the copy has the value before and its marker. The process that has ended that marker, and put
/// another one and a new value since, reads neither of the old ones.
async fn a_value_that_a_failover_brings_back_is_not_read_by_who_replaced_it(flavor: Flavor) {
    for (policy, is_near) in [(Policy::new(), false), (near(), true)] {
        let mut pair = Pair::start(flavor).await;
        let page = Page::new(connect(&pair.address.url()).await, strict(policy));
        let loaded = page.load(page.options()).await;
        pair.sync().await;
        pair.replication.silence();
        page.end(Verb::Touch).await.unwrap();
        let new = page.load(page.options()).await;
        assert_eq!((new, page.get().await), (loaded + 1, Some(new)));
        pair.fail_over();
        // Until it notices, what is near is the new value; then what was lost is a miss.
        page.until_missing(new).await;
        let other = page.beside(connect(&pair.address.url()).await, Policy::new());
        assert_eq!(other.get().await, None);
        assert_eq!(other.load(other.options()).await, new + 1);
        if is_near {
            // It knows near that there is no marker, until it has heard of the other's.
            page.until(Some(new + 1), None).await;
        }
        assert_eq!(page.get().await, Some(new + 1));
    }
}

/// Promises 3 and 6: the server was demoted, filled from a copy, and promoted again, all unsaid. The next
/// read finds it out, even if it is one of the marker alone.
async fn a_primary_that_lost_a_marker_unsaid_is_found_out(flavor: Flavor) {
    let primary = TestServer::start(flavor);
    let page = Page::new(unwatched(&primary.url()).connect().await.unwrap(), strict(Policy::new()));
    let loaded = page.load(page.options()).await;
    lose(&primary, page.end(Verb::Touch)).await;
    assert_eq!(until_ok(|| page.try_get()).await, None);
    let new = until_ok(|| page.try_load(page.options())).await;
    assert_eq!(new, loaded + 1);
    // A new marker and a new value are lost, and the old ones are there again.
    lose(&primary, async {
        page.end(Verb::Touch).await?;
        page.try_load(page.options()).await.map(drop)
    })
    .await;
    assert_eq!(until_ok(|| page.try_get()).await, None);
    let other = page.beside(connect(&primary.url()).await, Policy::new());
    assert_eq!(other.get().await, None);
}
