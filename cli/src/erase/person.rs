//! A person's numbers and message ids, and the check whether an item or a text contains one of them.

use std::collections::BTreeSet;

use aho_corasick::AhoCorasick;
use anyhow::Context as _;
use aws_sdk_dynamodb::types::AttributeValue;
use webhook_ingest::{
    events_table::item::{DAY_SHARD, EVENT_TIME, EXPIRES_AT, Item, MESSAGE_ID, RECEIVED_AT, RECIPIENT},
    phone::{Number, redact},
};

/// A shorter message id matches only if it is the whole text.
const MIN_ID_CHARS: usize = 8;
/// Attributes with times. Their digits are not searched for phone numbers.
const TIMES: [&str; 4] = [EVENT_TIME, RECEIVED_AT, EXPIRES_AT, DAY_SHARD];

/// Why an item belongs to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MatchReason {
    /// Its `recipient` is the number: the message was sent to it or came from it.
    Recipient,
    /// Its message id contains the number, or belongs to a message to or from it.
    Message,
    /// Another attribute contains the number or the id of such a message.
    Mention,
}

/// A person.
#[derive(Debug, Clone)]
pub struct Person {
    numbers: Vec<Number>,
    /// Known ids of messages to and from the person.
    ids: BTreeSet<String>,
    /// Finds all ids of [`MIN_ID_CHARS`] bytes or more in one pass.
    finder: AhoCorasick,
}

impl Person {
    /// A person with these numbers, in any spelling.
    ///
    /// # Errors
    /// If one is not a phone number.
    pub fn new(numbers: &[String]) -> anyhow::Result<Self> {
        let numbers: Vec<Number> = numbers
            .iter()
            .map(|text| {
                Number::parse(text)
                    .context("--recipient: give a phone number of 7 to 20 digits, country code included")
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            numbers,
            ids: BTreeSet::new(),
            finder: AhoCorasick::new::<[&str; 0], _>([])?,
        })
    }

    /// The numbers.
    pub fn numbers(&self) -> &[Number] {
        &self.numbers
    }

    /// The numbers, redacted.
    pub fn redacted(&self) -> Vec<String> {
        let numbers = self.numbers.iter();
        numbers
            .map(|number| redact(number.digits()).into_owned())
            .collect()
    }

    /// Known ids of messages to and from the person.
    pub(super) fn ids(&self) -> &BTreeSet<String> {
        &self.ids
    }

    /// Adds ids of messages to and from the person. Returns whether one is new.
    ///
    /// # Errors
    /// If the ids are too many to search for together: some hundred million bytes.
    pub(super) fn add_ids(&mut self, ids: impl IntoIterator<Item = String>) -> anyhow::Result<bool> {
        let known = self.ids.len();
        self.ids.extend(ids);
        if self.ids.len() == known {
            return Ok(false);
        }
        let long = self.ids.iter().filter(|id| id.len() >= MIN_ID_CHARS);
        self.finder = AhoCorasick::new(long).context("the person has too many messages")?;
        Ok(true)
    }

    /// Why an item belongs to the person; `None` if it does not.
    pub fn match_reason(&self, item: &Item) -> Option<MatchReason> {
        let text = |name: &str| item.get(name).and_then(|v| v.as_s().ok()).map(String::as_str);
        if text(RECIPIENT).is_some_and(|recipient| self.has_number_in(recipient)) {
            return Some(MatchReason::Recipient);
        }
        if text(MESSAGE_ID).is_some_and(|id| self.ids.contains(id) || self.has_number_in(id)) {
            return Some(MatchReason::Message);
        }
        item.iter()
            .filter(|(name, _)| !TIMES.contains(&name.as_str()))
            .any(|(name, value)| self.is_named_in(name) || self.is_mentioned(value))
            .then_some(MatchReason::Mention)
    }

    fn is_mentioned(&self, value: &AttributeValue) -> bool {
        let names = |text: &String| self.is_named_in(text);
        match value {
            AttributeValue::S(text) | AttributeValue::N(text) => names(text),
            AttributeValue::Ss(list) | AttributeValue::Ns(list) => list.iter().any(names),
            AttributeValue::B(bytes) => self.is_named_in_bytes(bytes.as_ref()),
            AttributeValue::Bs(list) => list.iter().any(|bytes| self.is_named_in_bytes(bytes.as_ref())),
            AttributeValue::L(list) => list.iter().any(|value| self.is_mentioned(value)),
            AttributeValue::M(fields) => fields
                .iter()
                .any(|(name, value)| names(name) || self.is_mentioned(value)),
            _ => false,
        }
    }

