//! The store over TLS beside the same store without.

use std::sync::Arc;

use region_cache::{RedisStore, RedisStoreBuilder, RegionCache, RegionHandle, Tls};
use servers::{Certificates, Flavor, TestServer};

use super::measure::row;
use super::subjects::{get_of, set_of};

async fn region(builder: RedisStoreBuilder) -> Arc<RegionHandle> {
    let store = builder.connect().await.expect("a server");
    let cache = RegionCache::builder(store).root("bench").build().expect("no settings");
    Arc::new(cache.region("part:1.part:2.part:3").expect("a path"))
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
    table += &row("`set` over TLS, depth 4", set_of(&plain), set_of(&secured)).await;
    table + &row("`get` over TLS, depth 4", get_of(&plain), get_of(&secured)).await
}
