//! An event's content, borrowed from an [`Event`] or a table item, and the provider's record rebuilt from it.

use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
};

use serde_json::{Map, Value};

use super::{Format, FormatId, Role, mapping};
use crate::{
    event::{Attribute, EpochMillis, Event, Status, person},
    record::{
        self,
        exact::{Exact, Field},
    },
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
    /// The ids that the fields with [`Role::Identity`] take in order, without their kinds. Empty until the record
    /// is rebuilt.
    pub(crate) identities: VecDeque<Exact<'a>>,
    pub(crate) extra: Vec<Field<'a>>,
    pub(crate) as_sent: Vec<Field<'a>>,
    pub(crate) verbatim: Option<&'a str>,
}

impl<'a> EventContent<'a> {
    pub(super) fn of(event: &'a Event) -> Option<Self> {
        Some(Self::in_format(event, Format::of(event)?))
    }

    pub(super) fn in_format(event: &'a Event, format: FormatId) -> Self {
        let fields = |map: &'a Map<String, Value>| {
            let borrowed =
                |(name, value): (&'a String, &'a Value)| (name.as_str().into(), Exact::borrowed(value));
            map.iter().map(borrowed).collect()
        };
        Self {
            format,
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
            identities: VecDeque::new(),
            extra: fields(&event.extra),
            as_sent: fields(&event.as_sent),
            verbatim: event.verbatim.as_deref(),
        }
    }

    /// The provider's record: every field with its original value, sorted by name.
    pub(crate) fn record(mut self) -> Vec<Field<'a>> {
        if let Some(text) = self.verbatim
            && let Ok(Exact::Object(fields)) = Exact::parse(text)
        {
            return fields;
        }
        self.identities = self.unwritten_identities();
        let mut record: Fields<'a> = std::mem::take(&mut self.extra).into_iter().collect();
        for (path, role) in self.format.fields {
            if !has_place(&mut record, path) {
                continue;
            }
            let value = mapping::write(&mut self, *role);
            let mut sent = self.as_sent.iter().map(|(name, _)| name.as_ref());
            if self.format.has_alias(path, &mut sent) {
                continue;
            }
            if let Some(value) = value {
                set(&mut record, (*path).into(), value);
            }
        }
        (self.format.restore)(&mut self, &mut record);
        for (path, value) in self.as_sent {
            set(&mut record, path, value);
        }
        record.into_iter().collect()
    }

    /// The ids that are written back: none if `as_sent` has the fields' original values.
    fn unwritten_identities(&mut self) -> VecDeque<Exact<'a>> {
        let listed = self.attributes.remove(&Attribute::Identities);
        let is_identity = |name: &str| {
            let mut fields = self.format.fields.iter();
            fields.any(|(field, role)| *field == name && matches!(role, Role::Identity { .. }))
        };
        let is_kept = |(name, value): &Field<'a>| is_identity(name) && !value.is_empty();
        if self.as_sent.iter().any(is_kept) {
            return VecDeque::new();
        }
        let without_kind = |value: Exact<'a>| match value {
            Exact::Text(Cow::Borrowed(id)) => Exact::Text(person::bare(id).into()),
            Exact::Text(Cow::Owned(id)) => Exact::Text(person::bare(&id).to_owned().into()),
            other => other,
        };
        let listed = match listed {
            Some(Exact::List(ids)) => ids,
            _ => Vec::new(),
        };
        let first = self.recipient.filter(|id| person::kind(id).is_some());
        first
            .map(|id| Exact::Text(id.into()))
            .into_iter()
            .chain(listed)
            .map(without_kind)
            .collect()
    }
}

/// Whether a record can have a field at a path. The objects of a path stay in `extra`, so a record has all
/// those that the provider sent.
fn has_place(record: &mut Fields<'_>, path: &str) -> bool {
    let (name, rest) = record::first_step(path);
    rest.is_none_or(|rest| {
        let field = record.get_mut(name);
        field.is_some_and(|value| value.holder(rest).is_some())
    })
}

/// Sets the field at a path, if the record has a place for it. A name without a dot is a field of the record.
/// A listed name with a dot is always a path: a field whose own name contains a dot is not listed.
fn set<'a>(record: &mut Fields<'a>, path: Cow<'a, str>, value: Exact<'a>) {
    let (name, Some(rest)) = record::first_step(&path) else {
        record.insert(path, value);
        return;
    };
    if let Some(object) = record.get_mut(name).and_then(|value| value.holder(rest)) {
        let field = rest.rsplit_once('.').map_or(rest, |(_, field)| field);
        object.set(field.to_owned(), value);
    }
}
