//! Netcore incoming `WhatsApp` messages: `{"incoming_message":[…]}`. Each kind of content has its own field,
//! `<type>_type`.

use serde_json::{Map, Value};

use super::{
    EventContent, Format, HasField, Role,
    content::Fields,
    mapping::{Draft, text_of},
};
use crate::{
    event::{Attribute, Channel, FormatName, Status, time::Unit},
    record::exact::Exact,
};

const KINDS: [&str; 11] = [
    "text_type",
    "image_type",
    "video_type",
    "audio_type",
    "document_type",
    "location_type",
    "reaction_type",
    "button_type",
    "sticker_type",
    "contacts_type",
    "interactive_type",
];

/// `{"incoming_message":[{"message_id","from","received_at","message_type","context","text_type"}]}`
pub static FORMAT: Format = Format {
    name: FormatName::new("whatsapp-incoming"),
    provider: "netcore",
    envelope: Some("incoming_message"),
    parameters: false,
    aliases: &[],
    recognizes: |_| true,
    fields: &[
        ("message_id", Role::MessageId),
        ("channel", Role::Channel { documented: false }),
        ("received_at", Role::Time(Unit::SecondsText)),
        ("from", Role::Recipient { plus: false }),
        ("to", Role::Text(Attribute::BotId)),
        ("message_type", Role::Text(Attribute::MessageType)),
    ],
    also: &[
        ("text_type", "content"),
        ("image_type", "content"),
        ("video_type", "content"),
        ("audio_type", "content"),
        ("document_type", "content"),
        ("location_type", "content"),
        ("reaction_type", "content"),
        ("button_type", "content"),
        ("sticker_type", "content"),
        ("contacts_type", "content"),
        ("interactive_type", "content"),
        ("context", "extra"),
    ],
    derive,
    restore,
};

/// Whether a record has a content field of this format.
pub(super) fn has_content(has: &HasField<'_>) -> bool {
    KINDS.into_iter().any(has)
}

fn derive(draft: &mut Draft<'_>) {
    draft
        .channel
        .get_or_insert_with(|| Channel::from_word(Channel::WHATSAPP));
    let content: Map<String, Value> = KINDS
        .iter()
        .filter_map(|kind| Some(((*kind).to_owned(), draft.record.take(kind)?)))
        .collect();
    // A tap on a quick-reply button is a tap on a suggestion.
    let tapped = matches!(
        draft.attributes.get(&Attribute::MessageType),
        Some(Value::String(kind)) if kind.eq_ignore_ascii_case("button")
    );
    let (status, holder) = if tapped {
        (Status::Clicked, Attribute::Click)
    } else {
        (Status::Received, Attribute::Content)
    };
    draft.status = Some(status);
    if !content.is_empty() {
        draft.attributes.insert(holder, Value::Object(content));
    }
    let answered = draft.record.get("context").and_then(|context| {
        ["ncmessage_id", "message_id"]
            .iter()
            .filter_map(|field| context.get(field).and_then(text_of))
            .find(|id| !id.is_empty())
    });
    if let Some(answered) = answered {
        draft.attributes.insert(Attribute::InReplyTo, answered.into());
    }
}

fn restore<'a>(content: &mut EventContent<'a>, record: &mut Fields<'a>) {
    for holder in [Attribute::Click, Attribute::Content] {
        if let Some(Exact::Object(content)) = content.attributes.remove(&holder) {
            record.extend(content);
        }
    }
}
