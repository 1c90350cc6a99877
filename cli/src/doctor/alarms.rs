//! Checks of the alarms: their states, and whether anybody receives them.

use aws_config::SdkConfig;
use serde_json::{Value, json};

use super::{check::Check, cloudwatch::CloudWatch};
use crate::account::{Failed, Stack};

const SUBSCRIPTION: &str = "alarm-subscription";
const ALARMS: &str = "alarms";
/// Most pages of a stack's resources; a page has a hundred, and a stack at most 500.
const MAX_PAGES: usize = 10;
/// Most names in one call: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html>
const NAMES_PER_CALL: usize = 100;
/// Most names in the output.
const SHOWN: usize = 20;

/// Whether the topic of the alarms has a confirmed subscription.
pub(super) async fn subscription(config: &SdkConfig, stack: &Stack) -> Check {
    const SUBJECT: &str = "topic of the alarms";
    let Some(topic) = stack.outputs.get("AlarmTopicArn") else {
        return Check::failed(
            SUBSCRIPTION,
            SUBJECT,
            "the stack has no output AlarmTopicArn",
            "deploy the stack again",
        );
    };
    let client = aws_sdk_sns::Client::new(config);
    let subscriptions = match client.list_subscriptions_by_topic().topic_arn(topic).send().await {
        Ok(answer) => answer.subscriptions.unwrap_or_default(),
        Err(error) => {
            let failed = Failed::new("sns:ListSubscriptionsByTopic", &error);
            return Check::refused(SUBSCRIPTION, SUBJECT, &failed);
        }
    };
    // SNS has no ARN for a subscription that waits for its confirmation.
    let confirmed = |arn: &str| arn.starts_with("arn:");
    let all = subscriptions.len();
    let confirmed = subscriptions
        .iter()
        .filter(|subscription| subscription.subscription_arn().is_some_and(confirmed))
        .count();
    let found = format!("{confirmed} of {all} subscriptions are confirmed");
    match (confirmed, all) {
        (_, 0) => Check::warning(
            SUBSCRIPTION,
            SUBJECT,
            "nobody is subscribed: alarms reach nobody",
            "set AlarmEmail, or subscribe a pager to the topic",
        ),
        (0, _) => Check::failed(
            SUBSCRIPTION,
            SUBJECT,
            found,
            "open the link in the mail of AWS Notifications",
        ),
        (some, all) if some < all => Check::warning(
            SUBSCRIPTION,
            SUBJECT,
            found,
            "open the link in the mail of AWS Notifications",
        ),
        _ => Check::ok(SUBSCRIPTION, SUBJECT, found),
    }
}

/// Alarms in the state `ALARM`.
pub(super) async fn alarms(cloudwatch: &CloudWatch<'_>, stack: &str) -> Check {
    match states(cloudwatch, stack).await {
        Err(failed) => Check::refused(ALARMS, stack, &failed),
        Ok(alarms) => judged(stack, &alarms),
    }
}

/// An alarm: its name, whether it is raised, and whether it notifies anybody.
struct Alarm {
    name: String,
    is_raised: bool,
    notifies: bool,
}

impl Alarm {
    fn of(alarm: &Value) -> Self {
        let text = |name: &str| alarm.get(name).and_then(Value::as_str).unwrap_or_default();
        let actions = alarm.get("AlarmActions").and_then(Value::as_array);
        Self {
            name: text("AlarmName").to_owned(),
            is_raised: text("StateValue") == "ALARM",
            notifies: alarm.get("ActionsEnabled") != Some(&Value::Bool(false))
                && actions.is_some_and(|actions| !actions.is_empty()),
        }
    }
}

/// Finds the alarms by the stack's resources: another stack's name can begin in the same way.
async fn states(cloudwatch: &CloudWatch<'_>, stack: &str) -> Result<Vec<Alarm>, Failed> {
    let client = aws_sdk_cloudformation::Client::new(cloudwatch.config);
    let mut pages = client
        .list_stack_resources()
        .stack_name(stack)
        .into_paginator()
        .send();
    let mut names = Vec::new();
    for _ in 0..MAX_PAGES {
        let Some(page) = pages.next().await else { break };
        let page = page.map_err(|error| Failed::new("cloudformation:ListStackResources", &error))?;
        let resources = page.stack_resource_summaries.unwrap_or_default().into_iter();
        names.extend(
            resources
                .filter(|resource| resource.resource_type() == Some("AWS::CloudWatch::Alarm"))
                .filter_map(|resource| resource.physical_resource_id),
        );
    }
    let mut alarms = Vec::new();
    for names in names.chunks(NAMES_PER_CALL) {
        let input = json!({"AlarmNames": names, "MaxRecords": NAMES_PER_CALL});
        let output = cloudwatch
            .call("DescribeAlarms", "cloudwatch:DescribeAlarms", &input)
            .await?;
        let found = output.get("MetricAlarms").and_then(Value::as_array);
        alarms.extend(found.into_iter().flatten().map(Alarm::of));
    }
    Ok(alarms)
}

fn judged(stack: &str, alarms: &[Alarm]) -> Check {
    let names = |wanted: fn(&Alarm) -> bool| {
        let names: Vec<&str> = alarms
            .iter()
            .filter(|alarm| wanted(alarm))
            .map(|alarm| alarm.name.as_str())
            .collect();
        let more = names.len().saturating_sub(SHOWN);
        let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
        match (shown.is_empty(), more) {
            (true, _) => None,
            (false, 0) => Some(shown),
            (false, more) => Some(format!("{shown} and {more} more")),
        }
    };
    if alarms.is_empty() {
        return Check::warning(ALARMS, stack, "the stack has no alarms", "deploy the stack again");
    }
    if let Some(raised) = names(|alarm| alarm.is_raised) {
        return Check::failed(
            ALARMS,
            stack,
            format!("raised: {raised}"),
            "docs/operate.md has a section for each alarm",
        );
    }
    if let Some(mute) = names(|alarm| !alarm.notifies) {
        return Check::warning(
            ALARMS,
            stack,
            format!("without a notification: {mute}"),
            "enable the actions of these alarms",
        );
    }
    Check::ok(ALARMS, stack, format!("{} alarms, none is raised", alarms.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;

    #[test]
    fn raised_alarms_are_named_up_to_a_limit() {
        let alarm = |name: String, is_raised, notifies| Alarm {
            name,
            is_raised,
            notifies,
        };
        assert_eq!(judged("s", &[]).result, Outcome::Warning);
        let quiet = alarm("s-quiet".to_owned(), false, true);
        let mute = alarm("s-mute".to_owned(), false, false);
        assert_eq!(judged("s", &[quiet]).result, Outcome::Ok);
        let raised: Vec<Alarm> = (0..22)
            .map(|n| alarm(format!("s-{n:02}"), true, true))
            .chain([mute])
            .collect();
        let check = judged("s", &raised);
        assert_eq!(check.result, Outcome::Failed);
        assert!(check.found.starts_with("raised: s-00, s-01, "), "{}", check.found);
        assert!(check.found.ends_with(", s-19 and 2 more"), "{}", check.found);
    }
}
