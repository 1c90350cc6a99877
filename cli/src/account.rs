//! The AWS account of `init`, `doctor` and `listen`: clients, failed calls, and the deployed stack.

use std::{collections::BTreeMap, fmt, time::Duration};

use anyhow::bail;
use aws_config::{Region, SdkConfig};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ssm::types::Parameter;
use webhook_ingest::operations::clients::{Aws, Roots, Timeouts, failure};

/// Timeouts of a call that a person waits for.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(3),
    attempt: Duration::from_secs(5),
    attempts: 2,
};
/// Error codes of a caller without the permission. The protocols of the services have different ones.
const FORBIDDEN: [&str; 5] = [
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    "UnauthorizedOperation",
];

/// Configuration of the account's clients: region and credentials of the environment, as in AWS CLI.
pub(crate) async fn configuration(region: Option<&str>) -> SdkConfig {
    let config = Aws::from_environment(Roots::System, TIMEOUTS).await.config;
    match region {
        Some(region) => config
            .into_builder()
            .region(Region::new(region.to_owned()))
            .build(),
        None => config,
    }
}

/// A call to AWS that failed. Contains no text of the service, which can quote the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    /// The action that the caller needs, such as `ssm:GetParameter`.
    pub(crate) action: &'static str,
    /// The service's error code, or why there was no response.
    pub(crate) code: String,
}

impl Failed {
    pub(crate) fn new<E: ProvideErrorMetadata, R>(action: &'static str, error: &SdkError<E, R>) -> Self {
        Self {
            action,
            code: failure(error).to_owned(),
        }
    }

    /// Whether the caller lacks the permission.
    pub(crate) fn is_forbidden(&self) -> bool {
        FORBIDDEN.contains(&self.code.as_str())
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_forbidden() {
            write!(f, "permission {} is missing", self.action)
        } else {
            write!(f, "{} failed: {}", self.action, self.code)
        }
    }
}

impl std::error::Error for Failed {}

/// A stack in `CloudFormation`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stack {
    /// Such as `UPDATE_COMPLETE`.
    pub(crate) status: String,
    /// The parameters of the last deployment.
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) outputs: BTreeMap<String, String>,
}

impl Stack {
    /// The stack with this name; `None` if there is none.
    ///
    /// # Errors
    /// If `CloudFormation` does not answer or refuses the call.
    pub(crate) async fn find(config: &SdkConfig, name: &str) -> Result<Option<Self>, Failed> {
        const ACTION: &str = "cloudformation:DescribeStacks";
        let client = aws_sdk_cloudformation::Client::new(config);
        let answer = match client.describe_stacks().stack_name(name).send().await {
            Ok(answer) => answer,
            // A stack that does not exist has the general code of invalid requests:
            // https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html
            Err(error) if error.code() == Some("ValidationError") => return Ok(None),
            Err(error) => return Err(Failed::new(ACTION, &error)),
        };
        Ok(answer.stacks.unwrap_or_default().into_iter().next().map(|stack| {
            let parameters = stack.parameters.unwrap_or_default().into_iter();
            let outputs = stack.outputs.unwrap_or_default().into_iter();
            Self {
                status: stack
                    .stack_status
                    .map(|status| status.as_str().to_owned())
                    .unwrap_or_default(),
                parameters: parameters
                    .filter_map(|entry| Some((entry.parameter_key?, entry.parameter_value?)))
                    .collect(),
                outputs: outputs
                    .filter_map(|entry| Some((entry.output_key?, entry.output_value?)))
                    .collect(),
            }
        }))
    }

    /// An output of a stack that must exist.
    ///
    /// # Errors
    /// If the stack or the output does not exist, or `CloudFormation` does not answer.
    pub(crate) async fn output(config: &SdkConfig, stack: &str, name: &str) -> anyhow::Result<String> {
        let Some(found) = Self::find(config, stack).await? else {
            bail!("there is no stack {stack} in {}", region_of(config));
        };
        match found.outputs.get(name) {
            Some(value) => Ok(value.clone()),
            None => bail!("the stack {stack} has no output {name}; is it a stack of netcore-webhooks?"),
        }
    }
}

/// A parameter of SSM with its decrypted value; `None` if it does not exist.
///
/// # Errors
/// If SSM does not answer or refuses the call.
pub(crate) async fn parameter(config: &SdkConfig, name: &str) -> Result<Option<Parameter>, Failed> {
    let client = aws_sdk_ssm::Client::new(config);
    match client
        .get_parameter()
        .name(name)
        .with_decryption(true)
        .send()
        .await
    {
        Ok(answer) => Ok(answer.parameter),
        Err(error) if error.code() == Some("ParameterNotFound") => Ok(None),
        Err(error) => Err(Failed::new("ssm:GetParameter", &error)),
    }
}

/// The region, for messages.
pub(crate) fn region_of(config: &SdkConfig) -> String {
    config
        .region()
        .map_or_else(|| "no region".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_call_names_the_missing_right() {
        let failed = |code: &str| {
            Failed {
                action: "ssm:GetParameter",
                code: code.to_owned(),
            }
            .to_string()
        };
        assert_eq!(
            failed("AccessDeniedException"),
            "permission ssm:GetParameter is missing"
        );
        assert_eq!(failed("AccessDenied"), "permission ssm:GetParameter is missing");
        assert_eq!(failed("no connection"), "ssm:GetParameter failed: no connection");
    }
}
