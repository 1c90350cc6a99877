//! Phone numbers in free text. Redaction, counters and `erase` use the same definition.
//!
//! A *span* is a sequence of digits with at most [`MAX_SEPARATORS`] separators between two
//! neighboring digits. A span of [`MIN_DIGITS`] digits or more is treated as a phone number.
//!
//! - A digit is a decimal digit of any script (Unicode general category `Nd`).
//! - A letter or another kind of numeral ends a span. Every other character is a separator: space,
//!   dash, dot, slash, bracket, underscore, plus sign, quotation mark, symbol.
//! - Invisible characters (zero-width characters, bidirectional controls, combining marks) do not
//!   count, however many there are.
//! - A character may be escaped: `%20`, `%D9%A9`, `%2520`, `\u0039`, `\\u0039`, `\x39`, `\/`, `\n`,
//!   `&#57;`, `&#x39;`, `&nbsp;`, `&amp;#57;`. An escaped character counts as the character.
//!
//! This definition prefers redacting too much to redacting too little, since a text can contain a number in
//! any notation. Times of day, IP addresses, prices, version numbers and lists of figures are redacted if
//! they have enough digits. The only exception is a span that is exactly a calendar date, `2026-11-21`: it
//! has eight digits, and no international number is that short and starts with 19 or 20. Do not pass typed
//! numbers (counts, epoch times) through this module.
//!
//! Every function takes linear time and reads the text at most twice. No function backtracks or keeps a
//! normalized copy: the working memory does not depend on the text. All functions are safe on untrusted
//! input.

mod number;
pub(crate) mod token;

use std::{borrow::Cow, ops::Range};

pub use self::number::{Number, Numbers};
use self::token::{Kind, Tokens};

/// A span with fewer digits is not a phone number: the shortest subscriber numbers have seven digits.
pub const MIN_DIGITS: usize = 7;

/// The most visible separators between two digits of a span. `) - (` are five.
pub const MAX_SEPARATORS: usize = 8;

/// The digits that stay readable, so that an operator can compare two redacted texts.
const SHOWN: usize = 3;

/// Redacts every phone number in `text`: each digit becomes `*`, except the last three of the span's longest
/// uninterrupted run of digits. Separators stay unchanged.
///
/// The result contains no phone number. Redacting it again does not change it.
///
/// ```
/// use webhook_ingest::phone::redact;
/// assert_eq!(redact("+91 98123 45678"), "+** ***** **678");
/// assert_eq!(redact("api-337-919209209291"), "api-***-*********291");
/// assert_eq!(redact("error 131026, 3 of 5 tries"), "error ***026, * of 5 tries");
/// assert_eq!(redact("error 131026 after 3 tries"), "error 131026 after 3 tries");
/// assert_eq!(redact("on 2026-11-21"), "on 2026-11-21");
/// ```
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut copied = 0;
    for span in Spans::of(text) {
        for token in Tokens::from(text, span.start).take_while(|token| token.start < span.end) {
            if matches!(token.kind, Kind::Digit(_)) && !span.shown.contains(&token.start) {
                out.push_str(text.get(copied..token.start).unwrap_or_default());
                out.push('*');
                copied = token.end;
            }
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

/// Whether [`redact`] would redact something in `text`.
pub fn contains_number(text: &str) -> bool {
    Spans::of(text).next().is_some()
}

/// A span that is treated as a phone number, as byte positions in its text.
#[derive(Debug)]
struct Span {
    start: usize,
    end: usize,
    digits: usize,
    /// The digits that stay readable.
    shown: Range<usize>,
}

/// Iterates over the phone numbers of a text, from left to right.
struct Spans<'t> {
    text: &'t str,
    tokens: Tokens<'t>,
}

impl<'t> Spans<'t> {
    fn of(text: &'t str) -> Self {
        // A digit takes at least one byte.
        let tokens = if text.len() < MIN_DIGITS {
            Tokens::from(text, text.len())
        } else {
            Tokens::from(text, 0)
        };
        Self { text, tokens }
    }

    /// The next span, with any number of digits.
    fn next_span(&mut self) -> Option<Span> {
        let mut found: Option<Span> = None;
        let mut separators = 0;
        let mut run = Run::default();
        let mut longest = 0;
        for token in self.tokens.by_ref() {
            match (token.kind, &mut found) {
                (Kind::Digit(_), span) => {
                    separators = 0;
                    run.push(token.start, token.end);
                    let span = span.get_or_insert_with(|| Span {
                        start: token.start,
                        end: token.end,
                        digits: 0,
                        shown: 0..0,
                    });
                    span.digits += 1;
                    span.end = token.end;
                    if run.digits >= longest {
                        longest = run.digits;
                        span.shown = run.last();
                    }
                }
                (_, None) | (Kind::Invisible, _) => {}
                (Kind::Separator(_), Some(_)) if separators < MAX_SEPARATORS => separators += 1,
                (Kind::Separator(_) | Kind::Word, Some(_)) => return found,
            }
        }
        found
    }

    fn is_number(&self, span: &Span) -> bool {
        span.digits >= MIN_DIGITS && !self.text.get(span.start..span.end).is_some_and(is_date)
    }
}

impl Iterator for Spans<'_> {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        loop {
            let span = self.next_span()?;
            if self.is_number(&span) {
                return Some(span);
            }
        }
    }
}

