//! Log lines with metrics. One JSON line describes a request or an invocation, and is also a record in
//! CloudWatch's embedded metric format, so that each request pays for one line. `tracing` cannot nest the
//! member `_aws`, so these lines are written here; `tracing` writes all other lines.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::{
    io::{self, Write as _},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::event::{EpochMillis, time};

/// The CloudWatch namespace.
pub const NAMESPACE: &str = "NetcoreWebhooks";

/// The only dimension of the metrics. Its value is the name of the stack.
pub const DIMENSION: &str = "Stack";

/// The metrics that a stack emits while nothing is wrong. CloudWatch bills a metric for the hours in which it
/// gets data: <https://aws.amazon.com/cloudwatch/pricing/>
pub const NORMAL: [&str; 7] = [
    "Received",
    "Stored",
    "Duplicates",
    "Late",
    TIME_TO_ANSWER,
    "Projected",
    "Replayed",
];

/// The metrics that a stack emits only while something is wrong.
pub const TROUBLE: [&str; 15] = [
    "Conflicts",
    "Queued",
    "DeadLettered",
    "Repeated",
    "Unauthorised",
    "Malformed",
    "Rejected",
    "Unavailable",
    "Unprojectable",
    "FailedMerges",
    RETRY_AGE,
    TABLE_REJECTIONS,
    TABLE_THROTTLES,
    REFUSED_BATCHES,
    POLICY_REFRESH_FAILURES,
];

/// Milliseconds from the start of an authenticated request to its response.
pub const TIME_TO_ANSWER: &str = "TimeToAnswer";

/// Age in seconds of the oldest message that an invocation of `redrive` could not store. SQS's metric for the
/// age of the oldest message ignores messages that were received three times.
pub const RETRY_AGE: &str = "RetryAge";

/// Writes that the events table rejected although the item is valid.
const TABLE_REJECTIONS: &str = "TableRejections";

/// Writes that DynamoDB refused because the events table or one of its indexes was throttled. DynamoDB's own
/// metric counts a batch only if it refused all of it, and only without indexes.
const TABLE_THROTTLES: &str = "TableThrottles";

/// Batches of inserts that DynamoDB refused as a whole. Their events were written one by one, which takes ten
/// times the CPU.
const REFUSED_BATCHES: &str = "RefusedBatches";

/// Failed refreshes of the policy. The last policy stays in force, so only this metric shows the failure until the next
/// start of the function, which needs a policy.
const POLICY_REFRESH_FAILURES: &str = "PolicyRefreshFailures";

/// The name of the stack, if lines are written for CloudWatch.
static STACK: OnceLock<String> = OnceLock::new();

/// Counts since the last line. The next line of the process contains them, even if it describes another request.
static REJECTIONS: AtomicUsize = AtomicUsize::new(0);
static THROTTLES: AtomicUsize = AtomicUsize::new(0);
static REFUSED: AtomicUsize = AtomicUsize::new(0);
static REFRESH_FAILURES: AtomicUsize = AtomicUsize::new(0);

/// Writes the lines of this process for CloudWatch, with metrics of this stack. Without this call, the lines
/// are `tracing` events without metrics.
pub fn start(stack: String) {
    // A second call changes nothing: a process belongs to one stack.
    let _ = STACK.set(stack);
}

/// Counts a write that the events table rejected although the item is valid.
pub fn table_rejection() {
    REJECTIONS.fetch_add(1, Ordering::Relaxed);
}

/// Counts `n` writes that were refused because the events table or one of its indexes was throttled.
pub fn table_throttles(n: usize) {
    THROTTLES.fetch_add(n, Ordering::Relaxed);
}

/// Counts a batch of inserts that DynamoDB refused as a whole.
pub fn refused_batch() {
    REFUSED.fetch_add(1, Ordering::Relaxed);
}

/// Counts a refresh of the policy that failed.
pub fn policy_refresh_failure() {
    REFRESH_FAILURES.fetch_add(1, Ordering::Relaxed);
}

/// The metrics of one line.
#[derive(Debug, Default)]
pub struct Metrics(Vec<Metric>);

#[derive(Debug)]
struct Metric {
    name: &'static str,
    value: Value,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
enum Value {
    Whole(u64),
    Fraction(f64),
}

impl Metrics {
    /// Adds a count. Adds nothing for zero, because CloudWatch bills a metric that gets data.
    pub fn count(&mut self, name: &'static str, n: usize) {
        if n > 0 {
            self.add(name, Value::Whole(n as u64));
        }
    }

    /// Adds a duration in milliseconds.
    pub fn milliseconds(&mut self, name: &'static str, took: Duration) {
        self.add(name, Value::Fraction(milliseconds(took)));
    }

    /// Adds a duration in whole seconds.
    pub fn seconds(&mut self, name: &'static str, took: Duration) {
        self.add(name, Value::Whole(took.as_secs()));
    }

    fn add(&mut self, name: &'static str, value: Value) {
        self.0.push(Metric { name, value });
    }

    /// Moves the counts of the process into these metrics.
    fn take_counts(&mut self) {
        for (name, count) in [
            (TABLE_REJECTIONS, &REJECTIONS),
            (TABLE_THROTTLES, &THROTTLES),
            (REFUSED_BATCHES, &REFUSED),
            (POLICY_REFRESH_FAILURES, &REFRESH_FAILURES),
        ] {
            self.count(name, count.swap(0, Ordering::Relaxed));
        }
    }
}

/// A duration in milliseconds, with three decimals.
pub fn milliseconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e6).round() / 1e3
}

