//! Runs the program, and fills servers.

use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use region_cache::{Json, Policy, RedisStore, Region, RegionCache, RegionExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a run of the program has printed.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        Self {
            code: output.status.code().expect("no signal"),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// Checks the exit code, and that no password was printed.
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        assert!(!self.stdout.contains("secret") && !self.stderr.contains("secret"), "{self:#?}");
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// The program with these arguments, on the server of this URL.
pub(crate) fn command(url: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_region"));
    command.args(args).stdin(Stdio::null());
    command.env("REGION_CACHE_URL", url).env("REGION_CACHE_ROOT", "shop").env("COLUMNS", "100");
    if !args.contains(&"--timeout") {
        // A busy machine takes its time.
        command.args(["--timeout", "20s"]);
    }
    command
}

/// Runs it to its end.
pub(crate) fn region(url: &str, args: &[&str]) -> Ran {
    let output = command(url, args).output().expect("the program runs");
    Ran::of(&output)
}

/// Starts it, with pipes.
pub(crate) fn start(url: &str, args: &[&str]) -> Child {
    let mut command = command(url, args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs")
}

/// A value with several fields.
#[derive(Debug, Serialize, Deserialize, PartialEq)]
pub(crate) struct Summary {
    pub(crate) title: String,
    pub(crate) open: u32,
}

/// A cache on the server, as an application has it.
pub(crate) async fn cache(url: &str) -> RegionCache {
    // As long as a busy machine may need.
    let limit = Duration::from_secs(20);
    let store = RedisStore::builder(url).unwrap().connect_timeout(limit).call_timeout(limit);
    let store = store.connect().await.unwrap();
    RegionCache::builder(store).root("shop").build().unwrap()
}

/// Fills a root with what the page `docs/region-cli.md` shows.
pub(crate) async fn fill(url: &str) -> RegionCache {
    let cache = cache(url).await;
    let project = cache.region("org:42.project:7").unwrap();
    let json = project.with_policy(Policy::new().serializer(Json)).unwrap();
    let summary = Summary { title: "Russian dolls".to_owned(), open: 3 };
    json.set("summary", &summary).await.unwrap();
    project.set("count", &7u32).await.unwrap();
    cache.region("org:42").unwrap().set("name", &"Matryoshka".to_owned()).await.unwrap();
    cache.region("org:43").unwrap().set("name", &"Nobody".to_owned()).await.unwrap();
    cache
}

/// Polls until it is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "waited for {what} in vain");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// As [`until`], for what has to be waited for itself.
pub(crate) async fn until_async<F: Future<Output = bool>>(
    what: &str,
    mut is_so: impl FnMut() -> F,
) {
    let waits = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), waits).await;
    waited.unwrap_or_else(|_| panic!("waited for {what} in vain"));
}

/// Runs the program on a terminal of its own, with this input. What it says and its output come together.
pub(crate) fn on_terminal(url: &str, args: &str, input: &[u8]) -> Ran {
    let program = env!("CARGO_BIN_EXE_region");
    let line = format!("stty rows 30 cols 100 && exec {program} {args} --timeout 20s");
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    command.env("REGION_CACHE_URL", url).env("REGION_CACHE_ROOT", "shop").env("TERM", "xterm");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("script, of util-linux, runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut stdin, input).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    drop(stdin);
    Ran::of(&output)
}
