//! The policy in force. It is read from the variable, or fetched from AWS and fetched again periodically, so
//! that a rotated secret works without a deployment.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use aws_sdk_ssm::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use tokio::time::Instant;

use crate::{
    event::EpochMillis,
    operations::{
        clients::{self, Cause},
        metrics,
    },
};

/// A text with secrets, such as a policy, that may be stored outside the variable.
pub trait SecretText: Sized {
    /// The error for an invalid text.
    type Error: std::error::Error;

    /// Parses the text.
    ///
    /// # Errors
    /// Says why the text is invalid. Contains no secret.
    fn parse(text: &str) -> Result<Self, Self::Error>;

    /// The error for a text that could not be fetched.
    fn missing(why: String) -> Self::Error;
}

/// How long a request waits for a refresh before it uses the last policy.
const TIMEOUT: Duration = Duration::from_millis(500);
/// How long a start waits: without a policy, the function cannot serve requests. Lambda stops an
/// initialization after ten seconds:
/// <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>
const TIMEOUT_AT_START: Duration = Duration::from_secs(8);
/// The longest delay before a start tries again after its service was throttled or did not answer. SSM answers 40 requests a
/// second by default, and a burst of requests starts hundreds of execution environments at once:
/// <https://docs.aws.amazon.com/general/latest/gr/ssm.html>
const START_RETRY: Duration = Duration::from_secs(1);
/// How soon after a failed refresh a request tries again.
const RETRY_AFTER_MS: EpochMillis = 10_000;

const PARAMETER: &str = "ssm:";
const SECRET: &str = "secretsmanager:";

/// Where the policy's text is kept.
enum SecretSource {
    /// In the variable itself.
    Variable,
    /// A parameter of SSM Parameter Store (`SecureString`).
    Parameter(aws_sdk_ssm::Client, String),
    /// A secret of Secrets Manager.
    Secret(aws_sdk_secretsmanager::Client, String),
}

/// Whether the variable contains a reference to the policy instead of the policy.
pub fn is_reference(variable: &str) -> bool {
    variable.starts_with(PARAMETER) || variable.starts_with(SECRET)
}

/// A policy that is refreshed from its source.
pub struct RefreshingSecret<P> {
    source: SecretSource,
    refresh_ms: EpochMillis,
    current: RwLock<Arc<P>>,
    /// Time of the next refresh, epoch milliseconds. Locked while one request fetches for all.
    due: tokio::sync::Mutex<EpochMillis>,
}

impl<P: SecretText> RefreshingSecret<P> {
    /// Reads a variable: a JSON policy, `ssm:<name>` or `secretsmanager:<ARN or name>`.
    ///
    /// # Errors
    /// If the policy cannot be fetched or is invalid.
    pub async fn start(
        variable: &str,
        refresh: Duration,
        aws: &aws_config::SdkConfig,
        now: EpochMillis,
    ) -> Result<Self, P::Error> {
        let source = if let Some(name) = variable.strip_prefix(PARAMETER) {
            SecretSource::Parameter(aws_sdk_ssm::Client::new(aws), name.to_owned())
        } else if let Some(id) = variable.strip_prefix(SECRET) {
            SecretSource::Secret(aws_sdk_secretsmanager::Client::new(aws), id.to_owned())
        } else {
            SecretSource::Variable
        };
        let text = match source.fetch_at_start().await.map_err(P::missing)? {
            Some(text) => text,
            None => variable.to_owned(),
        };
        let policy = P::parse(&text)?;
        let refresh_ms = EpochMillis::try_from(refresh.as_millis()).unwrap_or(EpochMillis::MAX);
        Ok(Self {
            source,
            refresh_ms,
            current: RwLock::new(Arc::new(policy)),
            due: tokio::sync::Mutex::new(now.saturating_add(refresh_ms)),
        })
    }

