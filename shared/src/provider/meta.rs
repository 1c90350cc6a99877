//! Meta's `WhatsApp` Cloud API: its envelope, and what its formats share.
//!
//! Documented under
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/components> and
//! <https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids/>.

use std::borrow::Cow;

use serde_json::Value;

use super::{
    Nesting,
    mapping::{Draft, text_of},
    meta_account, meta_call, meta_message, meta_status,
    nesting::Step,
};
use crate::event::{
    Attribute, Channel, Status,
    person::{self, phone_digits},
};

/// `{"entry":[{"id","changes":[{"field","value":{"messaging_product","metadata","contacts","statuses"}}]}]}`, or
/// only the value: that is how Paytm Pi forwards it.
pub(super) static NESTING: Nesting = Nesting {
    path: &[Step::List("entry"), Step::List("changes"), Step::Object("value")],
    mark: "messaging_product",
    lists: &[
        ("statuses", [&meta_status::FORMAT]),
        ("messages", [&meta_message::FORMAT]),
        ("calls", [&meta_call::FORMAT]),
    ],
    rest: &[&meta_account::FORMAT],
    contacts: "contacts",
    contact_ids: &CONTACT_IDS,
    person_ids: &[
        "recipient_participant_id",
        "recipient_participant_user_id",
        "recipient_id",
        "recipient_user_id",
        "from",
        "from_user_id",
        "to",
        "to_user_id",
    ],
};

/// The fields of a contact with the person's ids. The first is a number.
const CONTACT_IDS: [&str; 3] = ["wa_id", "user_id", "parent_user_id"];

/// The fields of a record with ids of one person. The first is a number; people with a username may have none.
pub(super) type PersonFields = [&'static str; 3];

/// Names the person from these fields and from the record's contact.
pub(super) fn name_person(draft: &mut Draft<'_>, fields: PersonFields) {
    let of_record = fields.map(|field| draft.record.get(field).and_then(text_of));
    let envelope = fields_of(&draft.envelope);
    let contact = value_around(&envelope).get("contacts").and_then(first);
    let of_contact = CONTACT_IDS.map(|field| contact.and_then(|contact| text_of(contact.get(field)?)));
    // A record may have no field of the person, or other ids than its contact, which is then another person.
    let is_same = of_record
        .iter()
        .zip(&of_contact)
        .any(|(one, other)| one.is_some() && one == other);
    drop(envelope);
    add_person(draft, of_record);
    if is_same {
        add_person(draft, of_contact);
    }
}

/// Adds ids of the person: a number and user ids.
fn add_person(draft: &mut Draft<'_>, [number, user, parent]: [Option<String>; 3]) {
    let ids = [
        (person::NUMBER, number),
        (person::WHATSAPP, user),
        (person::WHATSAPP, parent),
    ];
    for (kind, id) in ids {
        if let Some(id) = id {
            add_id(draft, kind, &id);
        }
    }
}

/// Adds an id of the person. The first number is the recipient.
pub(super) fn add_id(draft: &mut Draft<'_>, kind: &'static str, id: &str) {
    if kind != person::NUMBER {
        return draft.add_identity(kind, id);
    }
    match (&draft.recipient, phone_digits(id)) {
        (None, Some(digits)) => draft.recipient = Some(digits),
        (Some(known), Some(digits)) if *known != digits => draft.add_identity(kind, id),
        _ => {}
    }
}

/// Sets the channel, and the business number as the sender.
pub(super) fn set_sender(draft: &mut Draft<'_>) {
    draft.channel = Some(Channel::from_word(Channel::WHATSAPP));
    // A change without messages has the metadata inside.
    let content = draft.attributes.get(&Attribute::Content);
    let envelope = fields_of(&draft.envelope);
    let around = value_around(&envelope);
    let metadata = around
        .get("metadata")
        .or_else(|| content.and_then(|content| content.get("metadata")));
    let number = ["display_phone_number", "phone_number_id"]
        .iter()
        .filter_map(|field| metadata.and_then(|metadata| text_of(metadata.get(field)?)))
        .find(|number| !number.is_empty());
    drop(envelope);
    if let Some(number) = number {
        draft.attributes.insert(Attribute::BotId, number.into());
    }
}

/// Makes the first error's code and title the remarks. The errors stay in `extra`.
pub(super) fn explain(draft: &mut Draft<'_>) {
    let Some(error) = draft.record.get("errors").and_then(first) else {
        return;
    };
    let words = ["code", "title"].map(|field| error.get(field).and_then(text_of));
    let words: Vec<String> = words
        .into_iter()
        .flatten()
        .filter(|word| !word.is_empty())
        .collect();
    if !words.is_empty() {
        draft
            .attributes
            .insert(Attribute::Remarks, words.join(" ").into());
    }
}

/// The status of an event that may repeat has the second as its distinction: the content around it, such as the
/// person's ids, may be complete only in one of two deliveries.
pub(super) fn distinguish_by_time(draft: &mut Draft<'_>) {
    if draft.status.as_ref().is_some_and(Status::repeats) {
        draft.event_id = draft.event_time.map(|at| at.div_euclid(1000).to_string());
    }
}

/// An envelope's fields, also of one that is kept as text.
pub(super) fn fields_of(envelope: &Value) -> Cow<'_, Value> {
    match envelope {
        Value::String(text) => Cow::Owned(serde_json::from_str(text).unwrap_or_default()),
        fields => Cow::Borrowed(fields),
    }
}

/// The object with the list of records: `value` of the change, or the body.
pub(super) fn value_around(envelope: &Value) -> &Value {
    let change = entry_around(envelope).and_then(|entry| entry.get("changes").and_then(first));
    change.and_then(|change| change.get("value")).unwrap_or(envelope)
}

/// The entry of the record.
pub(super) fn entry_around(envelope: &Value) -> Option<&Value> {
    envelope.get("entry").and_then(first)
}

/// The first element of a list; a single value where a list is documented.
pub(super) fn first(value: &Value) -> Option<&Value> {
    match value {
        Value::Array(list) => list.first(),
        one => Some(one),
    }
}
