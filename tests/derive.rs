//! The output of the macros, in use.

#![cfg(all(feature = "derive", feature = "memory"))]

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt;
use region_cache::{
    ErrorKind, ManualClock, MemoryStore, Policy, Region, RegionCache, RegionExt, RegionHandle,
    Regioned, SegmentId, cached,
};

#[derive(Regioned)]
#[region(name = "org", ttl = "1h30m")]
struct Org {
    #[region(id)]
    id: u64,
}

#[derive(Regioned)]
#[region(parent = Org)]
struct Project {
    #[region(parent_id)]
    org_id: u64,
    #[region(id)]
    slug: String,
    #[allow(dead_code)]
    title: &'static str,
}

/// Told by the project that it holds.
#[derive(Regioned)]
struct ProjectTask<'a> {
    #[region(parent)]
    project: &'a Project,
    #[region(id)]
    number: u32,
}

#[derive(Regioned)]
#[region(name = "comments", no_id)]
struct Comments<'a> {
    #[region(parent)]
    task: Box<ProjectTask<'a>>,
}

#[derive(Regioned)]
struct Settings;

#[derive(Regioned)]
#[region(parent = Settings)]
struct Theme(#[region(id)] char);

#[derive(Regioned)]
#[region(name = "item", constructor = "at")]
struct Item<Id: SegmentId + Clone, const N: usize>
where
    Id: PartialEq,
{
    #[region(id)]
    id: Id,
    path: [u8; N],
}

impl<Id: SegmentId + Clone + PartialEq, const N: usize> Item<Id, N> {
    fn path(&self) -> usize {
        self.path.len()
    }
}

#[derive(Regioned)]
#[region(parent = Org, version = 2)]
enum Page {
    Home {
        #[region(parent_id)]
        org: u64,
    },
    #[region(name = "post")]
    Article(#[region(parent_id)] u64, #[region(id)] u32),
}

#[derive(Regioned)]
struct Note {
    #[region(parent)]
    page: Page,
    #[region(id)]
    id: u8,
}

fn project() -> Project {
    Project { org_id: 42, slug: "a.b".to_owned(), title: "Dolls" }
}

#[test]
fn values_and_ids_name_the_same_region() {
    let project = project();
    assert_eq!(Org { id: 42 }.region_path().to_string(), "org:42");
    assert_eq!(project.region_path().to_string(), "org:42.project:a%2Eb");
    assert_eq!(Project::path(42, "a.b".to_owned()), project.region_path());
    let task = ProjectTask { project: &project, number: 3 };
    assert_eq!(task.region_path().to_string(), "org:42.project:a%2Eb.project_task:3");
    assert_eq!(ProjectTask::path(42, "a.b".to_owned(), 3), task.region_path());
    let comments = Comments { task: Box::new(task) };
    assert_eq!(comments.region_path().to_string(), "org:42.project:a%2Eb.project_task:3.comments");
    assert_eq!(Comments::path(42, "a.b".to_owned(), 3), comments.region_path());
    assert_eq!(Settings.region_path().to_string(), "settings");
    assert_eq!(Theme::path('é'), Theme('é').region_path());
    assert_eq!(Theme('é').region_path().to_string(), "settings.theme:é");
    let item = Item { id: 7i8, path: [0; 3] };
    assert_eq!(item.path(), 3);
    assert_eq!(Item::<i8, 3>::at(7), item.region_path());
}

#[test]
fn variants_are_segments() {
    assert_eq!(Page::Home { org: 1 }.region_path().to_string(), "org:1.home");
    assert_eq!(Page::Article(1, 7).region_path().to_string(), "org:1.post:7");
    assert_eq!(Page::article_path(1, 7), Page::Article(1, 7).region_path());
    assert_eq!(Page::home_path(1), Page::Home { org: 1 }.region_path());
    let note = Note { page: Page::Article(1, 7), id: 2 };
    assert_eq!(note.region_path().to_string(), "org:1.post:7.note:2");
    assert_eq!(Note::path(Page::article_path(1, 7), 2), note.region_path());
}

#[test]
fn ids_that_cannot_be_segments_are_reported() {
    let cache = RegionCache::builder(MemoryStore::new()).build().unwrap();
    let error = cache.region_at(Project::path(42, String::new())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidPath);
    let error = cache.region_at(Project::path(42, "x".repeat(1000))).unwrap_err();
    assert!(error.to_string().contains("512"), "{error}");
}

#[tokio::test]
async fn policies_follow_the_types() {
    let clock = ManualClock::new();
    let store = MemoryStore::builder().clock(clock.clone()).build();
    let cache = RegionCache::builder(store)
        .region_policy("org.page", Policy::new())
        .region_policy("org.post", Policy::new().ttl(Duration::from_secs(1)))
        .build()
        .unwrap();
    let org = cache.region_of(&Org { id: 1 }).unwrap();
    let project = cache.region_at(Project::path(1, "p".to_owned())).unwrap();
    let post = cache.region_of(&Page::Article(1, 7)).unwrap();
    let plain = cache.region("org:1.project:p").unwrap();
    for region in [&org, &project, &post] {
        region.set("k", &1u32).await.unwrap();
    }
    assert_eq!(plain.get::<u32>("k").await.unwrap().as_deref(), Some(&1), "the same region");
    clock.advance(Duration::from_secs(1));
    assert!(!post.contains("k").await.unwrap(), "the builder's word goes first");
    clock.advance(Duration::from_secs(90 * 60 - 2));
    assert!(org.contains("k").await.unwrap() && project.contains("k").await.unwrap());
    clock.advance(Duration::from_secs(1));
    assert!(!org.contains("k").await.unwrap(), "the type's own ttl");
    assert!(!project.contains("k").await.unwrap(), "inherited from its parent's type");
}

#[tokio::test]
async fn ids_are_listed_by_type() {
    let cache = RegionCache::builder(MemoryStore::new()).build().unwrap();
    for id in [1, 2] {
        cache.region_of(&Org { id }).unwrap().set("k", &1u32).await.unwrap();
    }
    cache.region("org:not-a-number").unwrap().set("k", &1u32).await.unwrap();
    cache.region("other:3").unwrap().set("k", &1u32).await.unwrap();
    let mut ids: Vec<u64> = cache.root().ids_of::<Org>().try_collect().await.unwrap();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2]);
}

