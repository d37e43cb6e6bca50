//! Searches the world of servers: see [`oracle::search::command::run`].

use std::process::ExitCode;

use oracle::search::command;
use oracle::sim::redis::RedisCase;

fn main() -> ExitCode {
    command::run::<RedisCase>()
}
