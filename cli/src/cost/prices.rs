//! AWS prices of one region, with source and date, and the quantities that are always free. List prices, without
//! savings plans.

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
    /// Units of a month that are free for every account, without an end date, and shared by all of its stacks. They
    /// also apply to tables that are billed on demand:
    /// <https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/tracking-free-tier-usage.html>
    pub free: f64,
    /// AWS's page that states the price.
    pub source: &'static str,
    /// Month of the newest dated text, by any author, that states this price: AWS's own pages have no
    /// date. `None` if only undated texts were found.
    pub seen: Option<&'static str>,
}

const LAMBDA: &str = "https://aws.amazon.com/lambda/pricing/";
const DYNAMODB: &str = "https://aws.amazon.com/dynamodb/pricing/on-demand/";
const SQS: &str = "https://aws.amazon.com/sqs/pricing/";
const KMS: &str = "https://aws.amazon.com/kms/pricing/";
const EC2: &str = "https://aws.amazon.com/ec2/pricing/on-demand/";
const CLOUDWATCH: &str = "https://aws.amazon.com/cloudwatch/pricing/";

/// An invocation, also through a function URL: the URL itself costs nothing.
pub const LAMBDA_REQUESTS: Price = Price {
    of: "a million Lambda requests",
    usd: 0.20,
    free: 1.0,
    source: LAMBDA,
    seen: Some("2026-03"),
};
/// For the first 7.5 billion GB-seconds of a month.
pub const LAMBDA_ARM64: Price = Price {
    of: "a GB-second on arm64",
    usd: 0.000_013_333_4,
    free: 400_000.0,
    source: LAMBDA,
    seen: Some("2026-03"),
};
/// For the first 6 billion GB-seconds of a month.
pub const LAMBDA_X86_64: Price = Price {
    of: "a GB-second on x86_64",
    usd: 0.000_016_666_7,
    free: 400_000.0,
    source: LAMBDA,
    seen: Some("2026-03"),
};
/// Since the price cut of November 2024. A unit is 1 KB; a transaction takes two units.
pub const DYNAMODB_WRITES: Price = Price {
    of: "a million write units on demand",
    usd: 0.625,
    free: 0.0,
    source: DYNAMODB,
    seen: Some("2025-07"),
};
/// A unit is 4 KB read with strong consistency.
pub const DYNAMODB_READS: Price = Price {
    of: "a million read units on demand",
    usd: 0.125,
    free: 0.0,
    source: DYNAMODB,
    seen: Some("2025-07"),
};
/// Table and indexes, standard class.
pub const DYNAMODB_STORAGE: Price = Price {
    of: "a GB-month in a table or index",
    usd: 0.25,
    free: 25.0,
    source: DYNAMODB,
    seen: None,
};
/// The class for infrequent access: 25 % more than [`DYNAMODB_WRITES`].
pub const DYNAMODB_IA_WRITES: Price = Price {
    of: "a million write units on demand, infrequent access",
    usd: 0.781_25,
    free: 0.0,
    source: DYNAMODB,
    seen: None,
};
/// The class for infrequent access: 60 % less than [`DYNAMODB_STORAGE`], and nothing is free.
pub const DYNAMODB_IA_STORAGE: Price = Price {
    of: "a GB-month in a table or index, infrequent access",
    usd: 0.10,
    free: 0.0,
    source: DYNAMODB,
    seen: None,
};
/// Billed for the table without its global indexes.
pub const DYNAMODB_RECOVERY: Price = Price {
    of: "a GB-month of point-in-time recovery",
    usd: 0.20,
    free: 0.0,
    source: DYNAMODB,
    seen: None,
};
/// For the first 100 billion of a month; each 64 KB of a message counts as one request.
pub const SQS_REQUESTS: Price = Price {
    of: "a million SQS requests",
    usd: 0.40,
    free: 1.0,
    source: SQS,
    seen: Some("2026-06"),
};
/// Ingestion of function logs, standard class.
pub const LOGS: Price = Price {
    of: "a GB of logs",
    usd: 0.50,
    free: 5.0,
    source: CLOUDWATCH,
    seen: Some("2026-06"),
};
/// Log lines until they expire, compressed.
pub const LOG_STORAGE: Price = Price {
    of: "a GB-month of stored logs",
    usd: 0.03,
    free: 0.0,
    source: CLOUDWATCH,
    seen: Some("2026-06"),
};
/// A metric name with one set of dimensions; for the first 10,000.
pub const METRICS: Price = Price {
    of: "a custom metric",
    usd: 0.30,
    free: 10.0,
    source: CLOUDWATCH,
    seen: Some("2026-05"),
};
/// Standard resolution, one metric.
pub const ALARMS: Price = Price {
    of: "an alarm",
    usd: 0.10,
    free: 10.0,
    source: CLOUDWATCH,
    seen: Some("2026-05"),
};
/// Beyond the three free dashboards of an account.
pub const DASHBOARDS: Price = Price {
    of: "a CloudWatch dashboard",
    usd: 3.0,
    free: 3.0,
    source: CLOUDWATCH,
    seen: Some("2026-06"),
};

/// Also for AWS managed keys, which cost nothing by themselves.
pub const KMS_REQUESTS: Price = Price {
    of: "10,000 KMS requests",
    usd: 0.03,
    free: 2.0,
    source: KMS,
    seen: Some("2026-06"),
};
/// From Lambda to the internet, for the first 10 TB. 100 GB are free for all services of an account together.
pub const DATA_OUT: Price = Price {
    of: "a GB to the internet",
    usd: 0.09,
    free: 100.0,
    source: EC2,
    seen: None,
};

/// Exports of a table to S3, full and incremental.
pub const DYNAMODB_EXPORT: Price = Price {
    of: "a GB exported to S3",
    usd: 0.10,
    free: 0.0,
    source: DYNAMODB,
    seen: None,
};
/// Standard class, for the first 50 TB.
pub const S3_STORAGE: Price = Price {
    of: "a GB-month in S3",
    usd: 0.023,
    free: 0.0,
    source: "https://aws.amazon.com/s3/pricing/",
    seen: None,
};
/// Standard workflows of Step Functions.
pub const STATE_TRANSITIONS: Price = Price {
    of: "a thousand state transitions",
    usd: 0.025,
    free: 4.0,
    source: "https://aws.amazon.com/step-functions/pricing/",
    seen: None,
};

/// All prices.
pub const ALL: [Price; 20] = [
    LAMBDA_REQUESTS,
    LAMBDA_ARM64,
    LAMBDA_X86_64,
    DYNAMODB_WRITES,
    DYNAMODB_READS,
    DYNAMODB_STORAGE,
    DYNAMODB_IA_WRITES,
    DYNAMODB_IA_STORAGE,
    DYNAMODB_RECOVERY,
    SQS_REQUESTS,
    LOGS,
    LOG_STORAGE,
    METRICS,
    ALARMS,
    DASHBOARDS,
    KMS_REQUESTS,
    DATA_OUT,
    DYNAMODB_EXPORT,
    S3_STORAGE,
    STATE_TRANSITIONS,
];
