//! `doctor`: checks an account before a deployment, and a stack after it. It changes nothing.

mod account;
mod alarms;
mod check;
mod cloudwatch;
mod functions;
mod policy;
mod prices;
mod storage;
mod urls;

use std::{fmt, time::Duration};

use aws_config::SdkConfig;
use clap::Args;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture};
use jiff::Timestamp;
use tokio::time::timeout;
use webhook_ingest::auth::Policy;

pub use check::{Check, Outcome, Report};

use self::{cloudwatch::CloudWatch, storage::Table, urls::Urls};
use crate::{
    account::{Stack, configuration},
    http_client,
    init::STACK,
    template::{Parameters, Template},
};

/// Timeout of a check with all of its calls.
const WITHIN: Duration = Duration::from_secs(30);
/// Checks at the same time.
const PARALLEL: usize = 8;
/// Maximum number of receivers that are called; the template has nine.
const MAX_RECEIVERS: usize = 50;

/// The stack, and the parameters of its next deployment.
#[derive(Debug, Args)]
pub struct Options {
    /// Name of the stack, also before its first deployment.
    #[arg(long, default_value = STACK)]
    pub stack: String,
    /// Region; default: the one of the environment.
    #[arg(long)]
    pub region: Option<String>,
    /// Parameters of the next deployment that differ from the last one or from the defaults, as for `sam deploy`.
    #[arg(long, value_name = "NAME=VALUE", num_args = 1..)]
    pub parameter_overrides: Vec<String>,
    /// Print a JSON array.
    #[arg(long)]
    pub json: bool,
}

/// Ends the command with an exit code without a further message.
#[derive(Debug)]
pub struct Ended(pub u8);

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {}", self.0)
    }
}

impl std::error::Error for Ended {}

/// Runs all checks. A check that fails or hangs stops no other.
///
/// # Errors
/// If the parameters are invalid, or the machine has no root certificates.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let template = Template::read()?;
    // Reports an invalid parameter before any call.
    Parameters::new(
        &template,
        std::collections::BTreeMap::new(),
        &options.parameter_overrides,
    )?;
    let client = http_client::client()?;
    let config = configuration(options.region.as_deref()).await;
    let mut checks = Vec::new();
    let identity = within(
        "credentials",
        account::credentials(&config).map(|check| vec![check]),
    )
    .await;
    let is_known = identity.iter().all(|check| check.result == Outcome::Ok);
    checks.extend(identity);
    if !is_known {
        // Every call would fail in the same way.
        checks.push(Check::not_checked(
            "stack",
            options.stack.as_str(),
            "everything else needs credentials and a region",
        ));
        checks.push(prices::age(Timestamp::now()));
        return Ok(Report { checks });
    }
    let stack = match timeout(WITHIN, Stack::find(&config, &options.stack)).await {
        Ok(Ok(stack)) => {
            checks.push(account::state(&options.stack, stack.as_ref()));
            stack
        }
        Ok(Err(failed)) => {
            checks.push(Check::refused("stack", options.stack.as_str(), &failed));
            None
        }
        Err(_) => {
            checks.push(late("stack"));
            None
        }
    };
    let deployed = stack
        .as_ref()
        .map(|stack| Parameters::new(&template, stack.parameters.clone(), &[]))
        .transpose()?;
    let last = stack
        .as_ref()
        .map(|stack| stack.parameters.clone())
        .unwrap_or_default();
    let parameters = Parameters::new(&template, last, &options.parameter_overrides)?;
    checks.push(account::name(&options.stack, &template, &parameters));
    checks.push(account::receivers(&template, &parameters));
    let (secret, policy) = timeout(WITHIN, policy::policy(&config, &parameters))
        .await
        .unwrap_or_else(|_| (late("policy"), None));
    checks.push(secret);
    let doctor = Doctor {
        options,
        config: &config,
        template: &template,
        parameters: &parameters,
        deployed: stack.as_ref().zip(deployed.as_ref()),
        policy: policy.as_ref(),
        client: &client,
    };
    let rest: Vec<Vec<Check>> = futures::stream::iter(doctor.rest())
        .buffered(PARALLEL)
        .collect()
        .await;
    checks.extend(rest.into_iter().flatten());
    checks.push(prices::age(Timestamp::now()));
    Ok(Report { checks })
}

/// What the checks read.
struct Doctor<'d> {
    options: &'d Options,
    config: &'d SdkConfig,
    template: &'d Template,
    /// Those of the next deployment.
    parameters: &'d Parameters<'d>,
    /// The deployed stack and its parameters; `None` before the first deployment.
    deployed: Option<(&'d Stack, &'d Parameters<'d>)>,
    policy: Option<&'d Policy>,
    client: &'d http_client::HttpClient,
}

impl<'d> Doctor<'d> {
    /// The independent checks, in the order of the report.
    fn rest(&'d self) -> Vec<BoxFuture<'d, Vec<Check>>> {
        let mut checks: Vec<BoxFuture<'d, Vec<Check>>> = vec![
            within("dashboard-passwords", async {
                policy::passwords(self.config, self.parameters)
                    .await
                    .into_iter()
                    .collect()
            })
            .boxed(),
            within("concurrency", async {
                let deployed = self.deployed.map(|(_, parameters)| parameters);
                vec![account::concurrency(self.config, deployed, self.parameters).await]
            })
            .boxed(),
        ];
        if let Some((stack, parameters)) = self.deployed {
            checks.extend(self.of_stack(stack, parameters));
        }
        checks
    }

    /// The checks of a deployed stack.
    fn of_stack(&'d self, stack: &'d Stack, deployed: &'d Parameters<'d>) -> Vec<BoxFuture<'d, Vec<Check>>> {
        let name = self.options.stack.as_str();
        // The policy is that of the next deployment.
        let is_same = |parameter: &str| deployed.text(parameter) == self.parameters.text(parameter);
        let is_deployed = is_same("WebhookAuthParameter") && is_same("WebhookAuthSecretArn");
        let urls = move || Urls {
            name,
            stack,
            template: self.template,
            parameters: deployed,
            policy: self.policy.filter(|_| is_deployed),
            client: self.client,
        };
        let cloudwatch = move || CloudWatch {
            config: self.config,
            client: self.client,
        };
        let mut checks = Vec::new();
        for receiver in deployed.receivers().into_iter().take(MAX_RECEIVERS) {
            checks.push(within("url", async move { urls().receiver(receiver).await }).boxed());
        }
        checks.push(within("dashboard-url", async move { vec![urls().dashboard().await] }).boxed());
        for table in [Table::Events, Table::Rollups] {
            checks.push(within("table", storage::table(self.config, stack, table)).boxed());
        }
        checks.push(
            within("queue-depth", async move {
                storage::queues(&cloudwatch(), stack).await
            })
            .boxed(),
        );
        checks.push(within("event-source", functions::mappings(self.config, stack, name)).boxed());
        checks.push(
            within("alarm-subscription", async {
                vec![alarms::subscription(self.config, stack).await]
            })
            .boxed(),
        );
        checks.push(
            within("alarms", async move {
                vec![alarms::alarms(&cloudwatch(), name).await]
            })
            .boxed(),
        );
        checks
    }
}

/// The checks of a future, or one that says that it did not end in time.
async fn within(check: &'static str, checks: impl Future<Output = Vec<Check>>) -> Vec<Check> {
    timeout(WITHIN, checks)
        .await
        .unwrap_or_else(|_| vec![late(check)])
}

fn late(check: &'static str) -> Check {
    Check::not_checked(check, "AWS", format!("no answer within {} s", WITHIN.as_secs()))
}
