//! Conditions for the events of a list. Those on status and channel are checked by the index, the others on the items.

use aws_sdk_dynamodb::{operation::query::builders::QueryFluentBuilder, types::AttributeValue};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use phone_country::{Country, country};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use webhook_ingest::{
    counters::{self, NO_CATEGORY, NO_COUNTRY},
    event::{Attribute, Status, state},
    events_table::item::{CHANNEL, Item, RECIPIENT, STATUS, text_at},
    facets::{self, Price, UNCATEGORISED},
};

/// The part of `opened` that a person did.
const OPENED_BY_PERSON: &str = "opened_by_person";
/// Words for whether the provider charges, by the price in the event.
pub(crate) const BILLABLE: [&str; 3] = ["true", "false", UNKNOWN];
/// The event has no price.
pub(crate) const UNKNOWN: &str = "unknown";

/// Events of a list. A condition that is `None` or empty is fulfilled by every event.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct EventFilter {
    /// One of these statuses. `opened_by_machine` and `opened_by_person` are parts of `opened`.
    pub(crate) statuses: Vec<String>,
    pub(crate) channels: Vec<String>,
    pub(crate) bot: Option<String>,
    pub(crate) tag: Option<String>,
    pub(crate) campaign: Option<String>,
    pub(crate) template: Option<String>,
    pub(crate) message_type: Option<String>,
    pub(crate) reason: Option<String>,
    /// Two letters, or [`NO_COUNTRY`].
    pub(crate) country: Option<String>,
    /// The category of the price: [`UNCATEGORISED`] for a price without one, [`NO_CATEGORY`] for events without one.
    pub(crate) category: Option<String>,
    /// Some of [`BILLABLE`].
    pub(crate) billable: Vec<String>,
}

/// The values that a reply has from the message that it answers.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    bot: Option<String>,
    campaign: Option<String>,
    template: Option<String>,
    country: Option<String>,
    /// Whether the message has the tag of the filter.
    has_tag: bool,
}

/// Whether an event fulfills the conditions that the index does not check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict<'i> {
    Matches,
    Fails,
    /// Only if it inherits the missing values from the message with this id, which it answers.
    DependsOn(&'i str),
}

