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

/// A service with memoised methods.
#[derive(Clone)]
struct Service {
    region: RegionHandle,
    runs: Arc<AtomicUsize>,
}

impl Service {
    fn new() -> Self {
        let cache = RegionCache::builder(MemoryStore::new()).build().unwrap();
        Self { region: cache.root(), runs: Arc::default() }
    }

    fn run(&self) -> usize {
        self.runs.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    /// By reference.
    #[cached(region = self.region, skip(self))]
    pub(crate) async fn doubled(&self, mut number: u32) -> u32 {
        self.run();
        number *= 2;
        number
    }

    #[cached(region = self.region.clone(), skip(self))]
    async fn by_value(mut self, number: u32) -> Result<u32, io::Error> {
        self.runs = Arc::clone(&self.runs);
        self.run();
        Ok(number)
    }

    #[cached(region = self.region.clone(), skip(self))]
    async fn in_an_arc(self: Arc<Self>, number: u32) -> u32 {
        self.run();
        number
    }

    #[cached(region = self.region, skip(self))]
    async fn behind_an_arc(self: &Arc<Self>, number: u32) -> u32 {
        self.run();
        number
    }

    /// Only what is there is a value.
    #[cached(region = self.region, skip(self))]
    async fn even(&self, number: u32) -> Option<u32> {
        self.run();
        number.is_multiple_of(2).then_some(number)
    }

    #[cached(region = self.region, skip(self))]
    async fn even_or_error(&self, number: u32) -> Result<Option<u32>, io::Error> {
        self.run();
        match number {
            0 => Err(io::Error::other("zero")),
            _ => Ok(number.is_multiple_of(2).then_some(number)),
        }
    }

    #[cached(region = self.region, skip(self), ttl = "1ms")]
    async fn brief(&self, number: u32) -> u32 {
        self.run();
        number
    }

    #[cached(region = self.region.region_of(&org)?, skip(self, org), name = "of")]
    async fn of_org(&self, org: Org) -> u64 {
        self.run();
        org.id
    }

    #[cached(region = self.region, skip(self))]
    async fn unused(&self, _number: u32) -> u32 {
        #![allow(unused_variables)]
        let unused = self.run();
        7
    }
}

/// A value that is part of the key.
#[derive(Clone, serde::Serialize)]
struct Rate {
    percent: u32,
    #[serde(skip)]
    region: Option<RegionHandle>,
}

impl Rate {
    #[cached(region = self.region.clone().unwrap())]
    async fn of(&self, number: u32) -> u32 {
        number * self.percent / 100
    }
}

#[tokio::test]
async fn methods_are_memoised_by_their_arguments() {
    let service = Service::new();
    for number in [3, 3, 4, 3] {
        assert_eq!(*service.doubled(number).await.unwrap(), 2 * number);
    }
    assert_eq!(service.runs(), 2);
    for _ in 0..2 {
        assert_eq!(*service.clone().by_value(1).await.unwrap(), 1);
        assert_eq!(*Arc::new(service.clone()).in_an_arc(1).await.unwrap(), 1);
        assert_eq!(*Arc::new(service.clone()).behind_an_arc(1).await.unwrap(), 1);
        assert_eq!(*service.unused(1).await.unwrap(), 7);
    }
    assert_eq!(service.runs(), 6);
}

#[tokio::test]
async fn what_a_method_is_called_on_is_part_of_the_key_unless_it_is_skipped() {
    let region = Service::new().region;
    for percent in [50, 20, 50] {
        let rate = Rate { percent, region: Some(region.clone()) };
        assert_eq!(*rate.of(200).await.unwrap(), 2 * percent);
    }
    assert_eq!(region.stats().loads, 2);
}

#[tokio::test]
async fn that_there_is_no_value_is_remembered() {
    let service = Service::new();
    for _ in 0..2 {
        assert_eq!(service.even(2).await.unwrap().as_deref(), Some(&2));
        assert_eq!(service.even(3).await.unwrap(), None);
        assert_eq!(service.even_or_error(2).await.unwrap().as_deref(), Some(&2));
        assert_eq!(service.even_or_error(3).await.unwrap(), None);
    }
    assert_eq!(service.runs(), 4);
    let error = service.even_or_error(0).await.unwrap_err();
    assert_eq!(error.load_error::<io::Error>().map(ToString::to_string), Some("zero".to_owned()));
}

#[tokio::test]
async fn a_memoised_function_has_its_region_and_policy() {
    let service = Service::new();
    service.brief(1).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    service.brief(1).await.unwrap();
    assert_eq!(service.runs(), 2);
    assert_eq!(*service.of_org(Org { id: 7 }).await.unwrap(), 7);
    service.region.region_of(&Org { id: 7 }).unwrap().invalidate().await.unwrap();
    service.of_org(Org { id: 7 }).await.unwrap();
    assert_eq!(service.runs(), 4);
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
