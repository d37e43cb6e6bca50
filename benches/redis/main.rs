//! The Redis store beside the bare client that does the least possible work.
//!
//! `cargo bench --bench redis` starts a server of its own and prints tables: the bare client and the
//! store take turns in one run, so that the machine's moods hit both alike. With
//! `REGION_BENCH_SERVER=valkey` the server is Valkey. If Python and the package `region_cache` are
//! there (`REGION_BENCH_PYTHON` names the interpreter, `python3` by default), the library that this one
//! grew from is measured on the same server. Words after `--` choose what is measured.
mod cluster;
mod invalidations;
mod measure;
mod memory;
mod operations;
mod python;
mod subjects;
mod tls;

use std::io::Write as _;

use servers::{Flavor, TestServer};

use cluster::cluster;
use invalidations::{fill, invalidations};
use measure::is_asked_for;
use memory::memory;
use operations::operations;
use python::python;
use subjects::Subjects;
use tls::tls;

fn main() {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let flavor = match std::env::var("REGION_BENCH_SERVER").as_deref() {
        Ok("valkey") => Flavor::Valkey,
        _ => Flavor::Redis,
    };
    let server = TestServer::start(flavor);
    runtime.block_on(async {
        let subjects = Subjects::new(&server).await;
        if !is_bench {
            // As a test it only has to run.
            subjects.get_many()(1).await;
            return fill(&subjects.region(2), 1).await;
        }
        let print = |text: String| {
            // A closed pipe is for whoever closed it to know.
            let _ = std::io::stdout().write_all(text.as_bytes());
        };
        print(operations(&subjects).await);
        if is_asked_for("`set` over TLS, depth 4") {
            print(tls(flavor).await);
        }
        if is_asked_for(cluster::PARTS) {
            print(cluster(flavor).await);
        }
        if is_asked_for("invalidate") {
            print(invalidations(&subjects).await);
        }
        if is_asked_for("memory") {
            print(memory(&server).await);
        }
        if is_asked_for("python") {
            print(python(&server));
        }
    });
}
