//! Invalidations of small and large trees.

use std::fmt::Write as _;
use std::time::Instant;

use redis::cmd;
use region_cache::{RegionExt, RegionHandle};

use super::measure::median;
use super::subjects::{BATCH, Subjects, run};

const TREES: [usize; 5] = [1, 100, 10_000, 100_000, 1_000_000];

/// Measures an invalidation, in turns with a bare SET, with so many entries below.
pub(crate) async fn invalidations(subjects: &Subjects) -> String {
    let mut text = String::from(
        "\n| `invalidate` with entries below | SET us | invalidate us | ratio |\n|---|---|---|---|\n",
    );
    for entries in TREES {
        let samples = (100_000 / entries).clamp(3, 400);
        let (mut set, mut invalidate) = (Vec::new(), Vec::new());
        for sample in 0..samples {
            let region = subjects.cache.region(&format!("tree:{entries}")).expect("a path");
            fill(&region, entries).await;
            // The first script after a long fill finds every cache cold, whatever it does: so an empty
            // region goes first.
            let empty = subjects.cache.region(&format!("empty:{sample}")).expect("a path");
            empty.invalidate().await.expect("the server answers");
            let mut command = cmd("SET");
            command.arg("bare-set").arg(sample);
            let start = Instant::now();
            run(subjects.bare.clone(), command).await;
            set.push(start.elapsed().as_secs_f64() * 1e6);
            let start = Instant::now();
            region.invalidate().await.expect("the server answers");
            invalidate.push(start.elapsed().as_secs_f64() * 1e6);
        }
        let (set, invalidate) = (median(set), median(invalidate));
        let ratio = invalidate / set;
        let _ = writeln!(text, "| {entries} | {set:.1} | {invalidate:.1} | {ratio:.2} |");
    }
    text
}

/// Puts entries into regions below, up to a hundred in each.
pub(crate) async fn fill(region: &RegionHandle, entries: usize) {
    let per_region = BATCH.min(entries);
    let fills = (0..entries / per_region).map(|at| {
        let region = region.child_with_id("part", &at.to_string()).expect("a path");
        async move {
            let keys: Vec<_> = (0..per_region).map(|key| key.to_string()).collect();
            let entries: Vec<_> = keys.iter().map(|key| (key.as_str(), &1_u8)).collect();
            region.set_many(&entries).await.expect("the server answers");
        }
    });
    let mut fills =
        futures_util::StreamExt::buffer_unordered(futures_util::stream::iter(fills), 64);
    while futures_util::StreamExt::next(&mut fills).await.is_some() {}
}
