//! Values through a [`RegionCache`](crate::RegionCache) over the store.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use serde::de::DeserializeSeed;
use serde::{Deserialize, Serialize};

use super::super::Harness;
use super::super::fixture::{Fixture, put};
use super::super::gate::{cache, cache_with};
use crate::error::{BoxError, ErrorKind};
use crate::explain::ReadOutcome;
use crate::policy::{OnUpdate, Policy};
use crate::region::{Region, RegionExt, SetOptions};
use crate::stats::MissReason;
use crate::store::{Lease, Op, Put, Store, TakeLease};
use crate::value::fingerprint::Readability;
use crate::value::serializer::{Postcard, Serializer, SerializerId};

/// A shape with everything in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Sample {
    Nothing,
    Text(String),
    Bytes(Vec<u8>),
    Nested { list: Vec<Sample>, map: BTreeMap<String, Option<i64>>, pair: (f64, char) },
}

impl Sample {
    fn all() -> [Self; 5] {
        let map = [("a".to_owned(), None), ("b".to_owned(), Some(-1))];
        let list = vec![Self::Nothing, Self::Text("é\0".to_owned())];
        [
            Self::Nothing,
            Self::Text(String::new()),
            Self::Bytes(vec![0xFF; 300_000]),
            Self::Text("x".repeat(1000)),
            Self::Nested { list, map: map.into(), pair: (-0.5, '\u{10FFFF}') },
        ]
    }
}

/// The same type after a release: a field more.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Newer {
    a: u32,
    b: u32,
}

/// A serializer of a user's own.
struct Own;

impl Serializer for Own {
    fn id(&self) -> SerializerId {
        SerializerId::new(SerializerId::FIRST_OF_USERS)
    }

    fn readability(&self) -> Readability {
        Readability::Binary
    }

    fn serialize<T: Serialize + ?Sized>(
        &self,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<(), BoxError> {
        out.push(b'!');
        Postcard.serialize(value, out)
    }

    fn deserialize<'de, S: DeserializeSeed<'de>>(
        &self,
        bytes: &'de [u8],
        seed: S,
    ) -> Result<S::Value, BoxError> {
        Postcard.deserialize(bytes.strip_prefix(b"!").ok_or("no mark")?, seed)
    }
}

/// A value that no format can express.
#[derive(Deserialize)]
struct Unencodable;

impl Serialize for Unencodable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("this cannot be written"))
    }
}

/// Values of any shape come back as they were, with the default serializer and with a user's own.
pub async fn values_survive_the_round_trip<H: Harness>(harness: &H) {
    for policy in [Policy::new(), Policy::new().serializer(Own)] {
        let region = cache_with(harness, harness.store().await, policy).region("a").unwrap();
        for (at, value) in Sample::all().into_iter().enumerate() {
            let key = format!("k{at}");
            region.set(&key, &value).await.unwrap();
            assert_eq!(region.get::<Sample>(&key).await.unwrap().as_deref(), Some(&value));
        }
    }
}

/// Reading, writing, taking, counting: what a dictionary does.
pub async fn regions_are_dictionaries<H: Harness>(harness: &H) {
    let region = cache(harness, harness.store().await).region("a").unwrap();
    assert!(region.is_empty().await.unwrap());
    region.set_many(&[("a", &1u32), ("b", &2), ("c", &3)]).await.unwrap();
    assert_eq!(region.len().await.unwrap(), 3);
    assert!(!region.is_empty().await.unwrap());
    let found = region.get_many::<u32>(&["c", "x", "a"]).await.unwrap();
    assert_eq!(found, [Some(Arc::new(3)), None, Some(Arc::new(1))]);
    assert!(region.contains("a").await.unwrap() && !region.contains("x").await.unwrap());
    assert_eq!(region.take::<u32>("a").await.unwrap().as_deref(), Some(&1));
    assert_eq!(region.take::<u32>("a").await.unwrap(), None);
    assert!(region.remove("b").await.unwrap() && !region.remove("b").await.unwrap());
    assert_eq!(region.remove_many(&["b", "c", "x"]).await.unwrap(), 1);
    assert!(region.set_if_absent("n", &1u32).await.unwrap());
    assert!(!region.set_if_absent("n", &2u32).await.unwrap());
    let keys: Vec<_> = region.keys().try_collect().await.unwrap();
    assert_eq!(keys, ["n"]);
    let entries: Vec<_> = region.entries::<u32>().try_collect().await.unwrap();
    assert_eq!(entries, [("n".to_owned(), Arc::new(1))]);
    region.child_with_id("org", "7").unwrap().set("k", &1u32).await.unwrap();
    region.child_with_id("org", "x").unwrap().set("k", &1u32).await.unwrap();
    let ids: Vec<_> = region.child_ids::<u64>("org").try_collect().await.unwrap();
    assert_eq!(ids, [7]);
}

