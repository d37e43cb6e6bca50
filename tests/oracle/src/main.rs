//! Searches the world of one memory store: see [`oracle::search::command::run`].

use std::process::ExitCode;

use oracle::search::{Case, command};

fn main() -> ExitCode {
    command::run::<Case>()
}
