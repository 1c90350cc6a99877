//! Finds one given phone number in texts, in every spelling.

use std::{
    borrow::Borrow,
    collections::{BTreeSet, VecDeque},
};

use super::{
    MAX_SEPARATORS, MIN_DIGITS,
    token::{Kind, Token, Tokens},
};

/// E.164 allows 15 digits; a few more are accepted, as in the receivers.
const MAX_DIGITS: usize = 20;
/// From this length on, an equal sequence of digits is never a coincidence, wherever it is.
const CERTAIN: usize = 10;
/// The digits that are kept: those of a number, and zeros in brackets between them.
const REMEMBERED: usize = MAX_DIGITS + 12;
/// Bytes of `2026-11-21`.
const DATE_BYTES: usize = 10;
/// Separators that also join the words of an id or a path.
const CONNECTORS: [char; 4] = ['-', '_', '.', '/'];

/// A phone number, independent of its spelling.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(String);

impl Number {
    /// Parses a number in any spelling. Leading zeros belong to the spelling: `00` and `0` are dialing
    /// prefixes, and no country code begins with 0. `None` if the text contains other characters than digits
    /// and separators, or if it does not have 7 to 20 digits.
    ///
    /// ```
    /// use webhook_ingest::phone::Number;
    /// let number = Number::parse("+91 98123-45678").unwrap();
    /// assert_eq!(number.digits(), "919812345678");
    /// assert_eq!(Number::parse("0091/98123/45678"), Some(number));
    /// assert_eq!(Number::parse("api-337-919812345678"), None);
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let mut digits = String::new();
        for token in Tokens::from(text, 0) {
            match token.kind {
                Kind::Digit(0) if digits.is_empty() => {}
                Kind::Digit(_) if digits.len() == MAX_DIGITS => return None,
                Kind::Digit(value) => digits.push(char::from(b'0' + value)),
                Kind::Invisible | Kind::Separator(_) => {}
                Kind::Word => return None,
            }
        }
        (digits.len() >= MIN_DIGITS).then_some(Self(digits))
    }

    /// The ASCII digits, without leading zeros.
    pub fn digits(&self) -> &str {
        &self.0
    }

    /// Whether a text contains this number in any spelling, also among other digits of the span.
    ///
    /// The number must start where an uninterrupted run of digits starts, or after leading zeros of the run.
    /// It must end where a run ends: `1919812345678` does not contain `919812345678`. Digits in several
    /// pieces that begin like a calendar date are a time: `2026-11-21 00:15` is not the number 2026112100. A
    /// single zero in brackets may be anywhere between the digits: `+44 (0)20 7946 0958`.
    ///
    /// A number with fewer than ten digits could be a part of an id or a date by coincidence. In one piece,
    /// it is found if no letter touches it. In several pieces, additionally no dash, underscore, dot or slash
    /// may connect it to a word or to more digits.
    ///
    /// The time is linear in the text. The working memory is 32 digits.
    pub fn is_in(&self, text: &str) -> bool {
        // A digit takes at least one byte.
        text.len() >= self.0.len()
            && any_end_of_run(text, |reader, after| self.is_last_of(reader, text, after))
    }

    /// Whether the digits that were read last are this number. `after` describes what follows them.
    fn is_last_of(&self, reader: &Reader, text: &str, after: Edge) -> bool {
        [false, true].into_iter().any(|without_zeros| {
            let mut digits = reader.kept(without_zeros).rev();
            let last_run = digits.clone().next().map(|digit_at| digit_at.run);
            let mut first = None;
            for digit in self.0.bytes().rev() {
                match digits.next() {
                    Some(digit_at) if digit_at.digit + b'0' == digit => first = Some(digit_at),
                    _ => return false,
                }
            }
            first.is_some_and(|first| {
                let is_whole = last_run == Some(first.run);
                let is_time = || {
                    let beginning = text.get(first.at..first.at + DATE_BYTES);
                    beginning.is_some_and(super::is_date)
                };
                let is_plausible = match self.0.len() {
                    _ if !is_whole && is_time() => false,
                    CERTAIN.. => true,
                    _ if is_whole => first.before != Edge::Word && after != Edge::Word,
                    _ => first.before == Edge::Free && after == Edge::Free,
                };
                first.is_start && is_plausible
            })
        })
    }
}

