//! Checks of the secrets that the functions read at start: the authentication policy and the dashboard's passwords.

use aws_config::SdkConfig;
use aws_sdk_ssm::{error::ProvideErrorMetadata as _, types::ParameterType};
use serde_json::Value;
use webhook_ingest::auth::Policy;

use super::check::Check;
use crate::{
    account::{Failed, parameter},
    init::store::schemes,
    template::Parameters,
};

const POLICY: &str = "policy";
const PASSWORDS: &str = "dashboard-passwords";

/// A text in SSM or Secrets Manager.
struct Found {
    text: String,
    /// Where it is.
    at: String,
    /// Whether everybody who may read parameters can read it.
    is_plain: bool,
}

/// The policy that the functions read, if it is valid.
pub(super) async fn policy(config: &SdkConfig, parameters: &Parameters<'_>) -> (Check, Option<Policy>) {
    let (name, arn) = (
        parameters.text("WebhookAuthParameter"),
        parameters.text("WebhookAuthSecretArn"),
    );
    let create = format!("run `netcore-webhooks init --ssm {name}`");
    let found = match fetch(POLICY, config, name, arn, &create).await {
        Ok(found) => found,
        Err(check) => return (*check, None),
    };
    match Policy::parse(&found.text) {
        Ok(policy) => (judged(&found, &policy), Some(policy)),
        // Names the field, never a secret.
        Err(error) => {
            let action = "repair the policy: docs/reference.md describes it, and `init` makes one";
            (Check::failed(POLICY, found.at, error.to_string(), action), None)
        }
    }
}

fn judged(found: &Found, policy: &Policy) -> Check {
    let at = found.at.clone();
    if policy.accepts_anything() {
        return Check::failed(
            POLICY,
            at,
            "accepts anything: anyone who knows a URL can write events",
            "make a secret with `netcore-webhooks init --ssm --overwrite`",
        );
    }
    let json: Value = serde_json::from_str(&found.text).unwrap_or_default();
    let accept = json.get("accept").and_then(Value::as_array);
    let is_weak = |scheme: &Value| scheme.get("allow_weak") == Some(&Value::Bool(true));
    if accept.is_some_and(|schemes| schemes.iter().any(is_weak)) {
        return Check::warning(
            POLICY,
            at,
            "allow_weak accepts secrets that can be guessed",
            "replace them with at least 16 random characters and remove allow_weak",
        );
    }
    if found.is_plain {
        return Check::warning(
            POLICY,
            at,
            "is not a SecureString: it is stored unencrypted",
            "delete it and create it with `netcore-webhooks init --ssm`",
        );
    }
    let accepts = json.as_object().map(schemes).unwrap_or_default();
    Check::ok(POLICY, at, format!("valid, accepts {accepts}"))
}

/// The dashboard's passwords; `None` if it has no sign-in.
pub(super) async fn passwords(config: &SdkConfig, parameters: &Parameters<'_>) -> Option<Check> {
    if parameters.text("DashboardAccess") != "SIGN_IN" {
        return None;
    }
    let (name, arn) = (
        parameters.text("DashboardAuthParameter"),
        parameters.text("DashboardAuthSecretArn"),
    );
    if name.is_empty() && arn.is_empty() {
        return Some(Check::failed(
            PASSWORDS,
            "DashboardAccess=SIGN_IN",
            "no secret is set",
            "set DashboardAuthParameter or DashboardAuthSecretArn",
        ));
    }
    let create = "create it as docs/deploy.md describes (let people see the dashboard)";
    let found = match fetch(PASSWORDS, config, name, arn, create).await {
        Ok(found) => found,
        Err(check) => return Some(*check),
    };
    Some(match dashboard::check_passwords(&found.text) {
        Ok(()) => Check::ok(PASSWORDS, found.at, "valid"),
        Err(error) => Check::failed(PASSWORDS, found.at, error.to_string(), create),
    })
}

/// Reads a text with secrets as the functions do: from Secrets Manager if an ARN is set.
async fn fetch(
    check: &'static str,
    config: &SdkConfig,
    name: &str,
    arn: &str,
    create: &str,
) -> Result<Found, Box<Check>> {
    if !arn.is_empty() {
        let client = aws_sdk_secretsmanager::Client::new(config);
        return match client.get_secret_value().secret_id(arn).send().await {
            Ok(answer) => Ok(Found {
                text: answer.secret_string.unwrap_or_default(),
                at: arn.to_owned(),
                is_plain: false,
            }),
            Err(error) if error.code() == Some("ResourceNotFoundException") => Err(Box::new(Check::failed(
                check,
                arn,
                "does not exist",
                "create the secret",
            ))),
            Err(error) => Err(Box::new(Check::refused(
                check,
                arn,
                &Failed::new("secretsmanager:GetSecretValue", &error),
            ))),
        };
    }
    match parameter(config, name).await {
        Ok(Some(parameter)) => Ok(Found {
            at: name.to_owned(),
            is_plain: parameter.r#type() != Some(&ParameterType::SecureString),
            text: parameter.value.unwrap_or_default(),
        }),
        Ok(None) => Err(Box::new(Check::failed(check, name, "does not exist", create))),
        Err(failed) => Err(Box::new(Check::refused(check, name, &failed))),
    }
}
