//! The providers' record formats. Each file is one format: a table of its fields, and code for what the table
//! cannot express. Reading and rebuilding loop over the same table, so one is the inverse of the other.

pub mod airtel_rcs;
mod alias;
mod comparison;
mod content;
pub mod google_rbm;
pub mod google_rbm_agent;
pub mod google_rbm_server;
pub mod jio_rcs;
pub mod jio_rcs_agent;
mod mapping;
mod meta;
pub mod meta_account;
pub mod meta_call;
pub mod meta_message;
pub mod meta_status;
mod nesting;
pub mod netcore_delivery_status;
pub mod netcore_email;
pub mod netcore_email_sendgrid;
pub mod netcore_events;
pub mod netcore_incoming;
pub mod netcore_sms;
pub mod paytm_rcs;
pub mod paytm_sms;
pub mod rcs_gateway;
mod rcs_network;
pub mod whatsapp_incoming;

use std::fmt;

use serde_json::{Map, Value};

use crate::{
    event::{Attribute, Event, FormatName, Status, time::Unit},
    record::{
        self, Record, Unreadable,
        exact::{self, Field},
    },
};
pub(crate) use comparison::differing;
pub(crate) use content::EventContent;
use content::Fields;
use mapping::Draft;
pub(crate) use mapping::is_empty;
pub(crate) use nesting::{Nesting, Step, expected, is_nested, nesting};

/// Reference to one of [`ALL`].
pub type FormatId = &'static Format;

/// Says whether a record has a field at a path.
type HasField<'r> = dyn Fn(&str) -> bool + 'r;

/// The format of one kind of provider record.
pub struct Format {
    /// The name in the table (`format`) and in logs.
    pub name: FormatName,
    /// The provider: `provider` in the table and in the metrics' dimension.
    pub provider: &'static str,
    /// The field of the envelope that holds the records; `None` for a bare array or object, and for an envelope
    /// with several levels.
    pub envelope: Option<&'static str>,
    /// Whether a record is also sent as parameters: in the query of a GET request, or as a form.
    pub parameters: bool,
    /// Other names of listed fields, in any letter case. The first of them in this list counts; if a record
    /// has several, the others are undocumented fields.
    aliases: &'static [(&'static str, &'static [&'static str])],
    /// Whether a record with the id field has this format. `has` says whether the record has a field.
    recognizes: fn(&HasField<'_>) -> bool,
    /// The listed fields. A name with a dot is a path: `entity.messageId` is the field `messageId` of the object
    /// in the field `entity`. What is not listed in that object stays in it, in `extra`.
    fields: &'static [(&'static str, Role)],
    /// Further documented fields or paths, each with the attribute that holds it.
    also: &'static [(&'static str, &'static str)],
    /// Derives values from several fields.
    derive: fn(&mut Draft<'_>),
    /// Undoes `derive` when a record is rebuilt.
    restore: for<'a> fn(&mut EventContent<'a>, &mut Fields<'a>),
}

/// The meaning of a listed field, which also defines how the provider writes it.
#[derive(Debug, Clone, Copy)]
enum Role {
    /// The message id; required.
    MessageId,
    /// The person's number, as digits or with a leading plus.
    Recipient { plus: bool },
    /// An id of the person of this kind (one of [`person`](crate::event::person)). A format lists its fields with
    /// ids in the order of their importance, the recipient's own id before a parent's or a former one.
    ///
    /// The record's number (`Recipient`) stays the event's recipient; without one, the first id is. All other ids
    /// of the record become the attribute `identities`, which links them to the recipient: a search for one finds
    /// the events of all. So an event that tells of a change (`user_changed_user_id`) lists the new id first and
    /// the former one after it; a former *number* is an id of the kind [`NUMBER`](crate::event::person::NUMBER).
    ///
    /// List only ids of one person: not a group's, not the sender's own.
    Identity { kind: &'static str },
    /// The provider's word for the channel. `documented` says whether the provider always writes it.
    Channel { documented: bool },
    /// The status, as the provider spells the listed ones.
    Status(fn(&Status) -> Option<&'static str>),
    /// The time of the event.
    Time(Unit),
    /// A string.
    Text(Attribute),
    /// A list of strings.
    Texts(Attribute),
    /// Any JSON value.
    Any(Attribute),
}

/// All known formats.
pub static ALL: [FormatId; 20] = [
    &netcore_events::FORMAT,
    &netcore_incoming::FORMAT,
    &netcore_delivery_status::FORMAT,
    &whatsapp_incoming::FORMAT,
    &rcs_gateway::FORMAT,
    &netcore_email::FORMAT,
    &netcore_email_sendgrid::FORMAT,
    &paytm_sms::FORMAT,
    &netcore_sms::FORMAT,
    &google_rbm_server::FORMAT,
    &google_rbm::FORMAT,
    &airtel_rcs::FORMAT,
    &google_rbm_agent::FORMAT,
    &paytm_rcs::FORMAT,
    &jio_rcs::FORMAT,
    &jio_rcs_agent::FORMAT,
    &meta_status::FORMAT,
    &meta_message::FORMAT,
    &meta_call::FORMAT,
    &meta_account::FORMAT,
];

impl Format {
    /// The format of a stored event.
    pub fn by_name(name: &str) -> Option<FormatId> {
        ALL.into_iter().find(|format| format.name.as_str() == name)
    }

    /// The format of an event.
    pub(crate) fn of(event: &Event) -> Option<FormatId> {
        Self::by_name(event.format.as_str())
    }

    /// The record field that holds the message id, as a path. A record without it has another format. `None` if
    /// the format's records belong to no message.
    pub fn id_field(&self) -> Option<&'static str> {
        self.fields
            .iter()
            .find_map(|(field, role)| matches!(role, Role::MessageId).then_some(*field))
    }

    /// The names of the documented fields.
    pub fn documented_fields(&self) -> impl Iterator<Item = &'static str> {
        let fields = self.fields.iter().map(|(field, _)| *field);
        fields.chain(self.also.iter().map(|(field, _)| *field))
    }

