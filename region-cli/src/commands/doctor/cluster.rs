//! The state of a cluster, as a node sees it.

use super::Patient;
use super::finding::{DoctorReport, State};
use crate::raw::Info;

/// The number of slots of a cluster.
const SLOTS: u64 = 16_384;

impl Patient<'_> {
    pub(super) async fn look_at_cluster(&self, report: &mut DoctorReport) {
        // A server that is no node refuses it.
        let answer: Result<String, _> = self.raw.ask(redis::cmd("CLUSTER").arg("INFO")).await;
        let Ok(answer) = answer else { return };
        let info = Info::parse(&answer);
        let state = info.text("cluster_state").unwrap_or("not told");
        let served = info.number("cluster_slots_ok").unwrap_or(0);
        let size = info.number("cluster_size").unwrap_or(0);
        let found = format!("state {state}, {served} of {SLOTS} slots served by {size} primaries");
        report.add(match state == "ok" && served == SLOTS {
            true => self.finding("cluster", State::Fine, found),
            false => {
                let advice = "Start the nodes that are down, or give their slots to others; with \
                              cluster-require-full-coverage no, the other slots are served meanwhile.";
                self.wrong("cluster", found, advice)
            }
        });
    }
}
