//! Netcore incoming RCS messages: texts, media and taps of a person.
//!
//! In every documented sample the *person* is in `to` (`+91…`) and the *bot* in `from`. If only `from` looks
//! like a phone number, the person is in `from`.

use serde_json::{Map, Value};

use super::{
    EventContent, Format, Role,
    content::Fields,
    mapping::{Draft, is_empty, phone_digits, text_of},
    whatsapp_incoming,
};
use crate::{
    event::{Attribute, Channel, FormatName, Status, time::Unit},
    record::exact::Exact,
};

const TAP: &str = "suggestionResponse";

/// `[{"message_id","from","to","received_at","message_type","message_details",…}]`
pub static FORMAT: Format = Format {
    name: FormatName::new("netcore-incoming"),
    provider: "netcore",
    envelope: None,
    parameters: false,
    aliases: &[],
    // Events have the same id field. Only an incoming message has both a sender and a recipient. A `WhatsApp`
    // message has a content field `<type>_type`.
    recognizes: |has| {
        (has("message_details") || has("from") || has("to")) && !whatsapp_incoming::has_content(has)
    },
    fields: &[
        ("message_id", Role::MessageId),
        ("channel", Role::Channel { documented: false }),
        ("received_at", Role::Time(Unit::Millis)),
        ("to", Role::Recipient { plus: true }),
        ("from", Role::Text(Attribute::BotId)),
        ("message_type", Role::Text(Attribute::MessageType)),
        ("message_details", Role::Any(Attribute::Content)),
    ],
    also: &[("from_name", "extra")],
    derive,
    restore,
};

fn derive(draft: &mut Draft<'_>) {
    draft
        .channel
        .get_or_insert_with(|| Channel::from_word(Channel::RCS));
    person_from_either_side(draft);
    let tap = match draft.attributes.get_mut(&Attribute::Content) {
        Some(Value::Object(details)) if details.get(TAP).is_some_and(|tap| !is_empty(tap)) => {
            details.remove(TAP)
        }
        _ => None,
    };
    if let Some(tap) = tap {
        // Only an exact `{}`: rebuilding writes `{}` again, and would lose `{"text":null}`.
        if draft.attributes.get(&Attribute::Content) == Some(&Value::Object(Map::new())) {
            draft.attributes.remove(&Attribute::Content);
        }
        if let Some(answered) = answered_message(&tap) {
            draft.attributes.insert(Attribute::InReplyTo, answered.into());
        }
        draft.attributes.insert(Attribute::Click, tap);
        draft.status = Some(Status::Clicked);
    } else {
        draft.status = Some(Status::Received);
    }
}

fn restore<'a>(content: &mut EventContent<'a>, record: &mut Fields<'a>) {
    if let Some(tap) = content.attributes.remove(&Attribute::Click) {
        let details = record
            .entry("message_details".into())
            .or_insert_with(|| Exact::Object(Vec::new()));
        details.set(TAP, tap);
    }
}

fn person_from_either_side(draft: &mut Draft<'_>) {
    if draft.recipient.is_some() {
        return;
    }
    let Some(Value::String(from)) = draft.attributes.get(&Attribute::BotId) else {
        return;
    };
    let Some(digits) = phone_digits(from) else { return };
    let from = Value::String(from.clone());
    draft.attributes.remove(&Attribute::BotId);
    draft.recipient = Some(digits);
    draft.as_sent.entry("from").or_insert(from);
    match draft.unlisted.remove("to") {
        Some(bot) => {
            if let Some(text) = text_of(&bot) {
                draft.attributes.insert(Attribute::BotId, text.into());
            }
            draft.as_sent.insert("to".to_owned(), bot);
        }
        // A record without `to` is kept verbatim: rebuilding would invent the field.
        None if !draft.as_sent.contains_key("to") => draft.keep_verbatim = true,
        None => {}
    }
}

/// `metadata` is JSON inside a string. Its `msgId` is the outbound message that was answered.
fn answered_message(tap: &Value) -> Option<String> {
    let metadata = match tap.get("metadata")? {
        Value::String(text) => crate::record::value(text).ok()?,
        other => other.clone(),
    };
    metadata
        .get("msgId")
        .and_then(text_of)
        .filter(|id| !id.is_empty())
}
