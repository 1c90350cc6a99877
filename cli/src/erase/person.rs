//! Whose data it is: the spellings of a number, the ids of messages to and from it, and whether an
//! item or a text says one of them.

use std::collections::BTreeSet;

use anyhow::ensure;
use aws_sdk_dynamodb::types::AttributeValue;
use webhook_ingest::item::{EVENT_TIME, EXPIRES_AT, Item, MESSAGE_ID, RECEIVED_AT, RECIPIENT};

/// The shortest number that is searched for: a shorter one would be found by accident.
const SHORTEST: usize = 7;
/// E.164 allows 15 digits; a few more are let pass, as in the receivers.
const LONGEST: usize = 20;
/// From so many digits on, a number inside a word is no accident.
const CERTAIN: usize = 10;
/// A shorter id is found only where nothing else stands.
const SHORTEST_ID: usize = 8;
/// What people write between the digits of a number.
const BETWEEN: [char; 9] = [' ', '-', '.', '(', ')', '/', '\u{a0}', '\u{202f}', '\u{2011}'];

/// Why an item is somebody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It was sent to the number, or came from it.
    Recipient,
    /// Its message id holds the number, or is that of a message to or from it.
    Message,
    /// Something in it names the number or such a message.
    Mention,
}

/// One person.
#[derive(Debug, Clone, Default)]
pub struct Person {
    /// Digits only.
    pub(super) numbers: Vec<String>,
    /// Ids of messages to and from them, as far as they are known.
    pub(super) ids: BTreeSet<String>,
}

impl Person {
    /// A person with these numbers, however they are written.
    ///
    /// # Errors
    /// If one is no number or too short to be searched for.
    pub fn new(numbers: &[String]) -> anyhow::Result<Self> {
        let mut person = Self::default();
        for number in numbers {
            let digits: String = number.chars().filter(char::is_ascii_digit).collect();
            let digits = digits.strip_prefix("00").unwrap_or(&digits);
            let written_like_one = number
                .chars()
                .all(|c| c.is_ascii_digit() || c == '+' || BETWEEN.contains(&c));
            ensure!(written_like_one, "--recipient: this is no phone number");
            ensure!(
                (SHORTEST..=LONGEST).contains(&digits.len()),
                "--recipient: a number has {SHORTEST} to {LONGEST} digits, country code included"
            );
            person.numbers.push(digits.to_owned());
        }
        Ok(person)
    }

    /// Why an item is this person's, if it is.
    pub fn owns(&self, item: &Item) -> Option<Why> {
        let text = |name: &str| item.get(name).and_then(|v| v.as_s().ok()).map(String::as_str);
        if text(RECIPIENT).is_some_and(|recipient| self.numbers.iter().any(|n| n == recipient)) {
            return Some(Why::Recipient);
        }
        if text(MESSAGE_ID).is_some_and(|id| self.ids.contains(id) || self.is_named_in(id)) {
            return Some(Why::Message);
        }
        let clocks = [EVENT_TIME, RECEIVED_AT, EXPIRES_AT];
        item.iter()
            .filter(|(name, _)| !clocks.contains(&name.as_str()))
            .any(|(_, value)| self.is_mentioned(value))
            .then_some(Why::Mention)
    }

    fn is_mentioned(&self, value: &AttributeValue) -> bool {
        let says = |text: &String| self.says(text);
        match value {
            AttributeValue::S(text) | AttributeValue::N(text) => says(text),
            AttributeValue::Ss(list) | AttributeValue::Ns(list) => list.iter().any(says),
            AttributeValue::L(list) => list.iter().any(|value| self.is_mentioned(value)),
            AttributeValue::M(fields) => fields
                .iter()
                .any(|(name, value)| says(name) || self.is_mentioned(value)),
            _ => false,
        }
    }

    /// Whether a text names the number or a message of this person.
    pub fn says(&self, text: &str) -> bool {
        self.is_named_in(text) || self.ids.iter().any(|id| holds(text, id))
    }

