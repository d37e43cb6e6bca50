//! The commands, a file each.

mod doctor;
mod end;
mod entry;
mod explain;
mod get;
mod install;
mod reclaim;
mod stats;
mod top;
mod tree;
mod ui;
mod watch;

use std::time::Duration;

use region_cache::Verb;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::{Args, Command, Common};
use crate::exit::{Code, Failure};
use crate::output::{Format, Output};
use crate::target::Target;

/// Runs the command, and returns the exit code.
pub(crate) async fn run(args: Args) -> Result<Code, Failure> {
    let Args { common, command } = args;
    let output = Output(if common.json { Format::Json } else { Format::Text });
    match command {
        // It looks at servers that no store can be made on, too.
        Command::Doctor => doctor::run(&common, output).await,
        Command::Completions { shell } => install::completions(shell, output),
        Command::Man { folder } => install::man(folder.as_deref(), output),
        command => on_target(&common, command, output).await,
    }
}

/// Runs a command on a store.
async fn on_target(common: &Common, command: Command, output: Output) -> Result<Code, Failure> {
    let target = Target::connect(common).await?;
    match command {
        Command::Tree(tree) => tree::run(&target, &tree, output).await,
        Command::Get(get) => get::run(&target, &get, output).await,
        Command::Explain(at) => explain::run(&target, &at, output).await,
        Command::Invalidate(invalidate) => {
            let verb = match invalidate.and_touch {
                true => Verb::InvalidateAndTouch,
                false => Verb::Invalidate,
            };
            end::run(&target, verb, &invalidate.end, output).await
        }
        Command::Touch(end) => end::run(&target, Verb::Touch, &end, output).await,
        Command::Expire(end) => end::run(&target, Verb::Expire, &end, output).await,
        Command::Watch(watch) => watch::run(&target, &watch, output).await,
        Command::Top(top) => top::run(&target, &top, output).await,
        Command::Ui(ui) => ui::run(target, &ui, output).await,
        Command::Stats => stats::run(&target, output).await,
        Command::Reclaim(reclaim) => reclaim::run(&target, &reclaim, output).await,
        // These need no store.
        Command::Doctor | Command::Completions { .. } | Command::Man { .. } => Ok(Code::Done),
    }
}

/// Waits until so much time has passed; without a time, for ever.
async fn passed(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

/// Tells of Ctrl-C from now on: to be called before anybody is told that the command runs, so that whoever interrupts
/// it then gets the exit code of an end.
fn interrupts() -> Result<Signal, Failure> {
    signal(SignalKind::interrupt())
        .map_err(|error| Failure::wrong(format!("Ctrl-C cannot be waited for: {error}")))
}
