//! Prints the results.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use region_cache::{Error, Region, RegionExt, Result, Stats};
use tokio::task::JoinHandle;

use crate::format::{counted, grouped, size, time};
use crate::name;
use crate::tree::{Counts, DIR, FILES, NAMED, TOTAL, Total, Walk};

/// The time before the first progress line, and between two of them.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Where the numbers begin, if the names leave room.
const NAME_WIDTH: usize = 44;

/// The figures of one pass over the tree.
pub(crate) struct Pass {
    name: &'static str,
    files_read: u64,
    loads: u64,
    hits: u64,
    near_hits: u64,
    store_failures: u64,
    time: Duration,
}

impl Pass {
    pub(crate) fn new(
        name: &'static str,
        walk: &Walk,
        before: Stats,
        after: Stats,
        time: Duration,
    ) -> Self {
        Self {
            name,
            files_read: walk.files_read.load(Ordering::Relaxed),
            loads: after.loads - before.loads,
            hits: after.hits - before.hits,
            near_hits: after.near_hits - before.near_hits,
            store_failures: after.store_failures - before.store_failures,
            time,
        }
    }
}

impl fmt::Display for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, files_read, loads, hits, near_hits, store_failures, time: took } = self;
        writeln!(
            f,
            "{name:<8} {:>18} {:>22} {:>13} {:>12} {:>9}",
            counted(*files_read, "file read", "files read"),
            counted(*loads, "value loaded", "values loaded"),
            counted(*hits, "hit", "hits"),
            format!("{} near", grouped(*near_hits)),
            time(*took),
        )?;
        if *store_failures > 0 {
            let failures = counted(*store_failures, "call", "calls");
            writeln!(f, "{:<8} ran uncached in part: the store failed {failures}", "")?;
        }
        Ok(())
    }
}

/// Says on the way how far a long walk is.
pub(crate) struct Progress(JoinHandle<()>);

impl Progress {
    pub(crate) fn show(walk: Arc<Walk>) -> Self {
        Self(tokio::spawn(async move {
            // A terminal shows one line that changes; anything else gets a line each time.
            let (start, end) = if io::stderr().is_terminal() { ("\r", "") } else { ("", "\n") };
            loop {
                tokio::time::sleep(PROGRESS_EVERY).await;
                let files = walk.files_read.load(Ordering::Relaxed);
                let dirs = walk.dirs_read.load(Ordering::Relaxed);
                let files = counted(files, "file", "files");
                let dirs = counted(dirs, "directory", "directories");
                // Progress that cannot be shown is no reason to stop.
                let _ = write!(io::stderr(), "{start}{files} in {dirs} read so far{end}");
            }
        }))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.abort();
        if io::stderr().is_terminal() {
            let _ = write!(io::stderr(), "\r{:60}\r", "");
        }
    }
}

/// The files that could not be counted, and the values that could not be cached.
pub(crate) fn skipped(walk: &Walk) -> String {
    let mut text = String::from("\n");
    let count = walk.skipped.load(Ordering::Relaxed);
    if count > 0 {
        text = format!("\nLeft out {}:\n", counted(count, "entry", "entries"));
        for line in walk.named() {
            text.push_str(&format!("  {line}\n"));
        }
        if count > NAMED as u64 {
            text.push_str(&format!("  and {} more\n", grouped(count - NAMED as u64)));
        }
        text.push('\n');
    }
    let too_deep = walk.too_deep.load(Ordering::Relaxed);
    if too_deep > 0 {
        let dirs = counted(too_deep, "directory lies", "directories lie");
        text.push_str(&format!("{dirs} too deep for a region and count with the one around.\n\n"));
    }
    text
}

/// The total alone, for a tree that the cache cannot be asked for.
pub(crate) fn without_tree(dir: &Path, total: &Total, error: &Error) -> String {
    let mut text = String::new();
    line(&mut text, "", &name::printable(&dir.to_string_lossy()), total);
    text.push_str(&format!("The rest is not shown, for it ran uncached: {error}\n"));
    text
}

/// The tree down to `depth`, the `top` largest entries of each directory, from the cache alone.
pub(crate) async fn tree<R: Region>(
    region: &R,
    dir: &Path,
    total: &Total,
    depth: usize,
    top: usize,
) -> Result<String> {
    let mut text = String::new();
    line(&mut text, "", &name::printable(&dir.to_string_lossy()), total);
    branches(&mut text, region.clone(), String::new(), depth, top).await?;
    Ok(text)
}

fn branches<'a, R: Region>(
    text: &'a mut String,
    region: R,
    indent: String,
    depth: usize,
    top: usize,
) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        if depth == 0 {
            return Ok(());
        }
        let mut entries = entries(&region).await?;
        entries.sort_by(|one, other| {
            (other.total.bytes, &one.name).cmp(&(one.total.bytes, &other.name))
        });
        let more = entries.len().saturating_sub(top);
        entries.truncate(top);
        let last = entries.len().saturating_sub(usize::from(more == 0));
        for (at, entry) in entries.into_iter().enumerate() {
            let is_last = at == last;
            let branch = if is_last { "└── " } else { "├── " };
            line(text, &format!("{indent}{branch}"), &entry.name, &entry.total);
            if let Some(inner) = entry.region {
                let indent = format!("{indent}{}", if is_last { "    " } else { "│   " });
                branches(text, inner, indent, depth - 1, top).await?;
            }
        }
        if more > 0 {
            text.push_str(&format!("{indent}└── ... {} more\n", grouped(more as u64)));
        }
        Ok(())
    })
}

struct Entry<R> {
    name: String,
    total: Total,
    region: Option<R>,
}

/// The entries of a directory that the cache holds.
async fn entries<R: Region>(region: &R) -> Result<Vec<Entry<R>>> {
    let mut entries = Vec::new();
    let mut children = region.children();
    while let Some(child) = children.try_next().await? {
        let Some(id) = child.id().filter(|_| child.name() == DIR) else { continue };
        let inner = region.child_with_id(DIR, &id)?;
        if let Some(total) = inner.get::<Total>(TOTAL).await? {
            let name = format!("{}/", name::shown(&id));
            entries.push(Entry { name, total: *total, region: Some(inner) });
        }
    }
    let mut files = region.child(FILES)?.entries::<Counts>();
    while let Some((key, counts)) = files.try_next().await? {
        let name = name::shown(&key);
        entries.push(Entry { name, total: (*counts).into(), region: None });
    }
    Ok(entries)
}

fn line(text: &mut String, indent: &str, name: &str, total: &Total) {
    let width = NAME_WIDTH.saturating_sub(indent.chars().count());
    let Total { files, lines, bytes } = total;
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{indent}{name:<width$} {:>16} {:>18} {:>10}",
        counted(*files, "file", "files"),
        counted(*lines, "line", "lines"),
        size(*bytes),
    );
}
