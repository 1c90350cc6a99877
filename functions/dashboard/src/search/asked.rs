//! The parameters of a search, and what its text can be.

use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::Deserialize;
use webhook_ingest::{
    event::{MessageId, person},
    links::lookups,
    personal,
};

use crate::extract::read;

/// Default and maximum number of entries of each kind.
const DEFAULT: usize = 20;
pub(crate) const MAX: usize = 50;
/// A number without its country code has at least this many digits.
pub(super) const MIN_LOCAL_DIGITS: usize = 7;
/// The most digits of a number, as in the receivers.
const MAX_DIGITS: usize = 20;

/// Parameters of a search.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchQuery {
    /// A message id (also percent-encoded), a number in any notation, with or without country code, or its last digits
    /// (4 or more), an e-mail address, a `WhatsApp` user id, a request id, callback data, or words of the name of a
    /// campaign or a tag. Ids, requests and callback data must be complete. Roles that see no numbers may not search
    /// for digits, addresses, or ids that can contain a number.
    #[serde(deserialize_with = "read")]
    #[schemars(with = "String")]
    pub(crate) q: Term,
    /// Entries of each kind, 1 to 50; default 20.
    #[serde(default, deserialize_with = "read")]
    pub(crate) limit: MostFound,
}

/// Maximum entries of each kind.
#[derive(Debug, Clone, Copy, JsonSchema)]
#[schemars(inline)]
pub(crate) struct MostFound(#[schemars(range(min = 1, max = 50))] pub(crate) usize);

impl Default for MostFound {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

impl TryFrom<String> for MostFound {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let limit = text.parse().ok().filter(|n| (1..=MAX).contains(n));
        limit
            .map(Self)
            .ok_or_else(|| format!("must be a number from 1 to {MAX}"))
    }
}

/// A text to search for. Longer texts than ids find nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Term {
    /// As typed, and percent-decoded if that is another text.
    texts: Vec<String>,
    person: Option<String>,
    digits: Option<String>,
}

impl From<String> for Term {
    fn from(text: String) -> Self {
        let text = text.trim();
        if text.is_empty() || text.len() > MessageId::MAX_BYTES {
            return Self {
                texts: Vec::new(),
                person: None,
                digits: None,
            };
        }
        let decoded = percent_decode_str(text)
            .decode_utf8()
            .ok()
            .map(|decoded| decoded.trim().to_owned())
            .filter(|decoded| decoded != text && !decoded.is_empty());
        // Without escapes and invisible characters, in ASCII digits. `+44 (0)20` is dialed without the zero.
        let plain = personal::plain(text).replace("(0)", "");
        let id = person::parse(&plain);
        let number = id.as_deref().filter(|id| person::kind(id).is_none());
        // Zeros before a whole number are a prefix for dialing; others belong to the last digits.
        let digits = number.map(|number| match number.trim_start_matches('0') {
            whole if whole.len() >= MIN_LOCAL_DIGITS => whole.to_owned(),
            _ => number.to_owned(),
        });
        let digits = digits.filter(|digits| (lookups::MIN_DIGITS..=MAX_DIGITS).contains(&digits.len()));
        Self {
            texts: [text.to_owned()].into_iter().chain(decoded).collect(),
            digits,
            person: id,
        }
    }
}

impl Term {
    /// A message id and nothing else.
    pub(crate) fn of_message(id: String) -> Self {
        Self {
            texts: vec![id],
            person: None,
            digits: None,
        }
    }

    /// The texts that can be a message id.
    pub(crate) fn message_ids(&self) -> Vec<String> {
        self.texts.clone()
    }

    /// The texts that can be a request id or callback data.
    pub(crate) fn values(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(String::as_str)
    }

    /// The text that was typed; `None` if it is empty or too long.
    pub(crate) fn text(&self) -> Option<&str> {
        self.texts.first().map(String::as_str)
    }

    /// The complete id of a person that the text can be.
    pub(crate) fn person(&self) -> Option<String> {
        self.person.clone()
    }

    /// The last digits of a number that the text can be, or all of them.
    pub(crate) fn digits(&self) -> Option<&str> {
        self.digits.as_deref()
    }

    /// Whether the text could find a person: its digits, an address, or an id that can contain a number.
    pub(crate) fn could_name_person(&self) -> bool {
        let is_personal = |text: &String| personal::is_in(text) || personal::is_encoded(text);
        self.digits.is_some() || self.texts.iter().any(is_personal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_recognized_in_any_notation() {
        for (text, digits) in [
            ("919812345678", Some("919812345678")),
            (" +91 (98123) 456-78 ", Some("919812345678")),
            ("%2B91%2098123%2045678", Some("919812345678")),
            ("0 98123 45678", Some("9812345678")),
            ("0091 98123 45678", Some("919812345678")),
            ("+44 (0)20 7946 0958", Some("442079460958")),
            ("९१९८१२३४५६७८", Some("919812345678")),
            ("tel:+91-98123", Some("9198123")),
            ("5678", Some("5678")),
            ("0678", Some("0678")),
            ("00042 5678", Some("000425678")),
            ("678", None),
            ("order 5678", None),
            ("anna@b.example", None),
            ("123456789012345678901", None),
        ] {
            let term = Term::from(text.to_owned());
            assert_eq!(term.digits(), digits, "{text}");
        }
    }

    #[test]
    fn a_pasted_id_is_also_read_decoded() {
        let term = Term::from("a%2Fb%20c ".to_owned());
        assert_eq!(term.message_ids(), ["a%2Fb%20c", "a/b c"]);
        assert_eq!(Term::from("100%".to_owned()).message_ids(), ["100%"]);
        assert_eq!(Term::from("a%FF".to_owned()).message_ids(), ["a%FF"]);
        assert_eq!(Term::from(" ".to_owned()).message_ids(), [""; 0]);
        assert_eq!(Term::from("x".repeat(2_049)).message_ids(), [""; 0]);
    }

    #[test]
    fn a_text_that_can_name_a_person_is_recognized() {
        for text in [
            "5678",
            "+91 98123",
            "anna@b.example",
            "whatsapp:IN.1346",
            "IN.13491208655302741918",
            "api-337-919812345678-x",
            "api%2D337%2D91981%32345678",
            "wamid.HBgLMTY1MDM4Nzk0MzkVAgAS",
            "gBEGkZlgQyWAAgnHeaNwJ1fGz4k",
        ] {
            assert!(Term::from(text.to_owned()).could_name_person(), "{text}");
        }
        for text in ["order-77", "order:77", "summer sale", "7d3f0c6e-2b51", "x", ""] {
            assert!(!Term::from(text.to_owned()).could_name_person(), "{text}");
        }
    }
}
