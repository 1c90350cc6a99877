//! The connection to AWS: one HTTP client and one configuration for all services of a process.

use std::time::Duration;

use aws_config::{
    BehaviorVersion, ConfigLoader, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_sdk_dynamodb::{
    config::{Credentials, StalledStreamProtectionConfig},
    error::{ProvideErrorMetadata, SdkError},
};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};

/// Trusted root certificates for AWS endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roots {
    /// Amazon Trust Services' five roots: all that the endpoints of the `aws` partition need, and
    /// parsed in a fraction of the time that a machine's hundred and more take.
    Amazon,
    /// The machine's own, for TLS-inspecting proxies and other partitions.
    System,
}

/// Amazon Root CA 1 to 4 and Starfield Services Root CA G2, from
/// <https://www.amazontrust.com/repository/>; the fingerprints stand in the file.
const AMAZON_ROOTS: &str = include_str!("../../certs/amazon-trust-services.pem");

/// Timeouts and attempts of the clients.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For one attempt of a call.
    pub attempt: Duration,
    /// Attempts per call.
    pub attempts: u32,
}

impl Timeouts {
    /// For a request that a caller waits for: two attempts fit the part of the budget that storing
    /// has, and what they do not achieve goes to the retry queue.
    pub fn within(budget: Duration) -> Self {
        let attempt = budget * 3 / 10;
        Self {
            connect: attempt,
            attempt,
            attempts: 3,
        }
    }

    /// For background work.
    pub fn unhurried() -> Self {
        Self {
            connect: Duration::from_secs(2),
            attempt: Duration::from_secs(5),
            attempts: 4,
        }
    }
}

/// The clients that every function needs, and the configuration they share.
#[derive(Clone)]
pub struct Aws {
    /// For further clients.
    pub config: SdkConfig,
    /// The tables.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// The queues.
    pub sqs: aws_sdk_sqs::Client,
}

/// Servers on this machine that speak the protocols of DynamoDB and SQS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalEndpoints {
    /// URL of the one for tables.
    pub dynamodb: String,
    /// URL of the one for queues.
    pub sqs: String,
    /// The access key id that they ask for.
    pub access_key_id: String,
}

impl Aws {
    /// Takes region, credentials and endpoints from the environment, as every SDK does.
    pub async fn from_environment(roots: Roots, timeouts: Timeouts) -> Self {
        let store = match roots {
            Roots::Amazon => TrustStore::empty().with_pem_certificate(AMAZON_ROOTS),
            Roots::System => TrustStore::default(),
        };
        let config = loader(store, timeouts).load().await;
        Self {
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            sqs: aws_sdk_sqs::Client::new(&config),
            config,
        }
    }

    /// Talks to servers on this machine, which know their callers by the access key id alone.
    pub async fn local(endpoints: &LocalEndpoints, timeouts: Timeouts) -> Self {
        let config = loader(TrustStore::empty(), timeouts)
            .region(Region::from_static("local"))
            .credentials_provider(Credentials::new(
                &endpoints.access_key_id,
                "local",
                None,
                None,
                "local",
            ))
            .load()
            .await;
        let dynamodb = aws_sdk_dynamodb::config::Builder::from(&config).endpoint_url(&endpoints.dynamodb);
        let sqs = aws_sdk_sqs::config::Builder::from(&config).endpoint_url(&endpoints.sqs);
        Self {
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
            sqs: aws_sdk_sqs::Client::from_conf(sqs.build()),
            config,
        }
    }
}

fn loader(trusted: TrustStore, timeouts: Timeouts) -> ConfigLoader {
    let mut http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    // Building a context checks nothing and cannot fail; the default would read the machine's roots.
    if let Ok(context) = TlsContext::builder().with_trust_store(trusted).build() {
        http = http.tls_context(context);
    }
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.build_https())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(timeouts.connect)
                .operation_attempt_timeout(timeouts.attempt)
                .build(),
        )
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(timeouts.attempts)
                .with_initial_backoff(Duration::from_millis(30))
                .with_max_backoff(Duration::from_millis(300)),
        )
        // Requests and answers are small and bounded by the attempt's timeout.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}

/// What went wrong with a call: the service's error code, or why there was no answer. The error's
/// own text is not used: its debug form holds requests and answers, and with them what they carry.
pub fn failure<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> &str {
    if let Some(code) = error.as_service_error().and_then(ProvideErrorMetadata::code) {
        return code;
    }
    match error {
        SdkError::TimeoutError(_) => "no answer in time",
        SdkError::DispatchFailure(e) if e.is_timeout() => "no connection in time",
        SdkError::DispatchFailure(_) => "no connection",
        SdkError::ConstructionFailure(_) => "the request could not be built",
        SdkError::ResponseError(_) => "the answer broke off or could not be read",
        _ => "an answer without an error code",
    }
}
