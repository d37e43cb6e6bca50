//! `region reclaim`: frees the memory of invalidated regions.

use std::fmt;

use serde::Serialize;

use crate::args::Reclaim;
use crate::exit::{Code, Failure};
use crate::output::{Output, say};
use crate::progress::INTERVAL;
use crate::target::Target;
use crate::text::count;

/// The memory that was freed.
#[derive(Debug, Serialize)]
struct ReclaimReport {
    root: String,
    /// The number of regions that were looked at.
    looked_at: u64,
}

pub(crate) async fn run(
    target: &Target,
    reclaim: &Reclaim,
    output: Output,
) -> Result<Code, Failure> {
    let region = target.root.region(&reclaim.path)?;
    let reclaiming = target.store.reclaim_around(&region);
    tokio::pin!(reclaiming);
    let mut seconds = 0u64;
    let looked_at = loop {
        tokio::select! {
            biased;
            looked_at = &mut reclaiming => break looked_at?,
            () = tokio::time::sleep(INTERVAL) => {
                seconds += INTERVAL.as_secs();
                say(&format!("reclaiming for {}", count(seconds, "second", "seconds")));
            }
        }
    };
    output.print(&ReclaimReport { root: target.root.path().to_string(), looked_at })?;
    Ok(Code::Done)
}

impl fmt::Display for ReclaimReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let looked_at = count(self.looked_at, "region", "regions");
        write!(f, "reclaimed below {}: {looked_at} looked at", self.root)
    }
}
