//! Splits a text into the characters that a reader sees, with resolved escapes.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory},
};

/// The kind of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A decimal digit and its value.
    Digit(u8),
    /// No visible width: a zero-width character, a bidirectional control, a combining mark.
    Invisible,
    /// A letter, or a numeral that is not a decimal digit.
    Word,
    /// Any other character. An escape that can only be a separator counts as a space.
    Separator(char),
}

/// One character and the bytes that spell it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The characters of a text from a position on.
#[derive(Debug, Clone)]
pub(crate) struct Tokens<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Tokens<'t> {
    /// `at` is the start of a token or the end of the text.
    pub(crate) fn from(text: &'t str, at: usize) -> Self {
        Self { text, at }
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let (kind, end) = match *bytes.get(start)? {
            b'\\' => backslash(bytes, start),
            b'%' => percent(bytes, start),
            b'&' => entity(bytes, start),
            byte if byte.is_ascii() => (kind(byte.into()), start + 1),
            _ => {
                let c = self.text.get(start..)?.chars().next()?;
                (kind(c), start + c.len_utf8())
            }
        };
        self.at = end;
        Some(Token { kind, start, end })
    }
}

fn kind(c: char) -> Kind {
    if c.is_ascii() {
        return match c.to_digit(10).and_then(|value| u8::try_from(value).ok()) {
            Some(value) => Kind::Digit(value),
            None if c.is_ascii_alphabetic() => Kind::Word,
            None => Kind::Separator(c),
        };
    }
    match CodePointMapData::<GeneralCategory>::new().get(c) {
        GeneralCategory::DecimalNumber => Kind::Digit(digit_value(c)),
        GeneralCategory::Format | GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark => {
            Kind::Invisible
        }
        _ if CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c) => Kind::Invisible,
        _ if c.is_alphanumeric() => Kind::Word,
        _ => Kind::Separator(c),
    }
}

/// Unicode encodes decimal digits in blocks of ten from zero to nine, in all future versions too:
/// <https://www.unicode.org/reports/tr44/#Numeric_Type>. Blocks may be adjacent. The longest sequence is the
/// 50 mathematical digits, so the loop takes at most 50 steps.
fn digit_value(c: char) -> u8 {
    const LONGEST: u32 = 50;
    let categories = CodePointMapData::<GeneralCategory>::new();
    let before = (1..LONGEST)
        .take_while(|back| {
            let code = u32::from(c).checked_sub(*back);
            code.is_some_and(|code| categories.get32(code) == GeneralCategory::DecimalNumber)
        })
        .count();
    u8::try_from(before % 10).unwrap_or_default()
}

/// An escape of JSON or of a programming language. JSON in a JSON string doubles backslashes, so several
/// backslashes count as one.
fn backslash(bytes: &[u8], start: usize) -> (Kind, usize) {
    let after = skip(bytes, start, b'\\');
    if let Some((code, end)) = code_unit(bytes, after) {
        if let Some(c) = char::from_u32(code) {
            return (kind(c), end);
        }
        return match low_surrogate(bytes, code, end) {
            Some((c, end)) => (kind(c), end),
            None => (Kind::Separator(' '), end),
        };
    }
    match bytes.get(after) {
        Some(b'n' | b'r' | b't' | b'b' | b'f' | b'v') => (Kind::Separator(' '), after + 1),
        _ => (Kind::Separator('\\'), after),
    }
}

/// Parses `uXXXX` or `xXX` at a position, and returns its end.
fn code_unit(bytes: &[u8], at: usize) -> Option<(u32, usize)> {
    let length = match bytes.get(at)? {
        b'u' => 4,
        b'x' => 2,
        _ => return None,
    };
    let end = at + 1 + length;
    Some((hex(bytes.get(at + 1..end)?)?, end))
}

fn low_surrogate(bytes: &[u8], high: u32, at: usize) -> Option<(char, usize)> {
    bytes.get(at).filter(|byte| **byte == b'\\')?;
    let (low, end) = code_unit(bytes, skip(bytes, at, b'\\'))?;
    let units = [u16::try_from(high).ok()?, u16::try_from(low).ok()?];
    let c = char::decode_utf16(units).next()?.ok()?;
    Some((c, end))
}

/// A percent-encoded character. `%25` before two hexadecimal digits is a percent sign that was encoded twice.
/// Other sequences are read unchanged, so that their digits count.
fn percent(bytes: &[u8], start: usize) -> (Kind, usize) {
    const AS_IT_STANDS: Kind = Kind::Separator('%');
    let mut utf8 = [0; 4];
    let mut end = start;
    for length in 1..=utf8.len() {
        let Some((byte, after)) = percent_byte(bytes, end) else {
            break;
        };
        end = after;
        let Some(read) = utf8.get_mut(..length) else { break };
        if let Some(last) = read.last_mut() {
            *last = byte;
        }
        let Some(c) = std::str::from_utf8(read)
            .ok()
            .and_then(|text| text.chars().next())
        else {
            continue;
        };
        let unlikely = c.is_ascii_alphabetic() || (c.is_ascii_control() && !c.is_ascii_whitespace());
        if unlikely {
            break;
        }
        return (kind(c), end);
    }
    (AS_IT_STANDS, start + 1)
}

fn percent_byte(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    bytes.get(at).filter(|byte| **byte == b'%')?;
    let mut at = at + 1;
    let pair = |at: usize| bytes.get(at..at + 2).and_then(hex);
    while bytes.get(at..at + 2) == Some(b"25") && pair(at + 2).is_some() {
        at += 2;
    }
    Some((u8::try_from(pair(at)?).ok()?, at + 2))
}

/// An HTML character reference: numeric, or named. Named ones are not looked up: those that can be between
/// digits are spaces, dashes and brackets.
fn entity(bytes: &[u8], start: usize) -> (Kind, usize) {
    const MAX_ENTITY_BYTES: usize = 24;
    const MAX_DIGITS: usize = 7;
    let mut at = start + 1;
    // An ampersand that was encoded twice.
    while bytes.get(at..at + 4) == Some(b"amp;") {
        at += 4;
    }
    let as_it_stands = (Kind::Separator('&'), at);
    let rest = bytes.get(at..).unwrap_or_default();
    let until = |rest: &[u8], most: usize| rest.iter().take(most + 1).position(|byte| *byte == b';');
    if let Some(number) = rest.strip_prefix(b"#") {
        let (prefix, radix, digits) = match number {
            [b'x' | b'X', digits @ ..] => (2, 16, digits),
            digits => (1, 10, digits),
        };
        let Some(length) = until(digits, MAX_DIGITS) else {
            return as_it_stands;
        };
        let code = digits.get(..length).and_then(|digits| number_of(digits, radix));
        return match code.and_then(char::from_u32) {
            Some(c) => (kind(c), at + prefix + length + 1),
            None => as_it_stands,
        };
    }
    match until(rest, MAX_ENTITY_BYTES) {
        Some(length)
            if length > 1
                && rest
                    .get(..length)
                    .is_some_and(|name| name.iter().all(u8::is_ascii_alphabetic)) =>
        {
            (Kind::Separator(' '), at + length + 1)
        }
        _ => as_it_stands,
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    number_of(digits, 16)
}

/// The value of digits without a sign.
fn number_of(digits: &[u8], radix: u32) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(|byte| char::from(*byte).is_digit(radix)) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

fn skip(bytes: &[u8], at: usize, byte: u8) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|b| **b == byte).count()
}
