//! What all requests share.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use region_cache::{Error, Region, RegionCache, RegionCacheBuilder, RegionHandle, Verb};
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use crate::database::Database;
use crate::error::AppError;

/// The first wait before an end is tried again; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// The longest of these waits. All together are about three seconds.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// The state of the service, cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The cache of fragments and pages.
    pub cache: RegionCache,
    /// The source of truth.
    pub database: Database,
    /// The edits under way. The program waits for them before it ends.
    pub edits: TaskTracker,
    stamps: Arc<Stamps>,
}

/// What names the renderings of this process.
struct Stamps {
    instance: String,
    next: AtomicU64,
}

impl App {
    /// Creates the state. `instance` is this process's name in stamps, such as its port.
    ///
    /// # Errors
    /// The cache's, if its settings are wrong.
    pub fn new(
        cache: RegionCacheBuilder,
        database: Database,
        instance: &str,
    ) -> Result<Self, Error> {
        // Processes share fragments only if they share the database that these were rendered from.
        let root = format!("library-{}", database.identity());
        let cache = cache.root(root).build()?;
        let stamps = Stamps { instance: instance.to_owned(), next: AtomicU64::new(1) };
        Ok(Self { cache, database, edits: TaskTracker::new(), stamps: Arc::new(stamps) })
    }

    /// A stamp for what is rendered now. No two are equal.
    #[must_use]
    pub fn stamp(&self) -> String {
        let number = self.stamps.next.fetch_add(1, Ordering::Relaxed);
        let now = humantime::format_rfc3339_millis(SystemTime::now());
        format!("{now}/{}/{number}", self.stamps.instance)
    }

    /// Writes to the database, and then ends the regions that show what was there before.
    ///
    /// The order matters. If the regions ended first, a load could begin after that, read the old rows, and store them.
    /// This way a load that has read old rows began before the end, and the store refuses what it brings.
    ///
    /// # Errors
    /// Those of `write`, and [`AppError::NotShown`] if a region cannot be ended.
    ///
    /// # Cancel safety
    /// It runs in a task of its own, to the end: a client that goes away must not leave a row without its end.
    pub async fn edit<F, Fut>(
        &self,
        ends: impl IntoIterator<Item = (RegionHandle, Verb)>,
        write: F,
    ) -> Result<(), AppError>
    where
        F: FnOnce(Database) -> Fut,
        Fut: Future<Output = Result<(), AppError>> + Send + 'static,
    {
        let ends: Vec<_> = ends.into_iter().collect();
        let write = write(self.database.clone());
        let edit = self.edits.spawn(async move {
            let written = write.await;
            if written.as_ref().is_err_and(AppError::says_that_nothing_changed) {
                return written;
            }
            // All are tried, whatever becomes of the others.
            let ended = join_all(ends.iter().map(|(region, verb)| end(region, *verb))).await;
            let ended = ended.into_iter().collect::<Result<(), Error>>();
            written?;
            ended.map_err(AppError::NotShown)
        });
        edit.await?
    }
}

/// Ends a region. An outage may be over in a moment, and it is always safe to end a region again.
async fn end(region: &RegionHandle, verb: Verb) -> Result<(), Error> {
    let mut wait = FIRST_WAIT;
    loop {
        match region.end(verb).await {
            Err(error) if error.can_retry() && wait <= LAST_WAIT => {
                sleep(wait).await;
                wait *= 2;
            }
            result => return result,
        }
    }
}
