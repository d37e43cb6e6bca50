//! Reading again and again.

use std::sync::Arc;
use std::time::Duration;

use processes::{Answer, Place};
use region_cache::{Region, RegionCache, RegionHandle, Result};
use tokio::time::Instant;

use crate::actions::region;

/// The number of reads between two pauses: the processes of a test share few processors.
const READS: usize = 50;

/// The time between two pauses. It is short beside that between the changes of a test: what has changed
/// more often since the last read than the store remembers is in doubt.
const PAUSE: Duration = Duration::from_millis(5);

/// The most values that an answer lists.
const MAX_LISTED: usize = 1_000;

/// The numbered keys of a filled region.
pub(crate) fn keys(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|at| format!("key-{at}"))
}

async fn value(region: &RegionHandle, key: &str) -> Result<Option<u64>> {
    Ok(region.get::<u64>(key).await?.map(|value| *value))
}

/// Reads until a read is a hit near.
pub(crate) async fn hold(cache: &RegionCache, at: &Place) -> Result<Answer> {
    let region = region(cache, &at.region)?;
    let mut times = 0;
    loop {
        let before = cache.stats().near_hits;
        let found = value(&region, &at.key).await?.is_some();
        times += 1;
        if found && cache.stats().near_hits > before {
            return Ok(Answer { times, ..Answer::default() });
        }
        tokio::task::yield_now().await;
    }
}

/// Reads until the value is the expected one. An error is no value: it is not old either.
pub(crate) async fn watch_until(
    cache: &Arc<RegionCache>,
    at: &Place,
    expected: Option<u64>,
) -> Result<Answer> {
    let region = region(cache, &at.region)?;
    let mut answer = Answer::default();
    loop {
        let read = value(&region, &at.key).await;
        answer.times += 1;
        if let Ok(read) = read {
            if read == expected {
                return Ok(answer);
            }
            if answer.others.last() != Some(&read) && answer.others.len() < MAX_LISTED {
                answer.others.push(read);
            }
        }
        tokio::task::yield_now().await;
    }
}

/// Reads all entries, many at a time.
pub(crate) async fn warm(region: &RegionHandle, count: usize) -> Result<()> {
    let keys: Vec<_> = keys(count).collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    for some in keys.chunks(region_cache::MAX_STEP_KEYS) {
        region.get_many::<u64>(some).await?;
    }
    Ok(())
}

/// Reads all entries but the first, again and again.
pub(crate) async fn read_all(region: &RegionHandle, count: usize, for_ms: u64) -> Result<Answer> {
    let keys: Vec<_> = keys(count).skip(1).collect();
    let end = Instant::now() + Duration::from_millis(for_ms);
    let mut answer = Answer::default();
    for (at, key) in keys.iter().cycle().enumerate() {
        if at % READS == 0 {
            tokio::time::sleep(PAUSE).await;
            if Instant::now() >= end {
                break;
            }
        }
        answer.times += 1;
        answer.found += u64::from(value(region, key).await?.is_some());
    }
    Ok(answer)
}
