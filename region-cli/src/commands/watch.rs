//! `region watch`: changes as they happen.

mod change;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use redis::PushInfo;
use region_cache::{Error, ErrorKind, RegionPath, Server};
use tokio::sync::mpsc;

use crate::args::Watch;
use crate::commands::{interrupts, passed};
use crate::exit::{Code, Failure};
use crate::output::{Output, say};
use crate::raw::{self, Raw};
use crate::target::Target;
use change::prefixes;
pub(crate) use change::{Change, Leases, Line};

/// The most changes that wait to be printed. Those that come while so many wait are counted alone.
const MOST_WAITING: usize = 4096;

/// The time between two attempts to connect again.
pub(crate) const PAUSE: Duration = Duration::from_millis(500);

/// The connections that push, and what they have pushed.
pub(crate) struct Watching {
    /// They end with this.
    _connections: Vec<Raw>,
    changes: mpsc::Receiver<Change>,
    told: Arc<Told>,
}

/// What servers have pushed and the queue does not say.
#[derive(Default)]
struct Told {
    /// The number of changes that the queue was too full for.
    left_out: AtomicU64,
    /// A connection is gone.
    is_lost: AtomicBool,
}

pub(crate) async fn run(target: &Target, watch: &Watch, output: Output) -> Result<Code, Failure> {
    let region = target.root.region(&watch.path)?;
    let mut interrupts = interrupts()?;
    let watching = Watching::start(target, &region, leases_of(watch)).await?;
    say(&format!("watching {} of {}", target.root.name(&region), target.root.path()));
    tokio::select! {
        biased;
        _ = interrupts.recv() => {}
        () = passed(watch.duration) => {}
        ended = print(target, &region, watch, watching, output) => ended?,
    }
    Ok(Code::Done)
}

/// Prints changes until the number of lines is reached. It may be dropped between two lines.
async fn print(
    target: &Target,
    region: &RegionPath,
    watch: &Watch,
    mut watching: Watching,
    output: Output,
) -> Result<(), Failure> {
    let mut printed = 0;
    while watch.count.is_none_or(|count| printed < count) {
        let change = watching.next().await;
        if let Some(line) = line(target, region, leases_of(watch), &change) {
            output.print(&line)?;
            printed += 1;
        }
        if change == Change::Lost {
            watching = Watching::start_again(target, region, leases_of(watch)).await?;
            output.print(&Line::back())?;
        }
        match watching.left_out() {
            0 => {}
            left_out => say(&format!("{left_out} changes came too fast to be shown")),
        }
    }
    Ok(())
}

fn leases_of(watch: &Watch) -> Leases {
    if watch.leases { Leases::Shown } else { Leases::Hidden }
}

/// The line for a change; `None` if it does not concern what is watched.
pub(crate) fn line(
    target: &Target,
    watched: &RegionPath,
    leases: Leases,
    change: &Change,
) -> Option<Line> {
    let now = SystemTime::now();
    match change {
        Change::All => Some(Line::new(now, "all", None)),
        Change::Lost => Some(Line::new(now, "lost", None)),
        Change::Key(key) => {
            let (kind, region) = key.parse()?;
            kind.concerns(&region, watched, leases)
                .then(|| Line::new(now, kind.word(), Some(target.root.name(&region))))
        }
    }
}

impl Watching {
    /// Has each primary push the changes below the watched region, and of the regions around it.
    pub(crate) async fn start(
        target: &Target,
        watched: &RegionPath,
        leases: Leases,
    ) -> Result<Self, Error> {
        let (sender, changes) = mpsc::channel(MOST_WAITING);
        let told = Arc::<Told>::default();
        let mut connections = Vec::new();
        for server in raw::primaries(&target.store, target.timeout).await? {
            let (sender, told) = (sender.clone(), Arc::clone(&told));
            let pushed = move |push| told.take(push, &sender);
            connections.push(track(&server, target.timeout, watched, leases, pushed).await?);
        }
        Ok(Self { _connections: connections, changes, told })
    }

    /// As [`start`](Self::start); tries until it succeeds, or finds an error that does not pass.
    pub(crate) async fn start_again(
        target: &Target,
        watched: &RegionPath,
        leases: Leases,
    ) -> Result<Self, Error> {
        loop {
            match Self::start(target, watched, leases).await {
                Err(error) if error.can_retry() => tokio::time::sleep(PAUSE).await,
                other => return other,
            }
        }
    }

    /// Waits for the next change.
    pub(crate) async fn next(&mut self) -> Change {
        if self.changes.is_empty() && self.told.is_lost.load(Ordering::Acquire) {
            return Change::Lost;
        }
        // All senders are gone once all connections are.
        self.changes.recv().await.unwrap_or(Change::Lost)
    }

    /// Returns the number of changes that came too fast since it was last asked.
    pub(crate) fn left_out(&self) -> u64 {
        self.told.left_out.swap(0, Ordering::Relaxed)
    }
}

impl Told {
    /// Takes a push. It waits for nobody.
    fn take(&self, push: PushInfo, queue: &mpsc::Sender<Change>) {
        for change in Change::of_push(push) {
            if change == Change::Lost {
                self.is_lost.store(true, Ordering::Release);
            }
            if queue.try_send(change).is_err() {
                self.left_out.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

async fn track(
    server: &Server,
    limit: Duration,
    watched: &RegionPath,
    leases: Leases,
    pushed: impl Fn(PushInfo) + Send + Sync + 'static,
) -> Result<Raw, Error> {
    let raw = Raw::connect_pushed(server, limit, pushed).await?;
    let mut command = redis::cmd("CLIENT");
    command.arg("TRACKING").arg("ON").arg("BCAST");
    for prefix in prefixes(watched, leases) {
        command.arg("PREFIX").arg(prefix);
    }
    raw.ask::<()>(&command).await.map_err(|error| {
        let message = format!("{server} does not push changes: {error}");
        let kind = match raw::is_denied(&error) {
            true => ErrorKind::Denied,
            false => ErrorKind::Unavailable,
        };
        Error::new(kind, message)
    })?;
    Ok(raw)
}
