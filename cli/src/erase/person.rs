//! A person's numbers, other ids and message ids, and the check whether an item or a text contains one of them.

use std::collections::BTreeSet;

use aho_corasick::AhoCorasick;
use anyhow::{Context as _, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use webhook_ingest::{
    event::{Attribute, person},
    events_table::item::{DAY_SHARD, EVENT_TIME, EXPIRES_AT, Item, MESSAGE_ID, RECEIVED_AT, RECIPIENT},
    personal,
    phone::{Number, Numbers, redact},
};

/// A shorter message id matches only if it is the whole text.
const MIN_ID_CHARS: usize = 8;
/// Attributes with times. Their digits are not searched for phone numbers.
const TIMES: [&str; 4] = [EVENT_TIME, RECEIVED_AT, EXPIRES_AT, DAY_SHARD];

/// Why an item belongs to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MatchReason {
    /// Its `recipient` or one of its `identities` is the person: the message was sent to it or came from it.
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
    /// Ids of other kinds, as stored.
    others: Vec<OtherId>,
    /// Whether the person has more linked ids than are followed.
    has_more: bool,
    /// Known ids of messages to and from the person.
    ids: BTreeSet<String>,
    /// Finds all ids of [`MIN_ID_CHARS`] bytes or more in one pass.
    finder: AhoCorasick,
}

/// An e-mail address or user id.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OtherId(String);

impl OtherId {
    /// Whether a text names this id: it is the whole text, or a word of it. `text` is
    /// [`personal::plain`].
    fn is_in(&self, text: &str) -> bool {
        if text == self.0 {
            return true;
        }
        let bare = person::bare(&self.0);
        if person::kind(&self.0) == Some(person::MAILTO) {
            let text = text.to_lowercase();
            // Characters of an address's parts: `joanna@b.example` and `anna@b.example.org` are other people.
            return occurs(
                &text,
                bare,
                |c| c.is_alphanumeric() || "._%+-".contains(c),
                |after| {
                    let mut after = after.chars();
                    match after.next() {
                        Some('.' | '-') => after.next().is_some_and(char::is_alphanumeric),
                        next => next.is_some_and(char::is_alphanumeric),
                    }
                },
            );
        }
        if bare.len() < MIN_ID_CHARS {
            return text == bare;
        }
        occurs(
            text,
            bare,
            |c| c.is_alphanumeric() || c == '.',
            |after| after.starts_with(char::is_alphanumeric),
        )
    }
}

/// Whether a word occurs in a text, and neither a character that `joins_before` comes before it nor a text that
/// `joins_after` comes after it.
fn occurs(
    text: &str,
    word: &str,
    joins_before: impl Fn(char) -> bool,
    joins_after: impl Fn(&str) -> bool,
) -> bool {
    text.match_indices(word).any(|(start, found)| {
        let before = text.get(..start).and_then(|before| before.chars().next_back());
        let after = text.get(start + found.len()..).unwrap_or_default();
        !before.is_some_and(&joins_before) && !joins_after(after)
    })
}

impl Person {
    /// A person with these ids: numbers in any spelling, `whatsapp:<user id>`, `mailto:<address>`, or only the user
    /// id or address.
    ///
    /// # Errors
    /// If one is neither a phone number nor another id of a person.
    pub fn new(ids: &[String]) -> anyhow::Result<Self> {
        let mut person = Self {
            numbers: Vec::new(),
            others: Vec::new(),
            has_more: false,
            ids: BTreeSet::new(),
            finder: AhoCorasick::new::<[&str; 0], _>([])?,
        };
        for text in ids {
            let id = match Number::parse(text) {
                Some(number) => Some(number.digits().to_owned()),
                None => person::parse(text),
            };
            let is_id = id.is_some_and(|id| person.add_id(&id));
            ensure!(
                is_id,
                "--recipient: give a phone number of 7 to 20 digits, country code included, or whatsapp:<user id>, or mailto:<address>"
            );
        }
        Ok(person)
    }

    /// Adds a stored id. Returns whether it is one that can be searched for.
    fn add_id(&mut self, id: &str) -> bool {
        if person::kind(id).is_some() {
            let other = OtherId(id.to_owned());
            if !self.others.contains(&other) {
                self.others.push(other);
            }
            return true;
        }
        let Some(number) = Number::parse(id) else {
            return false;
        };
        if !self.numbers.contains(&number) {
            self.numbers.push(number);
        }
        true
    }

    /// Adds ids that are linked to the person, until the person has [`MAX_IDS`](person::MAX_IDS). Returns whether
    /// one is new.
    pub(super) fn add_linked(&mut self, ids: impl IntoIterator<Item = String>) -> bool {
        let known = self.all_ids().len();
        for id in ids {
            if self.all_ids().contains(&id) {
                continue;
            }
            if self.all_ids().len() < person::MAX_IDS {
                self.add_id(&id);
            } else {
                self.has_more = true;
            }
        }
        self.all_ids().len() > known
    }

