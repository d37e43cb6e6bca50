//! Looks for a wrong value on real servers: `oracle-real [MINUTES [SEED]]`; or one run again:
//! `oracle-real again redis|valkey SEED`. As `oracle-real process SETTINGS` it is one of the processes.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use oracle_real::process;
use oracle_real::run::{Report, Run};
use region_cache::BoxError;
use servers::Flavor;

/// The minutes that it runs if nothing is said.
const MINUTES: u64 = 10;

/// The rounds of a run.
const ROUNDS: usize = 8;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<ExitCode, BoxError> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["process", setup] => {
            process::serve(setup).await?;
            Ok(ExitCode::SUCCESS)
        }
        ["again", flavor, seed] => {
            let flavor = match flavor {
                "redis" => Flavor::Redis,
                "valkey" => Flavor::Valkey,
                _ => return Err("redis or valkey".into()),
            };
            let report = run(flavor, seed.parse()?, Instant::now() + HOUR).await?;
            Ok(end(&report))
        }
        [] => search(MINUTES, 0).await,
        [minutes] => search(minutes.parse()?, 0).await,
        [minutes, seed] => search(minutes.parse()?, seed.parse()?).await,
        _ => {
            Err("usage: oracle-real [MINUTES [SEED]] | oracle-real again redis|valkey SEED".into())
        }
    }
}

/// Longer than any run.
const HOUR: Duration = Duration::from_secs(3600);

/// One run after the other, on both servers in turns.
async fn search(minutes: u64, first: u64) -> Result<ExitCode, BoxError> {
    let end_at = Instant::now() + Duration::from_secs(minutes * 60);
    let mut report = Report::default();
    for seed in first.. {
        if Instant::now() >= end_at || !report.violations.is_empty() {
            break;
        }
        let flavor = if seed.is_multiple_of(2) { Flavor::Redis } else { Flavor::Valkey };
        report.add(run(flavor, seed, end_at).await?);
    }
    Ok(end(&report))
}

async fn run(flavor: Flavor, seed: u64, until: Instant) -> Result<Report, BoxError> {
    let program = std::env::current_exe()?;
    Ok(Run { program, flavor, seed, rounds: ROUNDS, until }.run(&say).await)
}

fn end(report: &Report) -> ExitCode {
    say(&report.text());
    if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}
