//! AWS clients: one HTTP client and one configuration for all services of a process.

use std::time::Duration;

use aws_config::{
    BehaviorVersion, ConfigLoader, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_sdk_dynamodb::{
    config::{Credentials, StalledStreamProtectionConfig, http::HttpResponse},
    error::{ProvideErrorMetadata, SdkError},
};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};

/// Trusted root certificates for AWS endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roots {
    /// Amazon Trust Services' five roots. They are enough for the endpoints of the `aws` partition, and
    /// parsing them takes a fraction of the time of a system's hundred and more roots.
    Amazon,
    /// The system's roots, for TLS-inspecting proxies and other partitions.
    System,
}

/// Amazon Root CA 1 to 4 and Starfield Services Root CA G2, from <https://www.amazontrust.com/repository/>.
/// The file contains the fingerprints.
const AMAZON_ROOTS: &str = include_str!("../../certs/amazon-trust-services.pem");

/// Timeouts and attempts of the AWS clients.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Timeout of a connection attempt.
    pub connect: Duration,
    /// Timeout of one attempt of a call.
    pub attempt: Duration,
    /// Attempts per call.
    pub attempts: u32,
}

impl Timeouts {
    /// For a request with a waiting caller. Two attempts fit the storing share of the budget; what they do
    /// not store goes to the retry queue.
    pub fn within(budget: Duration) -> Self {
        let attempt = budget * 3 / 10;
        Self {
            connect: attempt,
            attempt,
            attempts: 3,
        }
    }

    /// For background work.
    pub fn background() -> Self {
        Self {
            connect: Duration::from_secs(2),
            attempt: Duration::from_secs(5),
            attempts: 4,
        }
    }
}

/// The clients that every function needs, and their shared configuration.
#[derive(Clone)]
pub struct Aws {
    /// To create further clients.
    pub config: SdkConfig,
    /// DynamoDB, for the tables.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// SQS, for the queues.
    pub sqs: aws_sdk_sqs::Client,
}

/// Local servers with the protocols of DynamoDB and SQS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalEndpoints {
    /// URL of the DynamoDB server.
    pub dynamodb: String,
    /// URL of the SQS server.
    pub sqs: String,
    /// The access key id that the servers expect.
    pub access_key_id: String,
}

impl Aws {
    /// Reads region, credentials and endpoints from the environment, as every SDK does.
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

    /// Connects to local servers, which authenticate callers only by the access key id.
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
    // Building a context validates nothing and cannot fail. The default would read the system's roots.
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
        // Requests and responses are small and limited by the attempt's timeout.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}

/// Why a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The service throttled the call. A later call may work.
    Throttled,
    /// There was no answer. A later call may work.
    NoAnswer,
    /// A fault of the service.
    Server,
    /// Content or permissions of the call. It fails again in the same form.
    Caller,
}

/// The cause of a failed call.
pub fn cause<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Cause {
    const THROTTLING: [&str; 4] = [
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
    ];
    match error {
        SdkError::ServiceError(answer) => match answer.err().code() {
            Some(code) if THROTTLING.contains(&code) => Cause::Throttled,
            _ if answer.raw().status().is_server_error() => Cause::Server,
            _ => Cause::Caller,
        },
        _ => Cause::NoAnswer,
    }
}

/// Why a call failed: the service's error code, or why there was no response. The error's text is not used,
/// since its debug form contains requests and responses with their content.
pub fn failure<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> &str {
    if let Some(code) = error.as_service_error().and_then(ProvideErrorMetadata::code) {
        return code;
    }
    match error {
        SdkError::TimeoutError(_) => "no answer in time",
        SdkError::DispatchFailure(e) if e.is_timeout() => "no connection in time",
        SdkError::DispatchFailure(_) => "no connection",
        SdkError::ConstructionFailure(_) => "the request could not be built",
        SdkError::ResponseError(_) => "the response was incomplete or unreadable",
        _ => "a response without an error code",
    }
}