    /// Whether a text contains a number of the person in any spelling, or the id of a message to or
    /// from the person.
    pub fn is_named_in(&self, text: &str) -> bool {
        self.has_number_in(text)
            || self.ids.contains(text)
            || self
                .finder
                .try_find_overlapping_iter(text)
                .is_ok_and(|mut found| found.any(|found| is_word(text, found.start(), found.end())))
    }

    /// The same for bytes. Bytes that are not UTF-8 act as separators.
    pub(super) fn is_named_in_bytes(&self, bytes: &[u8]) -> bool {
        self.is_named_in(&String::from_utf8_lossy(bytes))
    }

    /// Whether a text contains a number of the person in any spelling.
    pub(super) fn has_number_in(&self, text: &str) -> bool {
        self.numbers.iter().any(|number| number.is_in(text))
    }
}

/// Whether the span is not part of a longer word.
fn is_word(text: &str, start: usize, end: usize) -> bool {
    let before = text.get(..start).and_then(|t| t.chars().next_back());
    let after = text.get(end..).and_then(|t| t.chars().next());
    [before, after]
        .into_iter()
        .flatten()
        .all(|c| !c.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(number: &str) -> Person {
        Person::new(&[number.to_owned()]).unwrap()
    }

    #[test]
    fn an_invalid_number_is_refused() {
        for bad in ["", "12345", "+1 23 45", "ninety", "api-337-919209209291"] {
            assert!(Person::new(&[bad.to_owned()]).is_err(), "{bad}");
            let both = ["919209209291".to_owned(), bad.to_owned()];
            assert!(Person::new(&both).is_err(), "{bad}");
        }
        assert_eq!(person("+91 98123 45678").redacted(), ["*********678"]);
    }

    #[test]
    fn an_id_is_found_as_a_word() {
        let mut person = person("919209209291");
        let ids = ["7d3f0c6e-2b51", "7d3f0c6e-2b51-b", "try-1"].map(String::from);
        assert!(person.add_ids(ids.clone()).unwrap());
        assert!(!person.add_ids(ids).unwrap());
        assert!(person.is_named_in("{\"msgId\":\"7d3f0c6e-2b51\"}"));
        assert!(person.is_named_in("x7d3f0c6e-2b51 7d3f0c6e-2b51-b"));
        assert!(person.is_named_in("try-1"));
        assert!(!person.is_named_in("7d3f0c6e-2b519"));
        assert!(!person.is_named_in("retry-1 again"));
    }

    #[test]
    fn every_attribute_is_searched_except_times() {
        let person = person("2026112100");
        let text = |t: &str| AttributeValue::S(t.into());
        let named = "+20 261-12100";
        for (name, value) in [
            ("remarks", text(named)),
            (named, AttributeValue::Null(true)),
            ("n", AttributeValue::N("2026112100".into())),
            ("tags", AttributeValue::L(vec![text("x"), text(named)])),
            ("set", AttributeValue::Ss(vec![named.into()])),
            ("bytes", AttributeValue::B(b"\xff2026112100\xff".to_vec().into())),
            (
                "extra",
                AttributeValue::M(Item::from([(named.into(), text("x"))])),
            ),
            (
                "extra",
                AttributeValue::M(Item::from([("x".into(), AttributeValue::L(vec![text(named)]))])),
            ),
        ] {
            let item = Item::from([(name.to_owned(), value)]);
            assert_eq!(person.match_reason(&item), Some(MatchReason::Mention), "{item:?}");
        }
        let clocks = Item::from([
            (DAY_SHARD.to_owned(), text("2026-11-21#00")),
            (EVENT_TIME.to_owned(), AttributeValue::N("2026112100".into())),
            ("remarks".to_owned(), text("on 2026-11-21 00:15")),
        ]);
        assert_eq!(person.match_reason(&clocks), None);
    }
}
