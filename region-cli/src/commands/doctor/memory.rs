//! The bound on memory, and what the server does at it.

use super::Patient;
use super::finding::{DoctorReport, Finding, State};
use crate::raw::Info;
use crate::text::bytes;

/// What to set.
const ADVICE: &str =
    "Set maxmemory-policy allkeys-lru or allkeys-lfu: an evicted key is a miss, and nothing else.";

impl Patient<'_> {
    pub(super) async fn look_at_memory(&self, report: &mut DoctorReport) {
        match self.raw.info("memory").await {
            Ok(info) => report.add(self.judge_memory(&info)),
            Err(error) => report.add(self.unknown("memory", &error)),
        }
    }

    fn judge_memory(&self, info: &Info) -> Finding {
        let (Some(used), Some(max)) = (info.number("used_memory"), info.number("maxmemory")) else {
            return self.finding("memory", State::Unknown, "INFO does not tell its limit");
        };
        let policy = info.text("maxmemory_policy").unwrap_or("an unknown policy");
        if max == 0 {
            let found = format!("{} used, without a limit", bytes(used));
            let advice =
                format!("Set maxmemory, or it may take all that the machine has. {ADVICE}");
            return self.finding("memory", State::Note, found).advise(advice);
        }
        let found = format!("{} of {} used; {policy}", bytes(used), bytes(max));
        match policy {
            "noeviction" => {
                self.wrong("memory", format!("{found}: once full, it refuses entries"), ADVICE)
            }
            policy if policy.starts_with("volatile-") => {
                let found = format!("{found}: once full of entries without a ttl, it refuses more");
                self.finding("memory", State::Note, found).advise(ADVICE)
            }
            _ => self.finding("memory", State::Fine, found),
        }
    }
}
