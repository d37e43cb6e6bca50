//! The cached counts: a region for each directory, inside that of the directory around it.
//!
//! A directory's region keeps its total. The counts of its files are in a region of their own inside
//! it, `files`: so touching the directory, which ends its total and those of all around it, leaves
//! them as they are.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream;
use region_cache::{BoxError, ErrorKind, MAX_KEY_BYTES, Region, RegionExt, Result};
use serde::{Deserialize, Serialize};

use crate::files::{self, Listing};
use crate::name;

/// The name of the segments of directories.
pub(crate) const DIR: &str = "dir";

/// The name of the region that a directory's file counts are in.
pub(crate) const FILES: &str = "files";

/// The key of a directory's total.
pub(crate) const TOTAL: &str = "total";

/// The number of files that are read at once.
const READS: usize = 8;

/// The longest name of a directory that is used as it is.
const MAX_NAME_BYTES: usize = 255;

/// The number of unreadable files that are named.
pub(crate) const NAMED: usize = 5;

/// The counts of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
}

/// The counts of a directory, its subdirectories included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Total {
    pub(crate) files: u64,
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
}

impl Total {
    fn add(&mut self, other: Self) {
        self.files += other.files;
        self.lines += other.lines;
        self.bytes += other.bytes;
    }
}

impl From<Counts> for Total {
    fn from(Counts { lines, bytes }: Counts) -> Self {
        Self { files: 1, lines, bytes }
    }
}

/// The events of one walk through the tree.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    pub(crate) files_read: AtomicU64,
    pub(crate) dirs_read: AtomicU64,
    pub(crate) skipped: AtomicU64,
    /// The first few that were skipped, with the reason.
    named: Mutex<Vec<String>>,
    /// Directories that lie too deep for a region of their own.
    pub(crate) too_deep: AtomicU64,
    /// The deepest file read, and the first of those by name.
    deepest: Mutex<Option<(usize, PathBuf)>>,
}

impl Walk {
    pub(crate) fn deepest(&self) -> Option<PathBuf> {
        lock(&self.deepest).as_ref().map(|(_, path)| path.clone())
    }

    pub(crate) fn named(&self) -> Vec<String> {
        lock(&self.named).clone()
    }

