//! Estimated resource usage for a number of events. tests/tests/cost.rs and tests/examples/floor.rs
//! measure the values marked "measured"; the others are assumptions, because they can be measured
//! only in AWS.

use projector::rollups;
use webhook_ingest::operations::metrics;

/// For the table and for each index, lean or whole: items and entries fit in 1 KB. Measured.
pub const WRITE_UNITS_PER_EVENT: f64 = 1.0;
/// Of the table, for a statement or a put that is refused because the event is stored. A statement is measured; for
/// a put: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/WorkingWithItems.html>
pub const WRITE_UNITS_PER_REFUSAL: f64 = 1.0;
/// Mean bytes of an item, attribute names included. Measured on simulated events.
pub const ITEM_BYTES: f64 = 424.0;
/// The same for an entry of a lean `recipient-index`.
pub const RECIPIENT_ENTRY_BYTES: f64 = 124.0;
/// The same for an entry of a lean `day-index`.
pub const DAY_ENTRY_BYTES: f64 = 149.0;
/// Lookups of the search that an event writes: those of its message and of its person, unless an earlier event wrote
/// them. Each takes one unit. Measured on simulated events.
pub const LOOKUP_WRITE_UNITS_PER_EVENT: f64 = 0.64;
/// Read units for the lookups of an event, if `projector` remembers none of them. Measured on simulated events.
pub const LOOKUP_READ_UNITS_PER_EVENT: f64 = 0.70;
/// Bytes of the lookups of an event, [`STORED_BESIDE`] included. Measured on simulated events.
const LOOKUP_BYTES_PER_EVENT: f64 = 111.0;
/// Days that lookups live longer than their events.
const LOOKUP_SLACK_DAYS: f64 = 7.0;
/// Bytes that `DynamoDB` adds to each item of a table or index for storage:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
pub const STORED_BESIDE: f64 = 100.0;
/// Bytes that CloudWatch Logs adds to each line:
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html>
pub const LOG_BYTES_PER_LINE: f64 = 26.0;
/// Receivers of the default of the parameter `Receivers`.
pub const RECEIVERS: f64 = 5.0;
/// Bytes of the line that a receiver logs per request, [`LOG_BYTES_PER_LINE`] included. Measured.
pub const LOG_BYTES_PER_REQUEST: f64 = 492.0;
/// The same if the line has only the metrics (`LogFilter=warn`). Measured.
pub const METRICS_BYTES_PER_REQUEST: f64 = 290.0;
/// The same for an invocation of `projector`. Measured.
pub const LOG_BYTES_PER_PROJECTION: f64 = 430.0;
/// Milliseconds of one whole core per event in a batch. Measured, see ARCHITECTURE.md; a core of Lambda may differ.
pub const CPU_PER_EVENT: f64 = 0.024;
/// The same per request, without its events: a request with one event takes 0.341 ms.
pub const CPU_PER_REQUEST: f64 = 0.317;
/// The same per call of a minimal receiver that puts one item per call.
const CPU_PER_PUT: f64 = 0.113;
/// The same for `projector`, per event in batches of 500 (tests/examples/projection.rs): a query for each message, the
/// counts, and the lookups of the search.
const PROJECTOR_CPU_PER_EVENT: f64 = 0.19;
/// The same per invocation of `projector`: assumed.
const PROJECTOR_CPU_PER_INVOCATION: f64 = 0.5;
/// Alarms that template.yaml creates by default.
pub const ALARMS: f64 = 24.0;
/// Dashboards of CloudWatch that template.yaml creates by default.
pub const DASHBOARDS: f64 = 0.0;

/// Memory in MB at which a function has one whole core:
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>
const WHOLE_CORE_MB: f64 = 1769.0;
/// Events per call and concurrent calls of a receiver.
const EVENTS_OF_CALL: f64 = 25.0;
const CALLS: f64 = 4.0;
/// Concurrent puts of the two-write design.
const PUTS: f64 = 32.0;
/// Assumed time of one put, in milliseconds.
const WRITE_MS: f64 = 5.0;
/// Assumed time of a call with [`EVENTS_OF_CALL`] inserts, in milliseconds.
const INSERTS_MS: f64 = 10.0;
/// A month of 730 hours, as in AWS's price examples.
pub const SECONDS_PER_MONTH: f64 = 730.0 * 3600.0;
const DAYS_PER_MONTH: f64 = 730.0 / 24.0;
/// Assumed shards of the stream: a new on-demand table takes 4,000 writes a second, 1,000 per partition.
const SHARDS: f64 = 4.0;
/// Batch size of `projector` in the template.
const PROJECTOR_BATCH: f64 = 500.0;
/// `AuthRefreshSeconds` in the template: an execution environment reads the policy once in this time.
const AUTH_REFRESH_SECONDS: f64 = 300.0;
/// Assumed bytes of a response with its headers: 70 for the body.
const BYTES_OF_ANSWER: f64 = 400.0;
/// Assumed share of stored bytes of a log line: CloudWatch compresses, see the price examples.
const LOG_COMPRESSION: f64 = 0.15;
/// Assumed bytes of a dedup marker, and days until it expires.
const MARKER_BYTES: f64 = 10.0;
const MARKER_DAYS: f64 = 3.0;
/// Assumed gigabytes of the counters.
const COUNTERS_GB: f64 = 0.1;
/// Overviews of 30 days that are opened in a month: one page that updates every minute for eight hours of
/// 22 working days.
pub const OVERVIEWS: f64 = 10_560.0;
/// Read units of `projector` for the messages of an event, and for those that may belong to it. Measured on simulated
/// events in batches of 55 seconds, which often have several events of a message.
pub const READ_UNITS_FOR_MESSAGE: f64 = 1.22;
/// Read units of one overview, with one item for each day and quarter of an hour, without the pending counts. Measured
/// on simulated events.
pub const READ_UNITS_PER_OVERVIEW: f64 = 95.0;
/// GB-seconds of one overview: 512 MB for 0.1 s, assumed.
pub const GB_SECONDS_PER_OVERVIEW: f64 = 0.05;
/// Assumed empty receives of `redrive`'s event source: five pollers with 20 s of long polling each.
const IDLE_RECEIVES: f64 = 5.0 * SECONDS_PER_MONTH / 20.0;

