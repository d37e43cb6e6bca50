//! A process of a run: caches over one store, whose operations are drawn from a seed or given.

mod client;
mod draw;
mod loader;
mod shared;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use processes::{Line, Request};
use region_cache::BoxError;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::task::JoinSet;

use crate::message::{Answer, Command};
use crate::setup::ProcessSetup;

use client::Client;
use shared::Shared;

/// Opens the caches and serves commands until the standard input ends.
///
/// # Errors
/// If the settings are wrong, or the standard input cannot be read.
pub async fn serve(setup: &str) -> Result<(), BoxError> {
    let setup: ProcessSetup = serde_json::from_str(setup)?;
    let shared = Arc::new(Shared::open(setup).await?);
    say(&Line::Ready);
    let mut clients = JoinSet::new();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let Request { id, command } = serde_json::from_str(&line)?;
        match command {
            Command::Run { seed, tasks, pause } => {
                shared.rests.store(false, Ordering::SeqCst);
                for task in 0..tasks * shared.caches.len() {
                    let client = Client::new(&shared, task % shared.caches.len());
                    clients.spawn(client.run(seed.wrapping_add(task as u64), pause));
                }
                say(&Line::Answer(id, Answer::default()));
            }
            Command::Rest => {
                shared.rests.store(true, Ordering::SeqCst);
                while let Some(ended) = clients.join_next().await {
                    ended?;
                }
                say(&Line::Answer(id, Answer::default()));
            }
            Command::Do(cache, action) => {
                let client = Client::new(&shared, cache);
                tokio::spawn(async move {
                    let (outcome, loads) = client.perform(action, None).await;
                    let outcome = Some(outcome);
                    say(&Line::Answer(id, Answer { outcome, loads, ..Answer::default() }));
                });
            }
            Command::Count => {
                let counts = shared.counts();
                say(&Line::Answer(id, Answer { counts, ..Answer::default() }));
            }
        }
    }
    Ok(())
}

/// Prints a line as one write, so that lines of several tasks do not mix.
fn say(line: &Line<Answer>) {
    let text = serde_json::to_string(line).expect("it is JSON");
    // Without a controller that listens there is nothing to do.
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