    fn skip(&self, path: &Path, error: &dyn std::fmt::Display) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
        let mut named = lock(&self.named);
        if named.len() < NAMED {
            named.push(format!("{}: {error}", name::printable(&path.to_string_lossy())));
        }
    }

    fn read(&self, path: &Path, depth: usize) {
        self.files_read.fetch_add(1, Ordering::Relaxed);
        let mut deepest = lock(&self.deepest);
        let is_deeper = deepest.as_ref().is_none_or(|(other_depth, other)| {
            depth > *other_depth || depth == *other_depth && path < other.as_path()
        });
        if is_deeper {
            *deepest = Some((depth, path.to_owned()));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Where a walk is.
#[derive(Clone)]
struct Place {
    walk: Arc<Walk>,
    /// The directory that is counted as a whole.
    top: Arc<Path>,
    /// The directory here, from the top on.
    dir: PathBuf,
}

impl Place {
    fn on_disk(&self) -> PathBuf {
        self.top.join(&self.dir)
    }

    fn inside(&self, name: &OsStr) -> Self {
        Self { dir: self.dir.join(name), ..self.clone() }
    }
}

/// The total of the directory `top`, whose region is `region`.
pub(crate) async fn total<R: Region>(
    walk: Arc<Walk>,
    region: R,
    top: PathBuf,
) -> Result<Arc<Total>> {
    total_at(region, Place { walk, top: top.into(), dir: PathBuf::new() }).await
}

/// Every level is a load, and every load a task: however deep the tree, the stack is not.
fn total_at<R: Region>(region: R, place: Place) -> BoxFuture<'static, Result<Arc<Total>>> {
    Box::pin(async move {
        let inner = region.clone();
        region.get_or_compute(TOTAL, move || make_total(inner, place)).await
    })
}

async fn make_total<R: Region>(region: R, place: Place) -> Result<Total, BoxError> {
    let dir = place.on_disk();
    let Listing { dirs, files } = blocking(move || files::list(&dir)).await?;
    place.walk.dirs_read.fetch_add(1, Ordering::Relaxed);
    let mut total = Total::default();
    let in_files = region.child(FILES)?;
    let counting = stream::iter(files).map(|name| count(in_files.clone(), place.clone(), name));
    let mut counting = counting.buffer_unordered(READS);
    while let Some(counted) = counting.next().await {
        total.add(counted?);
    }
    for name in dirs {
        let inner = place.inside(&name);
        match child(&region, &name) {
            Some(child) => match total_at(child, inner.clone()).await {
                Ok(counted) => total.add(*counted),
                Err(error) => match error.load_error::<io::Error>() {
                    Some(unreadable) => inner.walk.skip(&inner.dir, unreadable),
                    None => return Err(error.into()),
                },
            },
            None => total.add(blocking(move || Ok(count_without_cache(&inner))).await?),
        }
    }
    Ok(total)
}

/// The region of the directory `name` in that of `region`, unless it would be too deep.
fn child<R: Region>(region: &R, name: &OsStr) -> Option<R> {
    let as_it_is = region.child_with_id(DIR, &name::text_of(name, MAX_NAME_BYTES));
    let child = as_it_is.or_else(|_| region.child_with_id(DIR, &name::digest(name))).ok()?;
    // There must be room for its files, too.
    child.child(FILES).is_ok().then_some(child)
}

async fn count<R: Region>(region: R, place: Place, name: std::ffi::OsString) -> Result<Total> {
    let key = name::text_of(&name, MAX_KEY_BYTES);
    let inner = place.inside(&name);
    let reading = inner.clone();
    let load = move || async move {
        let (path, depth) = (reading.on_disk(), reading.dir.components().count());
        let (lines, bytes) = blocking(move || files::count(&path)).await?;
        reading.walk.read(&reading.dir, depth);
        Ok::<_, io::Error>(Counts { lines, bytes })
    };
    match region.get_or_compute(&key, load).await {
        Ok(counts) => Ok((*counts).into()),
        Err(error) if error.kind() == ErrorKind::Load => {
            match error.load_error::<io::Error>() {
                Some(unreadable) => place.walk.skip(&inner.dir, unreadable),
                None => place.walk.skip(&inner.dir, &error),
            }
            Ok(Total::default())
        }
        Err(error) => Err(error),
    }
}

/// Counts a directory that lies too deep for a region: as part of the one around it.
fn count_without_cache(place: &Place) -> Total {
    let mut total = Total::default();
    let mut dirs = vec![place.dir.clone()];
    while let Some(dir) = dirs.pop() {
        place.walk.too_deep.fetch_add(1, Ordering::Relaxed);
        let listing = match files::list(&place.top.join(&dir)) {
            Ok(listing) => listing,
            Err(error) => {
                place.walk.skip(&dir, &error);
                continue;
            }
        };
        place.walk.dirs_read.fetch_add(1, Ordering::Relaxed);
        dirs.extend(listing.dirs.iter().map(|name| dir.join(name)));
        for file in listing.files.iter().map(|name| dir.join(name)) {
            match files::count(&place.top.join(&file)) {
                Ok((lines, bytes)) => {
                    place.walk.read(&file, file.components().count());
                    total.add(Counts { lines, bytes }.into());
                }
                Err(error) => place.walk.skip(&file, &error),
            }
        }
    }
    total
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| Err(io::Error::other(panic)))
}

/// Ends what depends on `file`, a path from the top on: its counts, and the totals on its way up.
pub(crate) async fn file_changed<R: Region>(region: &R, file: &Path) -> Result<()> {
    let mut region = region.clone();
    for name in file.parent().into_iter().flat_map(Path::components) {
        match child(&region, name.as_os_str()) {
            Some(inner) => region = inner,
            // It was counted as part of this one.
            None => return region.touch().await,
        }
    }
    if let Some(name) = file.file_name() {
        region.child(FILES)?.remove(&name::text_of(name, MAX_KEY_BYTES)).await?;
    }
    region.touch().await
}