/// Milliseconds that a receiver takes for a request of `batch` events.
pub fn receiver_ms(batch: f64, memory_mb: f64) -> f64 {
    let cpu = CPU_PER_REQUEST + CPU_PER_EVENT * batch;
    let waiting = if batch > 1.0 {
        (batch / EVENTS_OF_CALL / CALLS).ceil() * INSERTS_MS
    } else {
        WRITE_MS
    };
    (cpu / core(memory_mb) + waiting).ceil()
}

/// Milliseconds that two further puts for each event take, one before and one after its own.
pub fn two_puts_ms(batch: f64, memory_mb: f64) -> f64 {
    let waiting = (batch / PUTS).ceil() * WRITE_MS;
    2.0 * (CPU_PER_PUT * batch / core(memory_mb) + waiting)
}

/// Write units of an event that is delivered again. In a body of several events its statement is refused, and then
/// the put that finds out whether the stored event is the same.
pub fn repeated_write_units(batch: f64) -> f64 {
    if batch > 1.0 {
        2.0 * WRITE_UNITS_PER_REFUSAL
    } else {
        WRITE_UNITS_PER_REFUSAL
    }
}

/// Requests for the key of the policy, if it is an SSM `SecureString`: each execution environment reads it once in
/// `AuthRefreshSeconds`, during a request. `DynamoDB` keeps the tables' key while they are used.
pub fn policy_reads(requests: f64, ms: f64) -> f64 {
    let busy = requests / SECONDS_PER_MONTH * ms / 1000.0;
    let environments = busy.ceil().max(RECEIVERS);
    (environments * SECONDS_PER_MONTH / AUTH_REFRESH_SECONDS).min(requests)
}

/// Gigabytes of responses to senders.
pub fn answered_gb(requests: f64) -> f64 {
    requests * BYTES_OF_ANSWER / 1e9
}

/// Gigabytes of log lines that are stored at any time.
pub fn stored_logs_gb(logged_gb: f64, days: u32) -> f64 {
    logged_gb * LOG_COMPRESSION * f64::from(days) / DAYS_PER_MONTH
}

/// Gigabytes of the counters' table.
pub fn rollups_gb(events: f64) -> f64 {
    COUNTERS_GB + events / DAYS_PER_MONTH * MARKER_DAYS * MARKER_BYTES / 1e9
}

/// Gigabytes of the lookups of the search, for events that are kept for this many days.
pub fn lookups_gb(events: f64, days: u32) -> f64 {
    let days = if days == 0 {
        365.0
    } else {
        f64::from(days) + LOOKUP_SLACK_DAYS
    };
    events * days / DAYS_PER_MONTH * LOOKUP_BYTES_PER_EVENT / 1e9
}

/// Share of a core that a function with this memory has.
fn core(memory_mb: f64) -> f64 {
    (memory_mb / WHOLE_CORE_MB).min(1.0)
}

/// The most dedup markers of one item.
const MARKERS_PER_ITEM: f64 = 512.0;

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
    /// Read units of one overview for the pending counts.
    pub pending_read_units: f64,
}

