//! The policy in force: read from the variable, or fetched from where it is kept and fetched
//! again every so often, so that a rotated secret works without a deploy.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use aws_sdk_ssm::error::{ProvideErrorMetadata, SdkError};

use crate::{aws, event::EpochMillis};

/// A policy that may be kept outside the variable.
pub trait Kept: Sized {
    /// What is wrong with one.
    type Error: std::error::Error;

    /// Reads it from its text.
    ///
    /// # Errors
    /// Why the text is no such policy; no secret of it.
    fn parse(text: &str) -> Result<Self, Self::Error>;

    /// The error of a policy that could not be fetched.
    fn missing(why: String) -> Self::Error;
}

/// How long a request waits for a fresh policy before it is judged by the one at hand.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a start waits: without a policy there is nothing to serve.
const PATIENCE_AT_START: Duration = Duration::from_secs(5);
/// After a failed fetch, how soon the next request tries again.
const RETRY_AFTER_MS: EpochMillis = 10_000;

const PARAMETER: &str = "ssm:";
const SECRET: &str = "secretsmanager:";

/// Where the policy's text is kept.
enum Keeper {
    /// In the variable itself.
    Variable,
    /// A parameter of SSM Parameter Store (`SecureString`).
    Parameter(aws_sdk_ssm::Client, String),
    /// A secret of Secrets Manager.
    Secret(aws_sdk_secretsmanager::Client, String),
}

/// Whether a variable says where its policy is kept, instead of holding it.
pub fn is_reference(variable: &str) -> bool {
    variable.starts_with(PARAMETER) || variable.starts_with(SECRET)
}

/// A policy that follows its keeper.
pub struct Live<P> {
    keeper: Keeper,
    refresh_ms: EpochMillis,
    current: RwLock<Arc<P>>,
    /// When it is due again, epoch milliseconds; held while one request fetches for all.
    due: tokio::sync::Mutex<EpochMillis>,
}

impl<P: Kept> Live<P> {
    /// Reads a variable: a JSON policy, `ssm:<name>` or `secretsmanager:<ARN or name>`.
    ///
    /// # Errors
    /// If it cannot be fetched or is no policy.
    pub async fn start(
        variable: &str,
        refresh: Duration,
        aws: &aws_config::SdkConfig,
        now: EpochMillis,
    ) -> Result<Self, P::Error> {
        let keeper = if let Some(name) = variable.strip_prefix(PARAMETER) {
            Keeper::Parameter(aws_sdk_ssm::Client::new(aws), name.to_owned())
        } else if let Some(id) = variable.strip_prefix(SECRET) {
            Keeper::Secret(aws_sdk_secretsmanager::Client::new(aws), id.to_owned())
        } else {
            Keeper::Variable
        };
        let text = match keeper.fetch(PATIENCE_AT_START).await.map_err(P::missing)? {
            Some(text) => text,
            None => variable.to_owned(),
        };
        let policy = P::parse(&text)?;
        let refresh_ms = EpochMillis::try_from(refresh.as_millis()).unwrap_or(EpochMillis::MAX);
        Ok(Self {
            keeper,
            refresh_ms,
            current: RwLock::new(Arc::new(policy)),
            due: tokio::sync::Mutex::new(now.saturating_add(refresh_ms)),
        })
    }

    /// The policy in force at `now`. Fetches it if it is due; if that fails, the last good one
    /// stays in force and the failure is logged.
    pub async fn current(&self, now: EpochMillis) -> Arc<P> {
        if !matches!(self.keeper, Keeper::Variable)
            && let Ok(mut due) = self.due.try_lock()
            && now >= *due
        {
            *due = match self.refresh().await {
                Ok(()) => now.saturating_add(self.refresh_ms),
                Err(error) => {
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
        if let Some(text) = self.keeper.fetch(PATIENCE).await.map_err(P::missing)? {
            let policy = Arc::new(P::parse(&text)?);
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = policy;
        }
        Ok(())
    }
}

impl Keeper {
    async fn fetch(&self, patience: Duration) -> Result<Option<String>, String> {
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
        match tokio::time::timeout(patience, fetch).await {
            Ok(Ok(None)) if !matches!(self, Self::Variable) => {
                Err("the parameter or secret holds no text".into())
            }
            Ok(fetched) => fetched,
            Err(_) => Err(format!(
                "the parameter or secret did not come within {} ms; is its service reachable?",
                patience.as_millis()
            )),
        }
    }
}

fn fault<E: ProvideErrorMetadata, R>(kind: &str, name: &str, error: &SdkError<E, R>) -> String {
    let why = aws::failure(error);
    format!("{kind} {name} could not be read: {why}")
}
