//! What goes wrong.

mod apply;
mod fail_over;

use rand::RngExt;
use rand::seq::IndexedRandom;

use super::ms;
use super::report::Report;
use super::world::World;
use crate::event::What;
use crate::message::Command;

/// The number of tasks for each cache.
const TASKS: usize = 2;

/// The faults of a round.
const FEWEST: usize = 2;
/// See [`FEWEST`].
const MOST: usize = 5;

/// A fault. Those of processes name the slot, durations are in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    StopProcess(usize),
    KillProcess(usize),
    Cut(usize),
    CutInAnswer(usize, u64),
    Silence(usize),
    Delay(usize, u64),
    Throttle(usize),
    CutReading,
    SilenceReading,
    DelayReading(u64),
    DelayReplication(u64),
    HoldReplication,
    StopReplica,
    StopServer,
    KillServer,
    PauseAll(u64),
    PauseWrites(u64),
    Sleep,
    Evict,
    DeleteKeys,
    Flush,
    FlushScripts,
    KillClients,
    TrackFewKeys,
    FailOver,
    FailOverToOlder(u64),
}

impl Fault {
    fn name(self) -> String {
        let text = format!("{self:?}");
        text.split('(').next().unwrap_or_default().to_owned()
    }
}

impl World {
    /// One round: clients operate, and faults come and go. Returns the faults.
    pub(super) async fn round(&mut self, report: &mut Report) -> Vec<String> {
        let pause = *[2_000, 8_000, 20_000].choose(&mut self.rng).unwrap_or(&8_000);
        for slot in 0..self.slots.len() {
            self.begin(slot, pause).await;
        }
        self.wait(100..600).await;
        let mut names = Vec::new();
        for _ in 0..self.rng.random_range(FEWEST..=MOST) {
            let fault = self.draw();
            self.log.record(What::Fault(format!("{fault:?}")));
            names.push(format!("{fault:?}"));
            *report.faults.entry(fault.name()).or_insert(0) += 1;
            self.apply(fault, pause).await;
            self.wait(50..900).await;
            // Some last until the end of the round.
            if self.rng.random_ratio(2, 3) {
                self.heal().await;
                self.wait(0..400).await;
            }
        }
        self.heal().await;
        self.wait(100..400).await;
        names
    }

    pub(super) async fn begin(&mut self, slot: usize, pause: u64) {
        let run = Command::Run { seed: self.rng.random(), tasks: TASKS, pause };
        self.slots[slot].worker.try_ask(run).await;
    }

    async fn wait(&mut self, millis: std::ops::Range<u64>) {
        let wait = ms(self.rng.random_range(millis));
        tokio::time::sleep(wait).await;
    }

    fn draw(&mut self) -> Fault {
        let slot = self.rng.random_range(0..self.slots.len());
        let short = self.rng.random_range(1..80);
        let long = self.rng.random_range(50..900);
        match self.rng.random_range(0..30) {
            0..3 => Fault::StopProcess(slot),
            3 => Fault::KillProcess(slot),
            4 => Fault::Cut(slot),
            5 => Fault::CutInAnswer(slot, self.rng.random_range(1..3000)),
            6 | 7 => Fault::Silence(slot),
            8 => Fault::Delay(slot, short),
            9 => Fault::Throttle(slot),
            10 => Fault::CutReading,
            11 => Fault::SilenceReading,
            12 => Fault::DelayReading(short),
            13 => Fault::DelayReplication(long),
            14 => Fault::HoldReplication,
            15 => Fault::StopReplica,
            16 => Fault::StopServer,
            17 => Fault::KillServer,
            18 => Fault::PauseAll(long),
            19 => Fault::PauseWrites(long),
            20 => Fault::Sleep,
            21 => Fault::Evict,
            22 => Fault::DeleteKeys,
            23 => Fault::Flush,
            24 => Fault::FlushScripts,
            25 => Fault::KillClients,
            26 => Fault::TrackFewKeys,
            27 => Fault::FailOver,
            _ => Fault::FailOverToOlder(long),
        }
    }
}
