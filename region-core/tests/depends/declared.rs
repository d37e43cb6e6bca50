//! Dependencies that a caller declares.

use std::convert::Infallible;

use region_core::{
    Dependency, ErrorKind, LoadOptions, Loaded, MAX_DEPENDENCIES, Policy, Region, RegionExt,
    RegionPath, Regioned, TopLevel, TypedPath,
};

use super::kit::{Process, on};

struct Prices;

impl Regioned for Prices {
    type Parent = TopLevel;
    type Id = u32;
    type Ids = u32;
    const NAME: &'static str = "prices";

    fn region_path(&self) -> TypedPath<Self> {
        prices(1)
    }

    fn path_from(id: u32) -> TypedPath<Self> {
        prices(id)
    }
}

fn prices(id: u32) -> TypedPath<Prices> {
    TypedPath::top().child(Prices::NAME, &id)
}

#[tokio::test]
async fn a_region_is_named_by_handle_path_or_typed_path() {
    let here = Process::alone(Policy::new());
    let prices_of_one = here.cache.region_at(prices(1)).unwrap();
    let dependencies: [Dependency; 4] = [
        (&prices_of_one).into(),
        prices_of_one.path().into(),
        prices_of_one.path().clone().into(),
        prices(1).into(),
    ];
    for dependency in dependencies {
        let loaded = here.load_with(LoadOptions::new().depends_on(dependency.clone())).await;
        let loaded = loaded.unwrap();
        assert_eq!(here.get().await, Some(loaded));
        prices_of_one.touch().await.unwrap();
        assert_eq!(here.get().await, None, "{dependency:?}");
    }
}

#[tokio::test]
async fn a_region_outside_of_the_root_and_too_many_are_errors() {
    let here = Process::alone(Policy::new());
    let elsewhere = LoadOptions::new().depends_on(RegionPath::parse("elsewhere.b").unwrap());
    let error = here.load_with(elsewhere).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidPath, "{error}");
    assert!(error.to_string().contains("outside of the root"), "{error}");
    let many = |count| {
        let regions = (0..count).map(|at| here.region(&format!("b:{at}")));
        regions.fold(LoadOptions::new(), |options, region| options.depends_on(&region))
    };
    let error = here.load_with(many(MAX_DEPENDENCIES + 1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert_eq!(here.loads(), 0);
    here.load_with(many(MAX_DEPENDENCIES)).await.unwrap();
    assert_eq!(here.get().await, Some(1));
    here.region(&format!("b:{}", MAX_DEPENDENCIES - 1)).touch().await.unwrap();
    assert_eq!(here.get().await, None);
}

/// A region's own entries end with it anyway. Those of the regions around it do not all end it.
#[tokio::test]
async fn own_region_ancestor_and_twice() {
    let here = Process::alone(Policy::new());
    let (page, around) = (here.page(), here.region("a"));
    here.calls.clear();
    here.load_with(on(&page)).await.unwrap();
    assert!(here.calls.calls().iter().all(|call| call.region.as_ref() == Some(page.path())));
    around.touch().await.unwrap();
    assert_eq!(here.get().await, Some(1), "touch of a region around ends its own entries alone");
    page.invalidate().await.unwrap();

    let twice = on(&around).depends_on(&around).depends_on(&page);
    here.load_with(twice).await.unwrap();
    assert_eq!(here.get().await, Some(2));
    around.touch().await.unwrap();
    assert_eq!(here.get().await, None, "it depends on what is touched");
}

/// An absence depends on other regions as a value does.
#[tokio::test]
async fn absences_depend_too() {
    let here = Process::alone(Policy::new());
    let load = |options: LoadOptions| {
        let loads = std::sync::Arc::clone(&here.loads);
        let load = move |_| async move {
            loads.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Ok::<_, Infallible>(Loaded::<u32>::absent())
        };
        let page = here.page();
        async move { page.get_or_compute_with("k", options, load).await.unwrap() }
    };
    let b = here.region("b");
    for loads in 1..=3 {
        assert_eq!(load(on(&b)).await, None);
        assert_eq!(load(on(&b)).await, None);
        assert_eq!(load(LoadOptions::new()).await, None);
        assert_eq!(here.loads(), loads);
        b.touch().await.unwrap();
    }
}

/// The dependencies are those of the load that brought the value.
#[tokio::test]
async fn a_reload_takes_new_markers() {
    let here = Process::alone(Policy::new());
    let b = here.region("b");
    assert_eq!(here.load().await, 1);
    assert_eq!(here.load_with(on(&b).reload()).await.unwrap(), 2);
    assert_eq!(here.get().await, Some(2));
    b.touch().await.unwrap();
    assert_eq!(here.get().await, None);
    assert_eq!(here.load_with(LoadOptions::new().reload()).await.unwrap(), 3);
    b.touch().await.unwrap();
    assert_eq!(here.get().await, Some(3), "the last load declared nothing");
}
