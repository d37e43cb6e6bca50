//! Runs seeds of the world of servers: `oracle_redis [SEEDS [FROM]]`; or one case: `oracle_redis replay CASE`; or looks
//! for the first seed that fails: `oracle_redis first SEEDS [FROM]`; or prints digests: `oracle_redis digest SEEDS`.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use oracle::search::redis::{report, shrink, try_case};
use oracle::sim::redis::{RedisCase, run};

/// The seeds that are run if nothing is said.
const SEEDS: u64 = 10_000;

/// The failures that are reported; then it ends.
const MOST_FAILURES: usize = 3;

/// The time between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, or: u64| args.get(at).map_or(Ok(or), |text| text.parse());
    match args.first().map(String::as_str) {
        Some("replay") => replay(args.get(1).map_or("", String::as_str)),
        Some("first") => match (number(1, SEEDS), number(2, 0)) {
            (Ok(seeds), Ok(from)) => first(seeds, from),
            _ => usage(),
        },
        Some("digest") => match number(1, SEEDS) {
            Ok(seeds) => digests(seeds),
            Err(_) => usage(),
        },
        _ => match (number(0, SEEDS), number(1, 0)) {
            (Ok(seeds), Ok(from)) => search(seeds, from),
            _ => usage(),
        },
    }
}

fn usage() -> ExitCode {
    say("usage: oracle_redis [SEEDS [FROM]] | replay CASE | first SEEDS [FROM] | digest SEEDS");
    ExitCode::from(2)
}

fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

fn replay(case: &str) -> ExitCode {
    let Ok(case) = case.parse::<RedisCase>() else { return usage() };
    match try_case(&case) {
        Some(failure) => {
            say(&report(&failure));
            ExitCode::FAILURE
        }
        None => {
            say(&run(&case.plan()).text());
            say("nothing is unexplained");
            ExitCode::SUCCESS
        }
    }
}

fn digests(seeds: u64) -> ExitCode {
    for seed in 0..seeds {
        say(&format!("{seed} {:016x}", run(&RedisCase::new(seed).plan()).digest()));
    }
    ExitCode::SUCCESS
}

fn first(seeds: u64, from: u64) -> ExitCode {
    for seed in from..from + seeds {
        if let Some(failure) = try_case(&RedisCase::new(seed)) {
            let (violation, tried) = (&failure.violations[0], seed - from + 1);
            let (promise, message) = (violation.promise, &violation.message);
            say(&format!("seed {seed}, the {tried}th, breaks promise {promise}: {message}"));
            return ExitCode::FAILURE;
        }
    }
    say(&format!("none of {seeds} seeds fails"));
    ExitCode::SUCCESS
}

fn search(seeds: u64, from: u64) -> ExitCode {
    let start = Instant::now();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let (next, failed) = (AtomicU64::new(from), Mutex::new(Vec::new()));
    let failures = || failed.lock().map_or(MOST_FAILURES, |failed| failed.len());
    let progress = |done: u64| {
        let seconds = start.elapsed().as_secs_f64();
        say(&format!("{done} of {seeds} seeds in {seconds:.0} s"));
    };
    thread::scope(|scope| {
        for number in 0..threads {
            let (next, failed) = (&next, &failed);
            scope.spawn(move || {
                let mut last = Instant::now();
                while failures() < MOST_FAILURES {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds {
                        return;
                    }
                    if let Some(failure) = try_case(&RedisCase::new(seed)) {
                        say(&report(&shrink(failure)));
                        failed.lock().map(|mut failed| failed.push(seed)).unwrap_or_default();
                    }
                    if number == 0 && last.elapsed() >= PROGRESS {
                        last = Instant::now();
                        progress(seed - from);
                    }
                }
            });
        }
    });
    progress(next.load(Ordering::Relaxed).min(from + seeds) - from);
    let failed = failed.lock().map(|failed| failed.clone()).unwrap_or_default();
    say(&format!("{} of them fail: {failed:?}", failed.len()));
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
