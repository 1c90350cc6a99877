//! A burst of a million events in ten minutes, a tenth of the size and a tenth of the time: 10,000 requests with
//! one event each in a minute. The table's limit and the concurrent executions are a tenth of a new stack's,
//! too. In the middle of the burst, the table throttles nine of ten writes, and then it hangs. The sender
//! repeats what was answered with 429 or 5xx, with growing delays. Shows how requests were answered, how long
//! the retry queue grew and when everything was stored, and fails if an event is lost.
//!
//! The numbers are the number of events and the limit of concurrent executions:
//!
//! ```sh
//! cargo run --release -p integration-tests --example burst -- 10000 17
//! ```

#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    reason = "a simulation prints its figures, and fails if it cannot run"
)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use integration_tests::{
    fixtures::{body, events},
    function::Function,
    proxy::Treatment::{Hang, Slow, Throttle},
    stack::Stack,
};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, sleep_until},
};

/// Events per second of the burst.
const RATE: f64 = 1_000_000.0 / 600.0 / SCALE;
/// A tenth of everything.
const SCALE: f64 = 10.0;
/// Writes per second that a new table accepts.
const CAPACITY: f64 = 4_000.0 / SCALE;
/// The shares of the burst in which the table throttles, and in which it hangs.
const THROTTLES: std::ops::Range<f64> = 0.3..0.5;
const HANGS: std::ops::Range<f64> = 0.6..0.7;
/// What the table accepts while it throttles.
const THROTTLED_CAPACITY: f64 = CAPACITY / 10.0;
/// Messages of one invocation of `redrive`, as in the template.
const BATCH: usize = 100;

/// What the sender saw.
#[derive(Default)]
struct Seen {
    statuses: BTreeMap<u16, usize>,
    times: Vec<Duration>,
    sent_again: usize,
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|number| number.parse::<usize>().unwrap());
    let (requests, executions) = (arguments.next().unwrap_or(10_000), arguments.next().unwrap_or(17));
    let stack = Stack::start().await;
    let limit = executions.to_string();
    let receiver = stack
        .function("event-webhook", &[("AWS_LAMBDA_MAX_CONCURRENCY", &limit)])
        .await;
    let redrive = stack.function("redrive", &[("RETENTION_DAYS", "0")]).await;
    let began = Instant::now();
    let burst = Duration::from_secs_f64(requests as f64 / RATE);
    behave(&stack, began, burst);

    let seen = Mutex::new(Seen::default());
    let (free, answered) = (Semaphore::new(executions), AtomicBool::new(false));
    let waiting = AtomicUsize::new(0);
    let send = async {
        join_all((0..requests).map(|number| send(&receiver, &free, &seen, began, number))).await;
        answered.store(true, Ordering::Relaxed);
        began.elapsed()
    };
    let (all_answered, all_stored) = tokio::join!(
        send,
        store(&stack, &redrive, requests, &answered, &waiting, began)
    );

    assert_eq!(
        stack.storage.stored_keys().await.len(),
        requests,
        "events are lost"
    );
    assert!(stack.storage.take_dead_messages().await.is_empty());
    let mut seen = seen.into_inner().unwrap();
    seen.times.sort_unstable();
    let percentile = |per_mille: usize| {
        let index = (seen.times.len() * per_mille / 1000).min(seen.times.len() - 1);
        seen.times.get(index).copied().unwrap_or_default().as_millis()
    };
    println!(
        "{requests} events in {:.0} s ({:.0} a second), {executions} executions",
        burst.as_secs_f64(),
        RATE
    );
    println!("answers: {:?}; sent again: {}", seen.statuses, seen.sent_again);
    println!(
        "time to an answer of 200: p50 {} ms, p99 {} ms, p99.9 {} ms",
        percentile(500),
        percentile(990),
        percentile(999)
    );
    println!(
        "at most {} messages in the retry queue; every event was answered with 200 after {:.0} s, and stored after {:.0} s",
        waiting.load(Ordering::Relaxed),
        all_answered.as_secs_f64(),
        all_stored.as_secs_f64()
    );
    stack.stop().await;
}

/// Lets the table accept as many writes a second as it has capacity, and hang for a while.
fn behave(stack: &Stack, began: Instant, burst: Duration) {
    let tokens = Arc::new(Mutex::new((CAPACITY, Instant::now())));
    stack.table.decide(move |call| {
        let now = Instant::now();
        let share = (now - began).as_secs_f64() / burst.as_secs_f64();
        if HANGS.contains(&share) {
            return Hang;
        }
        let capacity = if THROTTLES.contains(&share) {
            THROTTLED_CAPACITY
        } else {
            CAPACITY
        };
        let writes = call
            .body
            .windows(11)
            .filter(|part| part == b"\"Statement\"")
            .count()
            .max(1) as f64;
        let (left, since) = &mut *tokens.lock().unwrap();
        *left = (*left + (now - *since).as_secs_f64() * capacity).min(capacity);
        *since = now;
        if *left < writes {
            return Throttle;
        }
        *left -= writes;
        Slow(Duration::from_millis(5))
    });
}

/// Sends one event at its time, and again until it is answered with 200. If no execution is free, Lambda
/// answers 429.
async fn send(receiver: &Function, free: &Semaphore, seen: &Mutex<Seen>, began: Instant, number: usize) {
    sleep_until(began + Duration::from_secs_f64(number as f64 / RATE)).await;
    let body = body(&events(number, 1));
    let mut delay = Duration::from_secs(1);
    loop {
        let started = Instant::now();
        let status = match free.try_acquire() {
            Ok(_execution) => receiver.post(&body).await.status,
            Err(_) => 429,
        };
        {
            let mut seen = seen.lock().unwrap();
            *seen.statuses.entry(status).or_default() += 1;
            if status == 200 {
                seen.times.push(started.elapsed());
                return;
            }
            seen.sent_again += 1;
        }
        // Between half and the whole delay.
        sleep(delay.mul_f64(0.5 + (number % 100) as f64 / 200.0)).await;
        delay = (delay * 2).min(Duration::from_mins(1));
    }
}

/// Delivers the retry queue to `redrive` until all events are stored. Returns the time since `began`.
async fn store(
    stack: &Stack,
    redrive: &Function,
    events: usize,
    answered: &AtomicBool,
    waiting: &AtomicUsize,
    began: Instant,
) -> Duration {
    loop {
        let depth: u64 = stack.storage.depths().await.iter().sum();
        waiting.fetch_max(usize::try_from(depth).unwrap(), Ordering::Relaxed);
        let delivered = stack.deliver(redrive, BATCH).await;
        if delivered.is_none() && answered.load(Ordering::Relaxed) && stack.storage.count().await == events {
            return began.elapsed();
        }
        sleep(Duration::from_millis(500)).await;
    }
}