    /// The policy in force at `now`. Fetches it if a refresh is due. If that fails, the last valid policy
    /// stays in force, and the failure is logged and counted.
    pub async fn current(&self, now: EpochMillis) -> Arc<P> {
        if !matches!(self.source, SecretSource::Variable)
            && let Ok(mut due) = self.due.try_lock()
            && now >= *due
        {
            *due = match self.refresh().await {
                Ok(()) => now.saturating_add(self.refresh_ms),
                Err(error) => {
                    metrics::policy_refresh_failure();
                    tracing::error!(%error, "the policy could not be refreshed; the last one stays in force");
                    now.saturating_add(RETRY_AFTER_MS.min(self.refresh_ms))
                }
            };
        }
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn refresh(&self) -> Result<(), P::Error> {
        let fetched = self.source.fetch(TIMEOUT).await;
        if let Some(text) = fetched.map_err(|fault| P::missing(fault.why))? {
            let policy = Arc::new(P::parse(&text)?);
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = policy;
        }
        Ok(())
    }
}

/// Why a text was not fetched.
struct Fault {
    why: String,
    /// Whether a later try may succeed.
    may_pass: bool,
}

impl From<String> for Fault {
    fn from(why: String) -> Self {
        Self { why, may_pass: false }
    }
}

impl SecretSource {
    /// Fetches the text, and tries again while the service is throttled or does not answer.
    async fn fetch_at_start(&self) -> Result<Option<String>, String> {
        let until = Instant::now() + TIMEOUT_AT_START;
        let mut earlier = None;
        loop {
            let fault = match self.fetch(until - Instant::now()).await {
                Ok(text) => return Ok(text),
                Err(fault) => fault,
            };
            let delay = START_RETRY.mul_f32(f32::midpoint(fastrand::f32(), 1.0));
            if !fault.may_pass {
                return Err(fault.why);
            }
            if Instant::now() + delay >= until {
                // The last try may have ended only because the time was over.
                return Err(earlier.unwrap_or(fault.why));
            }
            earlier = Some(fault.why);
            tokio::time::sleep(delay).await;
        }
    }

