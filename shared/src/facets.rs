//! Values of a stored event by which it is counted and filtered. Ids of people in them are redacted, and long values
//! are cut, in the same way for counters and for filters.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;

use crate::{
    counters,
    event::{Attribute, Status, state},
    events_table::item::{Item, STATUS, text_at},
    personal,
};

/// The most characters of a reason. A longer one is cut.
const LONGEST_REASON: usize = 160;
/// The reason of a failure without a text.
const NO_REASON: &str = "no reason given";
/// The category of a price without one.
pub const UNCATEGORISED: &str = "uncategorised";
/// The longest metadata of a tap that is parsed for a template, in bytes. Netcore's have 200.
const LONGEST_METADATA: usize = 4_096;
/// The most characters of a template's code. Longer ones are not codes.
const LONGEST_CODE: usize = 200;

/// The bot or business number.
pub fn bot(item: &Item) -> Option<String> {
    word(item, Attribute::BotId)
}

/// The campaign.
pub fn campaign(item: &Item) -> Option<String> {
    word(item, Attribute::Campaign)
}

/// The status. An open that a machine did has its own word.
pub fn status(item: &Item) -> String {
    let status = text_at(item, STATUS).unwrap_or_default();
    if status == Status::Opened.as_str() && item.contains_key(Attribute::OpenedBy.name()) {
        counters::OPENED_BY_MACHINE.to_owned()
    } else {
        counters::word(status)
    }
}

/// The message type.
pub fn message_type(item: &Item) -> Option<String> {
    text_at(item, Attribute::MessageType.name()).and_then(type_of)
}

/// A provider's word for a message type, in lower case: providers write `Text`, `text` and `TEXT`.
pub fn type_of(word: &str) -> Option<String> {
    let word = counters::word(&word.to_lowercase());
    (!word.is_empty()).then_some(word)
}

/// The tags, not sorted.
pub fn tags(item: &Item) -> Vec<String> {
    let tags: Vec<&str> = match item.get(Attribute::Tags.name()) {
        Some(AttributeValue::L(list)) => list
            .iter()
            .filter_map(|tag| tag.as_s().ok().map(String::as_str))
            .collect(),
        Some(AttributeValue::S(tag)) => vec![tag],
        _ => Vec::new(),
    };
    let words = tags.into_iter().map(counters::word);
    words.filter(|tag| !tag.is_empty()).collect()
}

/// The reason, if the event is a failure.
pub fn reason(item: &Item) -> Option<String> {
    let is_failure = text_at(item, STATUS).is_some_and(state::is_failure);
    is_failure.then(|| reason_of(text_at(item, Attribute::Remarks.name()).unwrap_or_default()))
}

/// The reason in the provider's text.
pub fn reason_of(remarks: &str) -> String {
    let text: String = personal::redact(remarks.trim())
        .chars()
        .take(LONGEST_REASON)
        .collect();
    if text.is_empty() {
        NO_REASON.to_owned()
    } else {
        text
    }
}

/// The template of the message that a tap belongs to: `templateCode` in the tap's `metadata`, which Netcore sends as a
/// JSON text.
pub fn template(item: &Item) -> Option<String> {
    let click = item.get(Attribute::Click.name())?.as_m().ok()?;
    let code = match click.get("metadata")? {
        AttributeValue::M(fields) => fields.get("templateCode")?.as_s().ok()?.clone(),
        AttributeValue::S(text) if text.len() <= LONGEST_METADATA => {
            let fields: Value = serde_json::from_str(text).ok()?;
            fields.get("templateCode")?.as_str()?.to_owned()
        }
        _ => return None,
    };
    let template = counters::word(&code);
    (!template.is_empty() && code.chars().count() <= LONGEST_CODE).then_some(template)
}

/// The price of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// The provider's word for the kind of conversation.
    pub category: Option<String>,
    /// Whether the provider charges for it.
    pub billable: bool,
}

impl Price {
    /// `None` if the event has no price.
    pub fn of(item: &Item) -> Option<Self> {
        let pricing = item.get(Attribute::Pricing.name())?.as_m().ok()?;
        let billable = match pricing.get("billable") {
            Some(AttributeValue::Bool(b)) => *b,
            Some(AttributeValue::S(text)) => text.eq_ignore_ascii_case("true") || text == "1",
            Some(AttributeValue::N(number)) => number == "1",
            _ => return None,
        };
        let category = text_at(pricing, "category").filter(|category| !category.is_empty());
        Some(Self {
            category: category.map(counters::word),
            billable,
        })
    }
}

fn word(item: &Item, attribute: Attribute) -> Option<String> {
    let word = counters::word(text_at(item, attribute.name())?);
    (!word.is_empty()).then_some(word)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn item(fields: &[(&str, AttributeValue)]) -> Item {
        let named = |(name, value): &(&str, AttributeValue)| ((*name).to_owned(), value.clone());
        fields.iter().map(named).collect()
    }

    fn s(text: &str) -> AttributeValue {
        AttributeValue::S(text.into())
    }

    #[test]
    fn values_are_redacted_and_bounded() {
        let item = item(&[
            ("bot_id", s(" 919812345678 ")),
            ("campaign", s("Diwali")),
            ("message_type", s("TEXT")),
            (
                "tags",
                AttributeValue::L(vec![s("b"), s(""), s("a 9198123 45678")]),
            ),
            ("status", s("failed")),
            ("remarks", s(&format!("to 919812345678 {}", "x".repeat(500)))),
        ]);
        assert_eq!(bot(&item).unwrap(), "*********678");
        assert_eq!(campaign(&item).unwrap(), "Diwali");
        assert_eq!(message_type(&item).unwrap(), "text");
        // The last digits of the longest run stay, see `phone::redact`.
        assert_eq!(tags(&item), ["b", "a ****123 *****"]);
        let reason = reason(&item).unwrap();
        assert!(reason.starts_with("to *********678 xxx"), "{reason}");
        assert_eq!(reason.chars().count(), 160);
    }

    #[test]
    fn only_a_failure_has_a_reason() {
        let of =
            |status: &str, remarks: &str| reason(&item(&[("status", s(status)), ("remarks", s(remarks))]));
        assert_eq!(of("revoked", " ").as_deref(), Some("no reason given"));
        assert_eq!(of("not_sent", "no RCS").as_deref(), Some("no RCS"));
        assert_eq!(of("delivered", "ok"), None);
        assert_eq!(reason(&Item::new()), None);
    }

    #[test]
    fn a_template_is_in_the_metadata_of_a_tap() {
        let tap = |metadata: &str| {
            let click = HashMap::from([("metadata".to_owned(), s(metadata))]);
            template(&item(&[("click", AttributeValue::M(click))]))
        };
        assert_eq!(
            tap(r#"{"templateCode":"temp_new","msgId":"m"}"#).as_deref(),
            Some("temp_new")
        );
        for none in [
            "",
            "{}",
            "[",
            r#"{"templateCode":7}"#,
            r#"{"templateCode":" "}"#,
            &format!(r#"{{"templateCode":"{}"}}"#, "x".repeat(201)),
            &format!(r#"{{"templateCode":"temp_new","x":"{}"}}"#, "x".repeat(5_000)),
        ] {
            assert_eq!(tap(none), None, "{none:.40}");
        }
        assert_eq!(template(&Item::new()), None);
    }
}
