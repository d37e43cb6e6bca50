//! The memory that entries and regions take on the server.

use std::fmt::Write as _;

use redis::cmd;
use region_cache::{RedisStore, RegionCache, RegionExt};
use servers::TestServer;

use super::subjects::VALUE_BYTES;

const REGIONS: usize = 10_000;

fn used_memory(server: &TestServer) -> f64 {
    let info = server.command(&["INFO", "memory"]).text();
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    line.and_then(|bytes| bytes.trim().parse().ok()).expect("the server says what it uses")
}

/// The server's bytes for each entry and region, beside what the payload takes in bare hashes.
pub(crate) async fn memory(server: &TestServer) -> String {
    const PER_REGION: usize = 20;
    let store = RedisStore::connect(&server.url()).await.expect("a server");
    let cache = RegionCache::builder(store).root("bench").build().expect("no settings");
    let value = "v".repeat(VALUE_BYTES);
    let mut text =
        String::from("\n| memory on the server | bare hash | store | more |\n|---|---|---|---|\n");
    for (name, regions, per_region) in [
        ("bytes an entry, 100,000 in one region", 1, 100_000),
        ("bytes a region of 20 entries", REGIONS, PER_REGION),
    ] {
        server.command(&["FLUSHALL"]);
        let before = used_memory(server);
        let mut bare = redis::Client::open(server.url())
            .expect("a URL")
            .get_multiplexed_async_connection()
            .await
            .expect("a server");
        for region in 0..regions {
            for key in 0..per_region {
                let mut command = cmd("HSET");
                command.arg(format!("bench.part:{region}")).arg(key).arg(&value);
                bare.send_packed_command(&command).await.expect("the server answers");
            }
        }
        let bare = used_memory(server) - before;
        server.command(&["FLUSHALL"]);
        let before = used_memory(server);
        for region in 0..regions {
            let region = cache.region(&format!("part:{region}")).expect("a path");
            for key in 0..per_region {
                region.set(&key.to_string(), &value).await.expect("the server answers");
            }
        }
        let store = used_memory(server) - before;
        let of = if regions == 1 { per_region } else { regions } as f64;
        let more = (store - bare) / of;
        let _ = writeln!(text, "| {name} | {:.0} | {:.0} | {more:.0} |", bare / of, store / of);
    }
    text
}