    /// Whether a text holds one of the numbers, in one piece or with what people write between
    /// digits.
    fn is_named_in(&self, text: &str) -> bool {
        let shortest = self.numbers.iter().map(String::len).min().unwrap_or(SHORTEST);
        if text.len() < shortest {
            return false;
        }
        self.numbers
            .iter()
            .any(|number| in_one_piece(text, number) || in_pieces(text, number))
    }
}

/// Whether a run of digits of the text is this number.
fn in_one_piece(text: &str, number: &str) -> bool {
    text.match_indices(number).any(|(at, _)| {
        let before = text.get(..at).and_then(|t| t.chars().next_back());
        let after = text.get(at + number.len()..).and_then(|t| t.chars().next());
        let ends = |c: Option<char>| match c {
            Some(c) if c.is_ascii_digit() => false,
            Some(c) => number.len() >= CERTAIN || !c.is_ascii_alphanumeric(),
            None => true,
        };
        // Two zeros before it are the plus of old telephones.
        let zeros = text.get(..at).is_some_and(|t| t.ends_with("00"));
        (ends(before) || zeros) && ends(after)
    })
}

/// Whether digits with separators between them are this number.
fn in_pieces(text: &str, number: &str) -> bool {
    let joins = |c: char| c.is_ascii_digit() || BETWEEN.contains(&c);
    text.split(|c| !joins(c)).any(|piece| {
        let digits: String = piece.chars().filter(char::is_ascii_digit).collect();
        let digits = digits.strip_prefix("00").unwrap_or(&digits);
        let apart = piece.trim_matches(BETWEEN).contains(BETWEEN);
        // A short one may be a part of an id that is written with dashes.
        digits == number && apart && (number.len() >= CERTAIN || text == piece)
    })
}

/// Whether a text is an id or holds it as a word of its own.
fn holds(text: &str, id: &str) -> bool {
    if text == id {
        return true;
    }
    if id.len() < SHORTEST_ID || text.len() < id.len() {
        return false;
    }
    text.match_indices(id).any(|(at, _)| {
        let before = text.get(..at).and_then(|t| t.chars().next_back());
        let after = text.get(at + id.len()..).and_then(|t| t.chars().next());
        [before, after]
            .into_iter()
            .flatten()
            .all(|c| !c.is_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(number: &str) -> Person {
        Person::new(&[number.to_owned()]).unwrap()
    }

    #[test]
    fn a_number_may_be_written_in_many_ways() {
        for written in [
            "919209209291",
            "+91 92092-09291",
            "0091 9209 209 291",
            "(91) 9209.209291",
        ] {
            assert_eq!(person(written).numbers, ["919209209291"], "{written}");
        }
        for bad in [
            "",
            "12345",
            "+1 23 45",
            "ninety",
            "api-337-919209209291",
            "919209209291919209209291",
        ] {
            assert!(Person::new(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_number_is_found_as_people_and_providers_write_it() {
        let person = person("919209209291");
        for text in [
            "api-337-919209209291-3c9094b5cd72fdcaafbb633502afa672-1704876827",
            "call +91 92092 09291 now",
            "tel:00919209209291",
            "919209209291",
            "[Mobile] +91-9209-209291\n[Work] 2",
            "{\"mobile\":919209209291}",
            "IMG919209209291a.jpg",
        ] {
            assert!(person.says(text), "{text}");
        }
        for text in [
            "9192092092910",
            "1919209209291",
            "91920920929",
            "",
            "919209209292",
            "91x9209209291",
        ] {
            assert!(!person.says(text), "{text}");
        }
    }

    #[test]
    fn a_short_number_inside_a_word_is_an_accident() {
        let person = person("1234567");
        assert!(person.says("call 1234567"));
        assert!(person.says("123 4567"));
        assert!(!person.says("7d3f1234567a"));
        assert!(!person.says("7d3f-123-4567-a1"));
    }

    #[test]
    fn an_id_is_found_as_a_word() {
        let mut person = person("919209209291");
        person.ids.insert("7d3f0c6e-2b51".into());
        person.ids.insert("try-1".into());
        assert!(person.says("{\"msgId\":\"7d3f0c6e-2b51\"}"));
        assert!(person.says("try-1"));
        assert!(!person.says("7d3f0c6e-2b519"));
        assert!(!person.says("retry-1 again"));
    }
}
