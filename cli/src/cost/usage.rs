//! How much of everything a number of events uses. What can be measured here is measured by
//! tests/tests/cost.rs and tests/examples/floor.rs; what only AWS could tell is an assumption and
//! says so.

use receivers::RECEIVERS;
use webhook_ingest::operations::metrics;

/// Of each index: its items are projected whole and fit 1 KB like the table's. Measured.
pub const WRITE_UNITS_PER_EVENT: f64 = 1.0;
/// Mean bytes of an item, names included. Measured on simulated events.
pub const ITEM_BYTES: f64 = 430.0;
/// What `DynamoDB` adds to each item of a table or index for storage:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
pub const STORED_BESIDE: f64 = 100.0;
/// Bytes a receiver writes to its log for a request: its line and its metrics. Measured.
pub const LOG_BYTES_PER_REQUEST: f64 = 1_000.0;
/// Bytes that `projector` writes for an invocation: assumed to be half of that.
pub const LOG_BYTES_PER_PROJECTION: f64 = 500.0;
/// CPU of a whole core for an event in a batch, and for a request beside its events, in
/// milliseconds. Measured, see ARCHITECTURE.md.
pub const CPU_PER_EVENT: f64 = 0.295;
/// See [`CPU_PER_EVENT`].
pub const CPU_PER_REQUEST: f64 = 0.585;
/// Alarms in template.yaml.
pub const ALARMS: f64 = 38.0;

/// Memory at which a function has a whole core:
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>
const WHOLE_CORE_MB: f64 = 1769.0;
/// Writes under way at once, as in the receivers.
const IN_FLIGHT: f64 = 32.0;
/// Assumed time of one write, in milliseconds.
const WRITE_MS: f64 = 5.0;
/// A month of 730 hours, as AWS reckons.
pub const SECONDS_PER_MONTH: f64 = 730.0 * 3600.0;
const DAYS_PER_MONTH: f64 = 730.0 / 24.0;
/// Assumed shards of the stream: a new table on demand takes 4,000 writes a second, 1,000 a partition.
const SHARDS: f64 = 4.0;
/// The template's batch and batching window for `projector`.
const PROJECTOR_BATCH: f64 = 500.0;
const PROJECTOR_WINDOW_SECONDS: f64 = 5.0;
/// Assumed empty receives of `redrive`'s event source: five pollers that wait 20 seconds each.
const IDLE_RECEIVES: f64 = 5.0 * SECONDS_PER_MONTH / 20.0;

/// Milliseconds that a receiver takes for a request of `batch` events, `writes` after another each.
pub fn receiver_ms(batch: f64, writes: f64, memory_mb: f64) -> f64 {
    let cpu = CPU_PER_REQUEST + CPU_PER_EVENT * batch * writes;
    let waiting = (batch / IN_FLIGHT).ceil() * WRITE_MS * writes;
    (cpu / core(memory_mb) + waiting).ceil()
}

/// The part of a core that a function of this memory has.
fn core(memory_mb: f64) -> f64 {
    (memory_mb / WHOLE_CORE_MB).min(1.0)
}

/// `projector`'s part for an evenly spread month: the dearest case, since crowds share counters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Projection {
    /// How often it is called.
    pub invocations: f64,
    /// Milliseconds each takes.
    pub ms: f64,
    /// Write units for an event.
    pub write_units: f64,
    /// Read units for an event.
    pub read_units: f64,
}

/// What counting events costs. `write_units` per event instead of what [`touched`] says.
pub fn projection(events: f64, memory_mb: f64, write_units: Option<f64>) -> Projection {
    let per_shard = events / SECONDS_PER_MONTH / SHARDS;
    // The window opens with the first event.
    let batch = (1.0 + per_shard * PROJECTOR_WINDOW_SECONDS).min(PROJECTOR_BATCH);
    let invocations = events / batch;
    let seconds = batch.min(PROJECTOR_WINDOW_SECONDS);
    // Beside the items, the transaction and the reads before it are waited for.
    let ms = (0.5 + CPU_PER_EVENT * batch) / core(memory_mb) + 3.0 * WRITE_MS;
    Projection {
        invocations,
        ms: ms.ceil(),
        // A transaction writes each item of up to 1 KB at two units.
        write_units: write_units.unwrap_or_else(|| 2.0 * touched(batch, seconds) / batch),
        // The dedup markers of each second, and which counters are in force.
        read_units: (seconds + 1.0) / batch,
    }
}

/// Items of the counters' table that one batch of events changes: a day and an hour for every
/// bot, tag and pair of them that it meets, and the dedup markers of each second. Fitted to what a test
/// measures.
pub fn touched(batch: f64, seconds: f64) -> f64 {
    3.5 * batch.powf(0.4) + seconds
}

/// Gigabytes of items that are kept for `days`, or of a year's if they are kept for ever.
pub fn stored_gb(events: f64, days: u32) -> f64 {
    let days = if days == 0 { 365.0 } else { f64::from(days) };
    events * days / DAYS_PER_MONTH * (ITEM_BYTES + STORED_BESIDE) / 1e9
}

/// Requests to SQS while nothing goes wrong.
pub fn queue_requests() -> f64 {
    IDLE_RECEIVES
}

/// The most metrics there can be: every name with every function and provider that may emit it.
#[expect(clippy::cast_precision_loss, reason = "some dozens")]
pub fn metrics() -> f64 {
    let receivers = RECEIVERS.len();
    // `redrive` stores for both providers.
    let per_provider = metrics::PER_PROVIDER.len() * (receivers + 2);
    let per_function = (metrics::PER_FUNCTION.len() + [metrics::TIME_TO_ANSWER].len()) * receivers;
    let others = [metrics::RETRY_AGE, metrics::TABLE_REJECTIONS].len();
    (per_provider + per_function + metrics::OF_THE_PROJECTOR.len() + others) as f64
}