/// Uninterrupted digits.
#[derive(Default)]
struct Run {
    digits: usize,
    /// Where the last digits start, in text order.
    starts: [usize; SHOWN],
    end: usize,
}

impl Run {
    fn push(&mut self, start: usize, end: usize) {
        if self.digits > 0 && self.end == start {
            self.digits += 1;
            let [_, second, third] = self.starts;
            self.starts = [second, third, start];
        } else {
            self.digits = 1;
            self.starts = [start; SHOWN];
        }
        self.end = end;
    }

    fn last(&self) -> Range<usize> {
        let [oldest, ..] = self.starts;
        oldest..self.end
    }
}

/// Whether a span is `YYYY-MM-DD` in the years 1900 to 2099.
fn is_date(span: &str) -> bool {
    let mut parts = span.split('-').map(|part| {
        let is_plain = part.bytes().all(|byte| byte.is_ascii_digit());
        (part.len(), part.parse::<u16>().ok().filter(|_| is_plain))
    });
    let mut next = |length: usize, range: std::ops::RangeInclusive<u16>| {
        parts
            .next()
            .is_some_and(|(digits, value)| digits == length && value.is_some_and(|v| range.contains(&v)))
    };
    next(4, 1900..=2099) && next(2, 1..=12) && next(2, 1..=31) && parts.next().is_none()
}

#[cfg(test)]
mod spelling;

#[cfg(test)]
mod tests {
    use super::{spelling::spelt, *};
    use proptest::prelude::*;

