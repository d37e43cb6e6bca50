//! Invalidations of small and large trees on a cluster.

use std::fmt::Write as _;
use std::time::Instant;

use region_cache::{RegionCache, RegionExt};

use super::super::invalidations::fill;
use super::super::measure::{is_asked_for, median};
use super::{ANCHORS, Both, cache};

const FEW: usize = 1_000;
const MANY: usize = 1_000_000;
const SAMPLES: usize = 5;

/// Measures invalidations of both kinds of trees, in turns.
pub(super) async fn invalidations(both: &Both, root: &str) -> String {
    if !is_asked_for("`invalidate` on a cluster") {
        return String::new();
    }
    let mut text = format!(
        "\n| `invalidate` on a cluster | {FEW} entries below, us | {MANY} entries below, us | ratio |\n\
         |---|---|---|---|\n",
    );
    for anchor in ANCHORS {
        let cache = cache(&both.on_cluster(anchor).await, root);
        let (mut few, mut many) = (Vec::new(), Vec::new());
        for sample in 0..SAMPLES {
            fill(&cache.region("many").expect("a path"), MANY).await;
            fill(&cache.region("few").expect("a path"), FEW).await;
            // The first script after a long fill finds every cache cold, whatever it does.
            invalidate(&cache, "empty").await;
            let order = if sample % 2 == 0 { ["few", "many"] } else { ["many", "few"] };
            for tree in order {
                let taken = if tree == "few" { &mut few } else { &mut many };
                taken.push(invalidate(&cache, tree).await);
            }
        }
        let (few, many) = (median(few), median(many));
        let ratio = many / few;
        let _ = writeln!(text, "| anchor {anchor}, flat | {few:.1} | {many:.1} | {ratio:.2} |");
    }
    text
}

/// Returns the microseconds that it has taken.
async fn invalidate(cache: &RegionCache, tree: &str) -> f64 {
    let region = cache.region(tree).expect("a path");
    let start = Instant::now();
    region.invalidate().await.expect("the server answers");
    start.elapsed().as_secs_f64() * 1e6
}
