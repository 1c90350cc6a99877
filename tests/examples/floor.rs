//! Compares `event-webhook` with minimal receivers, which do nothing but write items through the SDK as
//! documented: one conditional put per record (`floor`), and 25 inserts per call (`batched floor`). All are
//! release binaries that use one embedded table, in turns, so that the ratios hold on a busy machine.
//!
//! ```sh
//! cargo build --release -p receivers && (cd benches/floor && cargo build --release)
//! cargo run -p integration-tests --example floor
//! ```
//!
//! The paths of three binaries as arguments replace the default ones.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot run must fail"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use integration_tests::{fixtures, function::Function, stack::Stack};
use serde_json::Value;

/// Rounds of each measurement. The medians are compared.
const ROUNDS: usize = 9;
const BATCHES: usize = 20;
const BATCH: usize = 100;
const SINGLES: usize = 400;

#[derive(Debug, Clone, Copy)]
struct Figures {
    /// Time from the start of the process to its first response, in milliseconds.
    first_answer_ms: f64,
    /// CPU per event in batches of [`BATCH`], in microseconds.
    batched_us: f64,
    /// CPU per event in bodies of one event, in microseconds.
    alone_us: f64,
    /// Peak memory, in MiB.
    memory_mib: f64,
}

#[tokio::main]
async fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let floors = root.join("benches/floor/target/release");
    let arguments: Vec<PathBuf> = std::env::args().skip(1).map(PathBuf::from).collect();
    let binaries = arguments.try_into().unwrap_or_else(|_| {
        [
            root.join("target/release/event-webhook"),
            floors.join("floor"),
            floors.join("batched-floor"),
        ]
    });
    let mut figures: [Vec<Figures>; 3] = Default::default();
    for round in 0..ROUNDS {
        for (which, binary) in binaries.iter().enumerate() {
            figures[which].push(measure(binary, round * binaries.len() + which).await);
        }
    }
    let figures = figures.map(|runs| median(&runs));
    println!(
        "{:<34} {:>8} {:>8} {:>6} {:>14} {:>6}",
        format!("median of {ROUNDS} rounds, in turns"),
        "ours",
        "floor",
        "ratio",
        "batched floor",
        "ratio"
    );
    let row = |what: &str, [ours, floor, batched]: [f64; 3]| {
        println!(
            "{what:<34} {ours:>8.2} {floor:>8.2} {:>6.2} {batched:>14.2} {:>6.2}",
            ours / floor,
            ours / batched
        );
    };
    row("start to first answer, ms", figures.map(|f| f.first_answer_ms));
    row("CPU per event, batches of 100, µs", figures.map(|f| f.batched_us));
    row("CPU per event, alone, µs", figures.map(|f| f.alone_us));
    row("peak memory, MiB", figures.map(|f| f.memory_mib));
    #[expect(clippy::cast_precision_loss, reason = "megabytes")]
    let sizes = binaries.map(|binary| fs::metadata(binary).unwrap().len() as f64 / 1e6);
    row("on disk, MB", sizes);
}

fn median(runs: &[Figures]) -> Figures {
    let of = |figure: fn(&Figures) -> f64| {
        let mut all: Vec<f64> = runs.iter().map(figure).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    Figures {
        first_answer_ms: of(|f| f.first_answer_ms),
        batched_us: of(|f| f.batched_us),
        alone_us: of(|f| f.alone_us),
        memory_mib: of(|f| f.memory_mib),
    }
}

async fn measure(binary: &Path, run: usize) -> Figures {
    // A new table for each run: a table that fills up would slow down later runs.
    let stack = Stack::start().await;
    let mut environment = stack.storage.instance.environment();
    environment.push(("WEBHOOK_AUTH", fixtures::AUTH.to_owned()));
    let first = event(run, 900_000, 1);
    let started = Instant::now();
    let function = Function::measured(binary, environment).await;
    function.ok(&first).await;
    let first_answer_ms = started.elapsed().as_secs_f64() * 1e3;

    let batches: Vec<Value> = (0..BATCHES).map(|i| event(run, i * BATCH, BATCH)).collect();
    let singles: Vec<Value> = (0..SINGLES).map(|i| event(run, 500_000 + i, 1)).collect();
    let batched_us = per_event(&function, &batches, BATCHES * BATCH).await;
    let alone_us = per_event(&function, &singles, SINGLES).await;
    #[expect(clippy::cast_precision_loss, reason = "megabytes")]
    let memory_mib = function.peak_memory_kib() as f64 / 1024.0;
    let figures = Figures {
        first_answer_ms,
        batched_us,
        alone_us,
        memory_mib,
    };
    drop(function);
    stack.stop().await;
    figures
}

/// A signed body of events that no other run sends.
fn event(run: usize, first: usize, count: usize) -> Value {
    fixtures::post(&fixtures::body(&fixtures::events(run * 1_000_000 + first, count)))
}

async fn per_event(function: &Function, events: &[Value], count: usize) -> f64 {
    let before = function.cpu();
    for event in events {
        function.ok(event).await;
    }
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let count = count as f64;
    function.cpu().saturating_sub(before).as_secs_f64() * 1e6 / count
}
