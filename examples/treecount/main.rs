//! Counts the lines and bytes of a directory tree through a cache: Russian dolls at work.
//!
//! `cargo run --release --example treecount -- <DIR>`; `--help` says more.

mod args;
mod files;
mod format;
mod name;
mod report;
mod store;
mod tree;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use region_cache::{BoxError, ErrorKind, RegionCache, RegionHandle, Regioned, URL_VARIABLE};

use args::{Args, HELP, Request};
use report::{Pass, Progress};
use tree::{Total, Walk};

/// The tree that is counted: the region that all its directories lie in.
#[derive(Regioned)]
#[region(name = "tree")]
struct Tree {
    #[region(id)]
    dir: String,
}

/// The longest id that is used as it is.
const MAX_ID_BYTES: usize = 160;

/// Why the program ends early.
enum Failure {
    /// The arguments are no good.
    Usage(String),
    /// The tree could not be counted.
    Count(BoxError),
    /// Nobody reads what is printed any more, which is no failure.
    Unread,
}

fn main() -> ExitCode {
    let args = match args::parse(std::env::args_os().skip(1)) {
        Ok(Request::Count(args)) => args,
        Ok(Request::Help) => return exit(print(HELP)),
        Err(wrong) => return exit(Err(Failure::Usage(wrong))),
    };
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => exit(runtime.block_on(run(args))),
        Err(error) => exit(Err(Failure::Count(error.into()))),
    }
}

async fn run(args: Args) -> Result<(), Failure> {
    let dir = directory(&args.dir)?;
    let changed = args.changed.as_deref().map(|file| inside(file, &dir)).transpose()?;
    let cache = store::open(std::env::var_os(URL_VARIABLE).as_deref())
        .map_err(|error| Failure::Usage(format!("{URL_VARIABLE}: {error}")))?;
    let id = name::text_of(dir.as_os_str(), MAX_ID_BYTES);
    let region =
        cache.region_of(&Tree { dir: id }).map_err(|error| Failure::Count(error.into()))?;

    let (cold, walk, total) = pass(&cache, &region, &dir, "cold").await?;
    match report::tree(&region, &dir, &total, args.depth, args.top).await {
        Ok(tree) => print(&tree)?,
        Err(error) if is_outage(&error) => print(&report::without_tree(&dir, &total, &error))?,
        Err(error) => return Err(Failure::Count(error.into())),
    }
    print(&report::skipped(&walk))?;
    print(&cold.to_string())?;
    let (warm, ..) = pass(&cache, &region, &dir, "warm").await?;
    print(&warm.to_string())?;

    let Some(changed) = changed.or_else(|| walk.deepest()) else {
        return print("No file was read; --changed names one that counts as changed.\n");
    };
    let shown = name::printable(&changed.to_string_lossy());
    print(&format!("\n{shown} counts as changed:\n"))?;
    match tree::file_changed(&region, &changed).await {
        Ok(()) => {}
        Err(error) if is_outage(&error) => {
            return print(&format!("The store could not be told: {error}\n"));
        }
        Err(error) => return Err(Failure::Count(error.into())),
    }
    let (after, ..) = pass(&cache, &region, &dir, "changed").await?;
    print(&after.to_string())
}

/// Returns whether the error is an outage of the store: counting goes on without it.
fn is_outage(error: &region_cache::Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout)
}

/// Counts the tree once, and what that took.
async fn pass(
    cache: &RegionCache,
    region: &RegionHandle,
    dir: &Path,
    name: &'static str,
) -> Result<(Pass, Arc<Walk>, Arc<Total>), Failure> {
    let walk = Arc::new(Walk::default());
    let progress = Progress::show(Arc::clone(&walk));
    let (before, start) = (cache.stats(), Instant::now());
    let total = tree::total(Arc::clone(&walk), region.clone(), dir.to_owned()).await;
    drop(progress);
    let total = total.map_err(|error| Failure::Count(error.into()))?;
    let pass = Pass::new(name, &walk, before, cache.stats(), start.elapsed());
    Ok((pass, walk, total))
}

fn directory(dir: &Path) -> Result<PathBuf, Failure> {
    let wrong = |what: String| Failure::Usage(format!("{}: {what}", dir.display()));
    let absolute = dir.canonicalize().map_err(|error| wrong(error.to_string()))?;
    if !absolute.is_dir() {
        return Err(wrong("not a directory".to_owned()));
    }
    Ok(absolute)
}

/// `file` from `dir` on; it may be given from there, from here, or whole.
fn inside(file: &Path, dir: &Path) -> Result<PathBuf, Failure> {
    let wrong = |what: &str| Failure::Usage(format!("{}: {what}", file.display()));
    let from_dir = dir.join(file);
    let given = if from_dir.is_file() { &from_dir } else { file };
    let given = given.canonicalize().map_err(|error| wrong(&error.to_string()))?;
    if !given.is_file() {
        return Err(wrong("not a file"));
    }
    let inside = given.strip_prefix(dir).map_err(|_| wrong("not in the directory"))?;
    Ok(inside.to_owned())
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::Unread),
        Err(error) => Err(Failure::Count(error.into())),
        Ok(()) => Ok(()),
    }
}

fn exit(result: Result<(), Failure>) -> ExitCode {
    const FAILED: u8 = 1;
    const MISUSED: u8 = 2;
    let (text, code) = match result {
        Ok(()) | Err(Failure::Unread) => return ExitCode::SUCCESS,
        Err(Failure::Usage(wrong)) => (format!("{wrong} (--help says more)"), MISUSED),
        Err(Failure::Count(error)) => (error.to_string(), FAILED),
    };
    // Nobody can be told that the error cannot be printed either.
    let _ = writeln!(io::stderr(), "treecount: {text}");
    ExitCode::from(code)
}