    /// Whether the person has more linked ids than are followed.
    pub(super) fn has_more(&self) -> bool {
        self.has_more
    }

    /// The ids as stored: digits of numbers, and others with their kinds.
    pub fn all_ids(&self) -> Vec<String> {
        let numbers = self.numbers.iter().map(|number| number.digits().to_owned());
        let others = self.others.iter().map(|OtherId(id)| id.clone());
        numbers.chain(others).collect()
    }

    /// The values of `recipient` that receivers store for these ids: a number may have a prefix if the provider sent
    /// one.
    pub(super) fn recipients(&self) -> Vec<String> {
        let spellings =
            |number: &Number| ["", "0", "00"].map(|prefix| format!("{prefix}{}", number.digits()));
        let numbers = self.numbers.iter().flat_map(spellings);
        let others = self.others.iter().map(|OtherId(id)| id.clone());
        numbers.chain(others).collect()
    }

    /// The ids, redacted.
    pub fn redacted(&self) -> Vec<String> {
        let numbers = self.numbers.iter();
        let others = self.others.iter();
        numbers
            .map(|number| redact(number.digits()).into_owned())
            .chain(others.map(|OtherId(id)| format!("{}:***", person::kind(id).unwrap_or_default())))
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
    pub(crate) fn add_ids(&mut self, ids: impl IntoIterator<Item = String>) -> anyhow::Result<bool> {
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
        let is_own = |id: &str| self.has_id_in(id);
        if text(RECIPIENT).is_some_and(is_own) || identities(item).any(is_own) {
            return Some(MatchReason::Recipient);
        }
        if text(MESSAGE_ID).is_some_and(|id| self.ids.contains(id) || self.has_id_in(id)) {
            return Some(MatchReason::Message);
        }
        any_text(item, &|text| self.is_named_in(text)).then_some(MatchReason::Mention)
    }

    /// Whether a text contains a number or another id of the person in any spelling, or the id of a message to or
    /// from the person.
    pub fn is_named_in(&self, text: &str) -> bool {
        self.has_id_in(text)
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

    /// Whether a text contains a number or another id of the person in any spelling.
    pub(super) fn has_id_in(&self, text: &str) -> bool {
        if self.numbers.iter().any(|number| number.is_in(text)) {
            return true;
        }
        if self.others.is_empty() {
            return false;
        }
        let text = personal::plain(text);
        self.others.iter().any(|id| id.is_in(&text))
    }
}

/// Finds out quickly whether an item may belong to one of many people. The time depends on the item, not on how many
/// they are.
pub(crate) struct AnyOf {
    numbers: Numbers,
    /// Other ids without their kinds, and message ids, in any letter case.
    words: AhoCorasick,
    /// Whether an id has letters that are not ASCII, whose case `words` does not ignore.
    has_other_letters: bool,
}

impl AnyOf {
    /// # Errors
    /// If the ids are too many to search for together: some hundred million bytes.
    pub(crate) fn new<'p>(people: impl Iterator<Item = &'p Person> + Clone) -> anyhow::Result<Self> {
        let words = people.clone().flat_map(|person| {
            let others = person.others.iter().map(|OtherId(id)| person::bare(id));
            others.chain(person.ids.iter().map(String::as_str))
        });
        let words: BTreeSet<&str> = words.collect();
        Ok(Self {
            numbers: people.flat_map(|person| person.numbers.iter().cloned()).collect(),
            has_other_letters: !words.iter().all(|word| word.is_ascii()),
            words: AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .build(words)
                .context("the people have too many messages")?,
        })
    }

    /// False only if [`Person::match_reason`] is `None` for each of them.
    pub(crate) fn may_match(&self, item: &Item) -> bool {
        any_text(item, &|text| self.is_in(text))
    }

    fn is_in(&self, text: &str) -> bool {
        if self.numbers.are_in(text) || self.words.is_match(text) {
            return true;
        }
        let plain = personal::plain(text);
        self.words.is_match(plain.as_ref())
            || (self.has_other_letters && self.words.is_match(&plain.to_lowercase()))
    }
}

/// Whether `found` accepts the name or a text of an attribute, at any depth. Times are left out.
fn any_text(item: &Item, found: &impl Fn(&str) -> bool) -> bool {
    item.iter()
        .filter(|(name, _)| !TIMES.contains(&name.as_str()))
        .any(|(name, value)| found(name) || any_text_in(value, found))
}

/// The same for a value. Bytes that are not UTF-8 act as separators.
fn any_text_in(value: &AttributeValue, found: &impl Fn(&str) -> bool) -> bool {
    let in_bytes = |bytes: &[u8]| found(&String::from_utf8_lossy(bytes));
    match value {
        AttributeValue::S(text) | AttributeValue::N(text) => found(text),
        AttributeValue::Ss(list) | AttributeValue::Ns(list) => list.iter().any(|text| found(text)),
        AttributeValue::B(bytes) => in_bytes(bytes.as_ref()),
        AttributeValue::Bs(list) => list.iter().any(|bytes| in_bytes(bytes.as_ref())),
        AttributeValue::L(list) => list.iter().any(|value| any_text_in(value, found)),
        AttributeValue::M(fields) => fields
            .iter()
            .any(|(name, value)| found(name) || any_text_in(value, found)),
        _ => false,
    }
}

/// The further ids of the person that an item names.
pub(crate) fn identities(item: &Item) -> impl Iterator<Item = &str> {
    let list = item.get(Attribute::Identities.name()).and_then(|v| v.as_l().ok());
    list.into_iter()
        .flatten()
        .filter_map(|id| id.as_s().ok().map(String::as_str))
}

/// Whether an item's message may have other recipients, so that its id names nobody: an e-mail.
pub(crate) fn is_shared(item: &Item) -> bool {
    let recipient = item.get(RECIPIENT).and_then(|v| v.as_s().ok());
    recipient.is_some_and(|recipient| is_address(recipient))
}

/// Whether a recipient is an e-mail address.
pub(super) fn is_address(recipient: &str) -> bool {
    person::kind(recipient) == Some(person::MAILTO)
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
    fn an_address_is_found_in_any_spelling_and_no_other() {
        let person = person("Anna@B.example");
        for text in [
            "mailto:anna@b.example",
            "to <ANNA@b.example>.",
            "{\"m\":\"anna%40b.example\"}",
            "anna\\u0040b.example",
            "anna&#64;b.example",
            "anna@b.example.",
        ] {
            assert!(person.is_named_in(text), "{text}");
        }
        for text in [
            "joanna@b.example",
            "x.anna@b.example",
            "anna@b.example.org",
            "anna@b.examples",
            "anna",
            "",
        ] {
            assert!(!person.is_named_in(text), "{text}");
        }
        assert_eq!(person.redacted(), ["mailto:***"]);
        assert_eq!(person.all_ids(), ["mailto:anna@b.example"]);
    }

    #[test]
    fn a_user_id_is_found_as_a_word() {
        let person = person("whatsapp:IN.13491208");
        for text in [
            "whatsapp:IN.13491208",
            "IN.13491208",
            "from IN.13491208.",
            "\"IN%2E13491208\"",
        ] {
            assert!(person.is_named_in(text), "{text}");
        }
        for text in ["IN.134912089", "X.IN.13491208", "in.13491208", "IN.ENT.13491208"] {
            assert!(!person.is_named_in(text), "{text}");
        }
        let short = super::tests::person("IN.1346");
        assert!(short.is_named_in("whatsapp:IN.1346") && short.is_named_in("IN.1346"));
        assert!(!short.is_named_in("x IN.1346"));
    }

    #[test]
    fn linked_ids_are_limited() {
        let mut person = person("+91 98123 45678");
        assert!(!person.add_linked(["919812345678".to_owned()]));
        assert!(person.add_linked((0..20).map(|n| format!("whatsapp:IN.{n}"))));
        assert_eq!(person.all_ids().len(), 16);
        assert!(person.has_more());
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
    fn a_quick_check_misses_nobody() {
        let mut people: Vec<Person> = [
            "+91 98123 45678",
            "whatsapp:IN.13491208",
            "Äda@b.example",
            "2026112100",
        ]
        .map(person)
        .into();
        people[0]
            .add_ids(["7d3f0c6e-2b51".to_owned(), "try-1".to_owned()])
            .unwrap();
        let any = AnyOf::new(people.iter()).unwrap();
        for named in [
            "call 0091/98123-45678",
            "from \"IN%2E13491208\"",
            "<ÄDA&#64;b.example>",
            "äda@b.example",
            "{\"msgId\":\"7d3f0c6e-2b51\"}",
            "try-1",
            "+20 261-12100",
        ] {
            let item = Item::from([(
                "extra".to_owned(),
                AttributeValue::L(vec![AttributeValue::M(Item::from([(
                    named.to_owned(),
                    AttributeValue::Null(true),
                )]))]),
            )]);
            assert!(
                people.iter().any(|person| person.match_reason(&item).is_some()),
                "{named}"
            );
            assert!(any.may_match(&item), "{named}");
        }
        let other = Item::from([
            (
                "remarks".to_owned(),
                AttributeValue::S("call 0091/98123-45679, ada@b.example".to_owned()),
            ),
            (EVENT_TIME.to_owned(), AttributeValue::N("2026112100".to_owned())),
        ]);
        assert!(!any.may_match(&other));
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
