//! An event's content, borrowed from an [`Event`] or a table item, and the provider's record rebuilt from it.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::{Map, Value};

use super::{Format, FormatId, mapping};
use crate::{
    event::{Attribute, EpochMillis, Event, Status},
    record::exact::{Exact, Field},
};

/// A record's fields by name.
pub(super) type Fields<'a> = BTreeMap<Cow<'a, str>, Exact<'a>>;

/// An event's content, without its arrival.
pub(crate) struct EventContent<'a> {
    pub(crate) format: FormatId,
    pub(crate) message_id: &'a str,
    pub(crate) channel: &'a str,
    pub(crate) status: Status,
    pub(crate) event_time: Option<EpochMillis>,
    pub(crate) recipient: Option<&'a str>,
    pub(crate) attributes: BTreeMap<Attribute, Exact<'a>>,
    pub(crate) extra: Vec<Field<'a>>,
    pub(crate) as_sent: Vec<Field<'a>>,
    pub(crate) verbatim: Option<&'a str>,
}

impl<'a> EventContent<'a> {
    pub(super) fn of(event: &'a Event) -> Option<Self> {
        let fields = |map: &'a Map<String, Value>| {
            let borrowed =
                |(name, value): (&'a String, &'a Value)| (name.as_str().into(), Exact::borrowed(value));
            map.iter().map(borrowed).collect()
        };
        Some(Self {
            format: Format::of(event)?,
            message_id: event.message_id.as_str(),
            channel: event.channel.as_str(),
            status: event.status.clone(),
            event_time: event.event_time,
            recipient: event.recipient.as_deref(),
            attributes: event
                .attributes
                .iter()
                .map(|(attribute, value)| (*attribute, Exact::borrowed(value)))
                .collect(),
            extra: fields(&event.extra),
            as_sent: fields(&event.as_sent),
            verbatim: event.verbatim.as_deref(),
        })
    }

    /// The provider's record: every field with its original value, sorted by name.
    pub(crate) fn record(mut self) -> Vec<Field<'a>> {
        if let Some(text) = self.verbatim
            && let Ok(Exact::Object(fields)) = Exact::parse(text)
        {
            return fields;
        }
        let mut record: Fields<'a> = std::mem::take(&mut self.extra).into_iter().collect();
        for (field, role) in self.format.fields {
            let value = mapping::write(&mut self, *role);
            let mut sent = self.as_sent.iter().map(|(name, _)| name.as_ref());
            if self.format.has_alias(field, &mut sent) {
                continue;
            }
            if let Some(value) = value {
                record.insert((*field).into(), value);
            }
        }
        (self.format.restore)(&mut self, &mut record);
        record.extend(self.as_sent);
        record.into_iter().collect()
    }
}
