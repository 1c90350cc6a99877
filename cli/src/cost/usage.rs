//! Estimated resource usage for a number of events. tests/tests/cost.rs and tests/examples/floor.rs
//! measure the values marked "measured"; the others are assumptions, because they can be measured
//! only in AWS.

use webhook_ingest::operations::metrics;

/// For the table and for each index: indexes project complete items, which fit in 1 KB. Measured.
pub const WRITE_UNITS_PER_EVENT: f64 = 1.0;
/// Mean bytes of an item, attribute names included. Measured on simulated events.
pub const ITEM_BYTES: f64 = 430.0;
/// Bytes that `DynamoDB` adds to each item of a table or index for storage:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
pub const STORED_BESIDE: f64 = 100.0;
/// Bytes that CloudWatch Logs adds to each line:
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html>
pub const LOG_BYTES_PER_LINE: f64 = 26.0;
/// Bytes of the line that a receiver logs per request, [`LOG_BYTES_PER_LINE`] included. Measured.
pub const LOG_BYTES_PER_REQUEST: f64 = 618.0;
/// The same for an invocation of `projector`. Measured.
pub const LOG_BYTES_PER_PROJECTION: f64 = 430.0;
/// Milliseconds of one whole core per event in a batch. Measured, see ARCHITECTURE.md.
pub const CPU_PER_EVENT: f64 = 0.295;
/// The same per request, without its events.
pub const CPU_PER_REQUEST: f64 = 0.585;
/// Alarms in template.yaml.
pub const ALARMS: f64 = 19.0;
/// Dashboards of CloudWatch that template.yaml creates by default.
pub const DASHBOARDS: f64 = 0.0;

/// Memory in MB at which a function has one whole core:
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>
const WHOLE_CORE_MB: f64 = 1769.0;
/// Concurrent writes, as in the receivers.
const IN_FLIGHT: f64 = 32.0;
/// Assumed time of one write, in milliseconds.
const WRITE_MS: f64 = 5.0;
/// A month of 730 hours, as in AWS's price examples.
pub const SECONDS_PER_MONTH: f64 = 730.0 * 3600.0;
const DAYS_PER_MONTH: f64 = 730.0 / 24.0;
/// Assumed shards of the stream: a new on-demand table takes 4,000 writes a second, 1,000 per partition.
const SHARDS: f64 = 4.0;
/// Batch size and batching window of `projector` in the template.
const PROJECTOR_BATCH: f64 = 500.0;
const PROJECTOR_WINDOW_SECONDS: f64 = 5.0;
/// Assumed empty receives of `redrive`'s event source: five pollers with 20 s of long polling each.
const IDLE_RECEIVES: f64 = 5.0 * SECONDS_PER_MONTH / 20.0;

/// Milliseconds that a receiver takes for a request of `batch` events with `writes` sequential writes each.
pub fn receiver_ms(batch: f64, writes: f64, memory_mb: f64) -> f64 {
    let cpu = CPU_PER_REQUEST + CPU_PER_EVENT * batch * writes;
    let waiting = (batch / IN_FLIGHT).ceil() * WRITE_MS * writes;
    (cpu / core(memory_mb) + waiting).ceil()
}

/// Share of a core that a function with this memory has.
fn core(memory_mb: f64) -> f64 {
    (memory_mb / WHOLE_CORE_MB).min(1.0)
}

/// Usage of `projector` at a constant rate. This is the most expensive case: in a peak, more events
/// share the same counters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Projection {
    /// Number of invocations.
    pub invocations: f64,
    /// Milliseconds per invocation.
    pub ms: f64,
    /// Write units per event.
    pub write_units: f64,
    /// Read units per event.
    pub read_units: f64,
}

/// Usage of counting events. `write_units` per event replaces the estimate of [`touched`].
pub fn projection(events: f64, memory_mb: f64, write_units: Option<f64>) -> Projection {
    let per_shard = events / SECONDS_PER_MONTH / SHARDS;
    // The window opens with the first event.
    let batch = (1.0 + per_shard * PROJECTOR_WINDOW_SECONDS).min(PROJECTOR_BATCH);
    let invocations = events / batch;
    let seconds = batch.min(PROJECTOR_WINDOW_SECONDS);
    // Besides the CPU time: the reads and the transaction.
    let ms = (0.5 + CPU_PER_EVENT * batch) / core(memory_mb) + 3.0 * WRITE_MS;
    Projection {
        invocations,
        ms: ms.ceil(),
        // In a transaction, each item of up to 1 KB takes two write units.
        write_units: write_units.unwrap_or_else(|| 2.0 * touched(batch, seconds) / batch),
        // The dedup markers of each second, and the current generation.
        read_units: (seconds + 1.0) / batch,
    }
}

/// Items of the counters' table that one batch of events changes: a day and an hour for every bot,
/// tag and pair of both in the batch, and the dedup markers of each second. The formula is fitted to
/// the results of a test.
pub fn touched(batch: f64, seconds: f64) -> f64 {
    3.5 * batch.powf(0.4) + seconds
}

/// Gigabytes of the items of `days`, or of one year if items never expire.
pub fn stored_gb(events: f64, days: u32) -> f64 {
    let days = if days == 0 { 365.0 } else { f64::from(days) };
    events * days / DAYS_PER_MONTH * (ITEM_BYTES + STORED_BESIDE) / 1e9
}

/// Requests to SQS if no event is queued.
pub fn queue_requests() -> f64 {
    IDLE_RECEIVES
}

/// Custom metrics of a month in which nothing is wrong. CloudWatch bills the other metrics for the hours in
/// which they get data.
#[expect(clippy::cast_precision_loss, reason = "eight")]
pub fn metrics() -> f64 {
    metrics::NORMAL.len() as f64
}
