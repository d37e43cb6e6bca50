//! The program, its version, its role and its clock.

use std::time::{Duration, Instant, SystemTime};

use super::Patient;
use super::finding::{DoctorReport, State};
use crate::text;

/// A program that serves, and the oldest version that does.
const SERVED_FROM: [(&str, [u32; 2]); 2] = [("Redis", [7, 0]), ("Valkey", [8, 0])];

/// The difference between two clocks from which on people are misled.
const LARGE_SKEW: Duration = Duration::from_secs(5);

impl Patient<'_> {
    pub(super) async fn look_at_identity(&self, report: &mut DoctorReport) {
        let info = match self.raw.info("server").await {
            Ok(info) => info,
            Err(error) => {
                let advice = "Permit INFO: without it each new connection is taken for one to another server.";
                report.add(self.unknown("version", &error).advise(advice));
                return self.look_at_role(report).await;
            }
        };
        match info.version() {
            Some((program, version)) if is_served(program, version) => {
                report.add(self.finding("version", State::Fine, format!("{program} {version}")));
            }
            Some((program, version)) => {
                let advice = "Take Redis 7.0 or Valkey 8.0, or newer.";
                report.add(self.wrong("version", format!("{program} {version}"), advice));
            }
            None => {
                let found = "INFO names neither Redis nor Valkey";
                report.add(self.finding("version", State::Unknown, found));
            }
        }
        self.look_at_role(report).await;
    }

    async fn look_at_role(&self, report: &mut DoctorReport) {
        let role: Result<Vec<redis::Value>, _> = self.raw.ask(&redis::cmd("ROLE")).await;
        let role = match role {
            Ok(role) => role,
            Err(error) => return report.add(self.unknown("role", &error)),
        };
        let word = role.into_iter().next().map(redis::from_redis_value::<String>);
        match word {
            Some(Ok(word)) if word == "master" => {
                report.add(self.finding("role", State::Fine, "primary"));
            }
            Some(Ok(word)) => {
                let found = format!("{word}: it refuses writes");
                let advice =
                    "Name the primary in the URL, or its sentinels, which follow a failover.";
                report.add(self.wrong("role", found, advice));
            }
            _ => report.add(self.finding("role", State::Unknown, "ROLE has another form")),
        }
    }

    pub(super) async fn look_at_clock(&self, report: &mut DoctorReport) {
        let asked = Instant::now();
        let time: Result<(u64, u64), _> = self.raw.ask(&redis::cmd("TIME")).await;
        let (now, trip) = (SystemTime::now(), asked.elapsed());
        let (seconds, micros) = match time {
            Ok(time) => time,
            // It is among the permissions too.
            Err(error) => return report.add(self.unknown("clock", &error)),
        };
        let theirs =
            SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(micros);
        let ours = now - trip / 2;
        let (skew, word) = match theirs.duration_since(ours) {
            Ok(ahead) => (ahead, "ahead of"),
            Err(behind) => (behind.duration(), "behind"),
        };
        let finding = match skew {
            skew if skew <= trip || skew < LARGE_SKEW => {
                let found = format!("within {} of this machine's", text::duration(bound(skew)));
                self.finding("clock", State::Fine, found)
            }
            skew => {
                let found = format!("{} {word} this machine's", text::duration(skew));
                let advice = "No value depends on it, for the server's clock alone decides; but times in logs do.";
                self.finding("clock", State::Note, found).advise(advice)
            }
        };
        report.add(finding);
    }
}

/// A skew as a bound that is the same from run to run.
fn bound(skew: Duration) -> Duration {
    if skew < Duration::from_secs(1) { Duration::from_secs(1) } else { LARGE_SKEW }
}

fn is_served(program: &str, version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0u32));
    let version = [parts.next().unwrap_or(0), parts.next().unwrap_or(0)];
    SERVED_FROM.iter().any(|(name, oldest)| *name == program && version >= *oldest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_are_not_served() {
        for (program, version, expected) in [
            ("Redis", "7.0.15", true),
            ("Redis", "6.2.14", false),
            ("Redis", "10.0.0", true),
            ("Valkey", "7.2.11", false),
            ("Valkey", "8.0.1", true),
            ("Redis", "unknown", false),
        ] {
            assert_eq!(is_served(program, version), expected, "{program} {version}");
        }
    }
}
