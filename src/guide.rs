#![doc = include_str!("guide/links.md")]
#![doc = include_str!("../docs/guide/README.md")]

/// Declares a page: the file with its text, the items of the API that it is about, and what else belongs to it.
///
/// Pages link to each other by names that each defines at its end, as files. `links.md` defines the same names as
/// modules. It stands before the text, and the first definition of a name counts.
macro_rules! page {
    ($module:ident, $file:literal, $items:literal $(, $more:expr)?) => {
        #[doc = include_str!("guide/links.md")]
        #[doc = include_str!(concat!("../docs/guide/", $file))]
        #[doc = concat!("\n## Reference\n\n", $items)]
        $(#[doc = $more])?
        pub mod $module {}
    };
}

page!(
    invalidate,
    "invalidate.md",
    "[`RegionExt::invalidate`](crate::RegionExt::invalidate), [`touch`](crate::RegionExt::touch), \
     [`expire`](crate::RegionExt::expire), \
     [`invalidate_and_touch`](crate::RegionExt::invalidate_and_touch), \
     [`invalidate_on`](crate::RegionExt::invalidate_on), [`Signal`](crate::Signal), \
     [`SharedSignal`](crate::SharedSignal), \
     [`SignalExt`](crate::SignalExt), [`Verb`](crate::Verb), \
     [`LoadOptions::depends_on`](crate::LoadOptions::depends_on), \
     [`LoadDependencies`](crate::LoadDependencies)",
    concat!("\n## The picture\n\n", include_str!("../docs/guide/invalidate.svg"))
);
page!(
    load,
    "load.md",
    "[`Region::get_or_compute`](crate::Region::get_or_compute), \
     [`get_or_compute_with`](crate::Region::get_or_compute_with), \
     [`get_or_compute_many`](crate::Region::get_or_compute_many), \
     [`reload`](crate::RegionExt::reload), [`warm`](crate::RegionExt::warm), \
     [`Loaded`](crate::Loaded), [`LoadOptions`](crate::LoadOptions), \
     [`RegionCacheBuilder::loader`](crate::RegionCacheBuilder::loader), \
     [`#[cached]`](macro@crate::cached)"
);
page!(
    choose_a_policy,
    "choose-a-policy.md",
    "[`Policy`](crate::Policy), \
     [`RegionCacheBuilder::policy`](crate::RegionCacheBuilder::policy), \
     [`region_policy`](crate::RegionCacheBuilder::region_policy), \
     [`Region::with_policy`](crate::Region::with_policy), \
     [`#[derive(Regioned)]`](derive@crate::Regioned)"
);
page!(
    near_cache,
    "near-cache.md",
    "[`RegionCacheBuilder::near`](crate::RegionCacheBuilder::near), \
     [`Policy::near`](crate::Policy::near), \
     [`Policy::near_outage_for`](crate::Policy::near_outage_for), \
     [`Policy::near_unverified_for`](crate::Policy::near_unverified_for), \
     [`RegionCache::near_use`](crate::RegionCache::near_use)"
);
page!(
    absence,
    "absence.md",
    "[`Loaded::absent`](crate::Loaded::absent), [`Policy::absent_ttl`](crate::Policy::absent_ttl)"
);
page!(
    errors,
    "errors.md",
    "[`Error`](crate::Error), [`ErrorKind`](crate::ErrorKind), \
     [`Error::load_error`](crate::Error::load_error), [`OnOutage`](crate::OnOutage), \
     [`OnInvalidationFailure`](crate::OnInvalidationFailure)"
);
page!(
    web_service,
    "web-service.md",
    "[`http::CacheLayer`](crate::http::CacheLayer), [`Cache`](crate::http::Cache), \
     [`RegionOf`](crate::http::RegionOf), [`CacheError`](crate::http::CacheError), \
     [`Health`](crate::http::Health), [`ResponseCacheLayer`](crate::http::ResponseCacheLayer)"
);
page!(
    connect,
    "connect.md",
    "[`RegionCacheExt`](crate::RegionCacheExt), [`RedisStore::builder`](crate::RedisStore::builder), \
     [`RedisStoreBuilder`](crate::RedisStoreBuilder), [`Tls`](crate::Tls), \
     [`Server`](crate::Server), [`MemoryStoreBuilder`](crate::MemoryStoreBuilder)"
);
page!(
    replicas,
    "replicas.md",
    "[`Policy::read_from`](crate::Policy::read_from), \
     [`RedisStoreBuilder::replica`](crate::RedisStoreBuilder::replica), \
     [`wait_for_replicas`](crate::RedisStoreBuilder::wait_for_replicas), \
     [`RedisStore::end_and_wait`](crate::RedisStore::end_and_wait), \
     [`StoreStats`](crate::StoreStats)"
);
page!(
    testing,
    "testing.md",
    "[`testing`](crate::testing), [`Faulty`](crate::testing::Faulty), \
     [`Recorder`](crate::testing::Recorder), [`MemoryStore`](crate::MemoryStore), \
     [`ManualClock`](crate::ManualClock), [`TokioClock`](crate::TokioClock)"
);
page!(
    deploying,
    "deploying.md",
    "[`Fingerprint`](crate::Fingerprint), [`Policy::version`](crate::Policy::version)"
);
page!(
    operating,
    "operating.md",
    "[`Stats`](crate::Stats), [`RegionCache::region_stats`](crate::RegionCache::region_stats), \
     [`RegionHandle::explain`](crate::RegionHandle::explain), \
     [`RedisStore::stats`](crate::RedisStore::stats), \
     [`RedisStore::reclaim`](crate::RedisStore::reclaim)"
);
page!(
    limits,
    "limits.md",
    "[`RegionPath`](crate::RegionPath), [`Transaction`](crate::Transaction), \
     [`Policy`](crate::Policy), [`RedisStoreBuilder`](crate::RedisStoreBuilder)"
);
page!(
    backend,
    "backend.md",
    "[`Store`](crate::Store), [`conformance`](mod@crate::conformance), \
     [`Harness`](crate::conformance::Harness), [`Lineage`](crate::Lineage)"
);
page!(
    serializer,
    "serializer.md",
    "[`Serializer`](crate::Serializer), [`Postcard`](crate::Postcard), [`Json`](crate::Json), \
     [`Shape`](crate::Shape), [`ValueContext`](crate::ValueContext)"
);
page!(
    migrating,
    "migrating.md",
    "[`RegionCache`](crate::RegionCache), [`Region`](crate::Region), \
     [`RegionExt`](crate::RegionExt), [`#[cached]`](macro@crate::cached)"
);
page!(comparison, "comparison.md", "[`Region`](crate::Region) lists the promises of this cache");
