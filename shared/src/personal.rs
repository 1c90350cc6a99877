//! Ids of people in free text: phone numbers (see [`phone`]), e-mail addresses, and `WhatsApp`'s ids of people and
//! messages. Redaction, counters and logs use this definition.
//!
//! - An *address* is everything around an at sign up to white space, a bracket, a comma, a colon, a semicolon, a
//!   backslash or a quotation mark; also a name after an at sign.
//! - A *user id* is a country code in capitals, a period, and letters and digits, one of them a digit:
//!   `IN.1346`, `US.ENT.11815799212886844830`.
//! - A *message id* of `WhatsApp` is `wamid.` and base64, which contains the phone number:
//!   `wamid.HBgLMTY1MDM4Nzk0MzkVAgASGBQz`.
//!
//! Characters may be escaped as described in [`phone`]. Too much is redacted rather than too little. Every function
//! takes linear time, and is safe on untrusted input.

use std::{borrow::Cow, ops::Range};

use crate::phone::{
    self,
    token::{Kind, Token, Tokens},
};

/// Replaces an address or id.
const REDACTED: &str = "***";
/// The fewest letters and digits of a user id after its country code.
const MIN_ID_CHARS: usize = 4;
/// Characters that end an address, besides white space.
const ENDS: &str = "<>()[],:;\\\"|";

