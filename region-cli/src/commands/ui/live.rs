//! What is going on, for all pages that are open.

use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::MissedTickBehavior;

use crate::commands::top::{
    Model, REGION_COLUMNS, SERVER_COLUMNS, Seen, region_rows, sample, server,
};
use crate::commands::watch::{Change, Leases, Line, PAUSE, Watching, line};
use crate::exit::Failure;
use crate::target::Target;

/// The time between two pictures, and between two questions to the servers.
const EVERY: Duration = Duration::from_secs(1);

/// The most changes that wait for a page. A page that is slower loses the oldest, and is told how many.
const MOST_WAITING: usize = 1024;

/// The most regions that a picture tells apart.
const MOST_BUSY: usize = 20;

/// What is going on.
#[derive(Debug)]
pub(crate) struct Live {
    state: Mutex<State>,
    lines: broadcast::Sender<Line>,
    pictures: watch::Sender<Picture>,
}

#[derive(Debug)]
struct State {
    model: Model,
    /// True while changes are pushed.
    is_watching: bool,
    /// The reason for which no changes are pushed.
    trouble: Option<String>,
    /// The number of changes that came too fast to become lines.
    left_out: u64,
}

/// A picture, and the number of changes that have become no lines until then.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    pub(crate) now: Value,
    pub(crate) left_out: u64,
}

/// A picture of what is going on, as `region top` draws it.
#[derive(Debug, Serialize)]
struct Now<'n> {
    root: &'n str,
    servers: Table<6>,
    regions: Table<2>,
    /// The servers that do not answer.
    down: Vec<&'n str>,
    flushes: u64,
    is_watching: bool,
    trouble: Option<&'n str>,
}

/// Rows of cells, below the names of the columns.
#[derive(Debug, Serialize)]
struct Table<const N: usize> {
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl<const N: usize> Table<N> {
    fn new(columns: &[(&'static str, u16); N], rows: impl Iterator<Item = [String; N]>) -> Self {
        Self {
            columns: columns.iter().map(|(name, _)| *name).collect(),
            rows: rows.map(Vec::from).collect(),
        }
    }
}

impl Live {
    pub(crate) fn new(root: &str) -> Self {
        let state =
            State { model: Model::new(root), is_watching: false, trouble: None, left_out: 0 };
        let pictures = watch::Sender::new(state.draw());
        Self { state: Mutex::new(state), lines: broadcast::Sender::new(MOST_WAITING), pictures }
    }

    /// The lines of `region watch` from now on, and pictures: only the newest one waits to be shown.
    pub(crate) fn follow(&self) -> (broadcast::Receiver<Line>, watch::Receiver<Picture>) {
        (self.lines.subscribe(), self.pictures.subscribe())
    }

    /// Follows what is going on, for as long as it is polled.
    pub(crate) async fn run(&self, target: &Target) {
        let (to_model, seen) = mpsc::channel(1);
        tokio::join!(
            self.watch(target),
            self.draw(seen),
            sample(&target.store, target.timeout, EVERY, to_model),
        );
    }

    /// Has changes pushed, again and again if need be.
    async fn watch(&self, target: &Target) {
        let root = target.root.path();
        loop {
            match Watching::start(target, root, Leases::Hidden).await {
                Ok(mut watching) => {
                    self.connected();
                    while self.take(target, &watching.next().await, watching.left_out()) {}
                }
                Err(error) => self.failed(&error.into()),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Takes what was pushed. Returns false if nothing more will be.
    fn take(&self, target: &Target, change: &Change, left_out: u64) -> bool {
        let mut state = self.state.lock();
        state.model.take(&target.root, change);
        state.left_out += left_out;
        state.is_watching = *change != Change::Lost;
        drop(state);
        if let Some(line) = line(target, target.root.path(), Leases::Hidden, change) {
            self.tell(line);
        }
        *change != Change::Lost
    }

    fn connected(&self) {
        let mut state = self.state.lock();
        (state.is_watching, state.trouble) = (true, None);
        if std::mem::take(&mut state.model.is_lost) {
            self.tell(Line::back());
        }
    }

    fn failed(&self, failure: &Failure) {
        let mut state = self.state.lock();
        state.model.is_lost = true;
        state.trouble = Some(failure.to_string());
    }

    fn tell(&self, line: Line) {
        // It fails if no page is open: then there is nobody to tell.
        let _ = self.lines.send(line);
    }

    /// Draws a picture once a second, of what the servers have told too.
    async fn draw(&self, mut seen: mpsc::Receiver<Vec<Seen>>) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = ticks.tick() => {
                    let mut state = self.state.lock();
                    state.model.pass(EVERY);
                    self.pictures.send_replace(state.draw());
                }
                Some(seen) = seen.recv() => self.state.lock().model.see(seen, EVERY),
            }
        }
    }
}

impl State {
    fn draw(&self) -> Picture {
        let Self { model, is_watching, trouble, left_out } = self;
        let down = model.servers.iter().filter(|row| !row.is_up).map(|row| row.server.as_str());
        let now = Now {
            root: &model.root,
            servers: Table::new(&SERVER_COLUMNS, model.servers.iter().map(server)),
            regions: Table::new(&REGION_COLUMNS, region_rows(model, MOST_BUSY).into_iter()),
            down: down.collect(),
            flushes: model.flushes,
            is_watching: *is_watching,
            trouble: trouble.as_deref(),
        };
        Picture { now: serde_json::to_value(now).unwrap_or_default(), left_out: *left_out }
    }
}
