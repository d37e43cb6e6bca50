//! Connections that are cut again and again.

use std::time::{Duration, Instant};

use region_core::{Region, RegionExt, RegionHandle};
use servers::TestServer;

use crate::kit::bounded;

/// For how long they are.
const STORM: Duration = Duration::from_secs(4);

/// The number of connections to a server that are stores'.
pub(crate) fn clients(server: &TestServer) -> usize {
    let list = server.command(&["CLIENT", "LIST"]).text();
    list.matches(" name=region-cache ").count()
}

/// Writes and reads a key while `cut` cuts connections: a value that is read is no older than the last that is known to
/// be written.
pub(crate) async fn write_and_read_while(region: &RegionHandle, cut: impl Fn()) {
    let (start, mut written, mut tried) = (Instant::now(), 0_u32, 0_u32);
    while start.elapsed() < STORM {
        cut();
        tried += 1;
        if bounded(region.set("k", &tried)).await.is_ok() {
            written = tried;
        }
        if let Ok(Some(found)) = bounded(region.get::<u32>("k")).await {
            assert!((written..=tried).contains(&found), "{found} is none of {written}..={tried}");
        }
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}