    async fn fetch(&self, timeout: Duration) -> Result<Option<String>, Fault> {
        let fetch = async {
            match self {
                Self::Variable => Ok(None),
                Self::Parameter(client, name) => client
                    .get_parameter()
                    .name(name)
                    .with_decryption(true)
                    .send()
                    .await
                    .map(|out| out.parameter.and_then(|p| p.value))
                    .map_err(|e| fault("SSM parameter", name, &e)),
                Self::Secret(client, id) => client
                    .get_secret_value()
                    .secret_id(id)
                    .send()
                    .await
                    .map(|out| out.secret_string)
                    .map_err(|e| fault("secret", id, &e)),
            }
        };
        match tokio::time::timeout(timeout, fetch).await {
            Ok(Ok(None)) if !matches!(self, Self::Variable) => {
                Err("the parameter or secret contains no text".to_owned().into())
            }
            Ok(fetched) => fetched,
            Err(_) => Err(Fault {
                why: format!(
                    "the parameter or secret was not received within {} ms; is its service reachable?",
                    timeout.as_millis()
                ),
                may_pass: true,
            }),
        }
    }
}

fn fault<E: ProvideErrorMetadata>(kind: &str, name: &str, error: &SdkError<E, HttpResponse>) -> Fault {
    let why = clients::failure(error);
    Fault {
        why: format!("{kind} {name} could not be read: {why}"),
        may_pass: clients::cause(error) != Cause::Caller,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream},
        sync::{
            Mutex,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
    };

    use aws_config::SdkConfig;

    use super::*;
    use crate::operations::clients::{Aws, LocalEndpoints, Timeouts};

    const NOW: EpochMillis = 1_704_876_900_000;
    const REFRESH: Duration = Duration::from_mins(5);
    const REFRESH_MS: EpochMillis = 300_000;

    /// A policy that accepts every text except one.
    #[derive(Debug, PartialEq)]
    struct Text(String);

    #[derive(Debug, PartialEq, thiserror::Error)]
    #[error("{0}")]
    struct NoText(String);

    impl SecretText for Text {
        type Error = NoText;

        fn parse(text: &str) -> Result<Self, NoText> {
            match text {
                "no policy" => Err(NoText("it is no policy".into())),
                text => Ok(Self(text.to_owned())),
            }
        }

        fn missing(why: String) -> NoText {
            NoText(why)
        }
    }

    /// How the parameter store handles the next requests.
    #[derive(Debug, Clone, Copy)]
    enum Store {
        Holds(&'static str),
        HoldsNothing,
        Refuses,
        Throttles,
        Breaks,
        Hangs,
    }

    /// A parameter store on this machine with configurable behavior.
    struct Ssm {
        url: String,
        does: Arc<Mutex<Store>>,
        asked: Arc<AtomicUsize>,
    }

    impl Ssm {
        fn start(does: Store) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let (does, asked) = (Arc::new(Mutex::new(does)), Arc::new(AtomicUsize::new(0)));
            let (rule, count) = (does.clone(), asked.clone());
            thread::spawn(move || {
                // A hung request keeps its connection and its thread to the end of the test.
                for stream in listener.incoming().flatten() {
                    let (rule, count) = (rule.clone(), count.clone());
                    thread::spawn(move || answer(stream, &rule, &count));
                }
            });
            Self { url, does, asked }
        }

        fn does(&self, store: Store) {
            *self.does.lock().unwrap() = store;
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }

        async fn config(&self) -> SdkConfig {
            let endpoints = LocalEndpoints {
                dynamodb: self.url.clone(),
                sqs: self.url.clone(),
                access_key_id: "local".to_owned(),
            };
            let timeout = Timeouts {
                attempts: 1,
                ..Timeouts::background()
            };
            let config = Aws::local(&endpoints, timeout).await.config;
            config.into_builder().endpoint_url(&self.url).build()
        }

        async fn live(&self) -> Result<RefreshingSecret<Text>, NoText> {
            RefreshingSecret::start("ssm:/auth", REFRESH, &self.config().await, NOW).await
        }
    }

    /// Answers one request and closes.
    fn answer(mut stream: TcpStream, rule: &Mutex<Store>, count: &AtomicUsize) {
        let mut request = Vec::new();
        let mut byte = [0_u8; 1];
        while !request.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
            request.push(byte[0]);
        }
        let text = String::from_utf8(request).unwrap().to_ascii_lowercase();
        let length = text.split("content-length: ").nth(1).unwrap();
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        stream.read_exact(&mut vec![0; length]).unwrap();
        count.fetch_add(1, Ordering::SeqCst);
        let does = *rule.lock().unwrap();
        let (status, body) = match does {
            Store::Holds(text) => (
                200,
                format!(r#"{{"Parameter":{{"Name":"/auth","Value":"{text}"}}}}"#),
            ),
            Store::HoldsNothing => (200, "{}".to_owned()),
            Store::Refuses => (400, r#"{"__type":"AccessDeniedException"}"#.to_owned()),
            Store::Throttles => (400, r#"{"__type":"ThrottlingException"}"#.to_owned()),
            Store::Breaks => return,
            Store::Hangs => loop {
                thread::park();
            },
        };
        let head = format!(
            "HTTP/1.1 {status} _\r\ncontent-type: application/x-amz-json-1.1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let _ = stream.write_all((head + &body).as_bytes());
    }

    fn text(text: &str) -> Text {
        Text(text.to_owned())
    }

    #[tokio::test]
    async fn a_policy_in_the_variable_is_not_fetched() {
        let ssm = Ssm::start(Store::Holds("other"));
        let live: RefreshingSecret<Text> =
            RefreshingSecret::start("a policy", REFRESH, &ssm.config().await, NOW)
                .await
                .unwrap();
        assert_eq!(*live.current(NOW + 10 * REFRESH_MS).await, text("a policy"));
        assert_eq!(ssm.asked(), 0);
    }

    #[tokio::test]
    async fn a_start_waits_until_the_store_answers() {
        for fault in [Store::Throttles, Store::Breaks] {
            let ssm = Ssm::start(fault);
            let config = ssm.config().await;
            let start = RefreshingSecret::<Text>::start("ssm:/auth", REFRESH, &config, NOW);
            let recover = async {
                while ssm.asked() < 2 {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                ssm.does(Store::Holds("held"));
            };
            let (live, ()) = tokio::join!(start, recover);
            assert_eq!(*live.unwrap().current(NOW).await, text("held"), "{fault:?}");
        }

        // Another fault ends the start at once.
        let ssm = Ssm::start(Store::Refuses);
        let why = ssm.live().await.err().unwrap();
        assert_eq!(
            why,
            NoText("SSM parameter /auth could not be read: AccessDeniedException".into())
        );
        assert_eq!(ssm.asked(), 1);
    }

    #[tokio::test]
    async fn a_rotated_policy_takes_effect_at_the_next_refresh() {
        let ssm = Ssm::start(Store::Holds("old"));
        let live = ssm.live().await.unwrap();
        ssm.does(Store::Holds("new"));
        assert_eq!(*live.current(NOW + REFRESH_MS - 1).await, text("old"));
        assert_eq!(ssm.asked(), 1);
        assert_eq!(*live.current(NOW + REFRESH_MS).await, text("new"));
        // It is fetched again only when it is due.
        assert_eq!(*live.current(NOW + 2 * REFRESH_MS - 1).await, text("new"));
        assert_eq!(ssm.asked(), 2);
    }

    #[tokio::test]
    async fn a_failed_refresh_keeps_the_last_policy_and_is_retried_soon() {
        for failure in [
            Store::Refuses,
            Store::Breaks,
            Store::Hangs,
            Store::HoldsNothing,
            Store::Holds("no policy"),
        ] {
            let ssm = Ssm::start(Store::Holds("old"));
            let live = ssm.live().await.unwrap();
            ssm.does(failure);
            let due = NOW + REFRESH_MS;
            assert_eq!(*live.current(due).await, text("old"), "{failure:?}");
            assert_eq!(ssm.asked(), 2, "{failure:?}");
            ssm.does(Store::Holds("new"));
            assert_eq!(
                *live.current(due + RETRY_AFTER_MS - 1).await,
                text("old"),
                "{failure:?}"
            );
            assert_eq!(ssm.asked(), 2, "{failure:?}");
            assert_eq!(
                *live.current(due + RETRY_AFTER_MS).await,
                text("new"),
                "{failure:?}"
            );
        }
    }

    #[tokio::test]
    async fn one_request_fetches_and_the_others_use_the_last_policy() {
        let ssm = Ssm::start(Store::Holds("old"));
        let live = ssm.live().await.unwrap();
        ssm.does(Store::Hangs);
        let due = NOW + REFRESH_MS;
        let mut fetching = Box::pin(live.current(due));
        // It has started to fetch, and waits.
        assert!(futures::poll!(&mut fetching).is_pending());
        let others = futures::future::join_all((0..10).map(|_| live.current(due)));
        for policy in others.await {
            assert_eq!(*policy, text("old"));
        }
        assert_eq!(*fetching.await, text("old"));
        assert_eq!(ssm.asked(), 2);
    }

    #[tokio::test]
    async fn a_start_without_a_policy_fails_with_the_reason() {
        let refused = Ssm::start(Store::Refuses).live().await.err();
        let why = "SSM parameter /auth could not be read: AccessDeniedException";
        assert_eq!(refused, Some(NoText(why.into())));
        let empty = Ssm::start(Store::HoldsNothing).live().await.err();
        assert_eq!(
            empty,
            Some(NoText("the parameter or secret contains no text".into()))
        );
        let wrong = Ssm::start(Store::Holds("no policy")).live().await.err();
        assert_eq!(wrong, Some(NoText("it is no policy".into())));
    }
}
