//! The replicas, how far they are behind, and what the primary does without them.

use super::Patient;
use super::finding::{DoctorReport, Finding, State};
use crate::raw::Info;
use crate::text::count;

/// The longest that a replica may be silent, in seconds: the default of the store's `max_lag`.
const MAX_LAG: u64 = 5;

/// The number of bytes from which on a replica is far behind.
const FAR_BEHIND: u64 = 16 * 1024 * 1024;

impl Patient<'_> {
    pub(super) async fn look_at_replication(&self, report: &mut DoctorReport) {
        let info = match self.raw.info("replication").await {
            Ok(info) => info,
            Err(error) => return report.add(self.unknown("replication", &error)),
        };
        if info.text("role") != Some("master") {
            return;
        }
        for finding in self.judge_replicas(&info) {
            report.add(finding);
        }
        report.add(self.judge_min_replicas(&info));
    }

    fn judge_replicas(&self, info: &Info) -> Vec<Finding> {
        let replicas = info.number("connected_slaves").unwrap_or(0);
        if replicas == 0 {
            let found = "no replicas: if this server is lost, so is the cache";
            return vec![self.finding("replication", State::Note, found)];
        }
        let offset = info.number("master_repl_offset").unwrap_or(0);
        let faults: Vec<String> = (0..replicas)
            .filter_map(|number| {
                let parts = info.parts(&format!("slave{number}"))?;
                let number = |name: &str| parts.get(name)?.parse::<u64>().ok();
                let behind = offset.saturating_sub(number("offset").unwrap_or(0));
                let (lag, state) = (number("lag").unwrap_or(0), *parts.get("state")?);
                let address = format!("{}:{}", parts.get("ip")?, parts.get("port")?);
                let fault = match state {
                    "online" if lag > MAX_LAG => format!("silent for {lag} s"),
                    "online" if behind > FAR_BEHIND => format!("{behind} bytes behind"),
                    "online" => return None,
                    state => format!("not online: {state}"),
                };
                Some(format!("replica {address} is {fault}"))
            })
            .collect();
        if faults.is_empty() {
            let found = count(replicas, "replica follows", "replicas follow");
            return vec![self.finding("replication", State::Fine, found)];
        }
        let advice = "Look at the replica's log and at the network between them.";
        faults.into_iter().map(|fault| self.wrong("replication", fault, advice)).collect()
    }

    /// The server names the number of good replicas only if it insists on some.
    fn judge_min_replicas(&self, info: &Info) -> Finding {
        let replicas = info.number("connected_slaves").unwrap_or(0);
        match info.number("min_slaves_good_slaves") {
            Some(good) => {
                let good = count(good, "replica is", "replicas are");
                let found = format!("set; {good} recent enough");
                self.finding("min-replicas", State::Fine, found)
            }
            None if replicas == 0 => {
                self.finding("min-replicas", State::Fine, "not set, and there are no replicas")
            }
            None => {
                let advice = "Set min-replicas-to-write 1 and min-replicas-max-lag 2 if a primary that is cut off \
                              shall stop to take writes.";
                self.finding("min-replicas", State::Note, "not set").advise(advice)
            }
        }
    }
}
