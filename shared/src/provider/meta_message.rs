//! Meta's `WhatsApp` Cloud API: messages, taps and reactions of a person, and system messages about a person. Each
//! kind of content has the field that `type` names.

use serde_json::{Map, Value};

use super::{
    EventContent, Format, Role,
    content::Fields,
    mapping::{Draft, text_of},
    meta::{self, PersonFields},
};
use crate::{
    event::{Attribute, FormatName, Status, person, time::Unit},
    record::exact::Exact,
};

/// `{"id","from","from_user_id","timestamp","type","context","text":{"body"}}` in `messages`
pub static FORMAT: Format = Format {
    name: FormatName::new("meta-message"),
    provider: "meta",
    envelope: None,
    parameters: false,
    aliases: &[],
    recognizes: |has| !has("status") && !has("event"),
    fields: &[
        ("id", Role::MessageId),
        ("timestamp", Role::Time(Unit::SecondsText)),
        ("type", Role::Text(Attribute::MessageType)),
    ],
    also: &[
        ("from", "extra"),
        ("from_user_id", "extra"),
        ("from_parent_user_id", "extra"),
        ("group_id", "extra"),
        ("context", "extra"),
        ("referral", "extra"),
        ("errors", "extra"),
        ("text", "content"),
        ("image", "content"),
        ("video", "content"),
        ("audio", "content"),
        ("document", "content"),
        ("sticker", "content"),
        ("location", "content"),
        ("contacts", "content"),
        ("reaction", "content"),
        ("button", "content"),
        ("interactive", "content"),
        ("order", "content"),
        ("system", "content"),
        ("unsupported", "content"),
    ],
    derive,
    restore,
};

const SENDER: PersonFields = ["from", "from_user_id", "from_parent_user_id"];

fn derive(draft: &mut Draft<'_>) {
    meta::set_sender(draft);
    meta::explain(draft);
    meta::name_person(draft, SENDER);
    name_changed_ids(draft);
    // The id belongs to this one message.
    draft.event_id = draft.message_id.as_ref().map(|id| id.as_str().to_owned());
    let answered = [("context", "id"), ("reaction", "message_id")]
        .iter()
        .filter_map(|(field, id)| draft.record.get(field)?.get(id).and_then(text_of))
        .find(|id| !id.is_empty());
    if let Some(answered) = answered {
        draft.attributes.insert(Attribute::InReplyTo, answered.into());
    }
    let kind = match draft.attributes.get(&Attribute::MessageType) {
        Some(Value::String(kind)) => kind.clone(),
        _ => String::new(),
    };
    let (status, holder) = if matches!(kind.as_str(), "button" | "interactive") {
        (Status::Clicked, Attribute::Click)
    } else {
        (Status::Received, Attribute::Content)
    };
    draft.status = Some(status);
    let listed = FORMAT.also.iter().filter(|(_, holder)| *holder == "content");
    let mut fields: Vec<&str> = listed.map(|(field, _)| *field).collect();
    // A dot would make a path of it.
    if !kind.contains('.') && FORMAT.documented_fields().all(|field| field != kind) {
        fields.push(&kind);
    }
    let content: Map<String, Value> = fields
        .into_iter()
        .filter_map(|field| Some((field.to_owned(), draft.record.take(field)?)))
        .collect();
    if !content.is_empty() {
        draft.attributes.insert(holder, Value::Object(content));
    }
}

fn restore<'a>(content: &mut EventContent<'a>, record: &mut Fields<'a>) {
    for holder in [Attribute::Click, Attribute::Content] {
        if let Some(Exact::Object(content)) = content.attributes.remove(&holder) {
            record.extend(content);
        }
    }
}

/// Adds the ids of a system message: `user_changed_number` names the new number in `wa_id` (`new_wa_id` in older
/// versions), `user_changed_user_id` the previous and the new user id. The new one comes first.
fn name_changed_ids(draft: &mut Draft<'_>) {
    let Some(system) = draft.record.get("system") else {
        return;
    };
    let read = |(field, kind): &(&str, &'static str)| Some((*kind, system.get(field).and_then(text_of)?));
    let ids: Vec<(&'static str, String)> = CHANGED.iter().filter_map(read).collect();
    for (kind, id) in ids {
        meta::add_id(draft, kind, &id);
    }
}

const CHANGED: [(&str, &str); 6] = [
    ("wa_id", person::NUMBER),
    ("new_wa_id", person::NUMBER),
    ("user_id", person::WHATSAPP),
    ("parent_user_id", person::WHATSAPP),
    ("previous_user_id", person::WHATSAPP),
    ("previous_parent_user_id", person::WHATSAPP),
];
