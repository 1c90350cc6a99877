//! Environment variables, read once at start. All missing and invalid variables are reported together.

use std::{fmt, time::Duration};

use http::StatusCode;

use super::clients::Roots;

/// The largest body that a function URL delivers, and therefore the largest that a receiver accepts:
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
pub const MAX_BODY_BYTES: usize = 6 * 1024 * 1024;

/// The default of `STACK_NAME`.
pub const STACK_NAME: &str = "netcore-webhooks";

/// The longest `STACK_NAME`, as for stacks of AWS. The name is in every log line.
const MAX_STACK_NAME_CHARS: usize = 128;

/// All faults of the environment variables.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError(Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the environment is not complete: {}", self.0.join("; "))
    }
}

/// Configuration of a receiver.
#[derive(Debug, Clone)]
pub struct ReceiverConfig {
    /// `WEBHOOK_AUTH`: a policy or a reference to it. Not shown by `Debug`.
    pub webhook_auth: Hidden,
    /// `AUTH_REFRESH_SECONDS` (300): how often a referenced policy is fetched again.
    pub auth_refresh: Duration,
    /// `ACK_BUDGET_MS` (2000): the time in which a request is answered.
    pub ack_budget: Duration,
    /// `MAX_BODY_BYTES` (6291456): the largest body that is accepted.
    pub max_body_bytes: usize,
    /// `REJECT_STATUS`: the status for a body without any event, which is in the dead-letter queue. `None`:
    /// the one of the function's sender.
    pub reject_status: Option<StatusCode>,
    /// `AUTH_ERROR_STATUS`: the status for missing, wrong or stale authentication. `None`: the one of the
    /// function's sender.
    pub auth_error_status: Option<StatusCode>,
    /// Table and queues.
    pub storage: StorageConfig,
}

/// Configuration of the events table and the queues.
#[derive(Debug, Clone)]
pub struct StorageConfig {
    /// `EVENTS_TABLE`.
    pub events_table: String,
    /// `RETRY_QUEUE_URL`.
    pub retry_queue_url: String,
    /// `DEAD_LETTER_QUEUE_URL`.
    pub dead_letter_queue_url: String,
    /// `RETENTION_DAYS` (180): 0 keeps events forever.
    pub retention_days: u32,
    /// `LATE_AFTER_HOURS` (72).
    pub late_after_hours: u32,
    /// `TLS_ROOTS` (`amazon`): `system` for proxies and other partitions.
    pub roots: Roots,
    /// `STACK_NAME` (`netcore-webhooks`): the dimension of the metrics.
    pub stack_name: String,
}

/// A value that may hold a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

impl ReceiverConfig {
    /// Reads a receiver's variables through `lookup`, which is [`std::env::var`] outside tests.
    ///
    /// # Errors
    /// [`ConfigError`] lists every variable that is missing or wrong.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(lookup);
        let config = Self {
            webhook_auth: Hidden(reader.text("WEBHOOK_AUTH")),
            auth_refresh: Duration::from_secs(reader.number("AUTH_REFRESH_SECONDS", 300, 1, 86_400)),
            ack_budget: Duration::from_millis(reader.number("ACK_BUDGET_MS", 2000, 100, 60_000)),
            max_body_bytes: reader.number("MAX_BODY_BYTES", MAX_BODY_BYTES, 1, MAX_BODY_BYTES),
            reject_status: reader.status("REJECT_STATUS", "200, 202, 204 or from 400 to 499", |status| {
                matches!(status, 200 | 202 | 204 | 400..=499)
            }),
            // No 5xx: anybody could set off the alarms on them.
            auth_error_status: reader.status("AUTH_ERROR_STATUS", "401, 403, 408 or 429", |status| {
                matches!(status, 401 | 403 | 408 | 429)
            }),
            storage: reader.storage(),
        };
        reader.finish(config)
    }
}

impl StorageConfig {
    /// Reads the variables of a function without a function URL.
    ///
    /// # Errors
    /// [`ConfigError`] lists every variable that is missing or wrong.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(lookup);
        let config = reader.storage();
        reader.finish(config)
    }
}

/// Configuration of `projector`.
#[derive(Debug, Clone)]
pub struct RollupsConfig {
    /// `EVENTS_TABLE`.
    pub events_table: String,
    /// `ROLLUPS_TABLE`.
    pub rollups_table: String,
    /// `DEAD_LETTER_QUEUE_URL`.
    pub dead_letter_queue_url: String,
    /// `SEARCH_INDEX` (`true`): whether lookups for the search are written.
    pub search_index: bool,
    /// `TLS_ROOTS` (`amazon`).
    pub roots: Roots,
    /// `STACK_NAME` (`netcore-webhooks`): the dimension of the metrics.
    pub stack_name: String,
}

