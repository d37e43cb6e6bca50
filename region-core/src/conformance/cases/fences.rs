//! Cases about fences: which loads may be stored.

use super::super::Harness;
use super::super::fixture::{Fixture, SHORT, put};
use crate::lineage::{Incarnations, Lineage};
use crate::store::{Guard, LeaseTerms, LeaseToken, Op, RegionTtl, Verb};

/// A load during which nothing happened is stored; its lease is used up.
pub async fn a_fill_under_its_fence_is_stored<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let fence = f.lease("r.a", "k").await;
    f.set("r.a", "other", "x").await;
    f.set("r.a.below", "k", "x").await;
    f.end("r.a.below", Verb::Invalidate).await;
    f.end("r.sibling", Verb::Invalidate).await;
    assert!(f.fill("r.a", "k", "v", &fence).await);
    assert_eq!(f.get("r.a", "k").await.as_deref(), Some("v"));
    assert!(!f.fill("r.a", "k", "again", &fence).await, "the fill voided its lease");
}

async fn fenced_by<H: Harness>(harness: &H, ends: &[(&str, Verb)]) {
    for (region, verb) in ends {
        let f = Fixture::new(harness).await;
        let fence = f.lease("r.a.b", "k").await;
        f.client().await.end(region, *verb).await;
        assert!(!f.fill("r.a.b", "k", "old", &fence).await, "{verb:?} of {region}");
        assert_eq!(f.get("r.a.b", "k").await, None);
        let fence = f.lease("r.a.b", "k").await;
        assert!(f.fill("r.a.b", "k", "new", &fence).await, "a load begun after {verb:?}");
    }
}

/// A load that began before an `invalidate` of its region or an ancestor is not stored.
pub async fn a_fill_is_fenced_by_invalidation<H: Harness>(harness: &H) {
    let ends = ["r.a.b", "r.a", "r"].map(|region| (region, Verb::Invalidate));
    fenced_by(harness, &ends).await;
}

/// A load that began before a `touch` of its region or of one below is not stored.
pub async fn a_fill_is_fenced_by_touch<H: Harness>(harness: &H) {
    let ends = ["r.a.b", "r.a.b.c", "r.a.b.c.d"].map(|region| (region, Verb::Touch));
    fenced_by(harness, &ends).await;
    let ends = ["r.a.b", "r.a", "r", "r.a.b.c"].map(|region| (region, Verb::InvalidateAndTouch));
    fenced_by(harness, &ends).await;
}

/// A load that began before an `expire` is not stored: it would be fresh with an old value.
pub async fn a_fill_is_fenced_by_expiry<H: Harness>(harness: &H) {
    let ends = ["r.a.b", "r.a", "r"].map(|region| (region, Verb::Expire));
    fenced_by(harness, &ends).await;
}

/// A load does not overwrite what was put after it began.
pub async fn a_fill_is_fenced_by_a_set<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let other = f.client().await;
    // A store may put in another way into a region that it has written to before.
    for key in ["first", "second", "third"] {
        let fence = f.lease("r", key).await;
        other.set("r", key, "set").await;
        assert!(!f.fill("r", key, "loaded", &fence).await, "{key}");
        assert_eq!(f.get("r", key).await.as_deref(), Some("set"));
    }
}

/// A load does not bring back what was removed after it began, whether or not it was there.
pub async fn a_fill_is_fenced_by_a_removal<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    for op in [Op::Remove { key: "k" }, Op::Take { key: "k" }] {
        let fence = f.lease("r", "k").await;
        f.client().await.apply("r", &[op]).await;
        assert!(!f.fill("r", "k", "loaded", &fence).await);
        assert_eq!(f.get("r", "k").await, None);
    }
}

/// A fill needs the lease, held by its own token, not over.
pub async fn a_fill_needs_its_own_live_lease<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let mut fence = f.lease("r", "k").await;
    assert!(!f.fill("r", "unleased", "v", &fence).await);
    fence.token = LeaseToken::random();
    assert!(!f.fill("r", "k", "v", &fence).await, "another's token");
    let token = LeaseToken::random();
    let terms = LeaseTerms::new(token, SHORT);
    let (lineage, _) = f.begin_with("r", "short", terms).await;
    f.advance(SHORT).await;
    let fence = super::super::fixture::Fence { lineage, token };
    assert!(!f.fill("r", "short", "v", &fence).await, "a lease that is over");
}

/// One key without its lease keeps the whole write from happening, and nothing is voided by it.
pub async fn a_fenced_write_changes_nothing<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    f.set("r", "there", "before").await;
    let fence = f.lease("r", "a").await;
    let other = f.lease("r", "b").await;
    let ops = [
        Op::Put(put("a", "v")),
        Op::Put(put("b", "v")),
        Op::Put(put("there", "after")),
        Op::Remove { key: "there" },
    ];
    let guard = Guard::new(&fence.lineage, &["a", "b"], fence.token);
    let written = f.write("r", &ops, Some(guard), RegionTtl::Restart(SHORT)).await;
    assert!(written.is_fenced());
    f.advance(SHORT * 2).await;
    assert_eq!(f.get("r", "there").await.as_deref(), Some("before"));
    assert_eq!((f.get("r", "a").await, f.get("r", "b").await), (None, None));
    assert!(f.fill("r", "a", "v", &fence).await, "its lease is still held");
    assert!(f.fill("r", "b", "v", &other).await, "and so is the other");
}

/// A guard never creates a region, and a missing one has no lineage that could fit.
pub async fn a_guard_on_a_missing_region_is_fenced<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let ids = [Incarnations::random(), Incarnations::random()];
    let lineage = Lineage::new(ids).unwrap_or_else(|| panic!("two regions"));
    let guard = Guard::new(&lineage, &[], LeaseToken::random());
    let ops = [Op::Put(put("k", "v"))];
    let written = f.write("r.a", &ops, Some(guard), RegionTtl::Leave).await;
    assert!(written.is_fenced());
    assert_eq!(f.get("r.a", "k").await, None);
    assert!(f.read("r.a", &[]).await.lineage.is_none());
}
