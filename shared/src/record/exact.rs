//! Lossless JSON values: numbers keep every digit, objects keep repeated and empty names. `serde_json::Value`
//! and table attributes cannot represent all of these values.
//!
//! Safe on untrusted input: the parser limits the depth, and nothing panics. A value takes at most some 60
//! bytes for each node and borrows its texts.

use std::{borrow::Cow, cmp::Ordering, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::record::{NameSeed, first_step};

/// One JSON value.
#[derive(Debug, Clone)]
pub enum Exact<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as written.
    Number(Cow<'a, str>),
    /// A string, with resolved escapes.
    Text(Cow<'a, str>),
    /// An array.
    List(Vec<Self>),
    /// An object's fields, sorted by name. Fields with the same name keep their order.
    Object(Vec<Field<'a>>),
}

/// A name and its value.
pub type Field<'a> = (Cow<'a, str>, Exact<'a>);

impl<'a> Exact<'a> {
    /// Parses one JSON value.
    ///
    /// # Errors
    /// The parser's error: not JSON, a number that `f64` cannot approximate, or more than 128 levels.
    pub fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        let mut json = serde_json::Deserializer::from_str(text);
        let mut numbers = Numbers { rest: text };
        let value = ExactSeed(&mut numbers).deserialize(&mut json)?;
        json.end()?;
        Ok(value)
    }

    /// The same value, borrowed.
    pub(crate) fn borrowed(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(b) => Self::Bool(*b),
            Value::Number(n) => Self::Number(n.to_string().into()),
            Value::String(text) => Self::Text(text.as_str().into()),
            Value::Array(list) => Self::List(list.iter().map(Self::borrowed).collect()),
            Value::Object(fields) => Self::object(
                fields
                    .iter()
                    .map(|(name, value)| (name.as_str().into(), Self::borrowed(value))),
            ),
        }
    }

    /// The same value, owned.
    pub(crate) fn owned(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(b) => Self::Bool(b),
            Value::Number(n) => Self::Number(n.to_string().into()),
            Value::String(text) => Self::Text(text.into()),
            Value::Array(list) => Self::List(list.into_iter().map(Self::owned).collect()),
            Value::Object(fields) => Self::object(
                fields
                    .into_iter()
                    .map(|(name, value)| (name.into(), Self::owned(value))),
            ),
        }
    }

    /// An object with these fields.
    pub(crate) fn object(fields: impl IntoIterator<Item = Field<'a>>) -> Self {
        let mut fields: Vec<Field<'a>> = fields.into_iter().collect();
        sort(&mut fields);
        Self::Object(fields)
    }

    /// The nearest `serde_json` value: the last of the fields with one name, and `f64` for numbers that are
    /// not 64-bit integers.
    pub(crate) fn into_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(b) => Value::Bool(b),
            Self::Number(digits) => digits
                .parse::<Number>()
                .map_or_else(|_| Value::String(digits.into_owned()), Value::Number),
            Self::Text(text) => Value::String(text.into_owned()),
            Self::List(list) => Value::Array(list.into_iter().map(Self::into_value).collect()),
            Self::Object(fields) => Value::Object(into_map(fields)),
        }
    }

    /// Sets a field of an object and replaces fields with its name. Other values stay unchanged.
    pub(crate) fn set(&mut self, name: impl Into<Cow<'a, str>>, value: Self) {
        if let Self::Object(fields) = self {
            let name = name.into();
            fields.retain(|(field, _)| *field != name);
            fields.push((name, value));
            sort(fields);
        }
    }

    /// The value at a path in nested objects; of the fields with one name, the last.
    pub(crate) fn inside(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |value, name| match value {
            Self::Object(fields) => fields
                .iter()
                .rfind(|(field, _)| field == name)
                .map(|(_, value)| value),
            _ => None,
        })
    }

    /// The object that holds the last field of a path, which may be absent.
    pub(crate) fn holder(&mut self, path: &str) -> Option<&mut Self> {
        let (name, Some(rest)) = first_step(path) else {
            return matches!(self, Self::Object(_)).then_some(self);
        };
        match self {
            Self::Object(fields) => fields
                .iter_mut()
                .rfind(|(field, _)| field == name)
                .and_then(|(_, value)| value.holder(rest)),
            _ => None,
        }
    }

    /// Whether the value is empty: null, an empty string, or a list or object with only empty values.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Bool(_) | Self::Number(_) => false,
            Self::Text(text) => text.is_empty(),
            Self::List(list) => list.iter().all(Self::is_empty),
            Self::Object(fields) => fields.iter().all(|(_, value)| value.is_empty()),
        }
    }

    /// A string, or a number or boolean as written.
    pub(crate) fn as_word(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text),
            Self::Bool(b) => Some(if *b { "true" } else { "false" }),
            _ => None,
        }
    }

    /// Equality, except that an absent and an empty field of an object are equal.
    pub(crate) fn resembles(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::List(one), Self::List(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.resembles(b))
            }
            (Self::Object(one), Self::Object(other)) => {
                groups(one, other).all(|(_, one, other)| match (one, other) {
                    ([], [(_, value)]) | ([(_, value)], []) => value.is_empty(),
                    ([(_, a)], [(_, b)]) if a.is_empty() && b.is_empty() => true,
                    _ => {
                        one.len() == other.len()
                            && one.iter().zip(other).all(|((_, a), (_, b))| a.resembles(b))
                    }
                })
            }
            _ => self == other,
        }
    }
}

