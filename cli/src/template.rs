//! Parameters and function names of `template.yaml`, which is part of the command.

use std::collections::BTreeMap;

use anyhow::Context as _;
use saphyr::{LoadableYamlNode as _, Yaml};

const TEMPLATE: &str = include_str!("../../template.yaml");

/// What the commands need of the template.
pub(crate) struct Template {
    /// Default value of each parameter that has one.
    defaults: BTreeMap<String, String>,
    /// Function name without the stack's name, by prefix of the logical ids: `EventWebhook`, `event-webhook`.
    functions: BTreeMap<String, String>,
}

impl Template {
    /// # Errors
    /// If the template does not have the expected sections.
    pub(crate) fn read() -> anyhow::Result<Self> {
        let documents = Yaml::load_from_str(TEMPLATE).context("template.yaml")?;
        let section = |path: &[&str]| {
            let mut node = documents.first();
            for name in path {
                node = node.and_then(|node| node.as_mapping_get(name));
            }
            node.and_then(Yaml::as_mapping)
                .with_context(|| format!("template.yaml has no {}", path.join(".")))
        };
        let named = |path: &[&str], property: &str| -> anyhow::Result<BTreeMap<String, String>> {
            Ok(section(path)?
                .iter()
                .filter_map(|(name, entry)| {
                    Some((name.as_str()?.to_owned(), text(entry.as_mapping_get(property)?)?))
                })
                .collect())
        };
        Ok(Self {
            defaults: named(&["Parameters"], "Default")?,
            functions: named(&["Mappings", "Functions"], "Name")?,
        })
    }

    /// The default of a parameter; empty if it has none.
    pub(crate) fn default(&self, parameter: &str) -> &str {
        self.defaults.get(parameter).map_or("", String::as_str)
    }

    /// Whether the template has the parameter.
    pub(crate) fn has(&self, parameter: &str) -> bool {
        self.defaults.contains_key(parameter)
    }

    /// A function's name without the stack's name.
    pub(crate) fn function(&self, prefix: &str) -> Option<&str> {
        self.functions.get(prefix).map(String::as_str)
    }
}

/// A scalar as `CloudFormation` passes it on.
fn text(node: &Yaml<'_>) -> Option<String> {
    node.as_str()
        .map(str::to_owned)
        .or_else(|| node.as_integer().map(|number| number.to_string()))
}

/// The parameters of a stack: given values, else those of the last deployment, else the defaults.
pub(crate) struct Parameters<'t> {
    template: &'t Template,
    deployed: BTreeMap<String, String>,
    given: BTreeMap<String, String>,
}

impl<'t> Parameters<'t> {
    /// # Errors
    /// If a given parameter is not `NAME=VALUE` or unknown.
    pub(crate) fn new(
        template: &'t Template,
        deployed: BTreeMap<String, String>,
        given: &[String],
    ) -> anyhow::Result<Self> {
        let given = given.iter().map(|text| {
            let (name, value) = text
                .split_once('=')
                .context("--parameter-overrides takes NAME=VALUE")?;
            anyhow::ensure!(template.has(name), "template.yaml has no parameter {name}");
            Ok((name.to_owned(), value.to_owned()))
        });
        Ok(Self {
            template,
            deployed,
            given: given.collect::<anyhow::Result<_>>()?,
        })
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.given
            .get(name)
            .or_else(|| self.deployed.get(name))
            .map_or_else(|| self.template.default(name), String::as_str)
    }

    /// A number; 0 if the value is none.
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.text(name).trim().parse().unwrap_or(0)
    }

    /// Prefixes of the receivers: `EventWebhook`.
    pub(crate) fn receivers(&self) -> Vec<&str> {
        let names = self.text("Receivers").split(',').map(str::trim);
        names.filter(|name| !name.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_has_what_the_commands_read() {
        let template = Template::read().unwrap();
        assert_eq!(template.default("WebhookAuthParameter"), "/netcore-webhooks/auth");
        assert_eq!(template.default("AuthErrorStatus"), "");
        assert_eq!(template.default("RetentionDays"), "180");
        assert_eq!(template.function("IncomingWebhook"), Some("incoming-webhook"));
        assert_eq!(template.function("Projector"), Some("projector"));
        // `doctor` adds up these; another reservation would be missing in its sum.
        assert_eq!(TEMPLATE.matches("ReservedConcurrentExecutions:").count(), 2);
        for parameter in ["ReceiverConcurrency", "DashboardConcurrency", "DashboardAccess"] {
            assert!(template.has(parameter), "{parameter}");
        }
    }

    #[test]
    fn a_given_value_precedes_the_deployed_one_and_the_default() {
        let template = Template::read().unwrap();
        let deployed = BTreeMap::from([
            ("RetentionDays".to_owned(), "30".to_owned()),
            ("LateAfterHours".to_owned(), "10".to_owned()),
        ]);
        let given = ["LateAfterHours=11".to_owned(), "Receivers=A, B".to_owned()];
        let parameters = Parameters::new(&template, deployed, &given).unwrap();
        assert_eq!(parameters.number("RetentionDays"), 30);
        assert_eq!(parameters.number("LateAfterHours"), 11);
        assert_eq!(parameters.number("AckBudgetMs"), 2000);
        assert_eq!(parameters.receivers(), ["A", "B"]);
        for wrong in ["RetentionDays", "Retention=1"] {
            assert!(Parameters::new(&template, BTreeMap::new(), &[wrong.to_owned()]).is_err());
        }
    }
}
