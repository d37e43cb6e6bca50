//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

use crate::exit::CODES;

/// Looks into the regions of a cache on Redis or Valkey, ends them, and says what is wrong with the servers.
///
/// Regions are named by their paths below the root, such as `org:42.project:7`; `.` is the root itself.
#[derive(Parser)]
#[command(name = "region", version, after_help = CODES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Args {
    /// Reads the command line of this process.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        Self::from_arg_matches(&command().try_get_matches()?)
    }
}

/// The command line. The help of each command ends with the exit codes.
pub(crate) fn command() -> clap::Command {
    Args::command().mut_subcommands(|command| match command.get_after_help() {
        Some(example) => {
            let help = format!("{example}\n\n{CODES}");
            command.after_help(help)
        }
        None => command,
    })
}

/// The options of every command.
#[derive(clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Common {
    /// The servers: redis://, rediss://, unix://, redis-sentinel:// or redis-cluster://
    ///
    /// Other users of this machine see what is written here in the list of processes: a password is
    /// better kept in the variable REGION_CACHE_URL. No command prints it.
    #[arg(long, global = true, env = "REGION_CACHE_URL", hide_env_values = true)]
    pub(crate) url: Option<String>,

    /// The root region of the cache, as the application names it
    #[arg(long, global = true, env = "REGION_CACHE_ROOT", default_value = "root")]
    pub(crate) root: String,

    /// Prints JSON: one value, or one a line for `watch`; docs/region-cli.md has the shapes
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// The longest that connecting, and each call, takes, such as 500ms or 5s
    #[arg(long, global = true, value_name = "DURATION", default_value = "5s", value_parser = limit)]
    pub(crate) timeout: Duration,
}

/// The commands.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Lists the regions below a path, with their numbers of entries
    #[command(
        after_help = "Example:\n  region tree org:42 --depth 2\n  org:42        3 entries\n    project:7   1 entry"
    )]
    Tree(Tree),
    /// Prints the value at a key
    ///
    /// A value of a format that describes itself (JSON, MessagePack, CBOR) is printed as JSON. Of another,
    /// such as postcard, the bytes are printed, with what the envelope around them says.
    #[command(after_help = "Example:\n  region get org:42.project:7 summary")]
    Get(Get),
    /// Says why a read of a key would be a hit or a miss
    ///
    /// It says what the server knows. What processes hold near, they know alone: there
    /// `RegionHandle::explain` tells.
    #[command(after_help = "Example:\n  region explain org:42.project:7 summary")]
    Explain(Key),
    /// Invalidates a region: it and everything inside it is gone
    #[command(after_help = "Example:\n  region invalidate org:42 --yes")]
    Invalidate(Invalidate),
    /// Touches a region: its entries, and those of the regions around it, are gone
    #[command(after_help = "Example:\n  region touch org:42.project:7 --yes")]
    Touch(End),
    /// Expires a region: its entries, and all inside it, are stale
    #[command(after_help = "Example:\n  region expire org:42 --yes --wait-for 1")]
    Expire(End),
    /// Shows changes as they happen, one a line, until Ctrl-C
    ///
    /// `ids` says that a region was created, has ended or expired, or lives longer; it concerns all inside
    /// it. `entries` says that entries of a region have changed, `leases` that a load has begun or ended, and
    /// `all` that the server was flushed. While a connection is `lost`, changes are missed until it is `back`.
    #[command(
        after_help = "Example:\n  region watch org:42 --for 10s\n  2026-11-28T12:00:00.123Z  entries  org:42.project:7"
    )]
    Watch(Watch),
    /// Shows what is busy now: servers, and the regions that change most; q quits
    #[command(after_help = "Example:\n  region top --every 2s")]
    Top(Top),
    /// Serves a page for a browser on this machine: the tree, what is busy, changes, why a key would miss
    ///
    /// It listens on 127.0.0.1 alone, and prints the URL to open. The URL has a secret token, without which the page
    /// shows nothing: give it to nobody. The page changes nothing. Ctrl-C ends it.
    #[command(after_help = "Example:\n  region ui --port 8042")]
    Ui(Ui),
    /// Prints numbers of the servers and of the root
    #[command(after_help = "Example:\n  region stats")]
    Stats,
    /// Frees the memory of invalidated regions now
    ///
    /// The processes that use a cache do this in the background. It is for roots that none uses any more.
    #[command(after_help = "Example:\n  region reclaim --root shop")]
    Reclaim(Reclaim),
    /// Says what is wrong with the servers, and what to do
    ///
    /// It looks at the version, the role, the user's permissions, memory, replication, the clock, and whether
    /// changes are pushed. It writes two keys, in a root of its own, for ten seconds at most.
    #[command(after_help = "Example:\n  region doctor --url redis://app:secret@cache")]
    Doctor,
    /// Prints the completions of a shell
    #[command(after_help = "Example:\n  region completions bash > /etc/bash_completion.d/region")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Prints the man page
    #[command(after_help = "Example:\n  region man --folder /usr/local/share/man/man1")]
    Man {
        /// Writes the page, and one for each command, into this folder
        #[arg(long)]
        folder: Option<PathBuf>,
    },
}

