//! Metrics in CloudWatch's embedded metric format, with the names that alarms and dashboards use.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use metrics_cloudwatch_embedded::{Builder, Collector};

/// The CloudWatch namespace.
pub const NAMESPACE: &str = "NetcoreWebhooks";

/// Counted per function and provider (dimensions `Function`, `Provider`).
pub const PER_PROVIDER: [&str; 7] = [
    "Received",
    "Stored",
    "Duplicates",
    "Conflicts",
    "Late",
    "Queued",
    "DeadLettered",
];

/// Counted per function (dimension `Function`).
pub const PER_FUNCTION: [&str; 5] = ["Requests", "Unauthorised", "Malformed", "Rejected", "Unavailable"];

/// Measured per function, in milliseconds (dimension `Function`).
pub const TIME_TO_ANSWER: &str = "TimeToAnswer";

/// Counted by `projector` (dimension `Function`): counted events, repeated events, and records that are not
/// events.
pub const OF_THE_PROJECTOR: [&str; 3] = ["Projected", "Replayed", "Unprojectable"];

/// Counts of the stream records in one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Projected {
    /// Events that were counted now.
    pub fresh: usize,
    /// Events that had already been counted.
    pub replayed: usize,
    /// Records that are not events.
    pub unprojectable: usize,
}

/// Measured by `redrive` (dimension `Function`): the age in seconds of a message that could not be stored.
/// SQS's metric for the age of the oldest message ignores messages that were received three times.
pub const RETRY_AGE: &str = "RetryAge";

/// Writes that the events table rejected although the item is valid (dimension `Table`).
pub const TABLE_REJECTIONS: &str = "TableRejections";

/// Writes that DynamoDB refused because the events table or one of its indexes was throttled (dimension
/// `Table`). DynamoDB's own metric counts a batch only if it refused all of it, and only without indexes.
pub const TABLE_THROTTLES: &str = "TableThrottles";

/// Batches of inserts that DynamoDB refused as a whole (dimension `Table`). Their events were written one by
/// one, which takes ten times the CPU.
pub const REFUSED_BATCHES: &str = "RefusedBatches";

/// Starts collecting. Returns `None` if another collector is installed.
pub fn start() -> Option<&'static Collector> {
    let collector = Builder::new().cloudwatch_namespace(NAMESPACE).init().ok()?;
    for name in PER_PROVIDER
        .into_iter()
        .chain(PER_FUNCTION)
        .chain(OF_THE_PROJECTOR)
        .chain([TABLE_REJECTIONS, TABLE_THROTTLES, REFUSED_BATCHES])
    {
        describe_counter!(name, Unit::Count, "");
    }
    describe_histogram!(TIME_TO_ANSWER, Unit::Milliseconds, "");
    describe_histogram!(RETRY_AGE, Unit::Seconds, "");
    Some(collector)
}

/// Writes the metrics since the last flush to standard output, where CloudWatch reads them.
pub fn flush(collector: &Collector) {
    if let Err(error) = collector.flush(std::io::stdout().lock()) {
        tracing::error!(%error, "metrics could not be written");
    }
}

/// Counts a request, and its result if that is one of [`PER_FUNCTION`].
pub fn request(function: &'static str, ended: Option<&'static str>) {
    counter!("Requests", "Function" => function).increment(1);
    if let Some(name) = ended {
        counter!(name, "Function" => function).increment(1);
    }
}

/// Measures the time from a request's start to its response.
pub fn time_to_answer(function: &'static str, took: Duration) {
    histogram!(TIME_TO_ANSWER, "Function" => function).record(took.as_secs_f64() * 1000.0);
}

/// Counts `n` records under one of [`PER_PROVIDER`]. Writes nothing for zero.
pub fn records(function: &'static str, provider: &'static str, name: &'static str, n: usize) {
    if n > 0 {
        counter!(name, "Function" => function, "Provider" => provider).increment(n as u64);
    }
}

/// Counts a write that the events table rejected although the item is valid.
pub fn table_rejection() {
    counter!(TABLE_REJECTIONS, "Table" => "events").increment(1);
}

/// Counts `n` writes that were refused because the events table or one of its indexes was throttled.
pub fn table_throttles(n: usize) {
    if n > 0 {
        counter!(TABLE_THROTTLES, "Table" => "events").increment(n as u64);
    }
}

/// Counts a batch of inserts that DynamoDB refused as a whole.
pub fn refused_batch() {
    counter!(REFUSED_BATCHES, "Table" => "events").increment(1);
}

/// Measures the age of a message that `redrive` could not store.
pub fn retry_age(function: &'static str, age: Duration) {
    histogram!(RETRY_AGE, "Function" => function).record(age.as_secs_f64());
}

/// Counts the records of a stream batch.
pub fn projected(function: &'static str, counted: Projected) {
    let Projected {
        fresh,
        replayed,
        unprojectable,
    } = counted;
    for (name, n) in [
        ("Projected", fresh),
        ("Replayed", replayed),
        ("Unprojectable", unprojectable),
    ] {
        if n > 0 {
            counter!(name, "Function" => function).increment(n as u64);
        }
    }
}
