//! Many execution environments start at once, and each reads the policy from a parameter store that answers 40
//! reads a second, as SSM does by default. Shows how many starts succeed, and after what time. A start that
//! does not succeed within eight seconds fails: Lambda answers the request with 502, and the sender repeats it.
//!
//! The numbers are the number of starts and the reads per second that are answered:
//!
//! ```sh
//! cargo run -p integration-tests --example cold_starts -- 1000 40
//! ```

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a simulation prints its figures, and fails if it cannot run"
)]

use std::{collections::BTreeMap, env, time::Duration};

use futures::future::join_all;
use integration_tests::{
    account::{Account, Reply},
    fixtures::AUTH,
};
use serde_json::json;
use tokio::time::Instant;
use webhook_ingest::{
    auth::{Policy, RefreshingSecret},
    event::time,
    operations::clients::{Aws, LocalEndpoints, Timeouts},
};

/// A token bucket with one second's tokens, and a refused read takes none.
struct Bucket {
    rate: f64,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn takes_one(&mut self) -> bool {
        let now = Instant::now();
        self.tokens = (self.tokens + (now - self.at).as_secs_f64() * self.rate).min(self.rate);
        self.at = now;
        let has = self.tokens >= 1.0;
        if has {
            self.tokens -= 1.0;
        }
        has
    }
}

#[tokio::main]
async fn main() {
    let mut numbers = env::args().skip(1).map(|number| number.parse::<u32>().unwrap());
    let starts = numbers.next().unwrap_or(1000);
    let rate = f64::from(numbers.next().unwrap_or(40));
    let account = Account::start().await;
    let mut bucket = Bucket {
        rate,
        tokens: rate,
        at: Instant::now(),
    };
    account.answers("GetParameter", move |_| {
        if bucket.takes_one() {
            Reply::Output(json!({"Parameter": {"Name": "/auth", "Value": AUTH}}))
        } else {
            Reply::Error("ThrottlingException")
        }
    });

    let endpoints = LocalEndpoints {
        dynamodb: account.url.clone(),
        sqs: account.url.clone(),
        access_key_id: "local".to_owned(),
    };
    let config = Aws::local(&endpoints, Timeouts::within(Duration::from_secs(2)))
        .await
        .config;
    let config = config.into_builder().endpoint_url(&account.url).build();
    let began = Instant::now();
    let outcomes = join_all((0..starts).map(|_| async {
        let start =
            RefreshingSecret::<Policy>::start("ssm:/auth", Duration::from_mins(5), &config, time::now());
        start.await.map(|_| began.elapsed())
    }));
    let outcomes = outcomes.await;
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut took: Vec<Duration> = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(time) => took.push(time),
            Err(error) => *reasons.entry(error.to_string()).or_default() += 1,
        }
    }
    took.sort();
    println!("{starts} starts at once, {rate} reads a second:");
    println!("  {} succeed", took.len());
    for (reason, count) in reasons {
        println!("  {count} fail: {reason}");
    }
    if let Some(last) = took.last() {
        println!(
            "  half of them after {:.1} s, the last after {:.1} s",
            took[took.len() / 2].as_secs_f64(),
            last.as_secs_f64()
        );
    }
}
