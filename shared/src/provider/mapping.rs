//! Maps fields between a provider's record and an event, in both directions.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::{Map, Value};

use super::{EventContent, FormatId, Role};
use crate::{
    event::{
        Attribute, Channel, EpochMillis, Event, MessageId, Status, opens,
        person::{self, phone_digits},
        time,
    },
    record::{Record, Unreadable, exact::Exact},
};

/// An event under construction.
pub(super) struct Draft<'a> {
    /// Fields that are not consumed yet.
    pub(super) record: Record<'a>,
    /// See [`Event::envelope`].
    pub(super) envelope: Value,
    pub(super) message_id: Option<MessageId>,
    pub(super) channel: Option<Channel>,
    pub(super) status: Option<Status>,
    pub(super) event_time: Option<EpochMillis>,
    pub(super) recipient: Option<String>,
    pub(super) event_id: Option<String>,
    /// Set for a message id with several recipients: the text that distinguishes them if the event has no
    /// recipient.
    pub(super) addressee: Option<String>,
    identities: Identities,
    pub(super) attributes: BTreeMap<Attribute, Value>,
    pub(super) as_sent: Map<String, Value>,
    /// Listed fields without a meaning here.
    pub(super) unlisted: Map<String, Value>,
    /// Set if a documented field is missing: rebuilding would invent it.
    pub(super) keep_verbatim: bool,
}

impl<'a> Draft<'a> {
    pub(super) fn new(record: Record<'a>, envelope: Value) -> Self {
        Self {
            keep_verbatim: !record.is_exact(),
            record,
            envelope,
            message_id: None,
            channel: None,
            status: None,
            event_time: None,
            recipient: None,
            event_id: None,
            addressee: None,
            identities: Identities::default(),
            attributes: BTreeMap::new(),
            as_sent: Map::new(),
            unlisted: Map::new(),
        }
    }

    /// Takes `field` out of the record and gives it its role. Keeps the original value in `as_sent` if
    /// [`write()`] would not reproduce it.
    pub(super) fn map(&mut self, field: &'static str, role: Role) -> Result<(), Unreadable> {
        let Some(value) = self.record.take(field) else {
            match role {
                Role::Channel { documented: true } => self.keep_verbatim = true,
                Role::Identity { .. } => self.identities.has_gap = true,
                _ => {}
            }
            return Ok(());
        };
        match role {
            Role::MessageId => self.map_message_id(field, value)?,
            Role::Recipient { plus } => self.map_recipient(field, value, plus),
            Role::Identity { kind } => self.map_identity(field, value, kind),
            Role::Channel { documented } => self.map_channel(field, value, documented),
            Role::Status(spell) => self.map_status(field, value, spell)?,
            Role::Time(unit) => self.map_time(field, value, unit),
            Role::Text(attribute) => self.map_text(field, value, attribute),
            Role::Texts(attribute) => self.map_texts(field, value, attribute),
            Role::Any(attribute) => self.map_any(field, value, attribute),
        }
        Ok(())
    }

    fn map_message_id(&mut self, field: &'static str, value: Value) -> Result<(), Unreadable> {
        let id = match value {
            // A format may take another id instead.
            empty if empty.is_null() || empty == "" => {
                self.as_sent.insert(field.to_owned(), empty);
                return Ok(());
            }
            Value::String(id) => id,
            other => {
                let id = self
                    .record
                    .long_integer(field, &other)
                    .or_else(|| text_of(&other))
                    .ok_or_else(|| not_a_text(field))?;
                self.as_sent.insert(field.to_owned(), other);
                id
            }
        };
        self.message_id = Some(MessageId::new(id)?);
        Ok(())
    }

    fn map_recipient(&mut self, field: &'static str, value: Value, plus: bool) {
        let Some(digits) = text_in(&value).and_then(|text| phone_digits(&text)) else {
            return self.leave(field, value);
        };
        let sent = value.as_str();
        let sent = if plus {
            sent.and_then(|text| text.strip_prefix('+'))
        } else {
            sent
        };
        let is_written_back = sent == Some(digits.as_str());
        self.recipient = Some(digits);
        self.note(field, value, is_written_back);
    }

    fn map_identity(&mut self, field: &'static str, value: Value, kind: &'static str) {
        let Some(id) = text_in(&value).and_then(|text| person::identity(kind, &text)) else {
            self.identities.has_gap = true;
            return self.leave(field, value);
        };
        let is_written_back = value.as_str() == Some(person::bare(&id));
        let is_new = self.identities.add(id);
        self.identities.keep |= self.identities.has_gap || !is_new || !is_written_back;
        self.identities.sent.push((field, value));
    }

