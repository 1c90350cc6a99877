//! The policy that `init` makes, and its output with and without secrets.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// Replaces a secret in the output.
const HIDDEN: &str = "<secret>";

/// A value for a form of the sender.
#[derive(Debug, Clone, Serialize)]
pub struct Setting {
    /// The field.
    pub field: &'static str,
    /// Its value.
    pub value: String,
    #[serde(skip)]
    is_secret: bool,
}

impl Setting {
    pub(super) fn open(field: &'static str, value: &str) -> Self {
        Self {
            field,
            value: value.to_owned(),
            is_secret: false,
        }
    }

    pub(super) fn secret(field: &'static str, value: &str) -> Self {
        Self {
            is_secret: true,
            ..Self::open(field, value)
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

impl Report {
    /// The same without secrets.
    pub(super) fn hidden(mut self) -> Self {
        hide(&mut self.policy);
        for setting in &mut self.settings {
            if setting.is_secret {
                HIDDEN.clone_into(&mut setting.value);
            }
        }
        self.secrets_shown = false;
        self
    }
}

/// Replaces the values of a scheme's secret fields.
fn hide(policy: &mut Value) {
    match policy {
        Value::Array(elements) => elements.iter_mut().for_each(hide),
        Value::Object(fields) => {
            for (name, value) in fields {
                match name.as_str() {
                    "secrets" | "values" | "passwords" | "tokens" => *value = vec![HIDDEN].into(),
                    "verify_token" => *value = HIDDEN.into(),
                    _ => hide(value),
                }
            }
        }
        _ => {}
    }
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

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;
    use serde_json::json;

    use super::{
        super::sender::{Names, Sender},
        *,
    };

    #[test]
    fn a_hidden_report_of_any_sender_has_no_secret() {
        let names = Names {
            header: Some("x-token"),
            username: "netcore",
        };
        for sender in Sender::value_variants() {
            let scheme = sender.scheme("0123456789abcdef-secret", "0123456789abcdef-verify", &names);
            let report = Report {
                policy: json!({"accept": [scheme.value]}),
                settings: scheme.settings,
                stored: None,
                secrets_shown: true,
                next: Vec::new(),
            };
            let hidden = report.hidden();
            for output in [hidden.to_string(), serde_json::to_string(&hidden).unwrap()] {
                assert!(!output.contains("0123456789abcdef"), "{sender:?}: {output}");
                assert!(output.contains(HIDDEN), "{sender:?}: {output}");
            }
        }
    }
}
