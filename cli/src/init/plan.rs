//! The policy that `init` makes, and its output with and without secrets.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// Stands for a secret in the output.
pub(super) const HIDDEN: &str = "<secret>";

/// A value for a form of the sender.
#[derive(Debug, Clone, Serialize)]
pub struct Setting {
    /// The field.
    pub field: &'static str,
    /// Its value.
    pub value: String,
}

impl Setting {
    pub(super) fn new(field: &'static str, value: &str) -> Self {
        Self {
            field,
            value: value.to_owned(),
        }
    }
}

/// Where the policy was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stored {
    /// Name of the SSM parameter.
    pub parameter: String,
    /// Its new version.
    pub version: i64,
    /// Its region.
    pub region: String,
}

/// The result of `init`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The policy of this sender; with `--add`, only the added scheme.
    pub policy: Value,
    /// What to enter in the sender's settings, beside the URL.
    pub settings: Vec<Setting>,
    /// `None` if the policy was only printed.
    pub stored: Option<Stored>,
    /// Whether the secrets are in this output.
    pub secrets_shown: bool,
    /// Commands to run next.
    pub next: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(stored) = &self.stored {
            writeln!(
                f,
                "Stored in the SSM parameter {} (SecureString, version {}, {})",
                stored.parameter, stored.version, stored.region
            )?;
        }
        writeln!(f, "Policy (WEBHOOK_AUTH)\n  {}", self.policy)?;
        if self.settings.is_empty() {
            writeln!(
                f,
                "Nothing to enter at the sender except the URL: it has the secret already"
            )?;
        } else {
            writeln!(f, "Enter at the sender, beside the URL")?;
        }
        for setting in &self.settings {
            writeln!(f, "  {:<17} {}", setting.field, setting.value)?;
        }
        if let (false, Some(stored)) = (self.secrets_shown, &self.stored) {
            writeln!(
                f,
                "The secrets are only in the parameter (--show prints them). To read them:"
            )?;
            writeln!(
                f,
                "  aws ssm get-parameter --name {} --with-decryption --query Parameter.Value --output text",
                stored.parameter
            )?;
        }
        writeln!(f, "Next")?;
        for command in &self.next {
            writeln!(f, "  {command}")?;
        }
        Ok(())
    }
}
