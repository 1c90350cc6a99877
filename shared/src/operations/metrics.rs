//! Metrics in CloudWatch's embedded format: the names that alarms and dashboards are built from.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use metrics_cloudwatch_embedded::{Builder, Collector};

use crate::{http::response::Answer, pipeline::BatchOutcome};

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

/// Counted by `projector` (dimension `Function`): events counted, delivered again, and no events at all.
pub const OF_THE_PROJECTOR: [&str; 3] = ["Projected", "Replayed", "Unprojectable"];

/// Measured by `redrive` (dimension `Function`): seconds that a message it could not store has waited.
/// SQS's own age of the oldest message leaves out what was received three times.
pub const RETRY_AGE: &str = "RetryAge";

/// Writes that the events table rejected for a reason that is not the item's size or a key's value
/// (dimension `Table`).
pub const TABLE_REJECTIONS: &str = "TableRejections";

/// Starts collecting. Returns nothing if something else collects already.
pub fn start() -> Option<&'static Collector> {
    let collector = Builder::new().cloudwatch_namespace(NAMESPACE).init().ok()?;
    for name in PER_PROVIDER
        .into_iter()
        .chain(PER_FUNCTION)
        .chain(OF_THE_PROJECTOR)
        .chain([TABLE_REJECTIONS])
    {
        describe_counter!(name, Unit::Count, "");
    }
    describe_histogram!(TIME_TO_ANSWER, Unit::Milliseconds, "");
    describe_histogram!(RETRY_AGE, Unit::Seconds, "");
    Some(collector)
}

/// Writes what was counted since the last flush to standard output, where CloudWatch reads it.
pub fn flush(collector: &Collector) {
    if let Err(error) = collector.flush(std::io::stdout().lock()) {
        tracing::error!(%error, "metrics could not be written");
    }
}

/// Counts a request and how it ended.
pub fn request(function: &'static str, answer: &Answer, took: Duration) {
    counter!("Requests", "Function" => function).increment(1);
    let ended = match answer {
        Answer::Unauthorised(_) => Some("Unauthorised"),
        Answer::Rejected { .. } => Some("Malformed"),
        Answer::MethodNotAllowed | Answer::TooLarge { .. } | Answer::Forbidden => Some("Rejected"),
        Answer::Unavailable => Some("Unavailable"),
        Answer::Checked | Answer::Accepted(_) => None,
    };
    if let Some(name) = ended {
        counter!(name, "Function" => function).increment(1);
    }
    // Refused requests are counted in full, in a line that costs less than the request.
    if !matches!(answer, Answer::Unauthorised(_)) {
        histogram!(TIME_TO_ANSWER, "Function" => function).record(took.as_secs_f64() * 1000.0);
    }
}

/// Counts a write that the events table rejected though nothing is wrong with the item.
pub fn table_rejection() {
    counter!(TABLE_REJECTIONS, "Table" => "events").increment(1);
}

/// Measures how long a message has waited that `redrive` could not store.
pub fn retry_age(function: &'static str, age: Duration) {
    histogram!(RETRY_AGE, "Function" => function).record(age.as_secs_f64());
}

/// Counts what became of records. `received` is left out by `redrive`, which did not receive them.
pub fn outcome(function: &'static str, provider: &'static str, outcome: &BatchOutcome, received: bool) {
    let count = |name: &'static str, n: usize| {
        if n > 0 {
            counter!(name, "Function" => function, "Provider" => provider).increment(n as u64);
        }
    };
    count("Received", if received { outcome.received } else { 0 });
    count("Stored", outcome.stored);
    count("Duplicates", outcome.duplicates);
    count("Conflicts", outcome.conflicts);
    count("Late", outcome.late);
    count("Queued", outcome.queued);
    count("DeadLettered", outcome.dead_lettered);
}

/// Counts what became of a batch of the stream.
pub fn projected(function: &'static str, fresh: usize, replayed: usize, unprojectable: usize) {
    for (name, n) in OF_THE_PROJECTOR.into_iter().zip([fresh, replayed, unprojectable]) {
        if n > 0 {
            counter!(name, "Function" => function).increment(n as u64);
        }
    }
}
