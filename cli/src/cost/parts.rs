//! The parts of a bill: quantities from [`usage`], multiplied by [`prices`].

use super::{
    Architecture, IndexContent, Line, LogFilter, Options, TableClass,
    prices::{self, Price},
    usage::{self, Projection},
};

/// All parts.
pub(super) fn lines(options: &Options, events: f64) -> Vec<Line> {
    let window = f64::from(options.projector_window);
    let counted = usage::projection(events, window, memory(options), options.rollup_units);
    let mut lines = receivers(options, events);
    lines.extend(table(options, events));
    lines.extend(counters(options, events, counted));
    if !options.no_search_index {
        lines.extend(search(events));
    }
    lines.extend(storage(options, events));
    lines.extend(dashboard(options, counted));
    lines.extend(operation(options, events, counted));
    if options.analytics {
        lines.extend(analytics(options, events));
    }
    if options.free_tier {
        subtract_free(&mut lines);
    }
    lines
}

/// What two further writes for each event add.
pub(super) fn two_writes(options: &Options, events: f64) -> Vec<Line> {
    let ms = usage::two_puts_ms(f64::from(options.batch), memory(options));
    let (duration, price) = compute(options, requests(options, events), ms);
    vec![
        line("records: writes", 2.0 * events / 1e6, prices::DYNAMODB_WRITES),
        line("records: duration", duration, price),
    ]
}

fn line(part: &'static str, quantity: f64, price: Price) -> Line {
    Line {
        part,
        quantity,
        free: 0.0,
        of: price.of,
        price: price.usd,
        usd: quantity * price.usd,
    }
}

/// Subtracts the free units of each price from the lines with this price.
fn subtract_free(lines: &mut [Line]) {
    for price in prices::ALL {
        let mut left = price.free;
        for line in lines.iter_mut().filter(|line| line.of == price.of) {
            line.free = left.min(line.quantity);
            line.usd = (line.quantity - line.free) * line.price;
            left -= line.free;
        }
    }
}

fn memory(options: &Options) -> f64 {
    f64::from(options.memory)
}

/// Requests to the receivers, repeated deliveries included.
fn requests(options: &Options, events: f64) -> f64 {
    events * (1.0 + options.duplicates) / f64::from(options.batch)
}

fn duration_price(options: &Options) -> Price {
    match options.architecture {
        Architecture::Arm64 => prices::LAMBDA_ARM64,
        Architecture::X86_64 => prices::LAMBDA_X86_64,
    }
}

fn compute(options: &Options, calls: f64, ms: f64) -> (f64, Price) {
    (
        calls * ms / 1000.0 * memory(options) / 1024.0,
        duration_price(options),
    )
}

fn receivers(options: &Options, events: f64) -> Vec<Line> {
    let requests = requests(options, events);
    let ms = usage::receiver_ms(f64::from(options.batch), memory(options));
    let (duration, price) = compute(options, requests, ms);
    vec![
        line("receivers: requests", requests / 1e6, prices::LAMBDA_REQUESTS),
        line("receivers: duration", duration, price),
        line(
            "receivers: responses",
            usage::answered_gb(requests),
            prices::DATA_OUT,
        ),
        line(
            "receivers: reads of the policy's key",
            usage::policy_reads(requests, ms) / 1e4,
            prices::KMS_REQUESTS,
        ),
    ]
}

fn table(options: &Options, events: f64) -> Vec<Line> {
    let price = match options.table_class {
        TableClass::Standard => prices::DYNAMODB_WRITES,
        TableClass::InfrequentAccess => prices::DYNAMODB_IA_WRITES,
    };
    let units = events * usage::WRITE_UNITS_PER_EVENT / 1e6;
    let repeated = usage::repeated_write_units(f64::from(options.batch));
    let mut lines = vec![
        line("events: writes of the table", units, price),
        line(
            "events: repeated deliveries",
            events * options.duplicates * repeated / 1e6,
            price,
        ),
    ];
    if !options.no_recipient_index {
        lines.push(line("events: writes of recipient-index", units, price));
    }
    if !options.no_day_index {
        lines.push(line("events: writes of day-index", units, price));
    }
    lines
}

/// Reading the stream is free for Lambda.
fn counters(options: &Options, events: f64, counted: Projection) -> Vec<Line> {
    let (duration, price) = compute(options, counted.invocations, counted.ms);
    vec![
        line(
            "counters: projector's calls",
            counted.invocations / 1e6,
            prices::LAMBDA_REQUESTS,
        ),
        line("counters: projector's duration", duration, price),
        line(
            "counters: writes",
            events * counted.write_units / 1e6,
            prices::DYNAMODB_WRITES,
        ),
        line(
            "counters: reads",
            events * counted.read_units / 1e6,
            prices::DYNAMODB_READS,
        ),
    ]
}

