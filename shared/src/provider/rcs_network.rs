//! What the formats of the RCS networks share: Google's RCS for Business, Jio, Airtel, Vi, and resellers of them.
//!
//! Google documents its records under `UserEvent`, `UserMessage` and `ServerEvent`:
//! <https://developers.google.com/business-communications/rcs-business-messaging/guides/build/events/receive-events>

use serde_json::{Map, Value};

use super::{
    EventContent,
    content::Fields,
    mapping::{Draft, is_empty, text_of},
};
use crate::{
    event::{Attribute, MessageId, Status, person::phone_digits},
    record::exact::Exact,
};

/// Statuses of a message. A record with one of them needs a message id.
const OF_A_MESSAGE: [&str; 8] = [
    "sent",
    "not_sent",
    "delivered",
    "read",
    "failed",
    "blocked",
    "expired",
    "revoked",
];

/// The status that an `eventType` names. `None` if the word has no letter or digit.
///
/// The networks have several words for one status. Other words are stored under their own names: `is_typing`,
/// `template_approved`.
pub(super) fn status_of(event_type: &str) -> Option<Status> {
    let status = Status::from_word(event_type).ok()?;
    let word = match status.as_str() {
        "message_sent" => "sent",
        "message_delivered" => "delivered",
        "message_read" => "read",
        "send_message_failure" | "internal_error" => "failed",
        // The message was revoked, because it could not be delivered before it expired.
        "ttl_expiration_revoked" => "expired",
        "message_revoked" => "revoked",
        _ => return Some(status),
    };
    Status::from_word(word).ok()
}

/// Sets the status: that of the event type, else `clicked` for a tap and `received` for other content.
pub(super) fn set_status(draft: &mut Draft<'_>) {
    let has = |attribute| draft.attributes.contains_key(&attribute);
    draft.status = match draft.attributes.get(&Attribute::MessageType) {
        Some(Value::String(event_type)) => status_of(event_type),
        _ if has(Attribute::Click) => Some(Status::Clicked),
        _ if has(Attribute::Content) => Some(Status::Received),
        _ => None,
    };
}

/// Moves the content of a person's message from these fields into one attribute. Empty ones stay.
pub(super) fn take_content(draft: &mut Draft<'_>, paths: &[&str]) {
    let mut content = Map::new();
    for path in paths {
        if draft.record.get(path).is_some_and(|value| !is_empty(value))
            && let Some(value) = draft.record.take(path)
        {
            let name = path.rsplit_once('.').map_or(*path, |(_, name)| name);
            content.insert(name.to_owned(), value);
        }
    }
    if !content.is_empty() {
        draft
            .attributes
            .insert(Attribute::Content, Value::Object(content));
    }
}

/// The fields of the content. Undoes [`take_content`].
pub(super) fn content_fields<'a>(content: &mut EventContent<'a>) -> Fields<'a> {
    match content.attributes.remove(&Attribute::Content) {
        Some(Exact::Object(fields)) => fields.into_iter().collect(),
        _ => Fields::new(),
    }
}

/// Takes the person from the first of these fields that holds a number, if the listed field does not.
pub(super) fn find_person(draft: &mut Draft<'_>, paths: &[&str]) {
    if draft.recipient.is_some() {
        return;
    }
    let digits_at = |path: &&str| phone_digits(&text_of(draft.record.get(path)?)?);
    if let Some(digits) = paths.iter().find_map(digits_at) {
        draft.recipient = Some(digits);
        // Rebuilding would write the number into the listed field.
        draft.keep_verbatim = true;
    }
}

/// Sets the network's id of the event. Gives a record without a message id a key: its event id, or
/// `account:<agent>`, with `:<number>` if it names a person: events with one message id belong to one person. This
/// is for events that belong to no message: a person types, subscribes or unsubscribes.
/// A status of a message without its id stays unreadable.
pub(super) fn identify(draft: &mut Draft<'_>, event_id: &str, agents: &[&str]) {
    let text_at = |path: &str| {
        draft
            .record
            .get(path)
            .and_then(text_of)
            .filter(|id| !id.is_empty())
    };
    let event_id = text_at(event_id);
    let of_a_message = |status: &Status| OF_A_MESSAGE.contains(&status.as_str());
    if draft.message_id.is_none() && !draft.status.as_ref().is_some_and(of_a_message) {
        let agent = match draft.attributes.get(&Attribute::BotId) {
            Some(Value::String(agent)) => Some(agent.clone()),
            _ => agents.iter().find_map(|path| text_at(path)),
        };
        let agent = agent.as_deref().unwrap_or("unknown");
        let account = || match &draft.recipient {
            Some(person) => format!("account:{agent}:{person}"),
            None => format!("account:{agent}"),
        };
        draft.message_id = MessageId::new(event_id.clone().unwrap_or_else(account)).ok();
    }
    draft.event_id = event_id;
}
