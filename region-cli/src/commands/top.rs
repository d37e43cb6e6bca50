//! `region top`: what is busy now.

mod model;
mod sample;
mod view;

use std::io::{self, IsTerminal};
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::args::Top;
use crate::commands::passed;
use crate::commands::watch::{Change, Leases, Watching};
use crate::exit::{Code, Failure};
use crate::output::{Format, Output};
use crate::target::Target;
pub(crate) use model::Model;
pub(crate) use sample::{Seen, sample};
pub(crate) use view::{REGION_COLUMNS, SERVER_COLUMNS, region_rows, server};

/// The time between two pictures.
const FRAME: Duration = Duration::from_millis(250);

/// The longest that a key waits to be read.
const KEY_WAIT: Duration = Duration::from_millis(100);

pub(crate) async fn run(target: &Target, top: &Top, output: Output) -> Result<Code, Failure> {
    if output.0 == Format::Json || !io::stdout().is_terminal() {
        let message = "top needs a terminal to draw on\n  \
                       `region stats --json` prints numbers, `region watch --json` changes.";
        return Err(Failure::usage(message));
    }
    let watching = Watching::start(target, target.root.path(), Leases::Hidden).await?;
    let (to_show, seen) = mpsc::channel(1);
    let mut terminal = ratatui::try_init()?;
    let ended = tokio::select! {
        ended = show(target, top, watching, seen, &mut terminal) => ended,
        () = sample(&target.store, target.timeout, top.every, to_show) => Ok(()),
    };
    ratatui::restore();
    ended.map(|()| Code::Done)
}

/// Draws until a key or the time ends it.
async fn show(
    target: &Target,
    top: &Top,
    mut watching: Watching,
    mut seen: mpsc::Receiver<Vec<Seen>>,
    terminal: &mut DefaultTerminal,
) -> Result<(), Failure> {
    let mut quit = quit_key();
    let end = passed(top.duration);
    tokio::pin!(end);
    let mut frames = tokio::time::interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut model = Model::new(target.root.path().as_str());
    loop {
        tokio::select! {
            biased;
            _ = quit.recv() => return Ok(()),
            () = &mut end => return Ok(()),
            _ = frames.tick() => {
                model.pass(FRAME);
                terminal.draw(|frame| view::draw(&model, frame))?;
            }
            Some(seen) = seen.recv() => model.see(seen, top.every),
            change = watching.next() => {
                model.take(&target.root, &change);
                if change == Change::Lost {
                    terminal.draw(|frame| view::draw(&model, frame))?;
                    let again =
                        Watching::start_again(target, target.root.path(), Leases::Hidden);
                    watching = tokio::select! {
                        biased;
                        _ = quit.recv() => return Ok(()),
                        () = &mut end => return Ok(()),
                        again = again => again?,
                    };
                    model.is_lost = false;
                }
            }
        }
    }
}

/// Tells of a key that ends it. Keys are read on a thread of their own, which ends with the receiver.
fn quit_key() -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        while !sender.is_closed() {
            let is_quit = match event::poll(KEY_WAIT) {
                Ok(false) => continue,
                Ok(true) => matches!(event::read(), Ok(Event::Key(key)) if ends(key)),
                // The terminal is gone.
                Err(_) => true,
            };
            if is_quit {
                // One is enough.
                let _ = sender.try_send(());
                return;
            }
        }
    });
    receiver
}

fn ends(key: KeyEvent) -> bool {
    let is_interrupt =
        key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    let is_quit = matches!(key.code, KeyCode::Char('q') | KeyCode::Esc);
    key.kind == KeyEventKind::Press && (is_quit || is_interrupt)
}
