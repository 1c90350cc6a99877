//! `event-webhook` beside the floor: a function that does nothing but conditional puts through the
//! SDK as documented. Both as release binaries against one embedded table, in turns, so that the
//! ratios hold whatever else the machine does.
//!
//! ```sh
//! cargo build --release -p receivers && (cd benches/floor && cargo build --release)
//! cargo run -p integration-tests --example floor
//! ```
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot run says why and ends"
)]

use std::{fs, path::Path, time::Instant};

use integration_tests::{fixtures, release::Release};
use netcore_webhooks::local::{Local, QueueOptions};
use serde_json::Value;

/// Of each measurement; the medians are compared.
const ROUNDS: usize = 9;
const BATCHES: usize = 20;
const BATCH: usize = 100;
const SINGLES: usize = 400;

#[derive(Debug, Clone, Copy)]
struct Figures {
    /// From starting the process to its first answer, in milliseconds.
    first_answer_ms: f64,
    /// CPU per event in batches of [`BATCH`], in microseconds.
    batched_us: f64,
    /// CPU per event that comes alone, in microseconds.
    alone_us: f64,
    /// The most memory it held, in MiB.
    memory_mib: f64,
}

#[tokio::main]
async fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let binaries = [
        ("ours", root.join("target/release/event-webhook")),
        ("floor", root.join("benches/floor/target/release/floor")),
    ];
    let mut figures: [Vec<Figures>; 2] = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for (which, (_, binary)) in binaries.iter().enumerate() {
            figures[which].push(measure(binary, round * 2 + which).await);
        }
    }
    let [ours, floor] = figures.map(|runs| median(&runs));
    println!(
        "{:<34} {:>9} {:>9} {:>7}",
        "median of 9 rounds, in turns", "ours", "floor", "ratio"
    );
    let row = |what: &str, one: f64, other: f64| {
        println!("{what:<34} {one:>9.2} {other:>9.2} {:>7.2}", one / other);
    };
    row(
        "start to first answer, ms",
        ours.first_answer_ms,
        floor.first_answer_ms,
    );
    row(
        "CPU per event, batches of 100, µs",
        ours.batched_us,
        floor.batched_us,
    );
    row("CPU per event, alone, µs", ours.alone_us, floor.alone_us);
    row("peak memory, MiB", ours.memory_mib, floor.memory_mib);
    let [ours, floor] = binaries.map(|(_, binary)| fs::metadata(binary).unwrap().len());
    #[expect(clippy::cast_precision_loss, reason = "megabytes")]
    row("on disk, MB", ours as f64 / 1e6, floor as f64 / 1e6);
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
    // A fresh table for each: one that fills up would make the later run pay.
    let local = Local::start(None, QueueOptions::default())
        .await
        .expect("embedded servers");
    let mut environment = local.instance.environment();
    environment.push(("WEBHOOK_AUTH", fixtures::AUTH.to_owned()));
    let first = event(run, 900_000, 1);
    let started = Instant::now();
    let function = Release::start(binary, environment).await;
    function.ask(&first).await;
    let first_answer_ms = started.elapsed().as_secs_f64() * 1e3;

    let batches: Vec<Value> = (0..BATCHES).map(|i| event(run, i * BATCH, BATCH)).collect();
    let singles: Vec<Value> = (0..SINGLES).map(|i| event(run, 500_000 + i, 1)).collect();
    let batched_us = per_event(&function, &batches, BATCHES * BATCH).await;
    let alone_us = per_event(&function, &singles, SINGLES).await;
    let figures = Figures {
        first_answer_ms,
        batched_us,
        alone_us,
        memory_mib: function.peak_memory_mib(),
    };
    drop(function);
    local.stop().await;
    figures
}

/// A signed body of events that no other run sends.
fn event(run: usize, first: usize, count: usize) -> Value {
    fixtures::post(&fixtures::body(&fixtures::events(run * 1_000_000 + first, count)))
}

async fn per_event(function: &Release, events: &[Value], count: usize) -> f64 {
    let before = function.cpu();
    for event in events {
        function.ask(event).await;
    }
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let count = count as f64;
    function.cpu().saturating_sub(before).as_secs_f64() * 1e6 / count
}
