//! The series of counters: which events a series counts.

use super::{Names, escaped};

/// The events that a series counts. Only a bot and a tag are combined.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Scope {
    /// Only events of this bot.
    pub bot: Option<String>,
    /// Only events with this tag.
    pub tag: Option<String>,
    /// Only events of this campaign.
    pub campaign: Option<String>,
    /// Only events of messages from this template.
    pub template: Option<String>,
    /// Only events of people in this country, ISO 3166-1 alpha-2 (`IN`).
    pub country: Option<String>,
}

impl Scope {
    /// Only events with a name of a kind. Everything, for a kind without series.
    pub fn of(kind: Names, name: &str) -> Self {
        let mut scope = Self::default();
        let part = match kind {
            Names::Bots => &mut scope.bot,
            Names::Tags => &mut scope.tag,
            Names::Campaigns => &mut scope.campaign,
            Names::Templates => &mut scope.template,
            Names::Countries => &mut scope.country,
            Names::Channels
            | Names::Pairs
            | Names::Statuses
            | Names::MessageTypes
            | Names::Reasons
            | Names::Prices
            | Names::Charges => return scope,
        };
        *part = Some(name.to_owned());
        scope
    }

    /// The partition key of this scope's counters.
    pub fn series(&self, generation: &str) -> String {
        let parts: Vec<String> = [
            ("bot", &self.bot),
            ("tag", &self.tag),
            ("campaign", &self.campaign),
            ("template", &self.template),
            ("country", &self.country),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", escaped(value.as_ref()?))))
        .collect();
        if parts.is_empty() {
            format!("{generation}#all")
        } else {
            format!("{generation}#{}", parts.join("&"))
        }
    }

    /// Whether counters of this scope can exist: everything, one value, or a bot and a tag.
    pub fn is_counted(&self) -> bool {
        let set = [
            self.bot.is_some() || self.tag.is_some(),
            self.campaign.is_some(),
            self.template.is_some(),
            self.country.is_some(),
        ];
        set.into_iter().filter(|set| *set).count() <= 1
    }
}
