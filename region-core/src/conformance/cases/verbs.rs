//! Cases about the verbs: the entries that each one ends.

use super::super::fixture::{Fixture, LONG, put};
use super::super::{Able, Harness};
use crate::store::{Op, Put, Verb};

/// The number of ends that a reader watches.
const ROUNDS: usize = 100;

const REGIONS: [&str; 6] = ["r", "r.a", "r.a.b", "r.a.b.c", "r.a.sibling", "r.ab"];

async fn fill_all<H: Harness>(f: &Fixture<'_, H>) {
    for region in REGIONS {
        f.apply(region, &[Op::Put(Put { stale_for: LONG, ..put("k", region) })]).await;
    }
}

async fn fresh<H: Harness>(f: &Fixture<'_, H>) -> Vec<&'static str> {
    let mut fresh = Vec::new();
    for region in REGIONS {
        if f.get(region, "k").await.as_deref() == Some(region) {
            fresh.push(region);
        }
    }
    fresh
}

/// `invalidate` ends the region and all below it, at any depth, and nothing else.
pub async fn invalidate_covers_the_subtree<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    fill_all(&f).await;
    f.end("r.a", Verb::Invalidate).await;
    assert_eq!(fresh(&f).await, ["r", "r.ab"]);
    assert_eq!(f.stale("r.a.b", "k").await, None, "gone, not stale");
    f.end("r", Verb::Invalidate).await;
    assert_eq!(fresh(&f).await, [""; 0]);
}

/// Invalidating what is empty, missing or invalidated already is no error, and changes nothing else.
pub async fn invalidate_again_and_again<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    f.end("missing.region", Verb::Invalidate).await;
    fill_all(&f).await;
    for _ in 0..3 {
        f.end("r.a.b", Verb::Invalidate).await;
        f.end("r.nothing.here", Verb::Invalidate).await;
    }
    assert_eq!(fresh(&f).await, ["r", "r.a", "r.a.sibling", "r.ab"]);
}

/// `touch` ends the entries of the region and of every ancestor; children and siblings stay.
pub async fn touch_covers_the_path_upwards<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    fill_all(&f).await;
    f.end("r.a.b", Verb::Touch).await;
    assert_eq!(fresh(&f).await, ["r.a.b.c", "r.a.sibling", "r.ab"]);
    fill_all(&f).await;
    f.end("r", Verb::Touch).await;
    assert_eq!(fresh(&f).await, REGIONS[1..]);
}

/// Something new inside, not created yet, still changes the pages that embed it.
pub async fn touch_below_what_exists<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    f.end("r.x.y", Verb::Touch).await;
    fill_all(&f).await;
    f.end("r.a.new.newer", Verb::Touch).await;
    assert_eq!(fresh(&f).await, REGIONS[2..]);
}

/// `invalidate_and_touch` ends the region and all below it, and the entries of every ancestor.
pub async fn invalidate_and_touch_covers_both<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    f.end("missing.region", Verb::InvalidateAndTouch).await;
    fill_all(&f).await;
    f.end("r.a.b", Verb::InvalidateAndTouch).await;
    assert_eq!(fresh(&f).await, ["r.a.sibling", "r.ab"]);
    fill_all(&f).await;
    f.end("r.a.new", Verb::InvalidateAndTouch).await;
    assert_eq!(fresh(&f).await, REGIONS[2..]);
}

/// Whoever sees one half of an `invalidate_and_touch` sees the other: what is above and what is
/// below goes in one step. Where it does not, what is above goes last.
pub async fn invalidate_and_touch_is_one_step<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let reader = f.client().await;
    for round in 0..ROUNDS {
        for region in ["r", "r.a.b"] {
            f.set(region, "k", "v").await;
        }
        let looks_above_first = round % 2 == 0 || harness.keeps_paths_together() == Able::No;
        let (first, then) = if looks_above_first { ("r", "r.a.b") } else { ("r.a.b", "r") };
        let reading = async {
            while reader.get(first, "k").await.is_some() {
                tokio::task::yield_now().await;
            }
            assert_eq!(reader.get(then, "k").await, None, "{first} is gone, and {then} is not");
        };
        // The reader always goes first: it looks at every gap that the end leaves.
        futures_util::future::join(reading, f.end("r.a", Verb::InvalidateAndTouch)).await;
    }
}

/// `expire` makes the region and all below it stale, and nothing else.
pub async fn expire_makes_the_subtree_stale<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    f.end("missing.region", Verb::Expire).await;
    fill_all(&f).await;
    f.apply("r.a.b", &[Op::Put(put("no window", "v"))]).await;
    f.end("r.a", Verb::Expire).await;
    assert_eq!(fresh(&f).await, ["r", "r.ab"]);
    assert_eq!(f.stale("r.a", "k").await.as_deref(), Some("r.a"));
    assert_eq!(f.stale("r.a.b.c", "k").await.as_deref(), Some("r.a.b.c"));
    assert_eq!(f.entry("r.a.b", "no window").await, None, "stale entries need a window");
    f.set("r.a.b", "k", "r.a.b").await;
    assert_eq!(fresh(&f).await, ["r", "r.a.b", "r.ab"], "what is put after that is fresh");
    f.end("r.a", Verb::Invalidate).await;
    assert_eq!(f.stale("r.a", "k").await, None);
}

/// After each verb the region takes new entries, and the old ones do not come back with them.
pub async fn a_region_is_filled_again<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    for verb in [Verb::Invalidate, Verb::Touch, Verb::Expire, Verb::InvalidateAndTouch] {
        f.set("r.a", "old", "x").await;
        f.end("r.a", verb).await;
        f.set("r.a", "new", "y").await;
        assert_eq!(f.get("r.a", "new").await.as_deref(), Some("y"), "{verb:?}");
        assert_eq!(f.get("r.a", "old").await, None, "{verb:?}");
    }
}
