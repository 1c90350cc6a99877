//! The dashboard's environment variables.

use std::time::Duration;

use webhook_ingest::operations::config::{ConfigError, Hidden, Reader, StorageConfig};

use crate::{bot_names::BotNames, roles::AccessRole, summary::RateCard};

/// Configuration of the dashboard.
#[derive(Debug, Clone)]
pub struct DashboardConfig {
    /// Table and queues.
    pub storage: StorageConfig,
    /// `ROLLUPS_TABLE`.
    pub rollups_table: String,
    /// `DASHBOARD_AUTH`: the passwords, or a reference to them. Without it, the URL must be private.
    pub auth: Option<Hidden>,
    /// `AUTH_REFRESH_SECONDS` (300).
    pub auth_refresh: Duration,
    /// `DASHBOARD_ROLE` (`agent`): role of callers if there is no sign-in.
    pub role: AccessRole,
    /// `DASHBOARD_REDRIVE` (`false`): whether the function may change the queues.
    pub redrive: bool,
    /// `SEARCH_INDEX` (`true`): whether `projector` writes lookups for the search.
    pub search_index: bool,
    /// `BOT_NAMES`: names of bots, by their ids.
    pub bot_names: BotNames,
    /// `RATE_CARD`: the prices of messages, see [`RateCard`].
    pub rate_card: Option<RateCard>,
    /// `DASHBOARD_ACCESS` (`AWS_IAM`): `SIGN_IN` if the URL is public; then `DASHBOARD_AUTH` is required.
    pub public: bool,
}

impl DashboardConfig {
    /// For the command, which reads only events, with the permissions of its user.
    pub fn of_terminal(storage: StorageConfig, rollups_table: String) -> Self {
        Self {
            storage,
            rollups_table,
            auth: None,
            auth_refresh: Duration::ZERO,
            role: AccessRole::Operator,
            redrive: false,
            search_index: true,
            bot_names: BotNames::default(),
            rate_card: None,
            public: false,
        }
    }

    /// Reads the variables through `lookup`.
    ///
    /// # Errors
    /// [`ConfigError`] lists every variable that is missing or wrong.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(lookup);
        let roles = AccessRole::ALL.map(|role| (role.as_str(), role));
        let public = reader.choice(
            "DASHBOARD_ACCESS",
            &[("AWS_IAM", false), ("SIGN_IN", true)],
            false,
        );
        let auth = if public {
            Some(reader.text("DASHBOARD_AUTH"))
        } else {
            reader.optional("DASHBOARD_AUTH")
        };
        let config = Self {
            storage: reader.storage(),
            rollups_table: reader.text("ROLLUPS_TABLE"),
            auth: auth.map(Hidden),
            auth_refresh: Duration::from_secs(reader.number("AUTH_REFRESH_SECONDS", 300, 1, 86_400)),
            role: reader.choice("DASHBOARD_ROLE", &roles, AccessRole::Agent),
            redrive: reader.choice("DASHBOARD_REDRIVE", &[("false", false), ("true", true)], false),
            search_index: reader.search_index(),
            bot_names: reader.parsed("BOT_NAMES", BotNames::parse).unwrap_or_default(),
            rate_card: reader.parsed("RATE_CARD", RateCard::parse),
            public,
        };
        reader.finish(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &[(&str, &str)]) -> Result<DashboardConfig, ConfigError> {
        let base = [
            ("EVENTS_TABLE", "events"),
            ("ROLLUPS_TABLE", "rollups"),
            ("RETRY_QUEUE_URL", "https://sqs/retry"),
            ("DEAD_LETTER_QUEUE_URL", "https://sqs/dead"),
        ];
        DashboardConfig::read(|name| {
            let mut pairs = more.iter().chain(&base);
            pairs
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_public_dashboard_requires_sign_in() {
        assert_eq!(
            read(&[("DASHBOARD_ACCESS", "SIGN_IN"), ("DASHBOARD_ROLE", "boss")])
                .unwrap_err()
                .to_string(),
            "the environment is not complete: DASHBOARD_AUTH is missing; DASHBOARD_ROLE must be viewer or agent or operator"
        );
        let config = read(&[]).unwrap();
        assert!(config.auth.is_none() && !config.redrive && config.role == AccessRole::Agent);
    }
}