/// What to list.
#[derive(clap::Args)]
pub(crate) struct Tree {
    /// The region to begin at
    #[arg(default_value = ".")]
    pub(crate) path: String,
    #[command(flatten)]
    pub(crate) bounds: Bounds,
    /// Shows how much memory the entries of each region take, as the server estimates it
    #[arg(long)]
    pub(crate) bytes: bool,
}

/// The most that is listed.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct Bounds {
    /// The most levels below it that are listed; 0 lists it alone
    #[arg(long, default_value_t = 3)]
    pub(crate) depth: usize,
    /// The most regions that are listed
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) limit: u32,
}

/// A key of a region.
#[derive(clap::Args)]
pub(crate) struct Key {
    /// The region
    pub(crate) path: String,
    /// The key
    pub(crate) key: String,
}

/// What to print.
#[derive(clap::Args)]
pub(crate) struct Get {
    #[command(flatten)]
    pub(crate) at: Key,
    /// Writes the bytes of the value alone, as the application's serializer made them
    #[arg(long, conflicts_with = "json")]
    pub(crate) raw: bool,
}

/// What to end.
#[derive(clap::Args)]
pub(crate) struct End {
    /// The region
    pub(crate) path: String,
    /// Asks nothing
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Waits until so many replicas have it; fewer are exit code 1
    #[arg(long, value_name = "REPLICAS")]
    pub(crate) wait_for: Option<u32>,
    /// The longest that it waits for them
    #[arg(long, value_name = "DURATION", default_value = "5s", requires = "wait_for", value_parser = limit)]
    pub(crate) within: Duration,
}

/// What to invalidate.
#[derive(clap::Args)]
pub(crate) struct Invalidate {
    #[command(flatten)]
    pub(crate) end: End,
    /// Touches the regions around it too, in the same step
    #[arg(long)]
    pub(crate) and_touch: bool,
}

/// What to watch.
#[derive(clap::Args)]
pub(crate) struct Watch {
    /// The region
    #[arg(default_value = ".")]
    pub(crate) path: String,
    /// Ends after so long
    #[arg(long = "for", value_name = "DURATION", value_parser = limit)]
    pub(crate) duration: Option<Duration>,
    /// Ends after so many lines
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Shows leases too: each load takes one
    #[arg(long)]
    pub(crate) leases: bool,
}

/// What to show.
#[derive(clap::Args)]
pub(crate) struct Top {
    /// The time between two questions to the servers
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = limit)]
    pub(crate) every: Duration,
    /// Ends after so long
    #[arg(long = "for", value_name = "DURATION", value_parser = limit)]
    pub(crate) duration: Option<Duration>,
}

/// What to serve.
#[derive(clap::Args)]
pub(crate) struct Ui {
    /// The port of 127.0.0.1 to listen on; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    #[command(flatten)]
    pub(crate) bounds: Bounds,
    /// Ends after so long
    #[arg(long = "for", value_name = "DURATION", value_parser = limit)]
    pub(crate) duration: Option<Duration>,
}

/// What to free.
#[derive(clap::Args)]
pub(crate) struct Reclaim {
    /// On a cluster with anchor=N: the anchor whose regions are freed
    #[arg(default_value = ".")]
    pub(crate) path: String,
}

/// The longest time that an option takes.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

fn limit(text: &str) -> Result<Duration, String> {
    let duration: Duration = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write 500ms, 10s or 5m"))?;
    match duration {
        Duration::ZERO => Err("it must be longer than nothing".to_owned()),
        duration if duration > LONGEST => Err("it must not be longer than a day".to_owned()),
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn each_command_has_an_example() {
        let mut root = command();
        root.build();
        for command in root.get_subcommands().filter(|command| command.get_name() != "help") {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let example = format!("region {}", command.get_name());
            assert!(help.contains(&example), "{}: {help}", command.get_name());
        }
    }

    #[test]
    fn durations_have_limits() {
        assert_eq!(limit("500ms"), Ok(Duration::from_millis(500)));
        for text in ["0s", "2days", "10", "soon"] {
            assert!(limit(text).is_err(), "{text}");
        }
    }
}