impl RollupsConfig {
    /// Reads the variables of `projector`.
    ///
    /// # Errors
    /// [`ConfigError`] lists every variable that is missing or wrong.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(lookup);
        let config = Self {
            events_table: reader.text("EVENTS_TABLE"),
            rollups_table: reader.text("ROLLUPS_TABLE"),
            dead_letter_queue_url: reader.url("DEAD_LETTER_QUEUE_URL"),
            search_index: reader.search_index(),
            roots: reader.roots(),
            stack_name: reader.stack_name(),
        };
        reader.finish(config)
    }
}

/// The process environment.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Reads variables one by one and collects all faults.
pub struct Reader<L> {
    lookup: L,
    faults: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    /// Reads through `lookup`, which is [`environment`] outside tests.
    pub fn new(lookup: L) -> Self {
        Self {
            lookup,
            faults: Vec::new(),
        }
    }

    /// Reads the variables of the table and the queues.
    pub fn storage(&mut self) -> StorageConfig {
        StorageConfig {
            events_table: self.text("EVENTS_TABLE"),
            retry_queue_url: self.url("RETRY_QUEUE_URL"),
            dead_letter_queue_url: self.url("DEAD_LETTER_QUEUE_URL"),
            retention_days: self.number("RETENTION_DAYS", 180, 0, 36_500),
            late_after_hours: self.number("LATE_AFTER_HOURS", 72, 1, 87_600),
            roots: self.roots(),
            stack_name: self.stack_name(),
        }
    }

    /// A required text.
    pub fn text(&mut self, name: &str) -> String {
        let value = (self.lookup)(name).unwrap_or_default();
        if value.trim().is_empty() {
            self.faults.push(format!("{name} is missing"));
        }
        value
    }