/// Many numbers that are searched for together: the time depends on the text, not on how many they are.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    all: BTreeSet<Number>,
    /// Numbers of digits that occur.
    lengths: BTreeSet<usize>,
}

impl Numbers {
    /// Whether [`Number::is_in`] holds for at least one of them.
    ///
    /// ```
    /// use webhook_ingest::phone::{Number, Numbers};
    /// let numbers: Numbers = ["+91 98123 45678", "+44 20 7946 0958"].into_iter().filter_map(Number::parse).collect();
    /// assert!(numbers.are_in("call (0044) 20-7946-0958"));
    /// assert!(!numbers.are_in("call (0044) 20-7946-0959"));
    /// ```
    pub fn are_in(&self, text: &str) -> bool {
        let least = self.lengths.first();
        least.is_some_and(|least| text.len() >= *least)
            && any_end_of_run(text, |reader, after| {
                self.candidates(reader)
                    .any(|number| number.is_last_of(reader, text, after))
            })
    }

    /// The numbers whose digits were read last.
    fn candidates(&self, reader: &Reader) -> impl Iterator<Item = &Number> {
        [false, true].into_iter().flat_map(move |without_zeros| {
            let digits: String = reader
                .kept(without_zeros)
                .map(|digit| char::from(b'0' + digit.digit))
                .collect();
            self.lengths.iter().filter_map(move |length| {
                let last = digits.get(digits.len().checked_sub(*length)?..)?;
                self.all.get(last)
            })
        })
    }
}

impl FromIterator<Number> for Numbers {
    fn from_iter<I: IntoIterator<Item = Number>>(numbers: I) -> Self {
        let all: BTreeSet<Number> = numbers.into_iter().collect();
        let lengths = all.iter().map(|number| number.0.len()).collect();
        Self { all, lengths }
    }
}

/// Finds a number by its digits in a set.
impl Borrow<str> for Number {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Whether `found` accepts the end of a run of digits: what was read up to it, and what follows it.
fn any_end_of_run(text: &str, found: impl Fn(&Reader, Edge) -> bool) -> bool {
    let mut reader = Reader::default();
    let mut tokens = Tokens::from(text, 0);
    while let Some(token) = tokens.next() {
        if reader.ends_run(token.kind) {
            let beyond = tokens.clone().next().map(|token| token.kind);
            if found(&reader, Edge::of(Some(token.kind), beyond)) {
                return true;
            }
        }
        reader.read(token);
    }
    found(&reader, Edge::Free)
}

/// Log lines must not contain the number.
impl std::fmt::Debug for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Number({})", super::redact(&self.0))
    }
}

/// The neighbor of a run of digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edge {
    /// A letter.
    Word,
    /// A character that connects the run to a word or to more digits.
    Connector,
    /// Nothing that could make the run a part of something else.
    Free,
}

impl Edge {
    fn of(beside: Option<Kind>, beyond: Option<Kind>) -> Self {
        match (beside, beyond) {
            (Some(Kind::Word), _) => Self::Word,
            (Some(Kind::Separator(c)), Some(Kind::Word | Kind::Digit(_))) if CONNECTORS.contains(&c) => {
                Self::Connector
            }
            _ => Self::Free,
        }
    }
}

/// One digit of a span.
struct SpanDigit {
    digit: u8,
    /// Where it starts in the text.
    at: usize,
    /// Whether a number can start here: only zeros are before it in its run.
    is_start: bool,
    /// Whether it is a single zero in brackets.
    in_brackets: bool,
    /// The run that it belongs to.
    run: usize,
    /// What is before the run.
    before: Edge,
}

