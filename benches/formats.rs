//! What each format of values takes, in time and in bytes, for values of several sizes.
//!
//! `cargo bench --bench formats --all-features` prints a table of medians. Compression pays where the bytes
//! it saves are worth more than the time.

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::Write as _;
use std::time::Instant;

use region_cache::{
    AnySerializer, Cbor, Compressed, Encrypted, EncryptionKey, Json, KeyRing, MessagePack, Postcard,
};
use serde::{Deserialize, Serialize};

const ROUNDS: usize = 101;
const PER_ROUND: usize = 20;

/// A row, as services keep it: a few numbers, names that repeat themselves, an address that does not.
#[derive(Serialize, Deserialize)]
struct Task {
    id: u64,
    title: String,
    state: State,
    assignee: Option<String>,
    tags: Vec<String>,
    token: String,
    estimate: f64,
}

#[derive(Serialize, Deserialize)]
enum State {
    Open,
    Closed { at: u64 },
}

fn task(id: u64) -> Task {
    let scattered = id.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    Task {
        id,
        title: format!("Paint doll {} of the set", scattered % 97),
        state: if scattered.is_multiple_of(3) {
            State::Open
        } else {
            State::Closed { at: scattered >> 24 }
        },
        assignee: (!scattered.is_multiple_of(5))
            .then(|| format!("user-{}@dolls.example", scattered % 11)),
        tags: ["wood", "red", "gold"][..(scattered % 4) as usize]
            .iter()
            .map(|tag| (*tag).to_owned())
            .collect(),
        token: format!("{scattered:016x}{:016x}", scattered.rotate_left(29).wrapping_mul(3)),
        estimate: (scattered % 80) as f64 / 4.0,
    }
}

fn formats() -> Vec<(&'static str, AnySerializer)> {
    let keys = KeyRing::new(1, EncryptionKey::new(&[7; 32]));
    vec![
        ("Postcard", AnySerializer::new(Postcard)),
        ("MessagePack", AnySerializer::new(MessagePack)),
        ("Cbor", AnySerializer::new(Cbor)),
        ("Json", AnySerializer::new(Json)),
        ("lz4(Postcard)", AnySerializer::new(Compressed::lz4(Postcard).above(0))),
        ("zstd(Postcard)", AnySerializer::new(Compressed::zstd(Postcard).above(0))),
        ("zstd 3(Postcard)", AnySerializer::new(Compressed::zstd_level(3, Postcard).above(0))),
        ("lz4(Json)", AnySerializer::new(Compressed::lz4(Json).above(0))),
        ("zstd(Json)", AnySerializer::new(Compressed::zstd(Json).above(0))),
        ("Encrypted(Postcard)", AnySerializer::new(Encrypted::new(Postcard, keys))),
    ]
}

/// The median time of one call in microseconds.
fn time(rounds: usize, mut call: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            (0..PER_ROUND).for_each(|_| call());
            start.elapsed().as_secs_f64() * 1e6 / PER_ROUND as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[rounds / 2]
}

fn main() -> std::io::Result<()> {
    // As a test it only has to run.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let (rounds, most) = if is_bench { (ROUNDS, usize::MAX) } else { (1, 10) };
    let mut table = String::new();
    for tasks in [1, 3, 5, 10, 20, 100, 1000].into_iter().filter(|tasks| *tasks <= most) {
        let value: Vec<Task> = (0..tasks as u64).map(task).collect();
        let _ =
            writeln!(table, "\n{tasks} tasks {:>17} {:>9} {:>9}", "bytes", "write us", "read us");
        for (name, format) in formats() {
            let mut bytes = Vec::new();
            format.serialize(&value, &mut bytes).expect("every format has these shapes");
            let mut out = Vec::with_capacity(2 * bytes.len());
            let write = time(rounds, || {
                out.clear();
                let _ = black_box(format.serialize(black_box(&value), &mut out));
            });
            let read = time(rounds, || {
                black_box(format.deserialize::<Vec<Task>>(black_box(&bytes)).is_ok());
            });
            let _ = writeln!(table, "{name:<20} {:>9} {write:>9.1} {read:>9.1}", bytes.len());
        }
    }
    std::io::stdout().write_all(table.as_bytes())
}
