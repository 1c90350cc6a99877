//! Stores a policy in SSM Parameter Store.

use anyhow::{Context as _, bail, ensure};
use aws_config::SdkConfig;
use aws_sdk_ssm::{
    Client,
    error::ProvideErrorMetadata as _,
    types::{Parameter, ParameterStringFilter, ParameterType},
};
use serde_json::Value;
use webhook_ingest::{auth::Policy, event::time};

use super::plan::Stored;
use crate::account::{Failed, parameter, region_of};

/// The largest value of a standard parameter, in bytes:
/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html>
const MAX_VALUE_BYTES: usize = 4096;

/// What to do with a parameter that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    /// Leave it and fail.
    Keep,
    /// Replace it. The senders of the previous policy are refused.
    Overwrite,
    /// Add the new scheme to its policy.
    Add,
}

/// Stores `{"accept":[scheme]}`, or adds the scheme to the stored policy. Without `key`, an existing parameter keeps its
/// KMS key, and a new one has the AWS managed key.
///
/// # Errors
/// If the parameter exists and must be kept, or SSM refuses a call. No error contains a secret.
pub(super) async fn store(
    config: &SdkConfig,
    name: &str,
    key: Option<&str>,
    scheme: &Value,
    existing: Existing,
) -> anyhow::Result<Stored> {
    let client = Client::new(config);
    let mut accept = Vec::new();
    let mut policy = serde_json::Map::new();
    if existing == Existing::Add
        && let Some(parameter) = get(config, name).await?
    {
        policy = policy_of(name, &parameter)?;
        match policy.remove("accept") {
            Some(Value::Array(schemes)) => accept = schemes,
            _ => bail!("the policy in {name} accepts anything; replace it with --overwrite"),
        }
    }
    accept.push(scheme.clone());
    policy.insert("accept".to_owned(), accept.into());
    let text = Value::Object(policy).to_string();
    Policy::parse(&text)?;
    ensure!(
        text.len() <= MAX_VALUE_BYTES,
        "the policy has {} bytes, and a standard parameter of SSM at most {MAX_VALUE_BYTES}; remove old secrets from {name}",
        text.len()
    );
    let key = match (key, existing) {
        (Some(key), _) => Some(key.to_owned()),
        (None, Existing::Keep) => None,
        (None, _) => key_of(&client, name).await.with_context(|| {
            format!("the KMS key of {name} is unknown; pass it with --kms-key (alias/aws/ssm is the AWS managed key)")
        })?,
    };
    let put = client
        .put_parameter()
        .name(name)
        .r#type(ParameterType::SecureString)
        .value(text)
        .overwrite(existing != Existing::Keep)
        .set_key_id(key);
    match put.send().await {
        Ok(answer) => Ok(Stored {
            parameter: name.to_owned(),
            version: answer.version,
            region: region_of(config),
        }),
        Err(error) if error.code() == Some("ParameterAlreadyExists") => {
            bail!(
                "{} exists and was not changed. --add keeps its secrets valid and adds this one; --overwrite replaces it, and its senders are refused",
                described(config, name).await
            )
        }
        Err(error) => Err(Failed::new("ssm:PutParameter", &error))
            .with_context(|| format!("the policy was not stored in {name} ({})", region_of(config))),
    }
}

/// The KMS key of a parameter. Without a key, `PutParameter` would encrypt the new value with the AWS managed key.
async fn key_of(client: &Client, name: &str) -> anyhow::Result<Option<String>> {
    let filter = ParameterStringFilter::builder()
        .key("Name")
        .option("Equals")
        .values(name)
        .build()?;
    let mut pages = client
        .describe_parameters()
        .parameter_filters(filter)
        .into_paginator()
        .send();
    // A page can be empty although a later one is not.
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| Failed::new("ssm:DescribeParameters", &error))?;
        if let Some(parameter) = page.parameters().first() {
            return Ok(parameter.key_id.clone());
        }
    }
    Ok(None)
}

/// The parameter with its value; `None` if it does not exist.
async fn get(config: &SdkConfig, name: &str) -> anyhow::Result<Option<Parameter>> {
    parameter(config, name)
        .await
        .with_context(|| format!("the policy in {name} could not be read"))
}

/// The policy of a parameter. serde's error could quote a secret.
fn policy_of(name: &str, parameter: &Parameter) -> anyhow::Result<serde_json::Map<String, Value>> {
    let text = parameter.value().unwrap_or_default();
    Policy::parse(text)
        .with_context(|| format!("{name} has no valid policy; replace it with --overwrite"))?;
    match serde_json::from_str(text) {
        Ok(Value::Object(policy)) => Ok(policy),
        _ => bail!("{name} has no valid policy; replace it with --overwrite"),
    }
}

/// Type, version, age and schemes of a parameter, as far as the caller may read them.
async fn described(config: &SdkConfig, name: &str) -> String {
    let Ok(Some(parameter)) = get(config, name).await else {
        return name.to_owned();
    };
    let kind = parameter.r#type().map_or("unknown type", ParameterType::as_str);
    let day = parameter
        .last_modified_date()
        .map(|at| time::utc_day(at.secs().saturating_mul(1000)))
        .unwrap_or_default();
    let accepts = match policy_of(name, &parameter) {
        Ok(policy) => format!("accepts {}", schemes(&policy)),
        Err(_) => "not a valid policy".to_owned(),
    };
    format!(
        "{name} ({kind}, version {} of {day}, {accepts})",
        parameter.version()
    )
}

/// The schemes of a valid policy, without secrets: `header x-netcore-token, meta`.
pub(crate) fn schemes(policy: &serde_json::Map<String, Value>) -> String {
    let Some(Value::Array(schemes)) = policy.get("accept") else {
        return "anything".to_owned();
    };
    let shown = schemes.iter().map(|scheme| {
        let text = |name: &str| scheme.get(name).and_then(Value::as_str);
        let kind = text("preset").or_else(|| text("type")).unwrap_or_default();
        match text("name").or_else(|| text("header")) {
            Some(name) => format!("{kind} {name}"),
            None => kind.to_owned(),
        }
    });
    shown.collect::<Vec<_>>().join(", ")
}
