//! Meta's `WhatsApp` Cloud API: a change without messages. It belongs to the business account: a template was
//! approved, an account restricted, a link clicked by somebody unknown.
//!
//! Its message id is `account:` and the id of the entry, and its status the name of the change.

use serde_json::Value;

use super::{
    Format, Role,
    mapping::{Draft, text_of},
    meta,
};
use crate::event::{Attribute, FormatName, MessageId, Status, person, time};

/// `{"field","value":{…}}` in `changes`
pub static FORMAT: Format = Format {
    name: FormatName::new("meta-account"),
    provider: "meta",
    envelope: None,
    recognizes: |_| true,
    fields: &[
        ("field", Role::Text(Attribute::MessageType)),
        ("value", Role::Any(Attribute::Content)),
    ],
    also: &[],
    derive,
    restore: |_, _| {},
};

fn derive(draft: &mut Draft<'_>) {
    let envelope = meta::fields_of(&draft.envelope);
    let entry = meta::entry_around(&envelope);
    let account = entry.and_then(|entry| text_of(entry.get("id")?));
    let account = account.filter(|id| !id.is_empty());
    let sent = entry.and_then(|entry| time::read(entry.get("time")?));
    draft.message_id = MessageId::new(format!("account:{}", account.as_deref().unwrap_or("unknown"))).ok();
    drop(envelope);
    let Some(Value::String(field)) = draft.attributes.get(&Attribute::MessageType) else {
        return;
    };
    let value = draft.attributes.get(&Attribute::Content);
    // `messages` is the field of many things. The list beside `metadata` has a more precise name.
    let list = value.and_then(Value::as_object).and_then(|value| {
        let lists = value
            .iter()
            .filter(|(name, list)| list.is_array() && *name != "contacts");
        lists.min_by_key(|(name, _)| *name)
    });
    let word = match list {
        Some((name, _)) if field == "messages" => name,
        _ => field,
    };
    draft.status = Status::from_word(word).ok();
    let element = list.and_then(|(_, list)| meta::first(list));
    let happened = element.and_then(|element| time::read(element.get("timestamp")?));
    draft.event_time = happened.or(sent);
    let named: Vec<(&str, String)> = element.map(ids).unwrap_or_default();
    for (kind, id) in named {
        meta::add_id(draft, kind, &id);
    }
    meta::set_sender(draft);
}

/// The ids of a person in `user_id_update`: `{"wa_id","user_id":{"previous","current"},"parent_user_id"}`.
fn ids(element: &Value) -> Vec<(&'static str, String)> {
    let number = element.get("wa_id").and_then(text_of);
    let number = number.map(|number| (person::NUMBER, number));
    let users = ["user_id", "parent_user_id"].into_iter().flat_map(|field| {
        let changed = element.get(field);
        ["current", "previous"]
            .into_iter()
            .filter_map(move |which| Some((person::WHATSAPP, text_of(changed?.get(which)?)?)))
    });
    number.into_iter().chain(users).collect()
}
