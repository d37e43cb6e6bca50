//! The numbers of the servers, again and again.

use std::time::Duration;

use region_cache::{RedisStore, Server};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::raw::{self, Info, Raw};

/// What a server has told; `None`: it is down, or does not tell.
pub(crate) type Seen = (String, Option<Info>);

/// A primary, with the connection to it; `None`: it cannot be reached.
type Opened = (Server, Option<Raw>);

/// Asks the primaries for their numbers, until nobody takes them any more.
pub(crate) async fn sample(
    store: &RedisStore,
    limit: Duration,
    every: Duration,
    to_show: mpsc::Sender<Vec<Seen>>,
) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut open: Vec<Opened> = Vec::new();
    loop {
        ticks.tick().await;
        if open.is_empty() {
            open = connect(store, limit).await;
        }
        let mut seen = Vec::with_capacity(open.len());
        for (server, raw) in &open {
            let info = match raw {
                Some(raw) => raw.info("default").await.ok(),
                None => None,
            };
            seen.push((server.to_string(), info));
        }
        // They are asked for anew: one may have failed over.
        if seen.iter().any(|(_, info)| info.is_none()) {
            open.clear();
        }
        if to_show.send(seen).await.is_err() {
            return;
        }
    }
}

/// Connections to the primaries, as far as they can be had.
async fn connect(store: &RedisStore, limit: Duration) -> Vec<Opened> {
    let mut open = Vec::new();
    for server in raw::primaries(store, limit).await.unwrap_or_default() {
        let raw = Raw::connect(&server, limit).await.ok();
        open.push((server, raw));
    }
    open
}