/// Numbers are equal as decimals (`1`, `1.0` and `1e0` are equal). The order of fields does not matter.
impl PartialEq for Exact<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => same_number(a, b),
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Exact<'_> {}

/// Fields as a map, with the last of several fields with one name.
pub(crate) fn into_map(fields: Vec<Field<'_>>) -> Map<String, Value> {
    fields
        .into_iter()
        .map(|(name, value)| (name.into_owned(), value.into_value()))
        .collect()
}

/// Groups two objects' fields by name: each name with its fields in both objects.
pub(crate) fn groups<'f, 'a>(
    mut one: &'f [Field<'a>],
    mut other: &'f [Field<'a>],
) -> impl Iterator<Item = (&'f str, &'f [Field<'a>], &'f [Field<'a>])> {
    std::iter::from_fn(move || {
        let name = match (one.first(), other.first()) {
            (Some((a, _)), Some((b, _))) => a.min(b),
            (Some((name, _)), None) | (None, Some((name, _))) => name,
            (None, None) => return None,
        };
        let split = |fields: &'f [Field<'a>]| {
            let of_this_name = fields.iter().take_while(|(field, _)| field == name).count();
            fields.split_at_checked(of_this_name).unwrap_or((fields, &[]))
        };
        let (first, second);
        (first, one) = split(one);
        (second, other) = split(other);
        Some((name.as_ref(), first, second))
    })
}

/// Stable, since the order of fields with the same name matters.
fn sort(fields: &mut [Field<'_>]) {
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
}

/// Whether two JSON numbers of any length and exponent are the same decimal number. Takes linear time and
/// does not allocate. Decimal libraries take quadratic time for a long number, or much memory for a large
/// exponent.
pub(crate) fn same_number(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    match (Decimal::of(one), Decimal::of(other)) {
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}

/// `±0.d₁d₂… × 10^magnitude` without leading and trailing zeros in the digits: equal numbers have equal
/// parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decimal<'a> {
    negative: bool,
    /// The digits before and after the decimal point.
    digits: (&'a str, &'a str),
    /// Zero if there are no digits.
    magnitude: i128,
}

impl<'a> Decimal<'a> {
    /// `None` if the text is not a JSON number, or has an exponent of more than 38 digits.
    pub(crate) fn of(number: &'a str) -> Option<Self> {
        let (negative, rest) = match number.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, number),
        };
        let (digits, exponent) = match rest.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse::<i128>().ok()?),
            None => (rest, 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        let (digits, places) = if whole.is_empty() {
            let significant = fraction.trim_start_matches('0');
            (("", significant), -length(fraction) + length(significant))
        } else if fraction.is_empty() {
            ((whole.trim_end_matches('0'), ""), length(whole))
        } else {
            ((whole, fraction), length(whole))
        };
        if digits == ("", "") {
            return Some(Self {
                negative: false,
                digits,
                magnitude: 0,
            });
        }
        Some(Self {
            negative,
            digits,
            magnitude: exponent.checked_add(places)?,
        })
    }

    /// Multiplies the number by a power of ten.
    pub(crate) fn times_ten_to(self, power: i128) -> Option<Self> {
        if self.digits == ("", "") {
            return Some(self);
        }
        Some(Self {
            magnitude: self.magnitude.checked_add(power)?,
            ..self
        })
    }

    fn digits(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.digits.0.bytes().chain(self.digits.1.bytes())
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.negative, self.magnitude) == (other.negative, other.magnitude)
            && self.digits().cmp(other.digits()) == Ordering::Equal
    }
}

