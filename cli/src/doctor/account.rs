//! Checks of the account before a deployment: credentials, names, quota of concurrent executions.

use aws_config::SdkConfig;
use aws_sdk_lambda::types::AccountLimit;

use super::check::Check;
use crate::{
    account::{Failed, Stack, region_of},
    template::{Parameters, Template},
};

/// Longest name of a function: <https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html>
const FUNCTION_NAME_CHARS: usize = 64;
/// Executions that cannot be reserved: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html>
const UNRESERVED: u64 = 100;
const CONCURRENCY: &str = "concurrency";
const EXECUTIONS: &str = "concurrent executions of the account";
/// Functions of every stack.
const OTHER_FUNCTIONS: [&str; 3] = ["Redrive", "Projector", "Dashboard"];

/// The account that the credentials belong to.
pub(super) async fn credentials(config: &SdkConfig) -> Check {
    const CHECK: &str = "credentials";
    let region = region_of(config);
    if config.region().is_none() {
        return Check::failed(CHECK, "region", "none is set", "set AWS_REGION or pass --region");
    }
    let client = aws_sdk_sts::Client::new(config);
    match client.get_caller_identity().send().await {
        Ok(identity) => Check::ok(
            CHECK,
            format!("account {}", identity.account().unwrap_or("unknown")),
            format!("valid in {region}"),
        ),
        Err(error) => Check::failed(
            CHECK,
            region,
            Failed::new("sts:GetCallerIdentity", &error).to_string(),
            "configure credentials until `aws sts get-caller-identity` succeeds",
        ),
    }
}

/// The length of the stack's name, which begins the names of its functions.
pub(super) fn name(stack: &str, template: &Template, parameters: &Parameters<'_>) -> Check {
    const CHECK: &str = "stack-name";
    let prefixes = parameters.receivers().into_iter().chain(OTHER_FUNCTIONS);
    let longest = prefixes
        .filter_map(|prefix| template.function(prefix))
        .max_by_key(|name| name.len())
        .unwrap_or_default();
    // A hyphen joins the names.
    let most = FUNCTION_NAME_CHARS.saturating_sub(longest.len() + 1);
    let length = stack.chars().count();
    let is_valid = stack.starts_with(|c: char| c.is_ascii_alphabetic())
        && stack.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !is_valid {
        Check::failed(
            CHECK,
            stack,
            "CloudFormation does not accept it",
            "use letters, digits and hyphens, with a letter first",
        )
    } else if length > most {
        Check::failed(
            CHECK,
            stack,
            format!(
                "{length} characters; with {longest}, a function's name would have more than {FUNCTION_NAME_CHARS}"
            ),
            format!("choose a name of at most {most} characters"),
        )
    } else {
        Check::ok(CHECK, stack, format!("{length} of at most {most} characters"))
    }
}

/// Receivers that the template does not have.
pub(super) fn receivers(template: &Template, parameters: &Parameters<'_>) -> Check {
    const CHECK: &str = "receivers";
    let names = parameters.receivers();
    let unknown: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| template.function(name).is_none() || OTHER_FUNCTIONS.contains(name))
        .collect();
    if names.is_empty() || !unknown.is_empty() {
        return Check::failed(
            CHECK,
            "Receivers",
            format!("unknown or none: {}", unknown.join(", ")),
            "name receivers of the template, such as EventWebhook,IncomingWebhook",
        );
    }
    Check::ok(CHECK, "Receivers", names.join(", "))
}

/// Whether `CloudFormation` can deploy the stack in its present state.
pub(super) fn state(name: &str, stack: Option<&Stack>) -> Check {
    const CHECK: &str = "stack";
    let Some(stack) = stack else {
        return Check::ok(
            CHECK,
            name,
            "does not exist yet; the checks of a deployed stack are left out",
        );
    };
    let status = stack.status.as_str();
    match status {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" => Check::ok(CHECK, name, status),
        "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED" | "DELETE_FAILED" => Check::failed(
            CHECK,
            name,
            format!("{status}: it cannot be updated"),
            "read the first failure of its events, then delete the stack and deploy it again",
        ),
        "UPDATE_ROLLBACK_FAILED" | "UPDATE_FAILED" => Check::failed(
            CHECK,
            name,
            format!("{status}: it cannot be updated"),
            "run `aws cloudformation continue-update-rollback`",
        ),
        status if status.ends_with("_IN_PROGRESS") => Check::warning(
            CHECK,
            name,
            status,
            "wait until the deployment has ended and run doctor again",
        ),
        status => Check::warning(
            CHECK,
            name,
            format!("{status}: the last deployment failed, and the previous state is in place"),
            "read the first failure of its events",
        ),
    }
}

/// Whether Lambda can reserve the executions that the parameters ask for.
pub(super) async fn concurrency(
    config: &SdkConfig,
    deployed: Option<&Parameters<'_>>,
    parameters: &Parameters<'_>,
) -> Check {
    let client = aws_sdk_lambda::Client::new(config);
    let limit = match client.get_account_settings().send().await {
        Ok(answer) => answer.account_limit,
        Err(error) => {
            return Check::refused(
                CONCURRENCY,
                EXECUTIONS,
                &Failed::new("lambda:GetAccountSettings", &error),
            );
        }
    };
    let Some(limit) = limit else {
        return Check::not_checked(CONCURRENCY, EXECUTIONS, "Lambda returned no limit");
    };
    // A deployed stack holds its reservations already.
    judged(&limit, deployed.map_or(0, reserved), parameters)
}