impl EventFilter {
    /// The stored statuses of the events; empty for all. Only failures have a reason, and only taps a template, which a
    /// reply to their message inherits.
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
            return vec![Status::Clicked, Status::Received];
        }
        let words = self.statuses.iter().map(|word| match word.as_str() {
            counters::OPENED_BY_MACHINE | OPENED_BY_PERSON => Ok(Status::Opened),
            word => Status::from_word(word),
        });
        let mut statuses: Vec<Status> = words.filter_map(Result::ok).collect();
        statuses.sort();
        statuses.dedup();
        statuses
    }

    /// Whether events of a counted status fulfill the condition on the status.
    pub(crate) fn has_status(&self, counted: &str) -> bool {
        self.statuses.is_empty()
            || self.statuses.iter().any(|word| match word.as_str() {
                OPENED_BY_PERSON => counted == Status::Opened.as_str(),
                "opened" => counted == word || counted == counters::OPENED_BY_MACHINE,
                word => counted == counters::word(word),
            })
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
        self.needs_message()
            || self.wants_one_kind_of_open()
            || [&self.message_type, &self.reason, &self.category]
                .iter()
                .any(|condition| condition.is_some())
            || !self.billable.is_empty()
    }

    /// Whether there is a condition on a value that a reply inherits.
    fn needs_message(&self) -> bool {
        [
            &self.bot,
            &self.tag,
            &self.campaign,
            &self.template,
            &self.country,
        ]
        .iter()
        .any(|condition| condition.is_some())
    }

    fn wants_one_kind_of_open(&self) -> bool {
        let has = |word: &str| self.statuses.iter().any(|status| status == word);
        (has(counters::OPENED_BY_MACHINE) != has(OPENED_BY_PERSON)) && !has(Status::Opened.as_str())
    }

    /// Whether an event fulfills the conditions that the index does not check. Words are compared as they are counted:
    /// with redacted numbers, and message types in lower case.
    pub(crate) fn verdict<'i>(&self, item: &'i Item) -> Verdict<'i> {
        if !self.matches_itself(item) {
            return Verdict::Fails;
        }
        if self.matches_with(item, &Inherited::default()) {
            return Verdict::Matches;
        }
        let answered = text_at(item, Attribute::InReplyTo.name()).filter(|id| !id.is_empty());
        answered.map_or(Verdict::Fails, Verdict::DependsOn)
    }

    /// Whether an event fulfills the conditions on values that it has itself or inherits.
    pub(crate) fn matches_with(&self, item: &Item, inherited: &Inherited) -> bool {
        matches(
            self.bot.as_ref(),
            facets::bot(item).as_ref().or(inherited.bot.as_ref()),
        ) && matches(
            self.campaign.as_ref(),
            facets::campaign(item).as_ref().or(inherited.campaign.as_ref()),
        ) && matches(
            self.template.as_ref(),
            facets::template(item).as_ref().or(inherited.template.as_ref()),
        ) && self.matches_country(country_of(item).as_ref().or(inherited.country.as_ref()))
            && self
                .tag
                .as_ref()
                .is_none_or(|tag| inherited.has_tag || facets::tags(item).contains(tag))
    }

    /// What a reply inherits from the message with these events, as it is counted: each value of the first event that
    /// has one, and all tags.
    pub(crate) fn inherited(&self, events: &[Item]) -> Inherited {
        let first = |value: fn(&Item) -> Option<String>| events.iter().find_map(value);
        Inherited {
            bot: first(facets::bot),
            campaign: first(facets::campaign),
            template: first(facets::template),
            country: first(country_of),
            has_tag: self
                .tag
                .as_ref()
                .is_some_and(|tag| events.iter().any(|event| facets::tags(event).contains(tag))),
        }
    }

    /// The conditions on values that a reply does not inherit.
    fn matches_itself(&self, item: &Item) -> bool {
        self.matches_type(facets::message_type(item).as_deref())
            && matches(self.reason.as_ref(), facets::reason(item).as_ref())
            && self.matches_price(Price::of(item).as_ref())
            && (!self.wants_one_kind_of_open() || self.has_status(&facets::status(item)))
    }

    /// A long type that was counted ends with a digest in letters of both cases.
    pub(crate) fn matches_type(&self, message_type: Option<&str>) -> bool {
        let wanted = self.message_type.as_deref();
        wanted.is_none_or(|wanted| message_type.is_some_and(|word| word.eq_ignore_ascii_case(wanted)))
    }

    fn matches_country(&self, country: Option<&String>) -> bool {
        match self.country.as_ref() {
            Some(wanted) if wanted == NO_COUNTRY => country.is_none(),
            wanted => matches(wanted, country),
        }
    }

    pub(crate) fn matches_price(&self, price: Option<&Price>) -> bool {
        let billable = match price {
            None => UNKNOWN,
            Some(price) if price.billable => "true",
            Some(_) => "false",
        };
        let is_of_category = match (&self.category, price) {
            (None, _) => true,
            (Some(wanted), None) => wanted == NO_CATEGORY,
            (Some(wanted), Some(price)) => match &price.category {
                Some(category) => category == wanted,
                None => wanted == UNCATEGORISED || wanted == NO_CATEGORY,
            },
        };
        is_of_category && (self.billable.is_empty() || self.billable.iter().any(|word| word == billable))
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

/// Whether a value fulfills a condition. Without a condition, each does.
pub(crate) fn matches(wanted: Option<&String>, value: Option<&String>) -> bool {
    wanted.is_none() || wanted == value
}

fn country_of(item: &Item) -> Option<String> {
    let recipient = item.get(RECIPIENT)?.as_s().ok()?;
    country(recipient).as_ref().map(Country::to_string)
}