    /// Other names of listed fields, in any letter case.
    pub fn aliases(&self) -> &'static [(&'static str, &'static [&'static str])] {
        self.aliases
    }

    /// Whether a record with a field of this name can have this format.
    pub(crate) fn begins_at(&self, name: &str) -> bool {
        let is_first = |path: &str| record::first_step(path).0 == name;
        match self.id_field() {
            Some(id) => is_first(id) || self.is_id(name),
            None => self.fields.iter().any(|(path, _)| is_first(path)),
        }
    }

    /// The documented fields that an event keeps in `extra`, with their paths.
    pub(crate) fn documented<'e>(&self, extra: &'e Map<String, Value>) -> Vec<(&'e str, &'e Value)> {
        let listed = self.fields.iter().map(|(path, _)| *path);
        let also = self.also.iter().map(|(path, _)| *path);
        let value_at = |path: &'static str| {
            let (name, rest) = record::first_step(path);
            let value = extra.get(name)?;
            let value = rest.map_or(Some(value), |rest| record::inside(value, rest));
            Some((path, value?))
        };
        let renamed = extra
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .filter(|(name, _)| self.is_alias(name) && !self.fields.iter().any(|(field, _)| field == name));
        listed.chain(also).filter_map(value_at).chain(renamed).collect()
    }

    /// Reads one record's text as an event. Safe on untrusted input.
    ///
    /// # Errors
    /// [`Unreadable`] says what is missing or wrong. It does not quote the record.
    pub fn read(&'static self, text: &str) -> Result<Event, Unreadable> {
        self.read_record(Record::parse(text)?, text, Value::Null)
    }

    fn read_record(
        &'static self,
        record: Record<'_>,
        text: &str,
        envelope: Value,
    ) -> Result<Event, Unreadable> {
        let mut draft = Draft::new(record, envelope);
        for (field, role) in self.fields {
            draft.map_named(self, field, *role)?;
        }
        (self.derive)(&mut draft);
        draft.finish(self, text)
    }
}

/// Reads one record's text as an event of the first of `formats` that recognizes it.
///
/// # Errors
/// [`Unreadable`] if no format recognizes the record, or if the one that does cannot read it.
pub fn read(formats: &[FormatId], text: &str) -> Result<Event, Unreadable> {
    read_within(formats, text, Value::Null)
}

/// [`read`] with the fields around the record, see [`Event::envelope`].
///
/// # Errors
/// Those of [`read`].
pub fn read_within(formats: &[FormatId], text: &str, envelope: Value) -> Result<Event, Unreadable> {
    let record = Record::parse(text)?;
    let has = |field: &str| record.get(field).is_some();
    match recognize(formats, has, |format| {
        record.names().any(|name| format.is_id(name))
    }) {
        Some(format) => format.read_record(record, text, envelope),
        None => Err(Unreadable(format!(
            "the record has no field {}",
            candidates(formats)
                .filter_map(Format::id_field)
                .collect::<Vec<_>>()
                .join(" or ")
        ))),
    }
}

/// The format of a record's fields: the first of `formats` that recognizes it.
pub(crate) fn format_of(formats: &[FormatId], record: &[Field<'_>]) -> Option<FormatId> {
    let has = |path: &str| {
        let (name, rest) = record::first_step(path);
        // The first of the fields with one name, like `Record::get`.
        let at = record.partition_point(|(field, _)| field.as_ref() < name);
        let field = record.get(at).filter(|(field, _)| field == name);
        field.is_some_and(|(_, value)| rest.is_none_or(|rest| value.inside(rest).is_some()))
    };
    recognize(formats, has, |format| {
        record.iter().any(|(name, _)| format.is_id(name))
    })
}

fn recognize(
    formats: &[FormatId],
    has: impl Fn(&str) -> bool,
    has_id_alias: impl Fn(&Format) -> bool,
) -> Option<FormatId> {
    // The list of records in a nested envelope shows their format.
    let is_certain = formats.len() == 1 && formats.iter().copied().all(is_nested);
    candidates(formats).find(|format| {
        let has_id =
            format.id_field().is_none_or(&has) || (!format.aliases.is_empty() && has_id_alias(format));
        has_id && (is_certain || (format.recognizes)(&has))
    })
}

/// Without formats of nested envelopes among others: outside such an envelope, a record is another format's.
fn candidates(formats: &[FormatId]) -> impl Iterator<Item = FormatId> {
    let are_nested = formats.iter().copied().all(is_nested);
    let formats = formats.iter().copied();
    formats.filter(move |format| are_nested || !is_nested(format))
}

/// Keeps the provider's value of the time, since the event is stored under another time.
pub(crate) fn keep_time(event: &mut Event) {
    let Some(format) = Format::of(event) else { return };
    for (field, role) in format.fields {
        if let Role::Time(unit) = role
            && !event.as_sent.keys().any(|name| format.is_name_of(field, name))
            && let Some(sent) = event.event_time.and_then(|at| unit.write(at))
        {
            event.as_sent.insert((*field).to_owned(), sent);
        }
    }
}

/// The provider's record, rebuilt from an event: every field with its original value.
pub fn rebuild(event: &Event) -> Map<String, Value> {
    EventContent::of(event).map_or_else(Map::new, |content| exact::into_map(content.record()))
}

#[cfg(test)]
mod identity_tests;

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_str())
    }
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Format {}