/// The lookups of the search. The calls of `projector` take a few milliseconds more, which cost less than a cent.
fn search(events: f64) -> Vec<Line> {
    vec![
        line(
            "search: writes of lookups",
            events * usage::LOOKUP_WRITE_UNITS_PER_EVENT / 1e6,
            prices::DYNAMODB_WRITES,
        ),
        line(
            "search: reads of lookups",
            events * usage::LOOKUP_READ_UNITS_PER_EVENT / 1e6,
            prices::DYNAMODB_READS,
        ),
    ]
}

fn storage(options: &Options, events: f64) -> Vec<Line> {
    let price = match options.table_class {
        TableClass::Standard => prices::DYNAMODB_STORAGE,
        TableClass::InfrequentAccess => prices::DYNAMODB_IA_STORAGE,
    };
    let gb = |bytes: f64| usage::stored_gb(events, options.retention_days, bytes);
    let of_index = |lean: f64| match options.indexes {
        IndexContent::Lean => gb(lean),
        IndexContent::Whole => gb(usage::ITEM_BYTES),
    };
    let lookups = if options.no_search_index {
        0.0
    } else {
        usage::lookups_gb(events, options.retention_days)
    };
    let (items, counters) = (gb(usage::ITEM_BYTES), usage::rollups_gb(events));
    let mut lines = vec![line("storage: the table", items, price)];
    if !options.no_recipient_index {
        let gb = of_index(usage::RECIPIENT_ENTRY_BYTES);
        lines.push(line("storage: recipient-index", gb, price));
    }
    if !options.no_day_index {
        let gb = of_index(usage::DAY_ENTRY_BYTES);
        lines.push(line("storage: day-index", gb, price));
    }
    lines.push(line("storage: the counters", counters, prices::DYNAMODB_STORAGE));
    if !options.no_search_index {
        lines.push(line("storage: the lookups", lookups, prices::DYNAMODB_STORAGE));
    }
    lines.push(line(
        "storage: point-in-time recovery",
        items + counters + lookups,
        prices::DYNAMODB_RECOVERY,
    ));
    lines
}

fn dashboard(options: &Options, counted: Projection) -> Vec<Line> {
    let units = usage::READ_UNITS_PER_OVERVIEW + counted.pending_read_units;
    vec![
        line(
            "dashboard: requests",
            usage::OVERVIEWS / 1e6,
            prices::LAMBDA_REQUESTS,
        ),
        line(
            "dashboard: duration",
            usage::OVERVIEWS * usage::GB_SECONDS_PER_OVERVIEW,
            duration_price(options),
        ),
        line(
            "dashboard: reads",
            usage::OVERVIEWS * units / 1e6,
            prices::DYNAMODB_READS,
        ),
    ]
}

fn analytics(options: &Options, events: f64) -> Vec<Line> {
    vec![
        line(
            "analytics: exports",
            usage::exported_gb(events),
            prices::DYNAMODB_EXPORT,
        ),
        line(
            "analytics: storage",
            usage::kept_gb(events, options.retention_days),
            prices::S3_STORAGE,
        ),
        line(
            "analytics: schedule",
            usage::HOURS_PER_MONTH * usage::TRANSITIONS_PER_EXPORT / 1e3,
            prices::STATE_TRANSITIONS,
        ),
    ]
}

fn operation(options: &Options, events: f64, counted: Projection) -> Vec<Line> {
    let requests = requests(options, events);
    let of_request = match options.log_filter {
        LogFilter::Info => usage::LOG_BYTES_PER_REQUEST,
        LogFilter::Warn => usage::METRICS_BYTES_PER_REQUEST,
    };
    let logged = requests * of_request + counted.invocations * usage::LOG_BYTES_PER_PROJECTION;
    vec![
        line(
            "queues: idle polling by redrive",
            usage::queue_requests() / 1e6,
            prices::SQS_REQUESTS,
        ),
        line("CloudWatch: logs", logged / 1e9, prices::LOGS),
        line(
            "CloudWatch: stored logs",
            usage::stored_logs_gb(logged / 1e9, options.log_retention_days),
            prices::LOG_STORAGE,
        ),
        line("CloudWatch: metrics", usage::metrics(), prices::METRICS),
        line("CloudWatch: alarms", usage::ALARMS, prices::ALARMS),
        line("CloudWatch: dashboard", usage::DASHBOARDS, prices::DASHBOARDS),
    ]
}
