//! Calls of `CloudWatch` in its JSON protocol.
//!
//! Its SDK only speaks CBOR, with a crate under a license that this project does not permit.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use http::{Method, StatusCode};
use serde_json::Value;
use webhook_ingest::operations::config::environment;

use crate::{
    account::Failed,
    http_client::{HttpClient, send},
};

/// Prefix of the operations: the target of the service's model in AWS's SDKs.
const TARGET: &str = "GraniteServiceVersion20100801";
/// Name of the service in signatures and addresses.
const SERVICE: &str = "monitoring";
/// Timeout of a call.
const WITHIN: Duration = Duration::from_secs(8);

/// The client.
pub(super) struct CloudWatch<'c> {
    pub(super) config: &'c SdkConfig,
    pub(super) client: &'c HttpClient,
}

impl CloudWatch<'_> {
    /// The output of an operation. `action` is the permission that the caller needs.
    pub(super) async fn call(
        &self,
        operation: &str,
        action: &'static str,
        input: &Value,
    ) -> Result<Value, Failed> {
        let failed = |code: &str| Failed {
            action,
            code: code.to_owned(),
        };
        let (url, body) = (self.endpoint(), input.to_string());
        let headers = self.signed(operation, &url, &body).await.map_err(failed)?;
        let answer = send(self.client, Method::POST, &url, &headers, body.into(), WITHIN).await;
        let (status, body) = answer.map_err(|why| failed(why.as_str()))?;
        let output: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status == StatusCode::OK {
            return Ok(output);
        }
        // Such as `com.amazonaws.cloudwatch#AccessDenied`.
        let kind = output.get("__type").and_then(Value::as_str);
        let code = kind.and_then(|kind| kind.rsplit('#').next());
        Err(failed(code.unwrap_or("a response without an error code")))
    }

    /// The address: that of the environment, else of the region.
    fn endpoint(&self) -> String {
        environment("AWS_ENDPOINT_URL_CLOUDWATCH")
            .or_else(|| self.config.endpoint_url().map(str::to_owned))
            .unwrap_or_else(|| {
                let region = self.config.region().map(AsRef::as_ref).unwrap_or_default();
                let domain = if region.starts_with("cn-") {
                    "amazonaws.com.cn"
                } else {
                    "amazonaws.com"
                };
                format!("https://{SERVICE}.{region}.{domain}/")
            })
    }

    /// The headers of a signed request.
    async fn signed(
        &self,
        operation: &str,
        url: &str,
        body: &str,
    ) -> Result<Vec<(String, String)>, &'static str> {
        const UNSIGNED: &str = "the request could not be signed";
        let provider = self.config.credentials_provider().ok_or("no credentials")?;
        let identity = provider
            .provide_credentials()
            .await
            .map_err(|_| "no credentials")?
            .into();
        let region = self.config.region().map(AsRef::as_ref).unwrap_or_default();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(SERVICE)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| UNSIGNED)?
            .into();
        let mut headers = vec![
            ("content-type".to_owned(), "application/x-amz-json-1.0".to_owned()),
            ("x-amz-target".to_owned(), format!("{TARGET}.{operation}")),
        ];
        let signable = SignableRequest::new(
            "POST",
            url,
            headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
            SignableBody::Bytes(body.as_bytes()),
        )
        .map_err(|_| UNSIGNED)?;
        let (instructions, _) = sign(signable, &parameters).map_err(|_| UNSIGNED)?.into_parts();
        let signature: Vec<(String, String)> = instructions
            .headers()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        headers.extend(signature);
        Ok(headers)
    }
}