/// A transaction's writes happen together, or not at all.
pub async fn transactions_are_all_or_nothing<H: Harness>(harness: &H) {
    let region = cache(harness, harness.store().await).region("a").unwrap();
    region.set("old", &0u32).await.unwrap();
    let mut transaction = region.transaction();
    transaction.set("a", 1u32).set("b", "two".to_owned()).remove("old");
    assert!(!region.contains("a").await.unwrap(), "nothing before the commit");
    transaction.commit().await.unwrap();
    assert_eq!(region.get::<String>("b").await.unwrap().as_deref(), Some(&"two".to_owned()));
    assert!(!region.contains("old").await.unwrap());
    let mut dropped = region.transaction();
    dropped.set("c", 1u32);
    drop(dropped);
    let mut failing = region.transaction();
    failing.remove("a").set("c", 1u32).set("d", Unencodable);
    assert_eq!(failing.commit().await.unwrap_err().kind(), ErrorKind::Encode);
    let mut bad_key = region.transaction();
    bad_key.remove("a").set("", 1u32);
    assert_eq!(bad_key.commit().await.unwrap_err().kind(), ErrorKind::InvalidKey);
    assert!(region.contains("a").await.unwrap() && !region.contains("c").await.unwrap());
}

/// A value that cannot be written is an error that names it; what was there stays.
pub async fn what_cannot_be_written_loses_nothing<H: Harness>(harness: &H) {
    let region = cache(harness, harness.store().await).region("a").unwrap();
    region.set("k", &1u32).await.unwrap();
    let error = region.set("k", &Unencodable).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encode);
    let text = error.to_string();
    assert!(text.contains("r.a") && text.contains("\"k\""), "{text}");
    let load = || async { Ok::<_, Infallible>(Unencodable) };
    let error = region.get_or_compute("new", load).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encode);
    let zero = SetOptions::new().ttl(Duration::ZERO);
    let error = region.set_with("k", &2u32, zero).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidPolicy);
    for bad in ["", &"k".repeat(2000)] {
        assert_eq!(region.set(bad, &2u32).await.unwrap_err().kind(), ErrorKind::InvalidKey);
        assert_eq!(region.get::<u32>(bad).await.unwrap_err().kind(), ErrorKind::InvalidKey);
    }
    assert_eq!(region.get::<u32>("k").await.unwrap().as_deref(), Some(&1));
}

/// Bytes that are not the value asked for are a counted miss, and are written over. Promise 8.
pub async fn bad_bytes_are_a_miss<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let cache = cache(harness, harness.client(&f.store).await);
    let region = cache.region("a").unwrap();
    region.set("good", &7u32).await.unwrap();
    region.set("long", &"x".repeat(100)).await.unwrap();
    let good = f.entry("r.a", "good").await.unwrap().bytes;
    let mut flipped = good.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    let bad = [
        Bytes::new(),
        Bytes::from_static(b"gibberish"),
        Bytes::from(vec![0xFF; 100_000]),
        good.slice(..good.len() - 1),
        Bytes::from(flipped),
        good.clone(),
        f.entry("r.a", "long").await.unwrap().bytes,
    ];
    for (at, bytes) in bad.into_iter().enumerate() {
        f.apply("r.a", &[Op::Put(Put { bytes, ..put("bad", "") })]).await;
        let counted = cache.stats().bad_bytes;
        assert_eq!(region.get::<u32>("bad").await.unwrap(), None, "sample {at}");
        assert_eq!(cache.stats().bad_bytes, counted + 1, "sample {at}");
        assert!(!region.contains("bad").await.unwrap(), "sample {at}");
        assert!(region.set_if_absent("bad", &1u32).await.unwrap(), "sample {at}");
        assert_eq!(region.get::<u32>("bad").await.unwrap().as_deref(), Some(&1), "sample {at}");
        f.apply("r.a", &[Op::Put(Put { bytes: Bytes::from_static(b"x"), ..put("bad", "") })]).await;
        let load = || async { Ok::<_, Infallible>(2u32) };
        assert_eq!(*region.get_or_compute("bad", load).await.unwrap(), 2, "sample {at}");
        assert_eq!(region.get::<u32>("bad").await.unwrap().as_deref(), Some(&2), "sample {at}");
    }
}

/// Code that disagrees on type, shape, version or format misses what the other wrote, both ways;
/// each can write over it, and none loops. Promise 12.
pub async fn two_versions_miss_each_other<H: Harness>(harness: &H) {
    let store = harness.store().await;
    let one = cache(harness, harness.client(&store).await).region("a").unwrap();
    one.set("k", &(1u32, 2u32)).await.unwrap();
    assert_eq!(one.get::<Newer>("k").await.unwrap(), None, "the same bytes, another type");
    assert_eq!(one.get::<(u32, u16)>("k").await.unwrap(), None);
    assert_eq!(one.get::<(u32, u32)>("k").await.unwrap().as_deref(), Some(&(1, 2)));
    for policy in [Policy::new().version(2), Policy::new().serializer(Own)] {
        let other = cache_with(harness, harness.client(&store).await, policy).region("a").unwrap();
        one.set("k", &1u32).await.unwrap();
        assert_eq!(other.get::<u32>("k").await.unwrap(), None);
        let load = || async { Ok::<_, Infallible>(2u32) };
        assert_eq!(*other.get_or_compute("k", load).await.unwrap(), 2);
        assert_eq!(other.get::<u32>("k").await.unwrap().as_deref(), Some(&2));
        assert_eq!(one.get::<u32>("k").await.unwrap(), None);
        let load = || async { Ok::<_, Infallible>(3u32) };
        assert_eq!(*one.get_or_compute("k", load).await.unwrap(), 3);
    }
}

