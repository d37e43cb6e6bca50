//! `region_cache`, the Python library that this one grew from: measured by a script of its own.

use std::process::Command;

/// Microseconds on the same server, one call after the other.
#[derive(Default)]
pub struct Seed {
    pub get: Option<f64>,
    pub set: Option<f64>,
    invalidate: serde_json::Value,
}

impl Seed {
    /// Runs the script; nothing is known if Python or the library is not installed.
    pub fn measure(port: u16) -> Self {
        let python = std::env::var("REGION_BENCH_PYTHON").unwrap_or_else(|_| "python3".into());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../seed.py");
        let run = Command::new(python).arg(script).args(["--port", &port.to_string()]).output();
        let found = run.ok().filter(|run| run.status.success());
        let found = found.and_then(|run| serde_json::from_slice(&run.stdout).ok());
        let figures: serde_json::Value = found.unwrap_or_default();
        Self {
            get: figures["get_us"].as_f64(),
            set: figures["set_us"].as_f64(),
            invalidate: figures["invalidate_us"].clone(),
        }
    }

    /// The time of an invalidation with so many regions inside, each with one entry.
    pub fn invalidate(&self, regions: usize) -> Option<f64> {
        self.invalidate[regions.to_string()].as_f64()
    }
}
