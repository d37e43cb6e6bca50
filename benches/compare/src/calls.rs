//! Hits, writes, invalidations and stampedes, in turns.

use crate::peers::seed::Seed;
use crate::subject::{Call, Subject};
use crate::table::{Table, median};

/// The turns that each cache gets.
const TURNS: usize = 9;

/// The turns of an invalidation, each of which needs a group of its own.
const GROUP_TURNS: usize = 5;

/// The tasks that make calls at once.
const TASKS: [usize; 2] = [1, 64];

/// The entries of an invalidated group.
const ENTRIES: [usize; 2] = [100, 10_000];

/// The instances, and the tasks on each, that ask for one key at once.
const STAMPEDES: [(usize, usize); 2] = [(1, 1_000), (4, 250)];

/// The most instances that are needed.
pub const INSTANCES: usize = 4;

const NANOS: f64 = 1e9;
const MICROS: f64 = 1e6;
const MILLIS: f64 = 1e3;

type Subjects = [Box<dyn Subject>];

fn columns(subjects: &Subjects) -> Vec<&'static str> {
    subjects.iter().map(|subject| subject.name()).collect()
}

/// The median time of a call of each, taken in turns.
async fn times(
    subjects: &Subjects,
    (call, tasks, calls): (Call, usize, usize),
    unit: f64,
) -> Vec<Option<f64>> {
    let mut taken = vec![Vec::with_capacity(TURNS); subjects.len()];
    for turn in 0..=TURNS {
        for (subject, taken) in subjects.iter().zip(&mut taken) {
            // The first turn warms up.
            let time = subject.round(call, tasks, calls).await.filter(|_| turn > 0);
            taken.extend(time.map(|time| time.as_secs_f64() * unit));
        }
    }
    medians(taken)
}

fn medians(taken: Vec<Vec<f64>>) -> Vec<Option<f64>> {
    taken.into_iter().map(|taken| (!taken.is_empty()).then(|| median(taken))).collect()
}

/// Calls that stay in the process.
pub async fn in_memory(subjects: &Subjects) -> String {
    const CALLS: usize = 32_000;
    let mut table = Table::new("in the process, ns", &columns(subjects));
    for (name, call) in [("near hit", Call::NearHit), ("set, no server", Call::SetNear)] {
        for tasks in TASKS {
            let figures = times(subjects, (call, tasks, CALLS), NANOS).await;
            table.figures(&format!("{name}, {}", tasks_text(tasks)), &figures);
        }
    }
    table.finish()
}

/// Calls to the server.
pub async fn on_server(subjects: &Subjects, seed: &Seed) -> String {
    let mut columns = columns(subjects);
    columns.push("Python");
    let mut table = Table::new("on the server, us", &columns);
    let rows = [("store hit", Call::StoreHit, seed.get), ("set", Call::Set, seed.set)];
    for (name, call, seed) in rows {
        for tasks in TASKS {
            let calls = if tasks == 1 { 2_000 } else { 6_400 };
            let mut figures = times(subjects, (call, tasks, calls), MICROS).await;
            figures.push(seed.filter(|_| tasks == 1));
            table.figures(&format!("{name}, {}", tasks_text(tasks)), &figures);
        }
    }
    for entries in ENTRIES {
        let mut taken = vec![Vec::with_capacity(GROUP_TURNS); subjects.len()];
        for _ in 0..GROUP_TURNS {
            for (subject, taken) in subjects.iter().zip(&mut taken) {
                let time = subject.invalidation(entries).await;
                taken.extend(time.map(|time| time.as_secs_f64() * MICROS));
            }
        }
        let mut figures = medians(taken);
        figures.push(seed.invalidate(entries));
        table.figures(&format!("invalidate a group of {entries}"), &figures);
    }
    table.finish()
}

/// Many tasks that ask for one key at once.
pub async fn stampedes(subjects: &Subjects) -> String {
    let mut table = Table::new("stampede", &columns(subjects));
    for (instances, tasks) in STAMPEDES {
        let mut taken = vec![Vec::with_capacity(TURNS); subjects.len()];
        let mut loads = vec![None; subjects.len()];
        for _ in 0..TURNS {
            for (column, subject) in subjects.iter().enumerate() {
                if let Some(stampede) = subject.stampede(instances, tasks).await {
                    taken[column].push(stampede.beyond_load.as_secs_f64() * MILLIS);
                    loads[column] = loads[column].max(Some(stampede.loads));
                }
            }
        }
        let name = match instances {
            1 => format!("{tasks} tasks"),
            _ => format!("{instances} instances of {tasks} tasks"),
        };
        let loads = loads.iter().map(|loads| loads.map_or("-".into(), |loads| loads.to_string()));
        table.texts(&format!("{name}: loads, at most"), loads);
        table.figures(&format!("{name}: ms beyond the load"), &medians(taken));
    }
    table.finish()
}

fn tasks_text(tasks: usize) -> String {
    if tasks == 1 { String::from("1 task") } else { format!("{tasks} tasks") }
}