/// Entries live as their region's policy says, and an entry's own lifetime goes first. Promise 11.
pub async fn policies_set_lifetimes<H: Harness>(harness: &H) {
    const TTL: Duration = Duration::from_millis(200);
    let store = harness.store().await;
    let cache = cache_with(harness, harness.client(&store).await, Policy::new().ttl(TTL));
    let inherits = cache.region("a.b").unwrap();
    let forever = cache.region("a").unwrap().with_policy(Policy::new().no_ttl()).unwrap();
    let inherits_forever = forever.child("c").unwrap();
    let timed = Policy::new().no_ttl().region_ttl(TTL);
    let resets = inherits.with_policy(timed.clone()).unwrap().child("resets").unwrap();
    let keeps = inherits.with_policy(timed.on_update(OnUpdate::Keep)).unwrap();
    let keeps = keeps.child("keeps").unwrap();
    let first = store.now().await.unwrap();
    for region in [&inherits, &inherits_forever, &resets, &keeps] {
        region.set("k", &1u32).await.unwrap();
    }
    let short = SetOptions::new().ttl(TTL / 2);
    inherits_forever.set_with("short", &1u32, short).await.unwrap();
    harness.advance(&store, TTL / 2).await;
    assert!(!inherits_forever.contains("short").await.unwrap());
    let set = store.now().await.unwrap();
    resets.set("later", &1u32).await.unwrap();
    keeps.set("later", &1u32).await.unwrap();
    // On a busy machine more time may pass than is asked for: then some things cannot be told.
    let was_in_time = store.now().await.unwrap().since(first) < TTL;
    harness.advance(&store, TTL / 2).await;
    assert!(!inherits.contains("k").await.unwrap());
    assert!(inherits_forever.contains("k").await.unwrap());
    assert!(!was_in_time || !keeps.contains("later").await.unwrap(), "the timeout went on");
    assert!(!inherits.restart_region_ttl().await.unwrap(), "its region has no TTL");
    let (found, reset) = (resets.contains("k").await.unwrap(), store.now().await.unwrap());
    let is_reset = resets.restart_region_ttl().await.unwrap();
    if was_in_time && store.now().await.unwrap().since(set) < TTL {
        assert!(found, "the later write reset the timeout");
        assert!(is_reset);
    }
    harness.advance(&store, TTL / 2).await;
    let found = resets.contains("k").await.unwrap();
    if is_reset && store.now().await.unwrap().since(reset) < TTL {
        assert!(found, "the timeout was reset");
    }
    harness.advance(&store, TTL / 2).await;
    assert!(!resets.contains("k").await.unwrap());
}

/// An explanation says what a read would find and who holds the lease, and leaves all as it is.
pub async fn an_explanation_changes_nothing<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let region = cache(harness, harness.client(&f.store).await).region("a").unwrap();
    let explain = async |key| region.explain::<u32>(key).await.unwrap();
    let missing = explain("k").await;
    assert_eq!(missing.outcome, ReadOutcome::Miss(MissReason::Absent), "{missing}");
    region.set("k", &7u32).await.unwrap();
    assert_eq!(region.get::<u32>("k").await.unwrap().as_deref(), Some(&7));
    let fence = f.lease("r.a", "other").await;
    let (there, leased) = (explain("k").await, explain("other").await);
    let is_hit = matches!(there.outcome, ReadOutcome::StoreHit | ReadOutcome::NearHit);
    assert!(is_hit || there.outcome == ReadOutcome::VerifiedNearHit, "{there}");
    assert_eq!(there.store.unwrap().entry.unwrap().fault, None);
    assert_eq!(leased.outcome, ReadOutcome::Miss(MissReason::Absent), "{leased}");
    // A store may leave the lineage out, and then nobody asks for leases.
    if let Some(lease) = leased.store.unwrap().lease {
        assert!(matches!(lease, Lease::Held { by, .. } if by == fence.token), "{lease:?}");
    }
    let begun = f.begin("r.a", "other", fence.token, TakeLease::Extend).await.1;
    assert_eq!(begun.lease, Lease::Granted, "the holder still has it");
    assert_eq!(region.get::<u32>("k").await.unwrap().as_deref(), Some(&7));
}
