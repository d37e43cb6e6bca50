//! Runs seeds on all cores: `oracle [SEEDS [FROM]]`; or one case: `oracle replay CASE`; or looks for the first
//! seed that fails: `oracle first SEEDS [FROM]`; or prints the digests of histories: `oracle digest SEEDS [FROM]`.

use std::io::{self, Write as _};
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use oracle::plan::Plan;
use oracle::search::{Case, report, shrink, try_case};
use oracle::sim;

/// The seeds that are run if nothing is said.
const SEEDS: u64 = 10_000;

/// The failures that are reported; then it ends.
const MOST_FAILURES: usize = 3;

/// The time between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["replay", case] => replay(case),
        ["digest", ref range @ ..] => match parse(range) {
            Some((seeds, from)) => digests(seeds, from),
            None => usage(),
        },
        ["first", ref range @ ..] => match parse(range) {
            Some((seeds, from)) => first(seeds, from),
            None => usage(),
        },
        ref range => match parse(range) {
            Some((seeds, from)) => search(seeds, from),
            None => usage(),
        },
    }
}

fn usage() -> ExitCode {
    say("usage: oracle [SEEDS [FROM]] | oracle replay CASE | oracle first SEEDS [FROM] | \
         oracle digest SEEDS [FROM]");
    ExitCode::from(2)
}

fn parse(range: &[&str]) -> Option<(u64, u64)> {
    match *range {
        [] => Some((SEEDS, 0)),
        [seeds] => Some((seeds.parse().ok()?, 0)),
        [seeds, from] => Some((seeds.parse().ok()?, from.parse().ok()?)),
        _ => None,
    }
}

fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

fn replay(case: &str) -> ExitCode {
    let case: Case = match case.parse() {
        Ok(case) => case,
        Err(error) => {
            say(&error);
            return usage();
        }
    };
    match try_case(&case) {
        Some(failure) => {
            say(&report(&failure));
            ExitCode::FAILURE
        }
        None => {
            say(&sim::run(&case.plan()).text());
            say("nothing is unexplained");
            ExitCode::SUCCESS
        }
    }
}

fn digests(seeds: u64, from: u64) -> ExitCode {
    for seed in from..from + seeds {
        say(&format!("{seed} {:016x}", sim::run(&Plan::new(seed)).digest()));
    }
    ExitCode::SUCCESS
}

/// One after the other, and nothing is made smaller: how many seeds it takes to catch a mistake.
fn first(seeds: u64, from: u64) -> ExitCode {
    for seed in from..from + seeds {
        if let Some(failure) = try_case(&Case::new(seed)) {
            let violation = &failure.violations[0];
            let tried = seed - from + 1;
            say(&format!(
                "seed {seed}, the {tried}th, breaks promise {}: {}",
                violation.promise, violation.message
            ));
            return ExitCode::FAILURE;
        }
    }
    say(&format!("none of {seeds} seeds fails"));
    ExitCode::SUCCESS
}

fn search(seeds: u64, from: u64) -> ExitCode {
    let (start, threads) =
        (Instant::now(), thread::available_parallelism().map_or(1, NonZero::get));
    let (next, done) = (AtomicU64::new(from), AtomicU64::new(0));
    let failures = Mutex::new(Vec::new());
    let is_over = || lock(&failures).len() >= MOST_FAILURES;
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !is_over() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds {
                        return;
                    }
                    if let Some(failure) = try_case(&Case::new(seed)) {
                        let text = report(&shrink(failure));
                        say(&text);
                        lock(&failures).push(seed);
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        scope.spawn(|| {
            let mut last = start;
            while done.load(Ordering::Relaxed) < seeds && !is_over() {
                thread::sleep(Duration::from_millis(50));
                if last.elapsed() >= PROGRESS {
                    last = Instant::now();
                    say(&progress(done.load(Ordering::Relaxed), seeds, start));
                }
            }
        });
    });
    let mut failures = std::mem::take(&mut *lock(&failures));
    failures.sort_unstable();
    say(&progress(done.load(Ordering::Relaxed), seeds, start));
    say(&format!("{} of them fail: {failures:?}", failures.len()));
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn progress(done: u64, seeds: u64, start: Instant) -> String {
    let seconds = start.elapsed().as_secs_f64();
    format!("{done} of {seeds} seeds in {seconds:.0} s, {:.0} a second", done as f64 / seconds)
}
