//! What the commands do.

use std::sync::Arc;
use std::time::Duration;

use processes::{Answer, Command, Line, Place, micros_now};
use region_cache::{LoadOptions, Loaded, Region, RegionCache, RegionExt, RegionHandle, Result};
use tokio::time::{Instant, MissedTickBehavior};

use crate::{reads, say};

/// The region of a path below the root.
pub(crate) fn region(cache: &RegionCache, path: &str) -> Result<RegionHandle> {
    if path.is_empty() { Ok(cache.root()) } else { cache.region(path) }
}

/// Does something again and again, however long each time takes.
pub(crate) async fn repeat(
    cache: &Arc<RegionCache>,
    what: Command,
    per_second: u64,
    for_ms: u64,
) -> Result<Answer> {
    let end = Instant::now() + Duration::from_millis(for_ms);
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second.max(1) as u32);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut times = 0;
    while Instant::now() < end {
        ticks.tick().await;
        once(cache, what.clone()).await?;
        times += 1;
    }
    Ok(Answer { times, ..Answer::default() })
}

/// Does something once.
pub(crate) async fn once(cache: &Arc<RegionCache>, command: Command) -> Result<Answer> {
    let set = async |at: &Place, value: u64| region(cache, &at.region)?.set(&at.key, &value).await;
    match command {
        Command::Set(at, value) => set(&at, value).await?,
        Command::SetTwo { first, pause_us, then, value } => {
            set(&first, value).await?;
            // Shorter than what a timer can tell apart.
            let end = std::time::Instant::now() + Duration::from_micros(pause_us);
            while std::time::Instant::now() < end {
                tokio::task::yield_now().await;
            }
            set(&then, value).await?;
        }
        Command::Remove(at) => drop(region(cache, &at.region)?.remove(&at.key).await?),
        Command::Invalidate(path) => region(cache, &path)?.invalidate().await?,
        Command::Touch(path) => region(cache, &path)?.touch().await?,
        Command::Expire(path) => region(cache, &path)?.expire().await?,
        Command::Load { place, on, value } => load(cache, &place, &on, value).await?,
        Command::Fill(path, keys) => fill(&region(cache, &path)?, keys).await?,
        Command::Warm(path, keys) => reads::warm(&region(cache, &path)?, keys).await?,
        Command::Hold(at) => return reads::hold(cache, &at).await,
        Command::WatchUntil(at, value) => return reads::watch_until(cache, &at, value).await,
        Command::ReadAll { region: path, keys, for_ms } => {
            return reads::read_all(&region(cache, &path)?, keys, for_ms).await;
        }
        Command::Stampede { place, tasks, at, load_ms } => {
            return stampede(&region(cache, &place.region)?, &place.key, tasks, at, load_ms).await;
        }
        Command::Repeat { what, .. } => return Box::pin(once(cache, *what)).await,
    }
    Ok(Answer { times: 1, ..Answer::default() })
}

async fn load(cache: &RegionCache, at: &Place, on: &[String], value: u64) -> Result<()> {
    let mut options = LoadOptions::new();
    for path in on {
        options = options.depends_on(&region(cache, path)?);
    }
    let load = move |_| async move {
        say(&Line::LoadBegan);
        Ok::<_, std::io::Error>(Loaded::new(value))
    };
    region(cache, &at.region)?.get_or_compute_with(&at.key, options, load).await.map(drop)
}

async fn fill(region: &RegionHandle, keys: usize) -> Result<()> {
    let keys: Vec<_> = reads::keys(keys).collect();
    let entries: Vec<_> = keys.iter().map(|key| (key.as_str(), &0_u64)).collect();
    region.set_many(&entries).await
}

async fn stampede(
    region: &RegionHandle,
    key: &str,
    tasks: usize,
    at: u64,
    load_ms: u64,
) -> Result<Answer> {
    tokio::time::sleep(Duration::from_micros(at.saturating_sub(micros_now()))).await;
    let load = move || async move {
        say(&Line::LoadBegan);
        tokio::time::sleep(Duration::from_millis(load_ms)).await;
        Ok::<_, std::io::Error>(7_u64)
    };
    let asking = (0..tasks).map(|_| {
        let (region, key) = (region.clone(), key.to_owned());
        tokio::spawn(async move { region.get_or_compute(&key, load).await })
    });
    let asking: Vec<_> = asking.collect();
    let mut found = 0;
    for task in asking {
        found += u64::from(*task.await.expect("no panic")? == 7);
    }
    Ok(Answer { times: tasks as u64, found, ..Answer::default() })
}
