//! Checks of the event source mappings: the table's stream to `projector`, the retry queue to `redrive`.

use aws_config::SdkConfig;

use super::check::Check;
use crate::account::{Failed, Stack};

const CHECK: &str = "event-source";

/// The mappings of a stack. Each function must have one from the stack's own source.
pub(super) async fn mappings(config: &SdkConfig, stack: &Stack, name: &str) -> Vec<Check> {
    let client = aws_sdk_lambda::Client::new(config);
    let mut checks = Vec::new();
    for (function, output, action) in [
        (
            "projector",
            "EventsTableStreamArn",
            "deploy the stack again; a stream that was disabled and enabled has another ARN",
        ),
        ("redrive", "RetryQueueArn", "deploy the stack again"),
    ] {
        let function = format!("{name}-{function}");
        let source = stack.outputs.get(output).map_or("", String::as_str);
        let answer = client
            .list_event_source_mappings()
            .function_name(&function)
            .send()
            .await;
        let mappings = match answer {
            Ok(answer) => answer.event_source_mappings.unwrap_or_default(),
            Err(error) => {
                let failed = Failed::new("lambda:ListEventSourceMappings", &error);
                checks.push(Check::refused(CHECK, function, &failed));
                continue;
            }
        };
        let found = mappings
            .iter()
            .find(|mapping| mapping.event_source_arn() == Some(source));
        checks.push(match found {
            None => Check::failed(CHECK, function, format!("reads nothing from {output}"), action),
            Some(mapping) => judged(
                function,
                mapping.state().unwrap_or_default(),
                mapping.last_processing_result().unwrap_or_default(),
            ),
        });
    }
    checks
}

fn judged(function: String, state: &str, result: &str) -> Check {
    if !matches!(state, "Enabled" | "Updating") {
        return Check::failed(
            CHECK,
            function,
            format!(
                "its event source is {}",
                if state.is_empty() { "unknown" } else { state }
            ),
            "enable it with `aws lambda update-event-source-mapping --enabled`",
        );
    }
    // "PROBLEM: Function call failed", "PROBLEM: AWS throttling"
    if result.to_ascii_uppercase().starts_with("PROBLEM") {
        return Check::failed(
            CHECK,
            function,
            format!("last result: {result}"),
            "read the function's log group",
        );
    }
    let result = if result.is_empty() { "none yet" } else { result };
    Check::ok(CHECK, function, format!("enabled, last result: {result}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;

    #[test]
    fn a_mapping_must_be_enabled_and_work() {
        let judge = |state, result| judged("f".to_owned(), state, result).result;
        for result in ["OK", "No records processed", ""] {
            assert_eq!(judge("Enabled", result), Outcome::Ok, "{result}");
        }
        assert_eq!(judge("Enabled", "PROBLEM: Function call failed"), Outcome::Failed);
        assert_eq!(judge("Disabled", "OK"), Outcome::Failed);
        assert_eq!(judge("", "OK"), Outcome::Failed);
    }
}