/// Usage of counting events with a batching window in seconds. `write_units` per event replaces the estimate of
/// [`counted_units`] and [`merged_units`].
pub fn projection(events: f64, window: f64, memory_mb: f64, write_units: Option<f64>) -> Projection {
    let per_shard = events / SECONDS_PER_MONTH / SHARDS;
    // The window opens with the first event, and a full batch closes it.
    let batch = (1.0 + per_shard * window).min(PROJECTOR_BATCH);
    let invocations = events / batch;
    let span = ((batch - 1.0) / per_shard).max(1.0);
    let rate = events / SECONDS_PER_MONTH;
    let markers = Markers::of(batch, span, rate);
    let merges = merges(invocations);
    let merging = merged_units(events / merges) * merges / events;
    let pending = pending_kb(batch);
    // Besides the CPU time: the reads and the transaction.
    let cpu = PROJECTOR_CPU_PER_INVOCATION + PROJECTOR_CPU_PER_EVENT * batch;
    let ms = cpu / core(memory_mb) + 3.0 * WRITE_MS;
    // Pending counts are read twice: to merge them, and to find those that are not merged.
    let merged_reads = merging + 2.0 * pending / 4.0 / batch;
    Projection {
        invocations,
        ms: ms.ceil(),
        write_units: write_units
            .unwrap_or_else(|| (counted_units(batch, span, rate) + pending) / batch + merging),
        // The items of markers of each minute, ten seconds and second, and the current generation.
        read_units: READ_UNITS_FOR_MESSAGE
            + (markers.items * markers.units + batch.min(span * 1.1) + 2.0) / batch
            + merged_reads,
        // Those that are merged are kept until the next merge; a unit reads 4 KB consistently.
        pending_read_units: 1.5 * invocations / merges * pending / 4.0,
    }
}

/// Merges of a month.
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn merges(invocations: f64) -> f64 {
    (SECONDS_PER_MONTH / (rollups::INTERVAL_MS as f64 / 1000.0))
        .max(invocations / SHARDS / rollups::MAX_BATCHES as f64)
        .min(invocations)
}

/// KB of the counts of a batch, which are written and later deleted: as many units, twice as many in the transaction.
/// The formula is fitted to the results of a test.
pub fn pending_kb(batch: f64) -> f64 {
    (0.41 * batch.powf(0.4)).max(1.0)
}

/// Write units of a merge of the counts of so many events: a day and a quarter of an hour for every bot, tag, pair of
/// both, campaign and country, quarters in which older messages began, and rows of league tables. The formula is
/// fitted to the results of a test.
pub fn merged_units(events: f64) -> f64 {
    26.0 * events.powf(0.27) + 0.015 * events
}

/// Items of dedup markers that one batch changes.
struct Markers {
    items: f64,
    /// Units of one KB in the mean size of such an item.
    units: f64,
}

impl Markers {
    /// For a batch of events that arrived within `span` seconds, while all shards together get `rate` events
    /// a second. An item has the markers of a minute, ten seconds, a second or a sixteenth of it.
    fn of(batch: f64, span: f64, rate: f64) -> Self {
        let is_full = |seconds: &f64| rate * seconds > MARKERS_PER_ITEM;
        let last = 1.0 / 16.0;
        let seconds = [60.0, 10.0, 1.0]
            .into_iter()
            .find(|seconds| !is_full(seconds))
            .unwrap_or(last);
        Self {
            items: (1.0 + span / seconds).min(batch),
            units: (rate * seconds / 2.0 * MARKER_BYTES / 1024.0).max(1.0),
        }
    }
}

/// Write units of the transaction that counts a batch of events that arrived within `span` seconds, while all shards
/// together get `rate` events a second. In a transaction, each KB of an item takes two.
pub fn counted_units(batch: f64, span: f64, rate: f64) -> f64 {
    let markers = Markers::of(batch, span, rate);
    2.0 * (pending_kb(batch) + markers.items * markers.units)
}

/// Gigabytes of the items or entries of `days`, or of one year if items never expire.
pub fn stored_gb(events: f64, days: u32, bytes: f64) -> f64 {
    let days = if days == 0 { 365.0 } else { f64::from(days) };
    events * days / DAYS_PER_MONTH * (bytes + STORED_BESIDE) / 1e9
}

/// Exports of a month: one an hour.
pub const HOURS_PER_MONTH: f64 = DAYS_PER_MONTH * 24.0;
/// State transitions of an export: its three states.
pub const TRANSITIONS_PER_EXPORT: f64 = 3.0;
/// The least gigabytes that an incremental export is billed for. AWS's page was not available; others report it.
pub const MIN_EXPORT_GB: f64 = 0.01;
/// Bytes of an exported event: DynamoDB JSON, compressed with gzip. Measured.
pub const EXPORTED_BYTES: f64 = 81.0;

/// Gigabytes that the hourly exports of a month are billed for.
pub fn exported_gb(events: f64) -> f64 {
    let hourly = events / HOURS_PER_MONTH * ITEM_BYTES / 1e9;
    hourly.max(MIN_EXPORT_GB) * HOURS_PER_MONTH
}

/// Gigabytes of exports that are kept for as many days as the events; one year if these never expire.
pub fn kept_gb(events: f64, days: u32) -> f64 {
    let days = if days == 0 { 365.0 } else { f64::from(days) };
    events * days / DAYS_PER_MONTH * EXPORTED_BYTES / 1e9
}

/// Requests to SQS if no event is queued.
pub fn queue_requests() -> f64 {
    IDLE_RECEIVES
}

/// Custom metrics of a month in which nothing is wrong. CloudWatch bills the other metrics for the hours in
/// which they get data.
#[expect(clippy::cast_precision_loss, reason = "seven")]
pub fn metrics() -> f64 {
    metrics::NORMAL.len() as f64
}
