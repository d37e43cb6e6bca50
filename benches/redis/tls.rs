//! The store over TLS beside the same store without.

use std::sync::Arc;

use region_cache::{
    RedisStore, RedisStoreBuilder, Region, RegionCache, RegionExt, RegionHandle, Tls,
};
use servers::{Certificates, Flavor, TestServer};

use super::measure::row;
use super::subjects::{Operation, VALUE_BYTES, key, operation};

async fn region(builder: RedisStoreBuilder) -> Arc<RegionHandle> {
    let store = builder.connect().await.expect("a server");
    let cache = RegionCache::builder(store).root("bench").build().expect("no settings");
    Arc::new(cache.region("part:1.part:2.part:3").expect("a path"))
}

fn get(region: &Arc<RegionHandle>) -> Operation {
    let region = Arc::clone(region);
    operation(move |at| {
        let region = Arc::clone(&region);
        async move { drop(region.get::<String>(&key(at)).await.expect("the server answers")) }
    })
}

fn set(region: &Arc<RegionHandle>) -> Operation {
    let (region, value) = (Arc::clone(region), Arc::new("v".repeat(VALUE_BYTES)));
    operation(move |at| {
        let (region, value) = (Arc::clone(&region), Arc::clone(&value));
        async move { region.set(&key(at), &*value).await.expect("the server answers") }
    })
}

pub(crate) async fn tls(flavor: Flavor) -> String {
    let certificates = Certificates::new();
    let server = TestServer::start_tls(flavor, &certificates, false);
    let trusting = Tls::new().ca_file(certificates.path("ca.pem"));
    let builder = |url: String| RedisStore::builder(&url).expect("a URL");
    let plain = region(builder(server.url())).await;
    let secured = region(builder(server.tls_url()).tls(trusting)).await;
    let mut table = String::from(
        "\n| over TLS, to the same without | plain us | TLS us | ratio | plain/s, 64 tasks | TLS/s | ratio |\n\
         |---|---|---|---|---|---|---|\n",
    );
    table += &row("`set` over TLS, depth 4", set(&plain), set(&secured)).await;
    table + &row("`get` over TLS, depth 4", get(&plain), get(&secured)).await
}
