//! The CPU time, write units and read units of `projector` for each event, with the events of simulated messages in
//! batches of 500.
//!
//! ```sh
//! cargo build --release -p projector
//! cargo run -p integration-tests --example projection
//! ```
//!
//! The paths of binaries as arguments replace the default one. Several binaries take turns.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot run must fail"
)]

use std::path::{Path, PathBuf};

use integration_tests::{function::Function, simulated, stack::Stack};
use serde_json::{Value, json};

const BATCH: usize = 500;
const BATCHES: usize = 12;
/// Rounds of each binary.
const ROUNDS: usize = 3;

#[tokio::main]
async fn main() {
    let mut binaries: Vec<PathBuf> = std::env::args().skip(1).map(PathBuf::from).collect();
    if binaries.is_empty() {
        binaries.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/projector"));
    }
    for _ in 0..ROUNDS {
        for binary in &binaries {
            measure(binary).await;
        }
    }
}

async fn measure(binary: &Path) {
    // A new table for each run: markers of an earlier run would make all events replays.
    let stack = Stack::start().await;
    let arguments = ["--messages", "3000", "--days", "1", "--fallback", "0.1"];
    stack.storage.put_all(simulated::items(&arguments, 7)).await;
    let projector = Function::measured_with_output(binary, stack.instance.environment()).await;
    let records: Vec<Value> = stack.stream();
    let mut batches = records.chunks(BATCH).take(BATCHES);
    // The first invocation pays for connections.
    projector
        .invoke(&json!({"Records": batches.next().unwrap()}))
        .await;
    let before = projector.cpu();
    let mut events = 0;
    for batch in batches {
        let reply = projector.invoke(&json!({"Records": batch})).await;
        assert_eq!(reply.payload["batchItemFailures"], json!([]));
        events += batch.len();
    }
    let cpu = projector.cpu().saturating_sub(before);
    let lines = projector.json_lines();
    let of_event = |name: &str| -> f64 {
        let values = lines.iter().filter_map(|line| line[name].as_f64());
        values.sum::<f64>() / (events + BATCH) as f64
    };
    println!(
        "{}: {events} events, {:.1} µs of CPU, {:.2} write units of counts and {:.2} read units of messages each, {:.1} MiB",
        binary.display(),
        cpu.as_secs_f64() * 1e6 / events as f64,
        of_event("write_units"),
        of_event("read_units"),
        projector.peak_memory_kib() as f64 / 1024.0
    );
    drop(projector);
    stack.stop().await;
}
