//! Pushes: whether the server tells of changes.

use std::sync::Arc;
use std::time::Duration;

use redis::PushKind;
use region_cache::{Incarnation, Result};
use tokio::sync::Notify;

use super::Patient;
use super::finding::{DoctorReport, Finding, State};
use crate::raw::{Raw, is_denied};

/// The longest that a push may take.
const LIMIT: Duration = Duration::from_secs(2);

/// The lifetime of the key that is written, in milliseconds.
const KEY_MS: u64 = 10_000;

/// The most names that are tried, of which a node of a cluster serves some.
const NAMES: usize = 256;

/// What became of the trial.
enum Trial {
    Pushed,
    Silent,
    /// It could not be made.
    Refused(redis::RedisError),
}

impl Patient<'_> {
    pub(super) async fn look_at_tracking(&self, report: &mut DoctorReport) {
        let finding = match self.try_tracking().await {
            Ok(Trial::Pushed) => self.finding("tracking", State::Fine, "changes are pushed"),
            Ok(Trial::Silent) => {
                let found = format!("no push came within {} s of a change", LIMIT.as_secs());
                let advice = "Look for a proxy between here and the server that does not pass on pushes of RESP3.";
                self.wrong("tracking", found, advice)
            }
            Ok(Trial::Refused(error)) => self.refused(&error),
            Err(error) => self.finding("tracking", State::Unknown, error.to_string()),
        };
        report.add(finding);
    }

    fn refused(&self, error: &redis::RedisError) -> Finding {
        let found = match is_denied(error) {
            true => "this user may not try it".to_owned(),
            false => format!("the server refuses: {error}"),
        };
        let advice = "Without CLIENT TRACKING each value held near is verified by a small read.";
        self.finding("tracking", State::Note, found).advise(advice)
    }

    /// Reads a key over one connection, and changes it over another.
    async fn try_tracking(&self) -> Result<Trial> {
        let heard = Arc::new(Notify::new());
        let teller = Arc::clone(&heard);
        let pushed = move |push: redis::PushInfo| {
            if push.kind == PushKind::Invalidate {
                teller.notify_one();
            }
        };
        let listening = Raw::connect_pushed(self.server, self.limit, pushed).await?;
        Ok(match self.change_tracked(&listening).await {
            Err(error) => Trial::Refused(error),
            Ok(()) => match tokio::time::timeout(LIMIT, heard.notified()).await {
                Ok(()) => Trial::Pushed,
                Err(_) => Trial::Silent,
            },
        })
    }

    async fn change_tracked(&self, listening: &Raw) -> redis::RedisResult<()> {
        listening.ask::<()>(redis::cmd("CLIENT").arg("TRACKING").arg("ON")).await?;
        let mut key = self.key();
        for _ in 0..NAMES {
            match listening.ask::<Option<String>>(redis::cmd("GET").arg(&key)).await {
                Err(error) if error.code() == Some("MOVED") => {
                    key =
                        format!("rc1:i{{region-doctor-{:016x}}}", Incarnation::random().to_bits());
                }
                Err(error) => return Err(error),
                Ok(_) => break,
            }
        }
        let mut set = redis::cmd("SET");
        set.arg(&key).arg("region doctor").arg("PX").arg(KEY_MS);
        self.raw.ask::<()>(&set).await?;
        self.raw.ask::<()>(redis::cmd("UNLINK").arg(&key)).await
    }
}