    /// Adds an id of the person that no field with [`Role::Identity`] holds: one that `derive` finds in a nested
    /// or neighboring object. A text that is not an id of this kind is ignored.
    pub(super) fn add_identity(&mut self, kind: &'static str, text: &str) {
        if let Some(id) = person::identity(kind, text) {
            // Without a gap, the fields take their ids first, and this one is left over.
            self.keep_verbatim |= self.identities.add(id) && self.identities.has_gap;
        }
    }

    /// Marks the event as opened by a machine, if it is [`Status::Opened`] and `user_agent` is one of
    /// [`opens::machine`]. The user agent itself stays where the format keeps it.
    pub(super) fn mark_machine_open(&mut self, user_agent: Option<&str>) {
        if self.status == Some(Status::Opened)
            && let Some(machine) = user_agent.and_then(opens::machine)
        {
            self.attributes.insert(Attribute::OpenedBy, machine.into());
        }
    }

    fn map_channel(&mut self, field: &'static str, value: Value, documented: bool) {
        self.channel = text_in(&value)
            .filter(|word| !word.trim().is_empty())
            .map(|word| Channel::from_word(&word));
        let word = self.channel.as_ref().map(Channel::as_str);
        let is_written_back = documented && word.is_some() && value.as_str() == word;
        self.note(field, value, is_written_back);
    }

    fn map_status(
        &mut self,
        field: &'static str,
        value: Value,
        spell: fn(&Status) -> Option<&'static str>,
    ) -> Result<(), Unreadable> {
        let status = Status::from_word(&text_in(&value).ok_or_else(|| not_a_text(field))?)?;
        let is_written_back = spell(&status).is_some_and(|spelled| value.as_str() == Some(spelled));
        self.note(field, value, is_written_back);
        self.status = Some(status);
        Ok(())
    }

    fn map_time(&mut self, field: &'static str, value: Value, unit: time::Unit) {
        let Some(at) = time::read(&value) else {
            return self.leave(field, value);
        };
        let is_written_back = unit.write(at).as_ref() == Some(&value);
        self.event_time = Some(at);
        self.note(field, value, is_written_back);
    }

    fn map_text(&mut self, field: &'static str, value: Value, attribute: Attribute) {
        let text = match value {
            Value::String(text) if !text.is_empty() => text,
            value => match text_of(&value).filter(|text| !text.is_empty()) {
                Some(text) => {
                    self.as_sent.insert(field.to_owned(), value);
                    text
                }
                None => return self.leave(field, value),
            },
        };
        self.attributes.insert(attribute, Value::String(text));
    }

    fn map_any(&mut self, field: &'static str, value: Value, attribute: Attribute) {
        if is_empty(&value) {
            self.as_sent.insert(field.to_owned(), value);
        } else {
            self.attributes.insert(attribute, value);
        }
    }

    fn map_texts(&mut self, field: &'static str, value: Value, attribute: Attribute) {
        // The usual form needs no conversion.
        let is_list_of_texts = matches!(&value, Value::Array(list) if list.iter().all(Value::is_string));
        if is_list_of_texts && !is_empty(&value) {
            self.attributes.insert(attribute, value);
            return;
        }
        let texts: Option<Vec<Value>> = match &value {
            Value::Array(list) => list.iter().map(|v| text_of(v).map(Value::String)).collect(),
            one => text_of(one).map(|text| vec![Value::String(text)]),
        };
        match texts.map(Value::Array) {
            Some(texts) if !is_empty(&texts) => {
                self.as_sent.insert(field.to_owned(), value);
                self.attributes.insert(attribute, texts);
            }
            _ => self.leave(field, value),
        }
    }

    /// A listed field without a meaning here is treated as an unlisted field: it stays a part of the event's
    /// content.
    fn leave(&mut self, field: &'static str, sent: Value) {
        if is_empty(&sent) {
            self.as_sent.insert(field.to_owned(), sent);
        } else if let Some(sent) = self.record.put_back(field, sent) {
            self.unlisted.insert(field.to_owned(), sent);
        }
    }

    /// Keeps the original value unless [`write()`] reproduces it.
    fn note(&mut self, field: &'static str, sent: Value, is_written_back: bool) {
        if !is_written_back {
            self.as_sent.insert(field.to_owned(), sent);
        }
    }

