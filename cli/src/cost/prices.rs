//! AWS prices of one region, with source and date. List prices,
//! without the free tier and without savings plans.

use serde::Serialize;

/// Region of these prices.
pub const REGION: &str = "us-east-1";

/// One price.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Price {
    /// The unit that is billed.
    pub of: &'static str,
    /// US dollars per unit.
    pub usd: f64,
    /// AWS's page that states the price.
    pub source: &'static str,
    /// Month of the newest dated text, by any author, that states this price: AWS's own pages have no
    /// date. `None` if only undated texts were found.
    pub seen: Option<&'static str>,
}

const LAMBDA: &str = "https://aws.amazon.com/lambda/pricing/";
const DYNAMODB: &str = "https://aws.amazon.com/dynamodb/pricing/on-demand/";
const SQS: &str = "https://aws.amazon.com/sqs/pricing/";
const CLOUDWATCH: &str = "https://aws.amazon.com/cloudwatch/pricing/";

/// An invocation, also through a function URL: the URL itself costs nothing.
pub const LAMBDA_REQUESTS: Price = Price {
    of: "a million Lambda requests",
    usd: 0.20,
    source: LAMBDA,
    seen: Some("2026-03"),
};
/// For the first 7.5 billion GB-seconds of a month.
pub const LAMBDA_ARM64: Price = Price {
    of: "a GB-second on arm64",
    usd: 0.000_013_333_4,
    source: LAMBDA,
    seen: Some("2026-03"),
};
/// For the first 6 billion GB-seconds of a month.
pub const LAMBDA_X86_64: Price = Price {
    of: "a GB-second on x86_64",
    usd: 0.000_016_666_7,
    source: LAMBDA,
    seen: Some("2026-03"),
};
/// Since the price cut of November 2024. A unit is 1 KB; a transaction takes two units.
pub const DYNAMODB_WRITES: Price = Price {
    of: "a million write units on demand",
    usd: 0.625,
    source: DYNAMODB,
    seen: Some("2025-07"),
};
/// A unit is 4 KB read with strong consistency.
pub const DYNAMODB_READS: Price = Price {
    of: "a million read units on demand",
    usd: 0.125,
    source: DYNAMODB,
    seen: Some("2025-07"),
};
/// Table and indexes, standard class.
pub const DYNAMODB_STORAGE: Price = Price {
    of: "a GB-month in a table or index",
    usd: 0.25,
    source: DYNAMODB,
    seen: None,
};
/// Billed for the table without its global indexes.
pub const DYNAMODB_RECOVERY: Price = Price {
    of: "a GB-month of point-in-time recovery",
    usd: 0.20,
    source: DYNAMODB,
    seen: None,
};
/// For the first 100 billion of a month; each 64 KB of a message counts as one request.
pub const SQS_REQUESTS: Price = Price {
    of: "a million SQS requests",
    usd: 0.40,
    source: SQS,
    seen: Some("2026-06"),
};
/// Ingestion of function logs, standard class.
pub const LOGS: Price = Price {
    of: "a GB of logs",
    usd: 0.50,
    source: CLOUDWATCH,
    seen: Some("2026-06"),
};
/// A metric name with one set of dimensions; for the first 10,000.
pub const METRICS: Price = Price {
    of: "a custom metric",
    usd: 0.30,
    source: CLOUDWATCH,
    seen: Some("2026-05"),
};
/// Standard resolution, one metric.
pub const ALARMS: Price = Price {
    of: "an alarm",
    usd: 0.10,
    source: CLOUDWATCH,
    seen: Some("2026-05"),
};
/// Beyond the three free dashboards of an account.
pub const DASHBOARDS: Price = Price {
    of: "a CloudWatch dashboard",
    usd: 3.0,
    source: CLOUDWATCH,
    seen: Some("2026-06"),
};

/// All prices.
pub const ALL: [Price; 12] = [
    LAMBDA_REQUESTS,
    LAMBDA_ARM64,
    LAMBDA_X86_64,
    DYNAMODB_WRITES,
    DYNAMODB_READS,
    DYNAMODB_STORAGE,
    DYNAMODB_RECOVERY,
    SQS_REQUESTS,
    LOGS,
    METRICS,
    ALARMS,
    DASHBOARDS,
];