/// A text's length. It always fits an `i128`.
fn length(text: &str) -> i128 {
    i128::try_from(text.len()).unwrap_or(i128::MAX)
}

/// Iterates over the numbers in a JSON text, as written.
struct Numbers<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Numbers<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.rest.as_bytes();
        let mut at = 0;
        loop {
            match bytes.get(at)? {
                b'"' => at = end_of_string(bytes, at + 1)?,
                b'-' | b'0'..=b'9' => break,
                _ => at += 1,
            }
        }
        let rest = self.rest.get(at..)?;
        let end = rest
            .bytes()
            .position(|b| !matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
            .unwrap_or(rest.len());
        let (number, rest) = rest.split_at_checked(end)?;
        self.rest = rest;
        Some(number)
    }
}

/// The position after the quote that ends a string.
fn end_of_string(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Whether `serde_json` writes each number of a JSON text as the same decimal.
pub(crate) fn keeps_numbers(text: &str) -> bool {
    Numbers { rest: text }.all(|number| {
        // A number without a fraction or an exponent is an integer. Integers are checked elsewhere.
        !number.contains(['.', 'e', 'E'])
            || number
                .parse::<Number>()
                .is_ok_and(|kept| same_number(number, &kept.to_string()))
    })
}

/// Parses a value, and takes the text of each number from the same JSON text. Both come in document order.
struct ExactSeed<'n, 'a>(&'n mut Numbers<'a>);

impl<'a> ExactSeed<'_, 'a> {
    fn number<E: serde::de::Error>(self) -> Result<Exact<'a>, E> {
        let number = self.0.next();
        number
            .map(|number| Exact::Number(number.into()))
            .ok_or_else(|| E::custom("a number without digits"))
    }
}

