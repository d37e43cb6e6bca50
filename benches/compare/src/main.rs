//! This cache beside its peers.
//!
//! `cargo run --release` starts a server of its own and prints tables. All take turns in one run, so
//! that the machine's moods hit them alike; in brackets is the ratio to the first column. Words after
//! `--` choose among `near`, `zipf`, `calls`, `server` and `stampedes`.

mod calls;
mod near;
mod peer;
mod peers;
mod subject;
mod table;
mod zipf;

use servers::{Flavor, TestServer};

use crate::peers::seed::Seed;
use crate::peers::{Amalgam, Cached, Cachet, Hitbox, Moka, Region};
use crate::subject::{Instances, Subject};

/// Returns whether the command line names this part, or no part at all.
fn is_asked_for(name: &str) -> bool {
    let mut words = std::env::args().skip(1).peekable();
    words.peek().is_none() || words.any(|word| word == name)
}

async fn subjects(url: &str) -> Vec<Box<dyn Subject>> {
    vec![
        Instances::<Region>::connect(url, calls::INSTANCES).await,
        Instances::<Amalgam>::connect(url, calls::INSTANCES).await,
        Instances::<Cached>::connect(url, calls::INSTANCES).await,
        Instances::<Cachet>::connect(url, calls::INSTANCES).await,
        Instances::<Hitbox>::connect(url, calls::INSTANCES).await,
        Instances::<Moka>::connect(url, calls::INSTANCES).await,
    ]
}

async fn peers() {
    let server = TestServer::start(Flavor::Redis);
    let subjects = subjects(&server.url()).await;
    for subject in &subjects {
        subject.prepare().await;
    }
    if is_asked_for("calls") {
        print!("{}", calls::in_memory(&subjects).await);
    }
    if is_asked_for("server") {
        print!("{}", calls::on_server(&subjects, &Seed::measure(server.port())).await);
    }
    if is_asked_for("stampedes") {
        print!("{}", calls::stampedes(&subjects).await);
    }
}

#[tokio::main]
async fn main() {
    if ["calls", "server", "stampedes"].into_iter().any(is_asked_for) {
        peers().await;
    }
    if is_asked_for("near") {
        print!("{}", near::near());
    }
    if is_asked_for("zipf") {
        print!("{}", zipf::zipf().await);
    }
}