    /// Makes the first id the recipient unless the record has a number, and the others `identities`.
    fn name_person(&mut self) {
        let Identities {
            mut ids, sent, keep, ..
        } = std::mem::take(&mut self.identities);
        if keep {
            self.as_sent
                .extend(sent.into_iter().map(|(field, value)| (field.to_owned(), value)));
        }
        // A number among the ids is a further number, such as a former one: the recipient's number has its own
        // field.
        if self.recipient.is_none() && ids.first().is_some_and(|id| person::kind(id).is_some()) {
            self.recipient = Some(ids.remove(0));
        }
        if !ids.is_empty() {
            self.attributes.insert(Attribute::Identities, ids.into());
        }
    }

    /// Removes an attribute that is a string and returns it. Leaves other attributes in place.
    pub(super) fn take_text(&mut self, attribute: Attribute) -> Option<String> {
        match self.attributes.remove(&attribute) {
            Some(Value::String(text)) => Some(text),
            Some(other) => {
                self.attributes.insert(attribute, other);
                None
            }
            None => None,
        }
    }

    pub(super) fn finish(mut self, format: FormatId, text: &str) -> Result<Event, Unreadable> {
        self.name_person();
        let missing = |what| Unreadable(format!("the record has no {what}"));
        let addressee = self
            .addressee
            .map(|text| self.recipient.clone().unwrap_or(text))
            .filter(|text| !text.is_empty());
        let no_id = || match format.id_field() {
            Some(field) if self.as_sent.contains_key(field) => {
                Unreadable::new("the record's message id is empty")
            }
            field => missing(field.unwrap_or("message id")),
        };
        let message_id = self.message_id.ok_or_else(no_id)?;
        let mut extra = self.record.into_rest();
        extra.extend(self.unlisted);
        Ok(Event {
            format: format.name,
            provider: format.provider,
            message_id,
            channel: self.channel.unwrap_or_else(|| Channel::from_word(Channel::RCS)),
            status: self.status.ok_or_else(|| missing("status"))?,
            event_time: self.event_time,
            recipient: self.recipient,
            event_id: self.event_id.filter(|id| !id.is_empty()),
            addressee,
            url_bot: None,
            attributes: self.attributes,
            extra,
            as_sent: self.as_sent,
            envelope: self.envelope,
            verbatim: self.keep_verbatim.then(|| text.to_owned()),
        })
    }
}

/// The ids of the fields with [`Role::Identity`], and of `derive`.
///
/// A record is rebuilt by giving these fields the ids in order. If that would not reproduce every one of them (one
/// is absent before another, two are equal, one has another spelling), all of them are kept in `as_sent` instead.
#[derive(Default)]
struct Identities {
    ids: Vec<String>,
    /// The fields with an id, and their original values.
    sent: Vec<(&'static str, Value)>,
    /// Set once a field had no id.
    has_gap: bool,
    /// Whether the original values must be kept.
    keep: bool,
}

impl Identities {
    /// Returns whether the id is new. A record has as many fields with ids as its format lists.
    fn add(&mut self, id: String) -> bool {
        let is_new = !self.ids.contains(&id);
        if is_new {
            self.ids.push(id);
        }
        is_new
    }
}

/// The field's value as the provider writes it, if the event has it. The inverse of [`Draft::map`].
pub(super) fn write<'a>(content: &mut EventContent<'a>, role: Role) -> Option<Exact<'a>> {
    match role {
        Role::MessageId => Some(Exact::Text(content.message_id.into())),
        Role::Recipient { plus } => {
            let digits = content.recipient.filter(|id| person::kind(id).is_none())?;
            Some(Exact::Text(if plus {
                format!("+{digits}").into()
            } else {
                digits.into()
            }))
        }
        Role::Identity { .. } => content.identities.pop_front(),
        Role::Channel { documented } => documented.then(|| Exact::Text(content.channel.into())),
        Role::Status(spell) => spell(&content.status).map(|word| Exact::Text(word.into())),
        Role::Time(unit) => content.event_time.and_then(|at| unit.write(at)).map(Exact::owned),
        Role::Text(attribute) | Role::Texts(attribute) | Role::Any(attribute) => {
            content.attributes.remove(&attribute)
        }
    }
}

fn not_a_text(field: &str) -> Unreadable {
    Unreadable(format!("the record's {field} is not a string"))
}

/// A string, or a number or boolean as a string.
fn text_in(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(n) => Some(Cow::Owned(n.to_string())),
        Value::Bool(b) => Some(Cow::Owned(b.to_string())),
        _ => None,
    }
}

/// [`text_in`], owned.
pub(super) fn text_of(value: &Value) -> Option<String> {
    text_in(value).map(Cow::into_owned)
}

/// For Netcore, absent and empty mean the same, also for a list or object with only empty values.
pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.iter().all(is_empty),
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