impl<'de> DeserializeSeed<'de> for ExactSeed<'_, 'de> {
    type Value = Exact<'de>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ExactSeed<'_, 'de> {
    type Value = Exact<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Exact::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Self::Value, E> {
        Ok(Exact::Bool(v))
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<Self::Value, E> {
        self.number()
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<Self::Value, E> {
        self.number()
    }

    fn visit_f64<E: serde::de::Error>(self, v: f64) -> Result<Self::Value, E> {
        if v.is_finite() {
            self.number()
        } else {
            Err(E::custom("a number that is not finite"))
        }
    }

    fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
        Ok(Exact::Text(Cow::Borrowed(v)))
    }

    fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
        Ok(Exact::Text(Cow::Owned(v.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(ExactSeed(&mut *self.0))? {
            values.push(value);
        }
        Ok(Exact::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(name) = map.next_key_seed(NameSeed)? {
            fields.push((name, map.next_value_seed(ExactSeed(&mut *self.0))?));
        }
        sort(&mut fields);
        Ok(Exact::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Exact<'_> {
        Exact::parse(text).unwrap()
    }

    #[test]
    fn numbers_are_decimals_of_any_length() {
        for same in [
            &["1", "1.0", "1.00", "1e0", "10e-1", "0.1E+1", "1000000e-6"][..],
            &["0", "-0", "0.000", "0e9", "-0.0e-7"],
            &["-12.50", "-1.25e1", "-1250E-2"],
            &[
                "123456789012345678",
                "123456789012345678.0",
                "1.23456789012345678e17",
            ],
            &[
                "1e-99999999999999999999",
                "0.1e-99999999999999999998",
                "10e-100000000000000000000",
            ],
        ] {
            for one in same {
                for other in same {
                    assert!(same_number(one, other), "{one} {other}");
                }
            }
        }
        for (one, other) in [
            ("123456789012345678", "123456789012345679"),
            ("0.1", "0.10000000000000001"),
            ("1", "-1"),
            ("1", "10"),
            ("1.05", "1.5"),
            ("0.01", "0.001"),
            ("1e5", "1e6"),
            ("100", "1001"),
        ] {
            assert!(!same_number(one, other), "{one} {other}");
        }
        let (long, longer) = ("7".repeat(100_000), "7".repeat(100_001));
        assert!(same_number(&long, &format!("{long}.000")));
        assert!(!same_number(&long, &longer));
        // An exponent that does not fit an integer is compared as text.
        let vast = format!("1e-{}", "9".repeat(50));
        assert!(same_number(&vast, &vast));
        assert!(!same_number(&vast, "0"));
    }

    #[test]
    fn objects_are_equal_in_any_order_but_repeated_names_count() {
        assert_eq!(
            parse(r#"{"a":1,"b":[2.0]}"#),
            parse(r#" { "b" : [2], "\u0061" : 1 } "#)
        );
        assert_ne!(parse(r#"{"a":1,"a":2}"#), parse(r#"{"a":2}"#));
        assert_ne!(parse(r#"{"a":1,"a":2}"#), parse(r#"{"a":2,"a":1}"#));
        assert_ne!(parse(r#"{"":1}"#), parse(r#"{"":2}"#));
        assert_ne!(parse("[1,2]"), parse("[2,1]"));
        assert_ne!(parse("\"1\""), parse("1"));
        assert_ne!(parse("null"), parse("\"\""));
    }

    #[test]
    fn numbers_in_strings_are_ignored() {
        let value = parse(r#"{"1\"2":"3,4\\","a":[5,"6",-7.50]}"#);
        assert_eq!(
            value,
            Exact::object([
                (
                    "a".into(),
                    Exact::List(vec![
                        Exact::Number("5".into()),
                        Exact::Text("6".into()),
                        Exact::Number("-7.5".into())
                    ])
                ),
                ("1\"2".into(), Exact::Text("3,4\\".into())),
            ])
        );
    }

    #[test]
    fn resembling_ignores_empty_fields_and_nothing_else() {
        let alike = |a: &str, b: &str| parse(a).resembles(&parse(b)) && parse(b).resembles(&parse(a));
        assert!(alike(r#"{"a":1,"b":""}"#, r#"{"a":1.0,"c":{"d":[null]}}"#));
        assert!(alike(r#"[{"a":null}]"#, "[{}]"));
        assert!(!alike(r#"{"a":1,"b":0}"#, r#"{"a":1}"#));
        assert!(!alike("[null,1]", "[\"\",1]"));
        assert!(!alike("[1,null]", "[1]"));
        assert!(!alike(r#"{"a":"","a":"x"}"#, r#"{"a":"x"}"#));
        assert!(!alike(r#"{"a":""}"#, r#"[""]"#));
    }

    #[test]
    fn digits_that_a_float_drops_are_detected() {
        assert!(keeps_numbers(
            r#"{"a":[1,19.0760,-2.5e-3,0.30000000000000004],"b":"0.10000000000000000001"}"#
        ));
        assert!(!keeps_numbers(r#"{"a":0.1000000000000000055511151231257827}"#));
        assert!(!keeps_numbers("[1e-400]"));
    }

    proptest! {
        #[test]
        fn equality_is_that_of_an_aligned_decimal(
            digits in "[0-9]{1,12}", other in "[0-9]{1,12}",
            (shift, other_shift) in (0_usize..8, 0_usize..8), negative in any::<bool>(),
        ) {
            // Both as whole numbers with eight decimal places: an independent comparison.
            let whole = |digits: &str, shift: usize| digits.parse::<i128>().unwrap() * 10_i128.pow(8 - u32::try_from(shift).unwrap());
            let sign = if negative { "-" } else { "" };
            let number = |digits: &str, shift: usize| {
                let digits = digits.trim_start_matches('0');
                format!("{sign}{}e-{shift}", if digits.is_empty() { "0" } else { digits })
            };
            let same = whole(&digits, shift) == whole(&other, other_shift);
            prop_assert_eq!(same_number(&number(&digits, shift), &number(&other, other_shift)), same);
            // The same number with its decimal point elsewhere.
            let pointed = format!("{sign}0.{digits}e{}", i64::try_from(digits.len()).unwrap() - i64::try_from(shift).unwrap());
            prop_assert!(same_number(&number(&digits, shift), &pointed));
        }

        #[test]
        fn a_parsed_value_equals_the_original(text in r#"(\[|\{|\]|\}|,|:|"a"|"b\\""|1|-2\.5|true|null){0,20}"#) {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                let exact = Exact::parse(&text).unwrap();
                prop_assert_eq!(exact.clone().into_value(), value.clone());
                prop_assert_eq!(Exact::borrowed(&value).into_value(), value);
            } else {
                prop_assert!(Exact::parse(&text).is_err());
            }
        }
    }
}
