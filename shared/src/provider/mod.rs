//! The providers' record formats. Each file is one format: a table of its fields, and code for what the table
//! cannot express. Reading and rebuilding loop over the same table, so one is the inverse of the other.

mod alias;
mod comparison;
mod content;
mod mapping;
pub mod netcore_delivery_status;
pub mod netcore_events;
pub mod netcore_incoming;
pub mod netcore_sms;
pub mod rcs_gateway;
pub mod whatsapp_incoming;

use std::fmt;

use serde_json::{Map, Value};

use crate::{
    event::{Attribute, Event, FormatName, Status, time::Unit},
    record::{
        Record, Unreadable,
        exact::{self, Field},
    },
};
pub(crate) use comparison::differing;
pub(crate) use content::EventContent;
use content::Fields;
use mapping::Draft;
pub(crate) use mapping::is_empty;

/// Reference to one of [`ALL`].
pub type FormatId = &'static Format;

/// Says whether a record has a field.
type HasField<'r> = dyn Fn(&str) -> bool + 'r;

/// The format of one kind of provider record.
pub struct Format {
    /// The name in the table (`format`) and in logs.
    pub name: FormatName,
    /// The provider: `provider` in the table and in the metrics' dimension.
    pub provider: &'static str,
    /// The field of the envelope that holds the records; `None` for a bare array or object.
    pub envelope: Option<&'static str>,
    /// Whether a record is also sent as parameters: in the query of a GET request, or as a form.
    pub parameters: bool,
    /// Other names of listed fields, in any letter case. The first of them in this list counts; if a record
    /// has several, the others are undocumented fields.
    aliases: &'static [(&'static str, &'static [&'static str])],
    /// Whether a record with the id field has this format. `has` says whether the record has a field.
    recognizes: fn(&HasField<'_>) -> bool,
    /// The listed fields.
    fields: &'static [(&'static str, Role)],
    /// Further documented fields, each with the attribute that holds it.
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
pub static ALL: [FormatId; 6] = [
    &netcore_events::FORMAT,
    &netcore_incoming::FORMAT,
    &netcore_delivery_status::FORMAT,
    &whatsapp_incoming::FORMAT,
    &rcs_gateway::FORMAT,
    &netcore_sms::FORMAT,
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

    /// The record field that holds the message id. A record without it has another format.
    pub fn id_field(&self) -> &'static str {
        self.fields
            .iter()
            .find_map(|(field, role)| matches!(role, Role::MessageId).then_some(*field))
            .unwrap_or_default()
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

    /// Whether the provider documents a field with this name.
    pub(crate) fn documents(&self, name: &str) -> bool {
        self.fields.iter().any(|(field, _)| *field == name)
            || self.also.iter().any(|(field, _)| *field == name)
            || self.is_alias(name)
    }

    /// Reads one record's text as an event. Safe on untrusted input.
    ///
    /// # Errors
    /// [`Unreadable`] says what is missing or wrong. It does not quote the record.
    pub fn read(&'static self, text: &str) -> Result<Event, Unreadable> {
        self.read_record(Record::parse(text)?, text)
    }

    fn read_record(&'static self, record: Record<'_>, text: &str) -> Result<Event, Unreadable> {
        let mut draft = Draft::new(record);
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
    let record = Record::parse(text)?;
    let has = |field: &str| record.get(field).is_some();
    match recognize(formats, has, |format| {
        record.names().any(|name| format.is_id(name))
    }) {
        Some(format) => format.read_record(record, text),
        None => Err(Unreadable(format!(
            "the record has no field {}",
            formats
                .iter()
                .map(|f| f.id_field())
                .collect::<Vec<_>>()
                .join(" or ")
        ))),
    }
}

/// The format of a record's fields: the first of `formats` that recognizes it.
pub(crate) fn format_of(formats: &[FormatId], record: &[Field<'_>]) -> Option<FormatId> {
    let has = |field: &str| {
        record
            .binary_search_by(|(name, _)| name.as_ref().cmp(field))
            .is_ok()
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
    let mut formats = formats.iter().copied();
    formats.find(|format| {
        let has_id = has(format.id_field()) || (!format.aliases.is_empty() && has_id_alias(format));
        has_id && (format.recognizes)(&has)
    })
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