#[cached(region = region.child("squares")?, skip(region, runs))]
async fn square(region: RegionHandle, runs: Arc<AtomicUsize>, number: u32) -> u64 {
    runs.fetch_add(1, Ordering::SeqCst);
    u64::from(number).pow(2)
}

/// Documented, and visible as it was.
#[cached(region = region, name = "half", skip(region))]
pub(crate) async fn half(region: RegionHandle, number: u32, _unit: ()) -> Result<u32, io::Error> {
    if number % 2 == 1 {
        return Err(io::Error::other("odd"));
    }
    Ok(number / 2)
}

/// An attribute that stands in the body stays there.
#[cached(region = region, skip(region))]
async fn third(region: RegionHandle, number: u32, unused: u32) -> u32 {
    #![allow(unused_variables)]
    number / 3
}

#[tokio::test]
async fn functions_are_memoised_by_their_arguments() {
    let cache = RegionCache::builder(MemoryStore::new()).build().unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    for number in [3, 3, 4, 3] {
        let squared = square(cache.root(), Arc::clone(&runs), number).await.unwrap();
        assert_eq!(*squared, u64::from(number).pow(2));
    }
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    cache.region("squares").unwrap().invalidate().await.unwrap();
    square(cache.root(), Arc::clone(&runs), 3).await.unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 3);
    assert_eq!(*half(cache.root(), 4, ()).await.unwrap(), 2);
    assert_eq!(*third(cache.root(), 9, 1).await.unwrap(), 3);
    let error = half(cache.root(), 5, ()).await.unwrap_err();
    assert_eq!(error.load_error::<io::Error>().map(ToString::to_string), Some("odd".to_owned()));
}

#[tokio::test]
async fn closures_are_memoised_too() {
    let cache = RegionCache::builder(MemoryStore::new()).build().unwrap();
    let cubes = cache
        .root()
        .cached(|number: u32| async move { Ok::<_, Infallible>(u64::from(number).pow(3)) });
    let cubes = cubes.named("cubes");
    assert_eq!(*cubes.call(3).await.unwrap(), 27);
    assert_eq!(cache.stats().loads, 1);
    assert_eq!(*cubes.call(3).await.unwrap(), 27);
    assert_eq!(cache.stats().loads, 1);
    assert!(cubes.forget(&3u32).await.unwrap());
    assert_eq!(*cubes.call(3).await.unwrap(), 27);
    assert_eq!(cache.stats().loads, 2);
}