    #[test]
    fn ordinary_spellings_are_redacted() {
        for (text, expected) in [
            ("919812345678", "*********678"),
            ("+91 98123 45678", "+** ***** **678"),
            ("(+91) 98123-45678", "(+**) *****-**678"),
            ("0091 98123 45678", "**** ***** **678"),
            ("+91.98123.45678", "+**.*****.**678"),
            ("+91/98123/45678", "+**/*****/**678"),
            ("+91_98123_45678", "+**_*****_**678"),
            ("+91\u{a0}98123\u{202f}45678", "+**\u{a0}*****\u{202f}**678"),
            ("+91\u{2011}98123\u{2013}45678", "+**\u{2011}*****\u{2013}**678"),
            ("९१९८१२३४५६७८", "*********६७८"),
            ("٩١٩٨١٢٣٤٥٦٧٨", "*********٦٧٨"),
            ("\u{ff0b}\u{ff19}\u{ff11} 98123 45678", "\u{ff0b}** ***** **678"),
            (
                "9\u{200d}1\u{200b}98123\u{2060}45678",
                "*\u{200d}*\u{200b}*****\u{2060}**678",
            ),
            ("\u{202d}91 98123\u{202c} 45678", "\u{202d}** *****\u{202c} **678"),
            ("%2B91%2098123%2045678", "%2B**%20*****%20**678"),
            ("%252B91%252098123", "%252B**%2520**123"),
            ("%D9%A9%D9%A1 98123", "** **123"),
            (
                r#"{\"to\":\"\u0039\u0031 98123\/45678\"}"#,
                r#"{\"to\":\"** *****\/**678\"}"#,
            ),
            (r"\\u0039\\u0031\\n98123\\t45678", r"**\\n*****\\t**678"),
            (r"\ud835\udff5\ud835\udfcf98123", r"****123"),
            ("&#57;&#x31;&nbsp;98123&amp;#57;", "**&nbsp;***23&amp;#57;"),
            (r"\x39\x31-98123", r"**-**123"),
            (
                "9\u{fe0f}\u{20e3}1\u{fe0f}\u{20e3}98123",
                "*\u{fe0f}\u{20e3}*\u{fe0f}\u{20e3}**123",
            ),
            ("[\"98123\",\"45678\"]", "[\"*****\",\"**678\"]"),
            ("api-337-919209209291-3c90", "api-***-*********291-*c90"),
            ("IMG919812345678a.jpg", "IMG*********678a.jpg"),
            ("2024-01-10 08:53:48", "*024-**-** **:**:**"),
            ("192.168.10.25", "***.168.**.**"),
        ] {
            assert_eq!(redact(text), expected, "{text}");
            assert!(contains_number(text), "{text}");
        }
    }

    #[test]
    fn short_numbers_and_dates_are_not_redacted() {
        for text in [
            "",
            "123456",
            "12 34-56",
            "error 131026",
            "v1.12.3",
            "2026-11-21",
            "promo-2026-11-21-sale",
            "12345 x 67890",
            "a1b2c3d4e5f6a7b8",
            "123456         7",
            "²²²²²²²²",
        ] {
            assert!(
                matches!(redact(text), Cow::Borrowed(same) if same == text),
                "{text}"
            );
            assert!(!contains_number(text), "{text}");
        }
        for text in [
            "2026-13-21",
            "2026-11-32",
            "2126-11-21",
            "2026-11-21-1",
            "2026.11.21",
            "20261121",
        ] {
            assert!(contains_number(text), "{text}");
        }
    }

    #[test]
    fn digits_around_an_escape_still_count() {
        for text in [
            "&#9812345678;",
            "&a9812345678;",
            "100%98765432",
            "12%34%56%78",
            r"\98123456",
        ] {
            assert!(contains_number(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_number_in_any_spelling_is_redacted(
            (digits, text) in spelt(7..=20),
            before in r"[^0-9\\&%]{0,3}[a-z ]",
            after in "[a-z ]([^0-9].{0,4})?",
        ) {
            prop_assume!(!is_date(&text));
            let text = format!("{before}{text}{after}");
            prop_assert!(contains_number(&text));
            let redacted = redact(&text);
            prop_assert!(!contains_number(&redacted), "{}", redacted);
            prop_assert_eq!(redact(&redacted), redacted.as_ref());
            let number = Number::parse(&digits);
            prop_assert!(number.is_none_or(|number| !number.is_in(&redacted)));
        }

        #[test]
        fn six_digits_are_not_redacted((_, text) in spelt(1..=6)) {
            prop_assert_eq!(redact(&text), text.as_str());
        }

        #[test]
        fn redacting_twice_changes_nothing(text in r"(\PC|[0-9]|\\u00[0-9]{2}|%[0-9A-F]{2}|&#[0-9]{1,8};|\\|&|%|;){0,60}") {
            let redacted = redact(&text);
            prop_assert!(!contains_number(&redacted), "{}", redacted);
            prop_assert_eq!(redact(&redacted), redacted.as_ref());
        }
    }
}
