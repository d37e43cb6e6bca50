//! A short run on each server. `make real` runs longer.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use oracle_real::run::Run;
use servers::Flavor;
use tokio::sync::Mutex;

servers::on_both! {
    all_that_is_read_can_be_explained
}

/// The rounds of a run: about half a minute.
const ROUNDS: usize = 4;

const SEED: u64 = 7;

/// Longer than any run.
const HOUR: Duration = Duration::from_secs(3600);

/// Each run needs the machine for itself.
static ONE: Mutex<()> = Mutex::const_new(());

async fn all_that_is_read_can_be_explained(flavor: Flavor) {
    let _one = ONE.lock().await;
    let program = PathBuf::from(env!("CARGO_BIN_EXE_oracle-real"));
    let run = Run { program, flavor, seed: SEED, rounds: ROUNDS, until: Instant::now() + HOUR };
    let report = run.run(&print).await;
    assert!(report.violations.is_empty(), "{}", report.text());
    // All of it was at work.
    for (counts, name) in [
        (&report.counts, "hits near"),
        (&report.counts, "fills"),
        (&report.operations, "invalidate"),
    ] {
        assert!(counts.get(name).is_some_and(|count| *count > 0), "no {name}: {}", report.text());
    }
    print(&report.text());
}

/// Prints, although the test passes.
fn print(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