/// Executions that a stack with these parameters reserves.
fn reserved(parameters: &Parameters<'_>) -> u64 {
    let receivers = u64::try_from(parameters.receivers().len()).unwrap_or(u64::MAX);
    receivers
        .saturating_mul(parameters.number("ReceiverConcurrency"))
        .saturating_add(parameters.number("DashboardConcurrency"))
}

fn judged(limit: &AccountLimit, held: u64, parameters: &Parameters<'_>) -> Check {
    let all = u64::try_from(limit.concurrent_executions()).unwrap_or(0);
    let unreserved = limit.unreserved_concurrent_executions().unwrap_or_default();
    let free = u64::try_from(unreserved)
        .unwrap_or(0)
        .saturating_add(held)
        .min(all);
    let wanted = reserved(parameters);
    let receivers = u64::try_from(parameters.receivers().len()).unwrap_or(u64::MAX);
    let dashboard = parameters.number("DashboardConcurrency");
    let found = format!("{all}, of which {free} are not reserved by others; the stack reserves {wanted}");
    if wanted > 0 && free < wanted.saturating_add(UNRESERVED) {
        let each = free.saturating_sub(UNRESERVED + dashboard) / receivers.max(1);
        let lower = if each == 0 {
            "set ReceiverConcurrency=0 and DashboardConcurrency=0 (no reservation)".to_owned()
        } else {
            format!("set ReceiverConcurrency to at most {each} for {receivers} receivers")
        };
        return Check::failed(
            CONCURRENCY,
            EXECUTIONS,
            format!("{found}, and Lambda keeps {UNRESERVED}"),
            format!("{lower}, or request an increase in Service Quotas"),
        );
    }
    if all < UNRESERVED {
        return Check::warning(
            CONCURRENCY,
            EXECUTIONS,
            found,
            "request an increase in Service Quotas: more simultaneous requests are throttled",
        );
    }
    Check::ok(CONCURRENCY, EXECUTIONS, found)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::doctor::Outcome;

    fn parameters<'t>(template: &'t Template, given: &[&str]) -> Parameters<'t> {
        let given: Vec<String> = given.iter().map(|text| (*text).to_owned()).collect();
        Parameters::new(template, BTreeMap::new(), &given).unwrap()
    }

    #[test]
    fn a_stacks_name_leaves_room_for_the_longest_function() {
        let template = Template::read().unwrap();
        let all = parameters(&template, &["Receivers=EventWebhook,IncomingWebhook"]);
        let check = |stack: &str, parameters: &Parameters<'_>| name(stack, &template, parameters);
        // "-incoming-webhook" has 17 characters.
        assert_eq!(check(&"a".repeat(47), &all).result, Outcome::Ok);
        let long = check(&"a".repeat(48), &all);
        assert_eq!(long.result, Outcome::Failed);
        assert_eq!(
            long.action.as_deref(),
            Some("choose a name of at most 47 characters")
        );
        // "-email-event" has 12.
        let few = parameters(&template, &["Receivers=EmailEvent"]);
        assert_eq!(check(&"a".repeat(52), &few).result, Outcome::Ok);
        assert_eq!(check(&"a".repeat(53), &few).result, Outcome::Failed);
        for wrong in ["1stack", "my_stack", "", "stäck"] {
            assert_eq!(check(wrong, &all).result, Outcome::Failed, "{wrong}");
        }
    }

    #[test]
    fn a_quota_is_enough_for_the_reservations_and_a_hundred_more() {
        let template = Template::read().unwrap();
        let five = "Receivers=EventWebhook,FallbackSms,IncomingWebhook,DeliveryStatus,RcsCallback";
        let default = parameters(
            &template,
            &[five, "ReceiverConcurrency=170", "DashboardConcurrency=10"],
        );
        let judge = |all: i32, unreserved: i32, held: u64, parameters: &Parameters<'_>| {
            let limit = AccountLimit::builder()
                .concurrent_executions(all)
                .unreserved_concurrent_executions(unreserved)
                .build();
            let check = judged(&limit, held, parameters);
            (check.result, check.action.unwrap_or_default())
        };
        assert_eq!(judge(1000, 960, 0, &default).0, Outcome::Ok);
        let (result, action) = judge(1000, 959, 0, &default);
        assert_eq!(result, Outcome::Failed);
        assert!(
            action.starts_with("set ReceiverConcurrency to at most 169 for 5 receivers"),
            "{action}"
        );
        // What the deployed stack holds is free for its update.
        assert_eq!(judge(1000, 140, 860, &default).0, Outcome::Ok);
        let (result, action) = judge(10, 10, 0, &default);
        assert_eq!(result, Outcome::Failed);
        assert!(
            action.starts_with("set ReceiverConcurrency=0 and DashboardConcurrency=0"),
            "{action}"
        );
        let none = parameters(&template, &["ReceiverConcurrency=0", "DashboardConcurrency=0"]);
        assert_eq!(judge(10, 10, 0, &none).0, Outcome::Warning);
        assert_eq!(judge(1000, 900, 0, &none).0, Outcome::Ok);
    }

    #[test]
    fn a_stack_that_cannot_be_updated_is_named() {
        let state = |status: &str| {
            let stack = Stack {
                status: status.to_owned(),
                ..Stack::default()
            };
            state("s", Some(&stack)).result
        };
        assert_eq!(state("UPDATE_COMPLETE"), Outcome::Ok);
        assert_eq!(state("UPDATE_ROLLBACK_COMPLETE"), Outcome::Warning);
        assert_eq!(state("UPDATE_IN_PROGRESS"), Outcome::Warning);
        for status in ["ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED", "DELETE_FAILED"] {
            assert_eq!(state(status), Outcome::Failed, "{status}");
        }
        assert_eq!(super::state("s", None).result, Outcome::Ok);
    }
}