/// The last digits of the span that is being read.
#[derive(Default)]
struct Reader {
    digits: VecDeque<SpanDigit>,
    /// The number of visible separators since the last digit.
    separators: usize,
    runs: usize,
    /// The last token, and the one before it.
    last: [Option<Kind>; 2],
}

impl Reader {
    /// Whether the next token ends a run of digits.
    fn ends_run(&self, next: Kind) -> bool {
        let [last, _] = self.last;
        matches!(last, Some(Kind::Digit(_))) && !matches!(next, Kind::Digit(_))
    }

    fn read(&mut self, next: Token) {
        match next.kind {
            Kind::Digit(digit) => self.digit(digit, next.start),
            Kind::Invisible => {}
            Kind::Separator(c) => {
                self.separators += 1;
                if c == ')' {
                    self.close_bracket();
                }
                if self.separators > MAX_SEPARATORS {
                    self.digits.clear();
                }
            }
            Kind::Word => self.digits.clear(),
        }
        let [last, _] = self.last;
        self.last = [Some(next.kind), last];
    }

    fn digit(&mut self, digit: u8, at: usize) {
        self.separators = 0;
        let continued = match self.last {
            [Some(Kind::Digit(_)), _] => self.digits.back(),
            _ => None,
        };
        let digit_at = if let Some(digit_at) = continued {
            SpanDigit {
                digit,
                at,
                is_start: digit_at.is_start && digit_at.digit == 0,
                in_brackets: false,
                ..*digit_at
            }
        } else {
            self.runs += 1;
            let [beside, beyond] = self.last;
            SpanDigit {
                digit,
                at,
                is_start: true,
                in_brackets: false,
                run: self.runs,
                before: Edge::of(beside, beyond),
            }
        };
        if self.digits.len() == REMEMBERED {
            self.digits.pop_front();
        }
        self.digits.push_back(digit_at);
    }

    /// The digits, with or without zeros in brackets.
    fn kept(&self, without_zeros: bool) -> impl DoubleEndedIterator<Item = &SpanDigit> + Clone {
        let is_kept = move |digit: &&SpanDigit| !(without_zeros && digit.in_brackets);
        self.digits.iter().filter(is_kept)
    }

