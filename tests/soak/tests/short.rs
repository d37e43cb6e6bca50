//! The soak in short: too short to find a slow leak, long enough for one of each operation or connection.

use std::time::Duration;

/// The greatest rise between the middle and the last third of so short a run.
const MOST_PERCENT: u64 = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_soak_is_flat() {
    let table = soak::run(Duration::from_secs(24), |_| {}).await.unwrap();
    let last = table.last().unwrap();
    assert!(last.operations > 1000 && last.failures < last.operations / 4, "{table}");
    assert!(last.regions > 100, "{table}");
    assert_eq!(table.rising(MOST_PERCENT), Vec::<String>::new(), "{table}");
}
