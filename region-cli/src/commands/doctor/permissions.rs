//! The commands and keys that the user may use.
//!
//! Each command of the layout is tried, in a form that changes nothing that anybody uses: a server checks the permission
//! before anything else, so every other refusal means that it is given. `ACL DRYRUN` would take an administrator.

use redis::Cmd;

use super::Patient;
use super::finding::{DoctorReport, State};
use crate::raw::is_denied;

/// The hash of the script `return 1`.
const SCRIPT_SHA: &str = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";

/// The reason why a cache needs a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// It cannot work without.
    Always,
    /// It works without, but not as well.
    Better(&'static str),
    /// Only nodes of a cluster are asked so.
    Cluster,
}

/// The form of a trial: `KEY` stands for a key that holds a string for ten seconds, `NONE` for one that is not there.
struct Trial(&'static str, Need);

use Need::{Always, Better, Cluster};

const WITHOUT_INFO: &str =
    "each new connection is taken for one to another server, and no replica is known to follow";
const WITHOUT_ROLE: &str = "without INFO nothing keeps the count of writes alive";
const WITHOUT_TRACKING: &str = "each value held near is verified by a small read";
const WITHOUT_WAIT: &str = "nothing can wait for replicas";
const WITHOUT_NAME: &str = "connections have no name in CLIENT LIST";

/// The commands in the layout's line of permissions, but for `SELECT`, which only other databases than 0 need: the
/// connection would have failed. Commands that write meet a key of another type, and change nothing.
const TRIALS: &[Trial] = &[
    Trial("SET KEY region-doctor PX 10000", Always),
    Trial("PING", Always),
    Trial("TIME", Always),
    Trial("ROLE", Better(WITHOUT_ROLE)),
    Trial("INFO server", Better(WITHOUT_INFO)),
    Trial("WAIT 0 1", Better(WITHOUT_WAIT)),
    Trial("CLIENT SETNAME region-cli", Better(WITHOUT_NAME)),
    Trial("CLIENT TRACKING OFF", Better(WITHOUT_TRACKING)),
    Trial("SCRIPT EXISTS SHA", Always),
    Trial("SCRIPT LOAD return%1", Always),
    Trial("EVAL return%1 0", Always),
    Trial("EVALSHA SHA 0", Always),
    Trial("GET KEY", Always),
    Trial("DEL NONE", Always),
    Trial("UNLINK NONE", Always),
    Trial("EXISTS KEY", Always),
    Trial("INCR KEY", Always),
    Trial("MGET KEY", Always),
    Trial("PERSIST NONE", Always),
    Trial("PEXPIRE NONE 1", Always),
    Trial("PEXPIREAT NONE 1", Always),
    Trial("PTTL KEY", Always),
    Trial("RENAME NONE KEY", Always),
    Trial("HGET KEY f", Always),
    Trial("HSET KEY f v", Always),
    Trial("HDEL KEY f", Always),
    Trial("HEXISTS KEY f", Always),
    Trial("HLEN KEY", Always),
    Trial("HMGET KEY f", Always),
    Trial("HRANDFIELD KEY", Always),
    Trial("HSCAN KEY 0", Always),
    Trial("HSTRLEN KEY f", Always),
    Trial("ZADD KEY 1 m", Always),
    Trial("ZCARD KEY", Always),
    Trial("ZCOUNT KEY 0 1", Always),
    Trial("ZRANGE KEY 0 1", Always),
    Trial("ZRANGEBYSCORE KEY 0 1", Always),
    Trial("ZREM KEY m", Always),
    Trial("ZREVRANGE KEY 0 1", Always),
    Trial("ZSCAN KEY 0", Always),
    Trial("ZSCORE KEY m", Always),
    Trial("CLUSTER INFO", Cluster),
    Trial("CLUSTER NODES", Cluster),
    Trial("CLUSTER SLOTS", Cluster),
];

impl Trial {
    /// The name of the command as permissions have it: `script|load`.
    fn name(&self) -> String {
        let mut words = self.0.split(' ').map(str::to_ascii_lowercase);
        let command = words.next().unwrap_or_default();
        match command.as_str() {
            "client" | "script" | "cluster" => {
                format!("{command}|{}", words.next().unwrap_or_default())
            }
            _ => command,
        }
    }

    fn command(&self, key: &str) -> Cmd {
        let mut command = Cmd::new();
        for word in self.0.split(' ') {
            match word {
                "KEY" => command.arg(key),
                "NONE" => command.arg(format!("{key}.none")),
                "SHA" => command.arg(SCRIPT_SHA),
                word => command.arg(word.replace('%', " ")),
            };
        }
        command
    }
}

/// The permissions that are missing.
#[derive(Debug, Default)]
struct Missing {
    commands: Vec<String>,
    /// What the cache does less well without a command.
    losses: Vec<(String, &'static str)>,
    keys: bool,
}

impl Patient<'_> {
    pub(super) async fn look_at_permissions(&self, report: &mut DoctorReport) {
        let missing = match self.try_all().await {
            Ok(missing) => missing,
            Err(error) => {
                let found = format!("the connection was lost meanwhile: {error}");
                return report.add(self.finding("permissions", State::Unknown, found));
            }
        };
        let user = self.user();
        let is_complete = missing.commands.is_empty() && !missing.keys;
        if is_complete && missing.losses.is_empty() {
            let found = format!("{user} may use all commands that a cache needs");
            return report.add(self.finding("permissions", State::Fine, found));
        }
        if !is_complete {
            let mut grants: Vec<String> =
                missing.keys.then(|| "~rc1:*".to_owned()).into_iter().collect();
            grants.extend(missing.commands.iter().map(|command| format!("+{command}")));
            let found = match missing.commands.is_empty() {
                true => format!("{user} may not use keys that begin with rc1:"),
                false => format!("{user} may not use {}", missing.commands.join(", ")),
            };
            let advice = format!("ACL SETUSER {user} {}", grants.join(" "));
            report.add(self.wrong("permissions", found, &advice));
        }
        for (command, loss) in missing.losses {
            let found = format!("{user} may not use {command}: {loss}");
            let advice = format!("ACL SETUSER {user} +{command}");
            report.add(self.finding("permissions", State::Note, found).advise(advice));
        }
    }

    async fn try_all(&self) -> redis::RedisResult<Missing> {
        let key = format!("rc1:d{{{}}}", self.tag);
        let mut missing = Missing::default();
        let is_node = self.is_node().await;
        for trial in TRIALS.iter().filter(|trial| trial.1 != Cluster || is_node) {
            match self.raw.ask::<redis::Value>(&trial.command(&key)).await {
                Err(error) if is_denied(&error) => missing.note(trial, &error),
                // Whatever else it says, the permission is there.
                Err(error) if error.code().is_some() => {}
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
        // It ends by itself too.
        let _ = self.raw.ask::<redis::Value>(redis::cmd("UNLINK").arg(&key)).await;
        Ok(missing)
    }

    /// Returns true if the server is a node of a cluster, or may be one.
    async fn is_node(&self) -> bool {
        match self.raw.ask::<redis::Value>(redis::cmd("CLUSTER").arg("INFO")).await {
            Ok(_) => true,
            Err(error) => is_denied(&error) && self.is_cluster_by_info().await,
        }
    }

    async fn is_cluster_by_info(&self) -> bool {
        let info = self.raw.info("cluster").await.unwrap_or_default();
        info.number("cluster_enabled") == Some(1)
    }

    /// The user of the URL.
    fn user(&self) -> &str {
        let authority = self.name.split_once("://").map_or("", |(_, rest)| rest);
        authority.rsplit_once('@').map_or("default", |(user, _)| user)
    }
}

impl Missing {
    fn note(&mut self, trial: &Trial, error: &redis::RedisError) {
        // The words differ by version: "access one of the keys", "access a key".
        if error.detail().is_some_and(|detail| detail.contains("access")) {
            self.keys = true;
            return;
        }
        match trial.1 {
            Always | Cluster => self.commands.push(trial.name()),
            Better(loss) => self.losses.push((trial.name(), loss)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The commands that the page about the layout permits, in the line for the user `app` and below it.
    fn permitted() -> BTreeSet<String> {
        let layout = include_str!("../../../../region-redis/LAYOUT.md");
        let (_, rest) = layout.split_once("ACL SETUSER app").expect("the user of LAYOUT.md");
        let (line, below) = rest.split_once("```").expect("the end of the block");
        let words = line.split_whitespace().filter_map(|word| word.strip_prefix('+'));
        let below = below.split_once("A user for the sentinels").expect("the sentinels").0;
        let of_cluster =
            below.split([' ', '`', '\n']).filter_map(|word| word.strip_prefix("+cluster"));
        let of_cluster = of_cluster.map(|word| format!("cluster{word}"));
        words.map(str::to_owned).chain(of_cluster).collect()
    }

    #[test]
    fn each_command_of_the_layout_is_tried() {
        let tried: BTreeSet<String> = TRIALS.iter().map(Trial::name).collect();
        let mut permitted = permitted();
        assert!(permitted.remove("select"));
        assert!(permitted.len() > 40, "{permitted:?}");
        assert_eq!(tried, permitted);
    }
}