    /// Called after a single zero behind an opening bracket.
    fn close_bracket(&mut self) {
        if let [Some(Kind::Digit(0)), Some(Kind::Separator('('))] = self.last
            && let Some(digit_at) = self.digits.back_mut()
        {
            digit_at.in_brackets = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::spelling::spelt, *};
    use proptest::prelude::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn a_number_is_accepted_in_many_spellings() {
        for text in [
            "919209209291",
            "+91 92092-09291",
            "0091 9209 209 291",
            "(91) 9209.209291",
            "९१ ९२०९२ ०९२९१",
            "%2B91%2092092%2009291",
        ] {
            assert_eq!(number(text).digits(), "919209209291", "{text}");
        }
        for bad in [
            "",
            "12345",
            "+1 23 45",
            "ninety",
            "api-337-919209209291",
            "919209209291919209209291",
        ] {
            assert_eq!(Number::parse(bad), None, "{bad}");
        }
        assert!(!format!("{:?}", number("919209209291")).contains("9192"));
    }

    #[test]
    fn a_number_is_found_in_the_usual_spellings() {
        for text in [
            "api-337-919209209291-3c9094b5cd72fdcaafbb633502afa672-1704876827",
            "call +91 92092 09291 now",
            "tel:00919209209291",
            "0919209209291",
            "919209209291",
            "[Mobile] +91-9209-209291\n[Work] 2",
            "{\"mobile\":919209209291}",
            "IMG919209209291a.jpg",
            "1 91 92092 09291 2",
            "2024-01-10 919209209291 08:53",
            "+91 (0)92092 09291",
            "+91 (0) 92092 09291 (0)",
            "{\"text\":\"{\\\"m\\\":\\\"\\\\u0039\\\\u0031 92092\\\\n09291\\\"}\"}",
        ] {
            assert!(number("919209209291").is_in(text), "{text}");
        }
        for text in [
            "9192092092910",
            "1919209209291",
            "1009192092092910",
            "91920920929",
            "",
            "919209209292",
            "91x9209209291",
            "92092 09291",
            "91 92092 09291 5".replace(" 5", "5").as_str(),
        ] {
            assert!(!number("919209209291").is_in(text), "{text}");
        }
        assert!(
            number("9209209291").is_in("+91 92092 09291"),
            "the national spelling"
        );
        assert!(number("09209209291").is_in("9209209291"));
        assert!(number("4420079460958").is_in("+44 (2)00 7946 0958"));
    }

    #[test]
    fn a_short_number_inside_a_word_is_not_found() {
        for text in [
            "call 1234567",
            "123 4567",
            "tel:123-4567.",
            "a: (123) 4567, b",
            "\\n1234567",
            "001234567",
            "1234567, 2024-01-10",
        ] {
            assert!(number("1234567").is_in(text), "{text}");
        }
        for text in [
            "7d3f1234567a",
            "7d3f-123-4567-a1",
            "123-4567-89",
            "a1234567",
            "1234567b",
            "99 12345678",
        ] {
            assert!(!number("1234567").is_in(text), "{text}");
        }
    }

    #[test]
    fn a_time_is_not_a_number() {
        let number = number("2026112100");
        assert!(number.is_in("(202) 611-2100"));
        assert!(number.is_in("2026112100"));
        assert!(!number.is_in("2026-11-21 00:15"));
        assert!(!number.is_in("2026-11-21T00:15"));
        assert!(!number.is_in("at 2026-11-21#00"));
        assert!(!Number("20261121".to_owned()).is_in("on 2026-11-21"));
        assert!(Number("20261121".to_owned()).is_in("call 2026 1121"));
    }

    proptest! {
        #[test]
        fn any_number_in_any_spelling_is_found(
            (digits, text) in spelt(7..=20),
            prefix in prop::sample::select(vec!["", "+", "00", "(", "\u{ff0b}", "%2B", "tel: ", "\""]),
            suffix in prop::sample::select(vec!["", ")", ".", ", 5", "\"", " x", " "]),
        ) {
            let text = format!("{prefix}{text}{suffix}");
            prop_assert!(number(&digits).is_in(&text), "{digits} in {text}");
        }

        #[test]
        fn many_numbers_are_found_together_as_each_alone(
            texts in prop::collection::vec(spelt(7..=20), 1..4),
            wanted in prop::collection::vec((0_usize..4, 0_usize..4, 0_usize..2), 1..5),
            between in prop::sample::select(vec!["", " ", "-", "x", " (0) ", ", "]),
        ) {
            // Whole numbers of the text, and parts of them.
            let wanted: Vec<Number> = wanted
                .into_iter()
                .filter_map(|(which, from, less)| {
                    let (digits, _) = texts.get(which)?;
                    Number::parse(digits.get(from..digits.len() - less)?)
                })
                .collect();
            let text = texts.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(between);
            let each = wanted.iter().any(|number| number.is_in(&text));
            let together: Numbers = wanted.into_iter().collect();
            prop_assert_eq!(together.are_in(&text), each, "{:?} in {}", together, text);
        }

        #[test]
        fn a_number_is_found_deep_in_an_id((digits, text) in spelt(10..=15)) {
            let text = format!("api-337-{text}-3c9094b5-1704876827");
            prop_assert!(number(&digits).is_in(&text), "{digits} in {text}");
        }

        #[test]
        fn another_number_is_not_found((digits, text) in spelt(10..=15), digit_at in 0_usize..10) {
            let mut other = digits.clone().into_bytes();
            other[digit_at] = if other[digit_at] == b'9' { b'1' } else { other[digit_at] + 1 };
            let other = Number(String::from_utf8(other).unwrap());
            prop_assert!(!other.is_in(&text), "{} in {}", other.0, text);
        }
    }
}
