//! Compares two events with one key: the same content is a duplicate, different content a conflict.

use std::collections::VecDeque;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    AS_SENT, CHANNEL, ENVELOPE, EVENT_TIME, EXTRA, FORMAT, Item, MESSAGE_ID, RECIPIENT, STATUS, UNDATED,
    VERBATIM, number_at,
};
use crate::{
    event::{Attribute, Status},
    provider::{self, EventContent, Format, FormatId},
    record::exact::{Exact, Field},
};

/// The sender's content of one event: the record and the fields next to the records in its envelope, both
/// exact. Excludes everything that belongs to the arrival.
pub struct Content<'a> {
    pub(crate) format: FormatId,
    pub(crate) record: Vec<Field<'a>>,
    pub(crate) envelope: Exact<'a>,
}

impl<'a> Content<'a> {
    /// The content of a stored item. `None` if the item is not an event.
    pub fn of(item: &'a Item) -> Option<Self> {
        let text_at = |name: &str| Some(item.get(name)?.as_s().ok()?.as_str());
        let fields_at = |name: &str| match item.get(name).map(exact) {
            Some(Exact::Object(fields)) => fields,
            _ => Vec::new(),
        };
        let format = Format::by_name(text_at(FORMAT)?)?;
        let content = EventContent {
            format,
            message_id: text_at(MESSAGE_ID)?,
            channel: text_at(CHANNEL)?,
            status: Status::from_word(text_at(STATUS)?).ok()?,
            event_time: number_at(item, EVENT_TIME).filter(|_| !item.contains_key(UNDATED)),
            recipient: text_at(RECIPIENT),
            attributes: Attribute::ALL
                .into_iter()
                .filter(|attribute| super::is_of_record(item, *attribute))
                .filter_map(|attribute| Some((attribute, exact(item.get(attribute.name())?))))
                .collect(),
            identities: VecDeque::new(),
            extra: fields_at(EXTRA),
            as_sent: fields_at(AS_SENT),
            verbatim: text_at(VERBATIM),
        };
        let envelope = match item.get(ENVELOPE) {
            Some(AttributeValue::S(text)) => Exact::parse(text).ok()?,
            Some(fields) => exact(fields),
            None => Exact::Object(Vec::new()),
        };
        Some(Self {
            format,
            record: content.record(),
            envelope,
        })
    }

    /// The names of the attributes in which two events with one key differ. Empty for a duplicate.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        if self.format != other.format {
            return vec![FORMAT];
        }
        let mut names = provider::differing(self.format, &self.record, &other.record);
        // A retry can contain other records, and other fields around them.
        if !provider::is_nested(self.format) && self.envelope != other.envelope {
            names.push(ENVELOPE);
        }
        names
    }
}

/// The names of the attributes in which two items with one key differ. Empty if they are the same event,
/// regardless of when and how often it arrived.
pub fn differences(one: &Item, other: &Item) -> Vec<&'static str> {
    match (Content::of(one), Content::of(other)) {
        (Some(one), Some(other)) => one.differences(&other),
        _ => vec![FORMAT],
    }
}

/// An attribute's value, borrowed. The table reformats numbers; they are compared as decimals.
fn exact(value: &AttributeValue) -> Exact<'_> {
    match value {
        AttributeValue::S(text) => Exact::Text(text.into()),
        AttributeValue::N(digits) => Exact::Number(digits.into()),
        AttributeValue::Bool(b) => Exact::Bool(*b),
        AttributeValue::L(list) => Exact::List(list.iter().map(exact).collect()),
        AttributeValue::M(fields) => {
            Exact::object(fields.iter().map(|(name, value)| (name.into(), exact(value))))
        }
        AttributeValue::Ss(list) | AttributeValue::Ns(list) => {
            Exact::List(list.iter().map(|text| Exact::Text(text.into())).collect())
        }
        _ => Exact::Null,
    }
}
