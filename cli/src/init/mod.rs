//! `init`: makes a secret and the authentication policy for a sender, and stores it in SSM if asked.

mod plan;
mod sender;
pub(crate) mod store;

use std::{fs, io::Read as _, path::PathBuf};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use serde_json::{Value, json};
use webhook_ingest::auth::Policy;

pub use plan::{Report, Setting, Stored};
pub use sender::Sender;

use self::{
    plan::HIDDEN,
    sender::{Names, Scheme},
    store::Existing,
};
use crate::{
    account::{self, Stack},
    private,
    template::Template,
};

/// Parameter of the template with the name of the SSM parameter.
const PARAMETER: &str = "WebhookAuthParameter";
/// The stack of the documentation.
pub(crate) const STACK: &str = "netcore-webhooks";
/// Size of a new secret.
const SECRET_BYTES: usize = 32;
/// Longest file with a secret, in bytes.
const MAX_SECRET_BYTES: u64 = 4096;

/// The sender, and where to store its policy.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub struct Options {
    /// Who sends the webhooks.
    #[arg(long, value_enum, default_value_t = Sender::Netcore)]
    pub sender: Sender,
    /// Header with the token or signature, if the sender lets you choose its name.
    #[arg(long)]
    pub header: Option<String>,
    /// User name for the sender `basic`.
    #[arg(long, default_value = "netcore")]
    pub username: String,
    /// File with a secret to use instead of a new one; - reads standard input.
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// Store the policy in this SSM parameter, encrypted; without a name, in the one of the stack.
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "")]
    pub ssm: Option<String>,
    /// Stack whose parameter --ssm uses.
    #[arg(long, default_value = STACK)]
    pub stack: String,
    /// Region; default: the one of the environment.
    #[arg(long)]
    pub region: Option<String>,
    /// KMS key of the SSM parameter. The default is the key that it has, or for a new one the AWS managed key.
    #[arg(long, value_name = "ARN", requires = "ssm")]
    pub kms_key: Option<String>,
    /// Add the scheme to the policy in SSM. Its other secrets stay valid.
    #[arg(long, requires = "ssm", conflicts_with = "overwrite")]
    pub add: bool,
    /// Replace the policy in SSM. Its other senders are refused.
    #[arg(long, requires = "ssm")]
    pub overwrite: bool,
    /// Print the secrets although they are stored in SSM.
    #[arg(long)]
    pub show: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Makes the policy and stores it. The report contains the secrets if they are stored nowhere, or with `--show`.
///
/// # Errors
/// If a secret is missing, weak or cannot be sent, or the parameter exists or cannot be written.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let sender = options.sender;
    ensure!(
        options.header.is_none() || sender.has_header(),
        "--header does not apply to this sender: its header is fixed"
    );
    let secret = match (&options.secret_file, sender.issues()) {
        (Some(file), _) => read(file)?,
        (None, None) => sender.secret(&private::random()?),
        (None, Some(what)) => bail!(
            "this sender creates the secret: write {what} to a file that only you can read, and pass it with --secret-file FILE (- reads standard input)"
        ),
    };
    let names = Names {
        header: options.header.as_deref(),
        username: &options.username,
    };
    let scheme = sender.scheme(&secret, &hex::encode(private::random::<SECRET_BYTES>()?), &names);
    let policy = |scheme: &Value| json!({ "accept": [scheme] });
    Policy::parse(&policy(&scheme.value).to_string())?;
    let template = Template::read()?;
    let mut name = template.default(PARAMETER).to_owned();
    let mut stored = None;
    if let Some(given) = &options.ssm {
        let config = account::configuration(options.region.as_deref()).await;
        name = match given.as_str() {
            "" => parameter(&config, &options.stack, &name).await?,
            given => given.to_owned(),
        };
        let existing = match (options.add, options.overwrite) {
            (true, _) => Existing::Add,
            (_, true) => Existing::Overwrite,
            _ => Existing::Keep,
        };
        let key = options.kms_key.as_deref();
        stored = Some(store::store(&config, &name, key, &scheme.value, existing).await?);
    }
    let secrets_shown = stored.is_none() || options.show;
    let shown = shown(sender, scheme, &names, secrets_shown);
    Ok(Report {
        policy: policy(&shown.value),
        settings: shown.settings,
        next: next(options, &template, &name, stored.is_some()),
        stored,
        secrets_shown,
    })
}

