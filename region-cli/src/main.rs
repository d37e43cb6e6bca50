//! `region`, the command line of region-cache.
//!
//! `region --help` lists its commands, and `docs/region-cli.md` shows them at work.

mod args;
mod commands;
mod confirm;
mod exit;
mod output;
mod progress;
mod raw;
mod target;
mod text;

use std::io::Write;
use std::process::ExitCode;

use crate::args::Args;
use crate::exit::Failure;

fn main() -> ExitCode {
    let args = match Args::read() {
        Ok(args) => args,
        Err(error) => return exit::of_command_line(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&Failure::wrong(format!("no threads can be started: {error}"))),
    };
    let ended = runtime.block_on(commands::run(args));
    // What the store does in the background has no result that anybody waits for.
    runtime.shutdown_background();
    match ended {
        Ok(code) => code.into(),
        Err(failure) => fail(&failure),
    }
}

fn fail(failure: &Failure) -> ExitCode {
    if let Some(message) = failure.message() {
        // Where nobody reads it there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "region: {message}");
    }
    failure.code().into()
}
