//! `cost`: the monthly AWS bill by part, compared with a design that writes idempotency records, and with the
//! published prices of services.

mod parts;
pub mod prices;
mod services;
mod table;
pub mod usage;

use clap::{Args, ValueEnum};
use serde::Serialize;

pub use services::Service;

use crate::quantities;
use prices::Price;

/// Processor architecture of the functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Architecture {
    /// Graviton.
    Arm64,
    /// Intel or AMD.
    #[value(name = "x86_64")]
    X86_64,
}

/// Content of the indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum IndexContent {
    /// Keys and filters, as in a new stack.
    Lean,
    /// Whole items, as in a stack of an earlier version.
    Whole,
}

/// Class of the events table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableClass {
    /// `STANDARD`.
    Standard,
    /// `STANDARD_INFREQUENT_ACCESS`: cheaper storage, more expensive writes and reads.
    #[value(alias = "standard-ia")]
    InfrequentAccess,
}

/// What a receiver logs for each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFilter {
    /// A line with its metrics.
    Info,
    /// The metrics only.
    Warn,
}

impl TableClass {
    /// The value of the template's parameter.
    const fn parameter(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::InfrequentAccess => "STANDARD_INFREQUENT_ACCESS",
        }
    }
}

/// Inputs of the bill. The defaults are those of the template.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command")]
pub struct Options {
    /// Events per month, at a constant rate: `1000000`, `1_000_000`, `1e6` or `1M`.
    #[arg(long, value_parser = quantities::events)]
    pub events_per_month: u64,
    /// Events per request; no provider documents more than one.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub batch: u32,
    /// Events that are delivered again, as a share of all events: a fraction or a percentage. Providers publish no
    /// figure.
    #[arg(long, default_value = "0.01", value_parser = quantities::share)]
    pub duplicates: f64,
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
    /// `SearchIndex`: leave out the lookups of the search (by last digits, request id and callback data).
    #[arg(long)]
    pub no_search_index: bool,
    /// Content of the indexes.
    #[arg(long, value_enum, default_value_t = IndexContent::Lean)]
    pub indexes: IndexContent,
    /// Class of the events table.
    #[arg(long, value_enum, default_value_t = TableClass::Standard)]
    pub table_class: TableClass,
    /// `ProjectorWindowSeconds`: how long events are collected before they are counted.
    #[arg(long, default_value_t = 55, value_parser = clap::value_parser!(u32).range(0..=60))]
    pub projector_window: u32,
    /// Write units for counting one event; default: estimated from the size of its batch.
    #[arg(long, value_name = "UNITS")]
    pub rollup_units: Option<f64>,
    /// `LogFilter`: what a receiver logs for each request.
    #[arg(long, value_enum, default_value_t = LogFilter::Info)]
    pub log_filter: LogFilter,
    /// Days until log lines expire.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3_653))]
    pub log_retention_days: u32,
    /// Include the hourly copy to a bucket (`Analytics`), without queries.
    #[arg(long)]
    pub analytics: bool,
    /// Subtract what is always free in an account that has nothing else.
    #[arg(long)]
    pub free_tier: bool,
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
    /// Units that are free.
    pub free: f64,
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
    /// Whether always-free quantities are subtracted.
    pub free_tier: bool,
    /// Parts of the bill.
    pub lines: Vec<Line>,
    /// Sum of the parts, US dollars.
    pub usd: f64,
    /// The other table class, if it is cheaper.
    pub cheaper_class: Option<CheaperClass>,
    /// Sum with an idempotency record for every event, US dollars.
    pub two_write_usd: f64,
    /// Assumptions behind `two_write_usd`.
    pub two_write: &'static str,
    /// Prices of services for as many events.
    pub services: Vec<Service>,
    /// Source of each price, and when it was last seen.
    pub prices: [Price; 20],
}

/// A table class that is cheaper.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CheaperClass {
    /// The class.
    pub class: TableClass,
    /// Sum of the parts with this class, US dollars.
    pub usd: f64,
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
    let lines = parts::lines(options, events);
    let usd = sum(&lines);
    let class = match options.table_class {
        TableClass::Standard => TableClass::InfrequentAccess,
        TableClass::InfrequentAccess => TableClass::Standard,
    };
    let other = Options {
        table_class: class,
        ..options.clone()
    };
    let other = sum(&parts::lines(&other, events));
    Bill {
        region: prices::REGION,
        events: options.events_per_month,
        free_tier: options.free_tier,
        lines,
        usd,
        cheaper_class: (other < usd).then_some(CheaperClass { class, usd: other }),
        two_write_usd: usd + sum(&parts::two_writes(options, events)),
        two_write: TWO_WRITE,
        services: services::services(events),
        prices: prices::ALL,
    }
}

fn sum(lines: &[Line]) -> f64 {
    lines.iter().map(|line| line.usd).sum()
}