/// Redacts every phone number, address and id of a person in `text`. Numbers keep their last three digits; the
/// others become `***`. Redacting again changes nothing.
///
/// ```
/// use webhook_ingest::personal::redact;
/// assert_eq!(redact("550 <nobody@b.example> unknown"), "550 <***> unknown");
/// assert_eq!(redact("from US.20000000000000000002 to +91 98123 45678"), "from *** to +** ***** **678");
/// assert_eq!(redact("wamid.HBgLMTY1MDM4Nzk0MzkVAgAS"), "wamid.***");
/// assert_eq!(redact("call me at 5"), "call me at 5");
/// ```
pub fn redact(text: &str) -> Cow<'_, str> {
    let spans = spans(text);
    if spans.is_empty() {
        return phone::redact(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for span in spans {
        out.push_str(text.get(copied..span.start).unwrap_or_default());
        out.push_str(REDACTED);
        copied = span.end;
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    match phone::redact(&out) {
        Cow::Borrowed(_) => Cow::Owned(out),
        Cow::Owned(redacted) => Cow::Owned(redacted),
    }
}

/// Redacts a message id: one that can hold an encoded number completely, others like a text.
///
/// ```
/// use webhook_ingest::personal::redact_id;
/// assert_eq!(redact_id("api-337-919209209291-3c90"), "api-***-*********291-*c90");
/// assert_eq!(redact_id("gBEGkZlgQyWAAgnHeaNwJ1fGz4k"), "***");
/// assert_eq!(redact_id("wamid.HBgLMTY1MDM4Nzk0MzkVAgAS"), "wamid.***");
/// ```
pub fn redact_id(id: &str) -> Cow<'_, str> {
    match redact(id) {
        Cow::Borrowed(_) if is_encoded(id) => Cow::Borrowed(REDACTED),
        // A number may be beside the encoded one.
        Cow::Owned(redacted) if is_encoded(&redacted) => Cow::Borrowed(REDACTED),
        redacted => redacted,
    }
}

/// Whether [`redact`] would redact something in `text`.
pub fn is_in(text: &str) -> bool {
    phone::contains_number(text) || !spans(text).is_empty()
}

/// Whether an id is one that can hold an encoded number: it has base64 of twelve bytes or more. `WhatsApp` ids are
/// base64, older ones of the number's digits as nibbles.
///
/// ```
/// use webhook_ingest::personal::is_encoded;
/// assert!(is_encoded("gBEGkZlgQyWAAgnHeaNwJ1fGz4k"));
/// assert!(!is_encoded("api-337-919209209291-3c90b6e5d1f2a7"));
/// assert!(!is_encoded("7d3f0c6e-2b51-4c56-9d6f-000000000000"));
/// ```
pub fn is_encoded(id: &str) -> bool {
    const CHARS_OF_TWELVE_BYTES: usize = 16;
    id.split(|c: char| !(c.is_ascii_alphanumeric() || "+/=".contains(c)))
        .any(|run| {
            run.len() >= CHARS_OF_TWELVE_BYTES
                && run.bytes().any(|b| b.is_ascii_uppercase())
                && run.bytes().any(|b| b.is_ascii_lowercase())
        })
}

/// The text as the functions of this module see it: without escapes and invisible characters, in ASCII digits. For
/// a search of addresses and ids.
pub fn plain(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| b.is_ascii() && !b"%\\&".contains(&b)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for token in Tokens::from(text, 0) {
        match token.kind {
            Kind::Digit(value) => out.push(char::from(b'0' + value)),
            Kind::Separator('＠') => out.push('@'),
            Kind::Separator(c) => out.push(c),
            Kind::Word => out.push_str(text.get(token.start..token.end).unwrap_or_default()),
            Kind::Invisible => {}
        }
    }
    Cow::Owned(out)
}

/// The addresses and ids in a text, from left to right.
fn spans(text: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    // Most texts have none of these.
    if !text.contains(['@', '＠', '.', '%', '\\', '&']) {
        return spans;
    }
    let mut atom = Atom::default();
    // A quoted part before an at sign may contain what ends an address.
    let mut quote: Option<usize> = None;
    let mut quoted: Option<usize> = None;
    for token in Tokens::from(text, 0) {
        let is_end = match token.kind {
            Kind::Separator(c) => c.is_whitespace() || ENDS.contains(c),
            _ => false,
        };
        if is_end {
            std::mem::take(&mut atom).finish(&mut spans);
            quoted = None;
            if token.kind == Kind::Separator('"') {
                quoted = quote.take();
                if quoted.is_none() {
                    quote = Some(token.start);
                }
            }
            continue;
        }
        if let Some(start) = quoted.take()
            && matches!(token.kind, Kind::Separator('@' | '＠'))
        {
            spans.retain(|span: &Range<usize>| span.end <= start);
            atom.start = Some(start);
        }
        atom.read(token, text);
    }
    atom.finish(&mut spans);
    spans
}

/// The characters between two ends.
#[derive(Default)]
struct Atom {
    start: Option<usize>,
    end: usize,
    has_at: bool,
    /// Characters besides at signs.
    others: bool,
    ids: Vec<Range<usize>>,
    word: Word,
    /// The start of a country code that a user id may follow.
    country: Option<usize>,
    /// Where the base64 after `wamid.` begins.
    encoded: Option<usize>,
    /// Whether it has a letter or digit.
    has_base64: bool,
}

/// Letters and digits without anything between them.
#[derive(Default)]
struct Word {
    start: usize,
    end: usize,
    chars: usize,
    has_digit: bool,
}

impl Atom {
    fn read(&mut self, token: Token, text: &str) {
        self.start.get_or_insert(token.start);
        self.end = token.end;
        match token.kind {
            Kind::Separator('@' | '＠') => self.has_at = true,
            // What redaction leaves.
            Kind::Separator('*') => {}
            _ => self.others = true,
        }
        match token.kind {
            Kind::Digit(_) | Kind::Word => {
                self.has_base64 |= self.encoded.is_some();
                if self.word.chars == 0 {
                    self.word.start = token.start;
                }
                self.word.end = token.end;
                self.word.chars += 1;
                self.word.has_digit |= matches!(token.kind, Kind::Digit(_));
            }
            Kind::Invisible => {}
            Kind::Separator(c) => {
                let word = text.get(self.word.start..self.word.end).unwrap_or_default();
                let is_country = word.len() == 2 && word.bytes().all(|b| b.is_ascii_uppercase());
                if c == '.' && self.encoded.is_none() && word == "wamid" {
                    self.encoded = Some(token.end);
                }
                self.end_word();
                self.country = match self.country {
                    _ if c != '.' => None,
                    Some(start) if word == "ENT" => Some(start),
                    _ => is_country.then_some(self.word.start),
                };
            }
        }
    }

    /// Ends a word, which is a user id if a country code is before it.
    fn end_word(&mut self) {
        if let Some(start) = self.country
            && self.word.chars >= MIN_ID_CHARS
            && self.word.has_digit
        {
            self.ids.push(start..self.word.end);
        }
        self.word.chars = 0;
        self.word.has_digit = false;
    }

    fn finish(mut self, spans: &mut Vec<Range<usize>>) {
        let Some(start) = self.start else { return };
        self.end_word();
        if self.has_at && self.others {
            spans.push(start..self.end);
        } else if let Some(encoded) = self.encoded {
            self.ids.retain(|id| id.end <= encoded);
            spans.append(&mut self.ids);
            if self.has_base64 {
                spans.push(encoded..self.end);
            }
        } else {
            spans.append(&mut self.ids);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_redacted_in_every_spelling() {
        for (text, expected) in [
            ("anna@b.example", "***"),
            ("to anna@b.example.", "to ***"),
            (
                "smtp;550 5.1.1 <anna+x@b.example>: unknown",
                "smtp;550 5.1.1 <***>: unknown",
            ),
            (
                "{\"mail\":\"anna@b.example\",\"x\":1}",
                "{\"mail\":\"***\",\"x\":1}",
            ),
            ("a%40b.example", "***"),
            ("a%2540b.example", "***"),
            ("a\\u0040b.example", "***"),
            ("a&#64;b.example", "***"),
            ("a＠b.example", "***"),
            ("änna@b.example", "***"),
            ("mailto:a@b.example?subject=x", "mailto:***"),
            ("\"anna b\"@c.example now", "*** now"),
            ("by @realsheenanelson", "by ***"),
            ("a\u{200b}@b.example", "***"),
        ] {
            assert_eq!(redact(text), expected, "{text}");
            assert!(is_in(text), "{text}");
        }
    }

    #[test]
    fn ids_of_whatsapp_are_redacted() {
        for (text, expected) in [
            (
                "User changed from ES.2000 to ES.3000.",
                "User changed from *** to ***.",
            ),
            ("US.ENT.aB3dE", "***"),
            ("whatsapp:IN.1346aB", "whatsapp:***"),
            ("x-US.13491208655302741918", "x-***"),
            ("wamid.HBgLMTY1MDM4Nzk0MzkVAgASGBQz==", "wamid.***"),
            ("{\"id\":\"wamid.HBgL+/a=\"}", "{\"id\":\"wamid.***\"}"),
        ] {
            assert_eq!(redact(text), expected, "{text}");
            assert!(is_in(text), "{text}");
        }
    }

    #[test]
    fn ordinary_words_stay() {
        for text in [
            "",
            "@",
            " @ ",
            "a . b",
            "US.Government",
            "v1.12.3",
            "e.g. 5",
            "Fig.12345",
            "IN.12",
            "wamid.",
            "wamid",
            "***",
            "wamid.***",
            "smtp;250 2.0.0 Ok",
            "5.1.1",
        ] {
            assert_eq!(redact(text), text);
            assert!(!is_in(text), "{text}");
        }
    }

    #[test]
    fn a_plain_text_has_no_escapes() {
        assert_eq!(plain("a%40b\\u002ec&#46;d"), "a@b.c.d");
        assert_eq!(plain("A@b.example"), "A@b.example");
    }

    proptest! {
        #[test]
        fn redacting_twice_changes_nothing(
            text in "([a-zA-Z0-9@.*\"<>;:%&\\\\+ ]|@|\\.|%40|US\\.|ENT\\.|wamid\\.|\\\\u0040){0,40}",
        ) {
            let redacted = redact(&text);
            prop_assert_eq!(redact(&redacted), redacted.as_ref());
            prop_assert_eq!(is_in(&text), redacted != text, "{}", redacted);
            prop_assert!(!is_in(&redacted), "{}", redacted);
        }

        #[test]
        fn no_address_is_left(
            before in "[a-z <\"]{0,5}[ <:]",
            local in "[a-zA-Z0-9._+-]{1,12}",
            domain in "[a-z0-9.-]{1,12}",
            at in prop::sample::select(vec!["@", "%40", "\\u0040", "&#x40;", "＠"]),
            after in "([ >;].{0,5})?",
        ) {
            let redacted = redact(&format!("{before}{local}{at}{domain}{after}")).into_owned();
            prop_assert!(!redacted.contains(&format!("{local}{at}")), "{}", redacted);
            prop_assert!(!redacted.contains(&format!("{at}{domain}")), "{}", redacted);
        }
    }
}
