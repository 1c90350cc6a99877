//! Checks of the deployed tables and queues.

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::{
    ContinuousBackupsDescription, IndexStatus, PointInTimeRecoveryStatus, TableDescription, TableStatus,
    TimeToLiveStatus,
};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};
use webhook_ingest::event::time;

use super::{check::Check, cloudwatch::CloudWatch};
use crate::account::{Failed, Stack};

const TABLE: &str = "table";
const TTL: &str = "table-time-to-live";
const RECOVERY: &str = "table-recovery";
const DEPTH: &str = "queue-depth";
const AGE: &str = "queue-age";
/// Messages that wait longer in the retry queue are reported, in seconds.
const OLD: f64 = 3600.0;
/// Time of the metric that is read, in seconds. SQS reports every minute, and with a delay:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html>
const METRIC_SECONDS: i64 = 900;

/// A table of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Events,
    Rollups,
}

impl Table {
    fn output(self) -> &'static str {
        match self {
            Self::Events => "EventsTableName",
            Self::Rollups => "RollupsTableName",
        }
    }
}

/// Status, stream, time to live and recovery of a table.
pub(super) async fn table(config: &SdkConfig, stack: &Stack, table: Table) -> Vec<Check> {
    let Some(name) = stack.outputs.get(table.output()) else {
        return vec![missing(TABLE, table.output())];
    };
    let client = aws_sdk_dynamodb::Client::new(config);
    let (described, ttl, backups) = tokio::join!(
        client.describe_table().table_name(name).send(),
        client.describe_time_to_live().table_name(name).send(),
        client.describe_continuous_backups().table_name(name).send(),
    );
    vec![
        match described {
            Ok(answer) => state(name, table, answer.table.as_ref()),
            Err(error) => Check::refused(TABLE, name, &Failed::new("dynamodb:DescribeTable", &error)),
        },
        match ttl {
            Ok(answer) => expiry(
                name,
                answer
                    .time_to_live_description
                    .and_then(|ttl| ttl.time_to_live_status),
            ),
            Err(error) => Check::refused(TTL, name, &Failed::new("dynamodb:DescribeTimeToLive", &error)),
        },
        match backups {
            Ok(answer) => recovery(name, answer.continuous_backups_description.as_ref()),
            Err(error) => Check::refused(
                RECOVERY,
                name,
                &Failed::new("dynamodb:DescribeContinuousBackups", &error),
            ),
        },
    ]
}

fn missing(check: &'static str, output: &str) -> Check {
    Check::failed(
        check,
        output,
        "the stack has no such output",
        "check that it is a stack of netcore-webhooks, and deploy it again",
    )
}

fn state(name: &str, table: Table, description: Option<&TableDescription>) -> Check {
    let Some(description) = description else {
        return Check::not_checked(TABLE, name, "DynamoDB returned no description");
    };
    let status = description.table_status();
    if !matches!(status, Some(TableStatus::Active | TableStatus::Updating)) {
        return Check::failed(
            TABLE,
            name,
            format!("status {}", status.map_or("unknown", TableStatus::as_str)),
            "look at the table in the DynamoDB console",
        );
    }
    let streams = description
        .stream_specification()
        .is_some_and(aws_sdk_dynamodb::types::StreamSpecification::stream_enabled);
    if table == Table::Events && !streams {
        return Check::failed(
            TABLE,
            name,
            "its stream is disabled: no event is counted",
            "deploy the stack again, and rebuild the counters with `netcore-webhooks rollups rebuild`",
        );
    }
    let filling: Vec<&str> = description
        .global_secondary_indexes()
        .iter()
        .filter(|index| index.index_status() != Some(&IndexStatus::Active))
        .filter_map(|index| index.index_name())
        .collect();
    if !filling.is_empty() {
        return Check::warning(
            TABLE,
            name,
            format!("indexes are not active: {}", filling.join(", ")),
            "wait until they are filled; lists and the search by number are incomplete until then",
        );
    }
    if description.deletion_protection_enabled() != Some(true) {
        return Check::warning(
            TABLE,
            name,
            "active, but not protected from deletion",
            "deploy with ProtectData=true, except for tests",
        );
    }
    let stream = if table == Table::Events {
        ", stream enabled"
    } else {
        ""
    };
    Check::ok(TABLE, name, format!("active{stream}, protected from deletion"))
}

