//! `cost`: the monthly AWS bill by part, compared with a design that writes idempotency records.

pub mod prices;
mod table;
pub mod usage;

use clap::{Args, ValueEnum};
use serde::Serialize;

use prices::Price;
use usage::Projection;

/// Processor architecture of the functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Architecture {
    /// Graviton.
    Arm64,
    /// Intel or AMD.
    #[value(name = "x86_64")]
    X86_64,
}

/// Inputs of the bill.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Events per month, at a constant rate.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000_000_000))]
    pub events_per_month: u64,
    /// Events per request; no provider documents more than one.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub batch: u32,
    /// The functions' memory in MB.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(128..=10_240))]
    pub memory: u32,
    /// The functions' processor.
    #[arg(long, value_enum, default_value_t = Architecture::Arm64)]
    pub architecture: Architecture,
    /// Days until events expire; 0 keeps them forever (the bill then includes one year of storage).
    #[arg(long, default_value_t = 180, value_parser = clap::value_parser!(u32).range(0..=36_500))]
    pub retention_days: u32,
    /// Leave out recipient-index (search by number).
    #[arg(long)]
    pub no_recipient_index: bool,
    /// Leave out day-index (list of a day's events).
    #[arg(long)]
    pub no_day_index: bool,
    /// Write units for counting one event; default: estimated from the size of its batch.
    #[arg(long, value_name = "UNITS")]
    pub rollup_units: Option<f64>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// One part of the bill.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// Name of the part.
    pub part: &'static str,
    /// Number of units.
    pub quantity: f64,
    /// The unit.
    pub of: &'static str,
    /// US dollars per unit.
    pub price: f64,
    /// US dollars.
    pub usd: f64,
}

/// The bill of one month.
#[derive(Debug, Clone, Serialize)]
pub struct Bill {
    /// Region of the prices.
    pub region: &'static str,
    /// Events in the month.
    pub events: u64,
    /// Parts of the bill.
    pub lines: Vec<Line>,
    /// Sum of the parts, US dollars.
    pub usd: f64,
    /// Sum with an idempotency record for every event, US dollars.
    pub two_write_usd: f64,
    /// Assumptions behind `two_write_usd`.
    pub two_write: &'static str,
    /// Source of each price, and when it was last seen.
    pub prices: [Price; 12],
}

const TWO_WRITE: &str = "an idempotency record for every event as Powertools keeps it: put as in progress, updated as completed \
(one write unit each), and between them the event's own put; records expire within an hour; everything else is the same";

/// The bill of a month.
#[expect(
    clippy::cast_precision_loss,
    reason = "a bill does not need exact event counts"
)]
pub fn bill(options: &Options) -> Bill {
    let events = options.events_per_month as f64;
    let memory = f64::from(options.memory);
    let counted = usage::projection(events, memory, options.rollup_units);
    let mut lines = receivers(options, events, 1.0);
    lines.extend(table(options, events));
    lines.extend(counters(options, events, counted));
    lines.extend(storage(options, events));
    lines.extend(operation(options, events, counted));
    let usd = lines.iter().map(|line| line.usd).sum::<f64>();
    let of = |lines: Vec<Line>| lines.iter().map(|line| line.usd).sum::<f64>();
    let records = line("", 2.0 * events / 1e6, prices::DYNAMODB_WRITES).usd;
    let longer = of(receivers(options, events, 3.0)) - of(receivers(options, events, 1.0));
    Bill {
        region: prices::REGION,
        events: options.events_per_month,
        lines,
        usd,
        two_write_usd: usd + records + longer,
        two_write: TWO_WRITE,
        prices: prices::ALL,
    }
}

fn line(part: &'static str, quantity: f64, price: Price) -> Line {
    Line {
        part,
        quantity,
        of: price.of,
        price: price.usd,
        usd: quantity * price.usd,
    }
}

fn compute(options: &Options, calls: f64, ms: f64) -> (f64, Price) {
    let price = match options.architecture {
        Architecture::Arm64 => prices::LAMBDA_ARM64,
        Architecture::X86_64 => prices::LAMBDA_X86_64,
    };
    (calls * ms / 1000.0 * f64::from(options.memory) / 1024.0, price)
}

/// `writes` sequential writes for each event.
fn receivers(options: &Options, events: f64, writes: f64) -> Vec<Line> {
    let batch = f64::from(options.batch);
    let requests = events / batch;
    let ms = usage::receiver_ms(batch, writes, f64::from(options.memory));
    let (duration, price) = compute(options, requests, ms);
    vec![
        line("receivers: requests", requests / 1e6, prices::LAMBDA_REQUESTS),
        line("receivers: duration", duration, price),
    ]
}

fn table(options: &Options, events: f64) -> Vec<Line> {
    let units = events * usage::WRITE_UNITS_PER_EVENT / 1e6;
    let mut lines = vec![line(
        "events: writes of the table",
        units,
        prices::DYNAMODB_WRITES,
    )];
    if !options.no_recipient_index {
        lines.push(line(
            "events: writes of recipient-index",
            units,
            prices::DYNAMODB_WRITES,
        ));
    }
    if !options.no_day_index {
        lines.push(line(
            "events: writes of day-index",
            units,
            prices::DYNAMODB_WRITES,
        ));
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
            "counters: writes, transactional",
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

fn storage(options: &Options, events: f64) -> Vec<Line> {
    let gb = usage::stored_gb(events, options.retention_days);
    let mut lines = vec![line("storage: the table", gb, prices::DYNAMODB_STORAGE)];
    if !options.no_recipient_index {
        lines.push(line("storage: recipient-index", gb, prices::DYNAMODB_STORAGE));
    }
    if !options.no_day_index {
        lines.push(line("storage: day-index", gb, prices::DYNAMODB_STORAGE));
    }
    lines.push(line(
        "storage: point-in-time recovery",
        gb,
        prices::DYNAMODB_RECOVERY,
    ));
    lines
}

fn operation(options: &Options, events: f64, counted: Projection) -> Vec<Line> {
    let requests = events / f64::from(options.batch);
    let logged =
        requests * usage::LOG_BYTES_PER_REQUEST + counted.invocations * usage::LOG_BYTES_PER_PROJECTION;
    vec![
        line(
            "queues: idle polling by redrive",
            usage::queue_requests() / 1e6,
            prices::SQS_REQUESTS,
        ),
        line("CloudWatch: logs", logged / 1e9, prices::LOGS),
        line("CloudWatch: metrics", usage::metrics(), prices::METRICS),
        line("CloudWatch: alarms", usage::ALARMS, prices::ALARMS),
        line("CloudWatch: dashboard", usage::DASHBOARDS, prices::DASHBOARDS),
    ]
}
