//! The Python library on the same server.

use std::process::Command;

use servers::TestServer;

/// Measures the library by its own script.
pub(crate) fn python(server: &TestServer) -> String {
    let python = std::env::var("REGION_BENCH_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    server.command(&["FLUSHALL"]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/seed.py");
    let port = server.port().to_string();
    match Command::new(python).args([script, "--port", &port]).output() {
        Ok(done) if done.status.success() => {
            format!("\nThe Python library: {}", String::from_utf8_lossy(&done.stdout))
        }
        Ok(done) => {
            format!("\nThe Python library: {}", String::from_utf8_lossy(&done.stderr))
        }
        Err(error) => format!("\nThe Python library: no Python ({error})\n"),
    }
}