fn expiry(name: &str, status: Option<TimeToLiveStatus>) -> Check {
    match status {
        Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling) => Check::ok(TTL, name, "enabled"),
        other => Check::failed(
            TTL,
            name,
            other
                .as_ref()
                .map_or("unknown", TimeToLiveStatus::as_str)
                .to_lowercase(),
            "deploy the stack again: without it, no item expires",
        ),
    }
}

fn recovery(name: &str, backups: Option<&ContinuousBackupsDescription>) -> Check {
    let status = backups
        .and_then(|backups| backups.point_in_time_recovery_description())
        .and_then(|recovery| recovery.point_in_time_recovery_status());
    match status {
        Some(PointInTimeRecoveryStatus::Enabled) => {
            Check::ok(RECOVERY, name, "point-in-time recovery is enabled")
        }
        _ => Check::failed(
            RECOVERY,
            name,
            "point-in-time recovery is disabled",
            "deploy the stack again: deleted data cannot be restored without it",
        ),
    }
}

/// Depth of both queues, and the age of the oldest message in the retry queue.
pub(super) async fn queues(cloudwatch: &CloudWatch<'_>, stack: &Stack) -> Vec<Check> {
    let mut checks = Vec::new();
    for (output, action) in [
        (
            "RetryQueueUrl",
            "events wait here while the table does not take them; redrive stores them. If the number does not fall, see docs/operate.md",
        ),
        (
            "DeadLetterQueueUrl",
            "look at them with `netcore-webhooks dead-letters list`; SQS deletes a message after 14 days",
        ),
    ] {
        let Some(url) = stack.outputs.get(output) else {
            checks.push(missing(DEPTH, output));
            continue;
        };
        checks.push(depth(cloudwatch.config, url, action).await);
    }
    if let Some(url) = stack.outputs.get("RetryQueueUrl") {
        checks.push(age(cloudwatch, url).await);
    }
    checks
}

/// The name at the end of a queue's URL.
fn queue_name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

async fn depth(config: &SdkConfig, url: &str, action: &str) -> Check {
    let names = [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        QueueAttributeName::ApproximateNumberOfMessagesDelayed,
    ];
    let client = aws_sdk_sqs::Client::new(config);
    let request = client
        .get_queue_attributes()
        .queue_url(url)
        .set_attribute_names(Some(names.to_vec()));
    let answer = match request.send().await {
        Ok(answer) => answer.attributes.unwrap_or_default(),
        Err(error) => {
            let failed = Failed::new("sqs:GetQueueAttributes", &error);
            return Check::refused(DEPTH, queue_name(url), &failed);
        }
    };
    let counts = names.iter().map(|name| answer.get(name)?.parse::<u64>().ok());
    match counts.sum::<Option<u64>>() {
        Some(0) => Check::ok(DEPTH, queue_name(url), "empty"),
        Some(messages) => Check::warning(DEPTH, queue_name(url), format!("{messages} messages"), action),
        None => Check::not_checked(DEPTH, queue_name(url), "SQS returned no number"),
    }
}

async fn age(cloudwatch: &CloudWatch<'_>, url: &str) -> Check {
    let name = queue_name(url);
    let now = time::now() / 1000;
    let input = json!({
        "Namespace": "AWS/SQS",
        "MetricName": "ApproximateAgeOfOldestMessage",
        "Dimensions": [{"Name": "QueueName", "Value": name}],
        "StartTime": now - METRIC_SECONDS,
        "EndTime": now,
        "Period": 60,
        "Statistics": ["Maximum"],
    });
    let answer = cloudwatch
        .call("GetMetricStatistics", "cloudwatch:GetMetricStatistics", &input)
        .await;
    let output = match answer {
        Ok(output) => output,
        Err(failed) => return Check::refused(AGE, name, &failed),
    };
    let number = |point: &Value, name: &str| point.get(name).and_then(Value::as_f64);
    let points = output.get("Datapoints").and_then(Value::as_array);
    let newest = points.into_iter().flatten().max_by(|one, other| {
        let at = |point: &Value| number(point, "Timestamp").unwrap_or_default();
        at(one).total_cmp(&at(other))
    });
    match newest.and_then(|point| number(point, "Maximum")) {
        Some(seconds) if seconds > OLD => Check::warning(
            AGE,
            name,
            format!("the oldest message is {:.0} minutes old", seconds / 60.0),
            "read the log group of redrive: it names why events are not stored",
        ),
        Some(seconds) => Check::ok(AGE, name, format!("the oldest message is {seconds:.0} s old")),
        // SQS stops reporting for a queue that was empty and unused for six hours.
        None => Check::ok(AGE, name, "no metric of the last 15 minutes: the queue is unused"),
    }
}