    /// An optional text. An empty text counts as missing.
    pub fn optional(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.trim().is_empty())
    }

    /// One of several words, or the default if the variable is missing.
    pub fn choice<T: Copy>(&mut self, name: &str, words: &[(&str, T)], default: T) -> T {
        let Some(value) = self.optional(name) else {
            return default;
        };
        let found = words.iter().find(|(word, _)| *word == value.trim());
        found.map_or_else(
            || {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                self.faults.push(format!("{name} must be {}", words.join(" or ")));
                default
            },
            |(_, choice)| *choice,
        )
    }

    fn url(&mut self, name: &str) -> String {
        let value = self.text(name);
        if !value.is_empty() && !value.starts_with("https://") && !value.starts_with("http://") {
            self.faults.push(format!("{name} must be the queue's URL"));
        }
        value
    }

    /// A whole number in a range.
    pub fn number<N>(&mut self, name: &str, default: N, least: N, most: N) -> N
    where
        N: std::str::FromStr + PartialOrd + fmt::Display + Copy,
    {
        match (self.lookup)(name)
            .filter(|v| !v.trim().is_empty())
            .map(|v| v.trim().parse::<N>())
        {
            None => default,
            Some(Ok(n)) if n >= least && n <= most => n,
            Some(_) => {
                self.faults
                    .push(format!("{name} must be a whole number from {least} to {most}"));
                default
            }
        }
    }

    /// An optional value. A fault of `parse` continues a sentence that begins with the variable's name.
    pub fn parsed<T, E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(&self.optional(name)?) {
            Ok(value) => Some(value),
            Err(fault) => {
                self.faults.push(format!("{name} {fault}"));
                None
            }
        }
    }

    /// An optional status code of HTTP.
    fn status(&mut self, name: &str, allowed: &str, is_allowed: impl Fn(u16) -> bool) -> Option<StatusCode> {
        let value = self.optional(name)?;
        let code = value.trim().parse().ok().filter(|code| is_allowed(*code));
        let status = code.and_then(|code| StatusCode::from_u16(code).ok());
        if status.is_none() {
            self.faults.push(format!("{name} must be {allowed}"));
        }
        status
    }

    /// Reads `SEARCH_INDEX`.
    pub fn search_index(&mut self) -> bool {
        self.choice("SEARCH_INDEX", &[("true", true), ("false", false)], true)
    }

    /// Reads `TLS_ROOTS`.
    pub fn roots(&mut self) -> Roots {
        let words = [("amazon", Roots::Amazon), ("system", Roots::System)];
        self.choice("TLS_ROOTS", &words, Roots::Amazon)
    }

    /// Reads `STACK_NAME`. CloudWatch drops metrics if the value of a dimension has other characters or is
    /// longer than 1,024: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Dimension.html>
    fn stack_name(&mut self) -> String {
        let name = self
            .optional("STACK_NAME")
            .unwrap_or_else(|| STACK_NAME.to_owned());
        if name.len() > MAX_STACK_NAME_CHARS || !name.bytes().all(|b| b.is_ascii_graphic()) {
            self.faults.push(format!(
                "STACK_NAME must have at most {MAX_STACK_NAME_CHARS} printable ASCII characters without blanks"
            ));
        }
        name
    }

    /// Returns the configuration if there were no faults.
    ///
    /// # Errors
    /// [`ConfigError`] lists every variable that is missing or wrong.
    pub fn finish<C>(self, config: C) -> Result<C, ConfigError> {
        if self.faults.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError(self.faults))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &'static [(&'static str, &'static str)]) -> Result<ReceiverConfig, ConfigError> {
        ReceiverConfig::read(|name| {
            pairs
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_owned())
        })
    }

    #[test]
    fn all_invalid_variables_are_reported_together() {
        assert_eq!(
            read(&[
                ("RETRY_QUEUE_URL", "my-queue"),
                ("RETENTION_DAYS", "-1"),
                ("ACK_BUDGET_MS", "soon"),
                ("REJECT_STATUS", "500"),
                ("AUTH_ERROR_STATUS", "503"),
                ("TLS_ROOTS", "x"),
                ("STACK_NAME", "my stack")
            ])
            .unwrap_err()
            .to_string(),
            "the environment is not complete: WEBHOOK_AUTH is missing; \
             ACK_BUDGET_MS must be a whole number from 100 to 60000; \
             REJECT_STATUS must be 200, 202, 204 or from 400 to 499; \
             AUTH_ERROR_STATUS must be 401, 403, 408 or 429; EVENTS_TABLE is missing; \
             RETRY_QUEUE_URL must be the queue's URL; DEAD_LETTER_QUEUE_URL is missing; \
             RETENTION_DAYS must be a whole number from 0 to 36500; TLS_ROOTS must be amazon or system; \
             STACK_NAME must have at most 128 printable ASCII characters without blanks"
        );
    }

    #[test]
    fn defaults_are_the_documented_ones_and_the_policy_is_not_shown() {
        let config = read(&[
            ("EVENTS_TABLE", "events"),
            ("RETRY_QUEUE_URL", "https://sqs/retry"),
            ("DEAD_LETTER_QUEUE_URL", "https://sqs/dead"),
            ("WEBHOOK_AUTH", "hunter2"),
            ("RETENTION_DAYS", ""),
        ])
        .unwrap();
        assert_eq!(config.auth_refresh, Duration::from_mins(5));
        assert_eq!(config.ack_budget, Duration::from_secs(2));
        assert_eq!(config.max_body_bytes, 6_291_456);
        assert_eq!((config.reject_status, config.auth_error_status), (None, None));
        assert_eq!(config.storage.retention_days, 180);
        assert_eq!(config.storage.late_after_hours, 72);
        assert_eq!(config.storage.roots, Roots::Amazon);
        assert_eq!(config.storage.stack_name, "netcore-webhooks");
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn a_status_must_be_one_that_a_sender_understands() {
        let statuses = |reject: &'static str, auth: &'static str| {
            ReceiverConfig::read(|name| match name {
                "REJECT_STATUS" => Some(reject.to_owned()),
                "AUTH_ERROR_STATUS" => Some(auth.to_owned()),
                name if name.ends_with("_URL") => Some("https://sqs/queue".to_owned()),
                _ => None,
            })
            .map_err(|error| error.to_string().matches("_STATUS must be").count())
        };
        // The variables that are missing here are not counted.
        for (reject, auth, faults) in [
            ("200", "401", 0),
            (" 204 ", "429", 0),
            ("499", "", 0),
            ("201", "401", 1),
            ("302", "200", 2),
            ("500", "503", 2),
            ("ok", "4O1", 2),
        ] {
            assert_eq!(statuses(reject, auth).err(), Some(faults), "{reject} {auth}");
        }
    }
}
