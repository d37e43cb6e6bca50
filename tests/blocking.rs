//! The cache for code without a runtime, over a server.

#![cfg(all(feature = "blocking", feature = "redis"))]

use region_cache::blocking::BlockingCache;
use region_cache::{RegionCache, RegionCacheExt};
use servers::{Flavor, TestServer};

#[test]
fn a_server_is_used_without_async_code() {
    for flavor in [Flavor::Redis, Flavor::Valkey] {
        let server = TestServer::start(flavor);
        let caches =
            [(); 2].map(|()| BlockingCache::open(RegionCache::open(&server.url())).unwrap());
        let [one, other] = caches.each_ref().map(|cache| cache.region("a.b").unwrap());
        one.set("k", &7u32).unwrap();
        assert_eq!(other.get::<u32>("k").unwrap().as_deref(), Some(&7));
        assert_eq!(*other.get_or_compute("l", || Ok::<_, std::io::Error>(8u32)).unwrap(), 8);
        one.region("c").unwrap().set("k", &1u8).unwrap();
        caches[1].region("a").unwrap().invalidate().unwrap();
        assert_eq!(one.get::<u32>("k").unwrap(), None);
        assert_eq!(one.keys().count(), 0);
    }
}

#[test]
fn a_cache_that_cannot_be_opened_is_an_error() {
    assert!(BlockingCache::open(RegionCache::open("redis://")).is_err());
}
