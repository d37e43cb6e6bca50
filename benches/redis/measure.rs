//! Latency and throughput of two operations, in turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::subjects::Operation;

const ROUNDS: usize = 15;
const PER_ROUND: usize = 300;
/// The calls of one operation before the other has its turn: few, so that the machine's moods hit both alike.
const PER_TURN: usize = 10;
const TASKS: usize = 64;
const BURST: Duration = Duration::from_millis(200);

pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Microseconds of the single calls of a turn, one after the other.
async fn latencies(operation: &Operation, turn: usize, taken: &mut Vec<f64>) {
    for at in 0..PER_TURN {
        let start = Instant::now();
        operation(turn * PER_TURN + at).await;
        taken.push(start.elapsed().as_secs_f64() * 1e6);
    }
}

/// The calls of many tasks at once.
pub(crate) struct Burst {
    pub(crate) calls: f64,
    pub(crate) per_second: f64,
}

/// Has many tasks call at once for a moment.
pub(crate) async fn throughput(operation: &Operation) -> Burst {
    let is_over = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (operation, is_over) = (Arc::clone(operation), Arc::clone(&is_over));
            let done = Arc::clone(&done);
            tokio::spawn(async move {
                for at in task.. {
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    operation(at).await;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    tokio::time::sleep(BURST).await;
    is_over.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.expect("no panic");
    }
    let calls = done.load(Ordering::Relaxed) as f64;
    Burst { calls, per_second: calls / start.elapsed().as_secs_f64() }
}

/// Returns whether the command line names this part, or no part at all.
pub(crate) fn is_asked_for(name: &str) -> bool {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with("--")).peekable();
    words.peek().is_none() || words.any(|word| name.contains(&word))
}

/// Compares two operations in turns; a row of the table.
pub(crate) async fn row(name: &str, bare: Operation, store: Operation) -> String {
    if !is_asked_for(name) {
        return String::new();
    }
    let (mut bare_us, mut store_us) = (Vec::new(), Vec::new());
    let (mut bare_rate, mut store_rate) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        for turn in 0..PER_ROUND / PER_TURN {
            let turn = round * (PER_ROUND / PER_TURN) + turn;
            latencies(&bare, turn, &mut bare_us).await;
            latencies(&store, turn, &mut store_us).await;
        }
        bare_rate.push(throughput(&bare).await.per_second);
        store_rate.push(throughput(&store).await.per_second);
    }
    let (bare_us, store_us) = (median(bare_us), median(store_us));
    let (bare_rate, store_rate) = (median(bare_rate), median(store_rate));
    format!(
        "| {name} | {bare_us:.1} | {store_us:.1} | {:.2} | {bare_rate:.0} | {store_rate:.0} | {:.2} |\n",
        store_us / bare_us,
        store_rate / bare_rate
    )
}
