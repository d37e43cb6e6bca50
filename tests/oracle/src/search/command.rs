//! The command line of the programs that search: one for each world.

use std::io::{self, Write as _};
use std::ops::{ControlFlow, Range};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{SearchCase, each_seed, report, shrink, try_case};

/// The seeds that are run if nothing is said.
const SEEDS: u64 = 10_000;

/// The failures that are reported; then it ends.
const MOST_FAILURES: usize = 3;

/// The time between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(5);

/// Runs seeds on all cores: `[SEEDS [FROM]]`; or one case: `replay CASE`; or looks for the first seed that fails:
/// `first SEEDS [FROM]`; or prints the digests of histories: `digest SEEDS [FROM]`.
#[must_use]
pub fn run<C: SearchCase>() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["replay", case] => replay::<C>(case),
        ["digest", ref range @ ..] => with_seeds(range, digests::<C>),
        ["first", ref range @ ..] => with_seeds(range, first::<C>),
        ref range => with_seeds(range, search::<C>),
    }
}

fn usage() -> ExitCode {
    say("usage: [SEEDS [FROM]] | replay CASE | first SEEDS [FROM] | digest SEEDS [FROM]");
    ExitCode::from(2)
}

fn with_seeds(range: &[&str], run: impl Fn(Range<u64>) -> ExitCode) -> ExitCode {
    let numbers: Result<Vec<u64>, _> = range.iter().map(|number| number.parse()).collect();
    match numbers.as_deref() {
        Ok([]) => run(0..SEEDS),
        Ok([seeds]) => run(0..*seeds),
        Ok([seeds, from]) => run(*from..from.saturating_add(*seeds)),
        _ => usage(),
    }
}

fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

fn replay<C: SearchCase>(case: &str) -> ExitCode {
    let case: C = match case.parse() {
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
            say(&case.run().text());
            say("nothing is unexplained");
            ExitCode::SUCCESS
        }
    }
}

fn digests<C: SearchCase>(seeds: Range<u64>) -> ExitCode {
    for seed in seeds {
        say(&format!("{seed} {:016x}", C::of_seed(seed).run().digest()));
    }
    ExitCode::SUCCESS
}

/// One after the other, and nothing is made smaller: how many seeds it takes to catch a mistake.
fn first<C: SearchCase>(seeds: Range<u64>) -> ExitCode {
    for seed in seeds.clone() {
        if let Some(failure) = try_case(&C::of_seed(seed)) {
            let violation = &failure.violations[0];
            let tried = seed - seeds.start + 1;
            say(&format!(
                "seed {seed}, the {tried}th, breaks promise {}: {}",
                violation.promise, violation.message
            ));
            return ExitCode::FAILURE;
        }
    }
    say(&format!("none of {} seeds fails", seeds.end - seeds.start));
    ExitCode::SUCCESS
}

fn search<C: SearchCase>(seeds: Range<u64>) -> ExitCode {
    let (start, all) = (Instant::now(), seeds.end - seeds.start);
    let (done, said, failures) = (AtomicU64::new(0), Mutex::new(start), Mutex::new(Vec::new()));
    each_seed(seeds, |seed| {
        if let Some(failure) = try_case(&C::of_seed(seed)) {
            say(&report(&shrink(failure)));
            lock(&failures).push(seed);
        }
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        let mut said = lock(&said);
        if said.elapsed() >= PROGRESS {
            *said = Instant::now();
            say(&progress(done, all, start));
        }
        match lock(&failures).len() >= MOST_FAILURES {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    let mut failures = std::mem::take(&mut *lock(&failures));
    failures.sort_unstable();
    say(&progress(done.load(Ordering::Relaxed), all, start));
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
