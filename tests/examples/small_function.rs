//! How many events of a large body `event-webhook` stores within its time budget with a seventh of a core, as a
//! function of 256 MB has, and a table that answers after 5 ms.
//!
//! ```sh
//! cargo build --release -p receivers
//! cargo run -p integration-tests --example small_function
//! ```
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{path::Path, time::Duration};

use integration_tests::{
    fixtures::{self, body, events, post},
    function::Function,
    proxy::Treatment::AcceptAfter,
    stack::Stack,
    throttle::Throttle,
};

const ROUNDS: usize = 5;
const EVENTS: usize = 12_000;
const SHARE: f64 = 0.145;

#[tokio::main]
async fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let binary = std::env::args().nth(1).map_or_else(
        || root.join("../target/release/event-webhook"),
        |path| Path::new(&path).to_path_buf(),
    );
    println!("{EVENTS} events, {SHARE} of a core, the table answers after 5 ms");
    println!(
        "{:>8} {:>8} {:>12} {:>10}",
        "stored", "queued", "answer, ms", "CPU, ms"
    );
    for round in 0..ROUNDS {
        let stack = Stack::start().await;
        stack.table.always(AcceptAfter(Duration::from_millis(5)));
        let mut environment = stack.instance.environment();
        environment.push(("WEBHOOK_AUTH", fixtures::AUTH.to_owned()));
        let function = Function::measured(&binary, environment).await;
        // The first request opens the connections.
        function.ok(&post(&body(&events(0, 100)))).await;
        let event = post(&body(&events(1000 + round * EVENTS, EVENTS)));
        let throttle = Throttle::start(function.process(), SHARE);
        let answer = function.ok(&event).await;
        let cpu = throttle.end();
        let [_, stored, _, queued, _] = answer.counts();
        println!(
            "{stored:>8} {queued:>8} {:>12.0} {:>10.0}",
            answer.took.as_secs_f64() * 1e3,
            cpu.as_secs_f64() * 1e3
        );
    }
}
