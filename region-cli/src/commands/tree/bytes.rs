//! The memory that the entries of regions take.

use futures_util::future::join_all;
use region_cache::Error;

use super::{Listed, TreeReport};
use crate::raw::{self, Raw, is_denied};
use crate::target::Target;

/// The number of regions that a server is asked about at the same time.
const AT_ONCE: usize = 64;

/// The hint for a user that may not ask.
const DENIED: &str = "the user may not use MEMORY USAGE: `ACL SETUSER .. +memory|usage` permits it";

impl TreeReport {
    /// Asks the servers how much memory the entries of each listed region take. Who may not ask is told so in
    /// the report.
    pub(crate) async fn measure(&mut self, target: &Target) -> Result<(), Error> {
        let mut servers = Vec::new();
        for server in raw::primaries(&target.store, target.timeout).await? {
            servers.push(Raw::connect(&server, target.timeout).await?);
        }
        for regions in self.regions.chunks_mut(AT_ONCE) {
            let asked = regions.iter().map(|listed| memory(&servers, target, listed));
            for (told, listed) in join_all(asked).await.into_iter().zip(regions) {
                match told {
                    Ok(bytes) => listed.bytes = Some(bytes),
                    Err(why) => {
                        self.no_bytes = Some(why);
                        return Ok(());
                    }
                }
            }
        }
        self.bytes = Some(self.regions.iter().filter_map(|listed| listed.bytes).sum());
        Ok(())
    }
}

/// The estimate of the primary that has the region, which is the only one that answers. It is 0 without entries.
async fn memory(servers: &[Raw], target: &Target, listed: &Listed) -> Result<u64, String> {
    let mut command = redis::cmd("MEMORY");
    command.arg("USAGE").arg(target.store.entries_key(&listed.path));
    let mut why = "no primary has been found".to_owned();
    for server in servers {
        match server.ask::<Option<u64>>(&command).await {
            Ok(bytes) => return Ok(bytes.unwrap_or(0)),
            Err(error) if is_denied(&error) => return Err(DENIED.to_owned()),
            Err(error) => why = error.to_string(),
        }
    }
    Err(why)
}
