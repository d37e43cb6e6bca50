//! Runs the load for `SOAK_MINUTES`, 20 if not given, prints what it measures, and fails if that is not flat.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// The greatest rise between the middle and the last third of a run.
const MOST_PERCENT: u64 = 10;

/// The longest run: a day.
const LONGEST_MINUTES: u64 = 24 * 60;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let minutes = std::env::var("SOAK_MINUTES").ok().and_then(|text| text.parse().ok());
    let minutes: u64 = minutes.unwrap_or(20).clamp(1, LONGEST_MINUTES);
    let mut output = std::io::stdout();
    let mut print = |line: &dyn std::fmt::Display| drop(writeln!(output, "{line}"));
    print(&soak::heading());
    let table = match soak::run(Duration::from_secs(minutes * 60), |sample| print(sample)).await {
        Ok(table) => table,
        Err(error) => {
            print(&error);
            return ExitCode::FAILURE;
        }
    };
    print(&table);
    let rising = table.rising(MOST_PERCENT);
    rising.iter().for_each(|fault| print(fault));
    if rising.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
