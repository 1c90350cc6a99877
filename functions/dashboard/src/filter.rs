//! Conditions for the events of a list. Those on status and channel are checked by the index, the others on the items.

use aws_sdk_dynamodb::{operation::query::builders::QueryFluentBuilder, types::AttributeValue};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use phone_country::{Country, country};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use webhook_ingest::{
    counters,
    event::{Attribute, Status, state},
    events_table::item::{CHANNEL, Item, RECIPIENT, STATUS},
    facets,
};

/// Events of a list. A condition that is `None` or empty is fulfilled by every event.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct EventFilter {
    /// One of these statuses, as counted: `opened_by_machine` is a part of `opened`.
    pub(crate) statuses: Vec<String>,
    pub(crate) channels: Vec<String>,
    pub(crate) bot: Option<String>,
    pub(crate) tag: Option<String>,
    pub(crate) campaign: Option<String>,
    pub(crate) template: Option<String>,
    pub(crate) message_type: Option<String>,
    pub(crate) reason: Option<String>,
    /// Two letters.
    pub(crate) country: Option<String>,
}

impl EventFilter {
    /// The stored statuses of the events; empty for all. Only failures have a reason, and only taps a template.
    pub(crate) fn stored_statuses(&self) -> Vec<Status> {
        let failures = || {
            Status::LISTED
                .into_iter()
                .filter(|status| state::is_failure(status.as_str()))
        };
        if self.statuses.is_empty() && self.reason.is_some() {
            return failures().collect();
        }
        if self.statuses.is_empty() && self.template.is_some() {
            return vec![Status::Clicked];
        }
        let words = self.statuses.iter().map(|word| match word.as_str() {
            counters::OPENED_BY_MACHINE => Ok(Status::Opened),
            word => Status::from_word(word),
        });
        let mut statuses: Vec<Status> = words.filter_map(Result::ok).collect();
        statuses.sort();
        statuses.dedup();
        statuses
    }

    /// Adds the conditions that the index can check to a query.
    pub(crate) fn in_index(&self, query: QueryFluentBuilder) -> QueryFluentBuilder {
        let statuses: Vec<String> = self
            .stored_statuses()
            .iter()
            .map(|s| s.as_str().to_owned())
            .collect();
        let mut conditions = Vec::new();
        let mut query = query;
        for (name, words) in [(STATUS, &statuses), (CHANNEL, &self.channels)] {
            if words.is_empty() {
                continue;
            }
            let values: Vec<String> = (0..words.len())
                .map(|number| format!(":{name}{number}"))
                .collect();
            conditions.push(format!("#{name} IN ({})", values.join(", ")));
            query = query.expression_attribute_names(format!("#{name}"), name);
            for (value, word) in values.into_iter().zip(words) {
                query = query.expression_attribute_values(value, AttributeValue::S(word.clone()));
            }
        }
        if conditions.is_empty() {
            return query;
        }
        query.filter_expression(conditions.join(" AND "))
    }

    /// Whether the index does not check all conditions.
    pub(crate) fn needs_items(&self) -> bool {
        let Self {
            bot,
            tag,
            campaign,
            template,
            message_type,
            reason,
            country,
            ..
        } = self;
        self.only_machines()
            || [bot, tag, campaign, template, message_type, reason, country]
                .iter()
                .any(|condition| condition.is_some())
    }

    fn only_machines(&self) -> bool {
        let has = |word: &str| self.statuses.iter().any(|status| status == word);
        has(counters::OPENED_BY_MACHINE) && !has(Status::Opened.as_str())
    }

    /// Whether an event fulfills the conditions that the index does not check. Words are compared as they are counted:
    /// with redacted numbers, and message types in lower case.
    pub(crate) fn matches(&self, item: &Item) -> bool {
        let is = |wanted: &Option<String>, value: fn(&Item) -> Option<String>| {
            wanted.is_none() || wanted.as_ref() == value(item).as_ref()
        };
        is(&self.bot, facets::bot)
            && is(&self.campaign, facets::campaign)
            && is(&self.template, facets::template)
            && is(&self.message_type, facets::message_type)
            && is(&self.reason, facets::reason)
            && is(&self.country, country_of)
            && self
                .tag
                .as_ref()
                .is_none_or(|tag| facets::tags(item).contains(tag))
            && self.is_by_machine_if_asked(item)
    }

    fn is_by_machine_if_asked(&self, item: &Item) -> bool {
        let is_open = item.get(STATUS).and_then(|status| status.as_s().ok())
            == Some(&Status::Opened.as_str().to_owned());
        !self.only_machines() || !is_open || item.contains_key(Attribute::OpenedBy.name())
    }

    /// Digest of the filter, to recognize a cursor of another list.
    pub(crate) fn digest(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let mut digest = URL_SAFE_NO_PAD.encode(Sha256::digest(&json));
        // 66 bits.
        digest.truncate(11);
        digest
    }
}

fn country_of(item: &Item) -> Option<String> {
    let recipient = item.get(RECIPIENT)?.as_s().ok()?;
    country(recipient).as_ref().map(Country::to_string)
}