/// The scheme for the output: with its secrets, or with a placeholder for each.
fn shown(sender: Sender, scheme: Scheme, names: &Names<'_>, with_secrets: bool) -> Scheme {
    if with_secrets {
        scheme
    } else {
        sender.scheme(HIDDEN, HIDDEN, names)
    }
}

/// The parameter of a deployed stack; the template's default if there is no such stack yet.
async fn parameter(config: &aws_config::SdkConfig, stack: &str, default: &str) -> anyhow::Result<String> {
    let found = Stack::find(config, stack)
        .await
        .context("the stack's parameter is unknown; pass its name with --ssm NAME")?;
    let Some(found) = found else {
        return Ok(default.to_owned());
    };
    ensure!(
        found
            .parameters
            .get("WebhookAuthSecretArn")
            .is_none_or(String::is_empty),
        "the stack {stack} reads its policy from Secrets Manager (WebhookAuthSecretArn); --ssm NAME writes another one to SSM"
    );
    Ok(found
        .parameters
        .get(PARAMETER)
        .cloned()
        .unwrap_or_else(|| default.to_owned()))
}

fn next(options: &Options, template: &Template, name: &str, is_stored: bool) -> Vec<String> {
    let mut overrides = Vec::new();
    if name != template.default(PARAMETER) {
        overrides.push(format!("{PARAMETER}={name}"));
    }
    if let Some(key) = &options.kms_key {
        overrides.push(format!("WebhookAuthKeyArn={key}"));
    }
    let overrides = match overrides.join(" ") {
        none if none.is_empty() => none,
        some => format!(" --parameter-overrides {some}"),
    };
    let region = match &options.region {
        Some(region) => format!(" --region {region}"),
        None => String::new(),
    };
    let doctor = format!(
        "netcore-webhooks doctor --stack {}{region}{overrides}",
        options.stack
    );
    if is_stored {
        vec![doctor]
    } else {
        vec![
            "WEBHOOK_AUTH='<policy>' netcore-webhooks serve, for a trial on this machine".to_owned(),
            "netcore-webhooks init --ssm, for a stack in AWS: makes another secret and stores it".to_owned(),
        ]
    }
}

/// A secret from a file or standard input, without the line break at its end.
fn read(file: &PathBuf) -> anyhow::Result<String> {
    let mut text = String::new();
    // A byte more shows that it is longer.
    let from = if file.as_os_str() == "-" {
        std::io::stdin()
            .take(MAX_SECRET_BYTES + 1)
            .read_to_string(&mut text)
    } else {
        fs::File::open(file).and_then(|file| file.take(MAX_SECRET_BYTES + 1).read_to_string(&mut text))
    };
    let bytes = from.with_context(|| format!("the secret in {} cannot be read", file.display()))?;
    ensure!(
        bytes as u64 <= MAX_SECRET_BYTES,
        "the secret in {} has more than {MAX_SECRET_BYTES} bytes",
        file.display()
    );
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn a_hidden_report_of_any_sender_has_no_secret() {
        let names = Names {
            header: Some("x-token"),
            username: "netcore",
        };
        for sender in Sender::value_variants() {
            let scheme = sender.scheme("0123456789abcdef-secret", "0123456789abcdef-verify", &names);
            let shown = shown(*sender, scheme, &names, false);
            let report = Report {
                policy: json!({"accept": [shown.value]}),
                settings: shown.settings,
                stored: None,
                secrets_shown: false,
                next: Vec::new(),
            };
            for output in [report.to_string(), serde_json::to_string(&report).unwrap()] {
                assert!(!output.contains("0123456789abcdef"), "{sender:?}: {output}");
                assert!(output.contains(HIDDEN), "{sender:?}: {output}");
            }
        }
    }
}