/// Whether a count is zero. Lines leave such counts out.
pub fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// Writes a line: `properties` are its fields besides the metrics, or `None` if only the metrics are of
/// interest. `message` is the kind of line.
pub fn write(message: &'static str, properties: Option<&impl Serialize>, mut metrics: Metrics) {
    metrics.take_counts();
    if let Some(stack) = STACK.get() {
        let line = Line::new(message, properties, &metrics, stack, time::now());
        if let Err(error) = line.write() {
            tracing::error!(%error, "a line with metrics could not be written");
        }
        return;
    }
    let line = properties.map(|fields| Unmeasured {
        fields,
        values: &metrics,
    });
    if let Some(json) = line.and_then(|line| serde_json::to_string(&line).ok()) {
        tracing::info!("{message} {json}");
    }
}

/// A line without CloudWatch: the fields, and the values of the metrics.
#[derive(Serialize)]
struct Unmeasured<'a, P: Serialize> {
    #[serde(flatten)]
    fields: &'a P,
    #[serde(flatten)]
    values: &'a Metrics,
}

/// A line for CloudWatch: the same members as a line of `tracing`, and the metrics.
#[derive(Serialize)]
struct Line<'a, P: Serialize> {
    #[serde(flatten)]
    head: Option<Head>,
    #[serde(flatten)]
    properties: Option<&'a P>,
    #[serde(flatten)]
    metrics: Option<Embedded<'a>>,
}

#[derive(Serialize)]
struct Head {
    timestamp: String,
    level: &'static str,
    message: &'static str,
}

impl<'a, P: Serialize> Line<'a, P> {
    fn new(
        message: &'static str,
        properties: Option<&'a P>,
        metrics: &'a Metrics,
        stack: &'a str,
        at: EpochMillis,
    ) -> Self {
        Self {
            head: properties.is_some().then(|| Head {
                timestamp: time::utc(at),
                level: "INFO",
                message,
            }),
            properties,
            metrics: (!metrics.0.is_empty()).then(|| Embedded::of(metrics, stack, at)),
        }
    }

    /// Writes the line with one call, so that lines of the process cannot mix.
    fn write(&self) -> io::Result<()> {
        if self.properties.is_none() && self.metrics.is_none() {
            return Ok(());
        }
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        io::stdout().lock().write_all(&line)
    }
}

/// The value of the dimension, the values of the metrics, and `_aws`, which refers to these members.
#[derive(Serialize)]
struct Embedded<'a> {
    #[serde(rename = "Stack")]
    stack: &'a str,
    #[serde(flatten)]
    values: &'a Metrics,
    #[serde(rename = "_aws")]
    aws: Aws,
}

impl<'a> Embedded<'a> {
    fn of(metrics: &'a Metrics, stack: &'a str, at: EpochMillis) -> Self {
        let aws = Aws {
            timestamp: at,
            directives: [Directive {
                namespace: NAMESPACE,
                dimensions: [[DIMENSION]],
                metrics: metrics
                    .0
                    .iter()
                    .map(|metric| Definition { name: metric.name })
                    .collect(),
            }],
        };
        Self {
            stack,
            values: metrics,
            aws,
        }
    }
}

impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for Metric { name, value } in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Aws {
    timestamp: EpochMillis,
    #[serde(rename = "CloudWatchMetrics")]
    directives: [Directive; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: [[&'static str; 1]; 1],
    metrics: Vec<Definition>,
}

/// The definition of a metric. It has no unit: the unit would be in every line, and the documentation of the
/// metric states it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    name: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Fields {
        function: &'static str,
    }

    fn line(properties: Option<&Fields>, metrics: &Metrics) -> String {
        let line = Line::new("request", properties, metrics, "shop", 1_704_876_827_123);
        serde_json::to_string(&line).unwrap()
    }

    #[test]
    fn a_line_has_the_fields_and_the_embedded_metrics() {
        let mut metrics = Metrics::default();
        metrics.count("Stored", 3);
        metrics.count("Late", 0);
        metrics.milliseconds(TIME_TO_ANSWER, Duration::from_nanos(1_234_567));
        metrics.seconds(RETRY_AGE, Duration::from_millis(59_999));
        let text = r#""Stack":"shop","Stored":3,"TimeToAnswer":1.235,"RetryAge":59,"_aws":{"Timestamp":1704876827123,"CloudWatchMetrics":[{"Namespace":"NetcoreWebhooks","Dimensions":[["Stack"]],"Metrics":[{"Name":"Stored"},{"Name":"TimeToAnswer"},{"Name":"RetryAge"}]}]}}"#;
        let head = r#""timestamp":"2024-01-10T08:53:47.123Z","level":"INFO","message":"request","function":"event-webhook""#;
        let fields = Fields {
            function: "event-webhook",
        };
        assert_eq!(line(Some(&fields), &metrics), format!("{{{head},{text}"));
        assert_eq!(line(None, &metrics), format!("{{{text}"));
        assert_eq!(line(Some(&fields), &Metrics::default()), format!("{{{head}}}"));
    }
}
