//! Runs: servers and processes are started, made to fail in rounds, and have to converge after each.

mod calm;
mod faults;
mod generate;
mod report;
mod world;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use servers::Flavor;

pub use report::Report;
use world::World;

/// The violations after which a run ends.
const MOST_VIOLATIONS: usize = 3;

/// A run.
#[derive(Clone, Debug)]
pub struct Run {
    /// The program of the processes: that of this package.
    pub program: PathBuf,
    /// The server.
    pub flavor: Flavor,
    /// All settings, faults and operations are drawn from it; what comes of them depends on the machine.
    pub seed: u64,
    /// The number of rounds.
    pub rounds: usize,
    /// No round begins after this time.
    pub until: Instant,
}

impl Run {
    /// Runs, and reports what was found. `say` takes the lines of progress.
    ///
    /// # Panics
    /// When a server or process cannot be started.
    pub async fn run(&self, say: &dyn Fn(&str)) -> Report {
        let mut report = Report::default();
        let mut world = World::start(self).await;
        say(&format!("{:?}, seed {}: {}", self.flavor, self.seed, world.describe()));
        let start = Instant::now();
        for round in 1..=self.rounds {
            if Instant::now() >= self.until || report.violations.len() >= MOST_VIOLATIONS {
                break;
            }
            let names = world.round(&mut report).await;
            world.calm(&mut report).await;
            world.explain(&mut report, say);
            let (ops, found) = (report.operations.values().sum::<u64>(), report.violations.len());
            let seconds = start.elapsed().as_secs_f64();
            say(&format!(
                "  round {round}, {seconds:.0} s: {ops} operations, {found} violations; {}",
                names.join(", ")
            ));
        }
        report.runs = 1;
        report.time = start.elapsed();
        for violation in &mut report.violations {
            violation.message =
                format!("{:?}, seed {}: {}", self.flavor, self.seed, violation.message);
        }
        report
    }
}

/// A time on the clock of the machine.
fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
