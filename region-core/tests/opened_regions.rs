//! Opening a region at a path again gives the same region under the same policy, and costs little.

use std::convert::Infallible;
use std::time::Duration;

use allocation_counter::measure;
use futures_util::FutureExt;
use region_core::{
    AppendId, LoadRequest, Loaded, NearCache, Policy, Region, RegionCache, RegionExt, Regioned,
    TopLevel, TypedPath,
};
use region_memory::MemoryStore;

const SECOND: Duration = Duration::from_secs(1);

struct Org;
struct Project;
/// A region at the same path as a `Project`'s.
struct Other;

impl Regioned for Org {
    type Parent = TopLevel;
    type Id = u64;
    const NAME: &'static str = "org";
    type Ids = (u64,);

    fn path_from((id,): (u64,)) -> TypedPath<Self> {
        TypedPath::top().child("org", &id)
    }

    fn region_path(&self) -> TypedPath<Self> {
        Self::path_from((1,))
    }
}

macro_rules! below_org {
    ($ty:ident, $policy:expr) => {
        impl Regioned for $ty {
            type Parent = Org;
            type Id = u64;
            const NAME: &'static str = "project";
            type Ids = <<Org as Regioned>::Ids as AppendId<u64>>::Ids;

            fn path_from(ids: Self::Ids) -> TypedPath<Self> {
                let (org, id) = AppendId::split(ids);
                Org::path_from(org).child("project", &id)
            }

            fn region_path(&self) -> TypedPath<Self> {
                Self::path_from((1, 2))
            }

            fn policy() -> Policy {
                $policy
            }
        }
    };
}

below_org!(Project, Policy::new().ttl(SECOND));
below_org!(Other, Policy::new().ttl(2 * SECOND));

/// The output of a future that has nothing to wait for.
fn now<T>(future: impl Future<Output = region_core::Result<T>>) -> T {
    future.now_or_never().unwrap().unwrap()
}

/// The settings of a region, as text.
fn settings(region: &impl std::fmt::Debug) -> String {
    format!("{region:?}")
}

#[test]
fn a_near_hit_from_a_typed_path_allocates_nothing() {
    let cache = RegionCache::builder(MemoryStore::new()).near(1 << 20).build().unwrap();
    let path = || Project::path_from((42, 7));
    now(cache.region_at(path()).unwrap().set("k", &"v".to_owned()));
    let hit = || now(cache.region_at(path()).unwrap().get::<String>("k")).unwrap();
    hit();
    hit();
    assert_eq!(measure(|| drop(hit())).count_total, 0);
}

#[test]
fn a_near_hit_from_a_path_as_text_allocates_nothing() {
    let cache = RegionCache::builder(MemoryStore::new()).near(1 << 20).build().unwrap();
    let hit = |path| now(cache.region(path).unwrap().get::<String>("k")).unwrap();
    for path in ["a", "org:42.project:7", "a%2Eb:%3A"] {
        now(cache.region(path).unwrap().set("k", &path.to_owned()));
        hit(path);
        hit(path);
        assert_eq!(measure(|| drop(hit(path))).count_total, 0, "{path}");
        assert_eq!(*hit(path), path);
        assert_eq!(cache.region(path).unwrap().path().as_str(), format!("root.{path}"));
    }
}

/// Whatever decides a region's settings is told apart: its path, its types' policies, and the handle that it is
/// opened from.
#[test]
fn regions_that_were_opened_before_keep_their_own_settings() {
    let cache = RegionCache::builder(MemoryStore::new())
        .region_policy("org.project", Policy::new().version(7))
        .build()
        .unwrap();
    let root = cache.root();
    let longer = root.with_policy(Policy::new().stale_for(SECOND)).unwrap();
    let open = || {
        vec![
            settings(&cache.region_at(Project::path_from((1, 2))).unwrap()),
            settings(&cache.region_at(Project::path_from((12, 2))).unwrap()),
            settings(&cache.region_at(Project::path_from((1, 22))).unwrap()),
            settings(&cache.region_at(Other::path_from((1, 2))).unwrap()),
            settings(&cache.region_at(Org::path_from((1,))).unwrap()),
            settings(&cache.region("org:1.project:2").unwrap()),
            settings(&cache.region("org:1").unwrap().region("project:22").unwrap()),
            settings(&longer.region("org:1.project:2").unwrap()),
            settings(&cache.region("org").unwrap()),
            settings(&longer.region_at(Project::path_from((1, 2))).unwrap()),
            settings(&cache.region("x").unwrap().region_at(Org::path_from((1,))).unwrap()),
        ]
    };
    let first = open();
    assert_eq!(open(), first);
    for (at, one) in first.iter().enumerate() {
        assert!(first[at + 1..].iter().all(|other| other != one), "{one}");
    }
    assert!(first[0].contains("Some(For(1s))") && first[3].contains("Some(For(2s))"), "{first:?}");
    assert!(first[0].contains("version: Some(7)"), "{first:?}");
}

/// An error is not remembered.
#[test]
fn a_path_that_cannot_be_opened_is_refused_each_time() {
    let cache = RegionCache::builder(MemoryStore::new()).build().unwrap();
    for _ in 0..2 {
        assert!(cache.region_at(TypedPath::top().child::<Org>("org", "")).is_err());
        for text in ["", ".", "a.", ":", "%41", "%2e"] {
            assert!(cache.region(text).is_err(), "{text:?}");
        }
        let long = "x".repeat(1_000);
        assert!(cache.region_at(TypedPath::top().child::<Org>("org", &long)).is_err());
    }
}

/// Opened regions are remembered up to a number of them, and with them their records in the near cache.
#[test]
fn the_regions_that_are_remembered_are_bounded() {
    const OPENED: u64 = 20_000;
    const BOUND: u64 = 5_000;
    type Open = fn(&RegionCache, u64);
    let opens: [Open; 2] = [
        |cache, id| drop(cache.region_at(Org::path_from((id,))).unwrap()),
        |cache, id| drop(cache.region(&format!("org:{id}")).unwrap()),
    ];
    for open in opens {
        let policy = Policy::new().near(NearCache::On);
        let cache = RegionCache::builder(MemoryStore::new()).policy(policy).build().unwrap();
        (0..OPENED).for_each(|id| open(&cache, id));
        let regions = cache.near_use().regions;
        assert!(regions > 1_000 && regions < BOUND, "{regions} records");
    }
}

/// Load functions that are registered for a region come with it.
#[test]
fn a_region_that_was_opened_before_has_its_loaders() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let cache = RegionCache::builder(MemoryStore::new())
        .loader("org", |request: LoadRequest<String>| async move {
            Ok::<_, Infallible>(Loaded::new(request.key))
        })
        .build()
        .unwrap();
    for key in ["1", "2"] {
        let value = runtime.block_on(cache.region("org:7").unwrap().get_or_load::<String>(key));
        assert_eq!(value.unwrap().as_deref().map(String::as_str), Some(key));
    }
}
