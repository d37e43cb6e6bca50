//! A process with a cache over a server. It is given commands, and ends with its standard input.

mod actions;
mod reads;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use processes::{Answer, Command, Line, Request, Setup, micros_now};
use region_cache::{Backoff, BoxError, Policy, ReadFrom, RedisStore, RegionCache};
use tokio::io::{AsyncBufReadExt, BufReader};

/// The replica lag up to which a replica is read.
const MAX_LAG: Duration = Duration::from_secs(1);

/// The bound on the values near, in bytes.
const NEAR_BYTES: u64 = 64 * 1024 * 1024;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), BoxError> {
    let setup = std::env::args().nth(1).ok_or("the settings are missing")?;
    let cache = Arc::new(open(&serde_json::from_str(&setup)?).await?);
    say(&Line::Ready);
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let Request { id, command } = serde_json::from_str(&line)?;
        let cache = Arc::clone(&cache);
        tokio::spawn(async move {
            let answer = answer(&cache, command).await;
            say(&Line::Answer(id, answer));
        });
    }
    Ok(())
}

async fn open(setup: &Setup) -> Result<RegionCache, BoxError> {
    let ms = Duration::from_millis;
    let mut store = RedisStore::builder(&setup.url)?
        .call_timeout(ms(setup.call_timeout_ms))
        .connect_timeout(ms(setup.call_timeout_ms))
        .watch(ms(100), ms(setup.silence_ms))
        .backoff(Backoff::new(ms(20), ms(200))?)
        .max_lag(MAX_LAG)
        .client_name(setup.name.clone());
    let mut policy = Policy::new().lease(ms(setup.lease_ms));
    if let Some(replica) = &setup.replica {
        store = store.replica(replica)?;
        policy = policy.read_from(ReadFrom::Replica);
    }
    let store = store.connect().await?;
    Ok(RegionCache::builder(store).root("shop").policy(policy).near(NEAR_BYTES).build()?)
}

async fn answer(cache: &Arc<RegionCache>, command: Command) -> Answer {
    let before = cache.stats();
    let done = match command {
        Command::Repeat { what, per_second, for_ms } => {
            actions::repeat(cache, *what, per_second, for_ms).await
        }
        command => actions::once(cache, command).await,
    };
    let (at, after) = (micros_now(), cache.stats());
    let mut answer =
        done.unwrap_or_else(|error| Answer { error: Some(error.to_string()), ..Answer::default() });
    answer.near_hits = after.near_hits - before.near_hits;
    answer.verifications = after.near_verifications - before.near_verifications;
    Answer { at, ..answer }
}

/// Prints a line as one write, so that lines of several tasks do not mix.
fn say(line: &Line) {
    let text = serde_json::to_string(line).expect("it is JSON");
    // Without a test that listens there is nothing to do.
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
