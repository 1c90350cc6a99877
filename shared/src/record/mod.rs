//! One parsed provider record: its fields, and whether they represent its text exactly.
//!
//! Safe on untrusted input: the parser limits the depth, and nothing panics.

pub mod exact;

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use self::exact::{Exact, keeps_numbers};

/// A record that is JSON but not an event. The text names the part and the fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

impl Unreadable {
    /// Creates the error with its reason.
    pub fn new(why: &str) -> Self {
        Self(why.to_owned())
    }
}

/// `DynamoDB` allows 32 levels; our items use two of them (`extra` and the value itself):
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
pub(crate) const MAX_DEPTH: usize = 28;

/// The fields of one record. Taking a field removes it. The remaining fields become `extra`.
#[derive(Debug)]
pub struct Record<'a> {
    text: &'a str,
    fields: Vec<(Cow<'a, str>, Value)>,
    exact: bool,
}

impl<'a> Record<'a> {
    /// Parses one JSON object.
    ///
    /// # Errors
    /// [`Unreadable`] if `text` is not an object, or is nested more than 128 levels deep.
    pub fn parse(text: &'a str) -> Result<Self, Unreadable> {
        let mut json = serde_json::Deserializer::from_str(text);
        let record = RecordVisitor
            .deserialize_with(&mut json)
            .map_err(|e| Unreadable(format!("the record cannot be read: {}", describe(&e))))?;
        json.end()
            .map_err(|e| Unreadable(format!("the record cannot be read: {}", describe(&e))))?;
        let Parsed {
            fields,
            exact,
            fractions,
        } = record;
        Ok(Self {
            text,
            fields,
            exact: exact && (!fractions || keeps_numbers(text)),
        })
    }

    /// Removes the field at a path and returns its value; `None` if it is absent. `entity.messageId` is the
    /// field `messageId` of the object in the field `entity`. The object stays, even if it becomes empty.
    pub fn take(&mut self, path: &str) -> Option<Value> {
        match first_step(path) {
            (name, None) => {
                let at = self.fields.iter().position(|(field, _)| field == name)?;
                Some(self.fields.swap_remove(at).1)
            }
            (name, Some(rest)) => {
                let (object, field) = holder(self.field_mut(name)?, rest)?;
                object.remove(field)
            }
        }
    }

    /// Puts a value back to where [`Self::take`] found it. Returns the value if no object holds the path.
    pub(crate) fn put_back(&mut self, path: &str, value: Value) -> Option<Value> {
        let (name, rest) = first_step(path);
        match rest.and_then(|rest| holder(self.field_mut(name)?, rest)) {
            Some((object, field)) => {
                object.insert(field.to_owned(), value);
                None
            }
            None => Some(value),
        }
    }

    /// The value of the field at a path, see [`Self::take`].
    pub fn get(&self, path: &str) -> Option<&Value> {
        let (name, rest) = first_step(path);
        let (_, value) = self.fields.iter().find(|(field, _)| field == name)?;
        rest.map_or(Some(value), |rest| inside(value, rest))
    }

    fn field_mut(&mut self, name: &str) -> Option<&mut Value> {
        let field = self.fields.iter_mut().find(|(field, _)| field == name);
        field.map(|(_, value)| value)
    }

    /// The digits of a field that was an integer of more than 64 bits, whose `value` has lost some of them.
    pub(crate) fn long_integer(&self, name: &str, value: &Value) -> Option<String> {
        if !value.is_f64() {
            return None;
        }
        let Ok(Exact::Object(fields)) = Exact::parse(self.text) else {
            return None;
        };
        let (_, written) = fields.into_iter().find(|(field, _)| field == name)?;
        match written {
            Exact::Number(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                Some(digits.into_owned())
            }
            _ => None,
        }
    }

    /// Adds a field whose name the record does not have.
    pub(crate) fn put(&mut self, name: &'static str, value: Value) {
        self.fields.push((name.into(), value));
    }

    /// The names of the fields.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.fields.iter().map(|(name, _)| name.as_ref())
    }

    /// Whether the fields represent the text exactly. False if a field name is repeated or empty, if a number
    /// does not fit an `f64`, or if the nesting is too deep for a table attribute.
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// Fields that were not taken.
    pub fn into_rest(self) -> Map<String, Value> {
        self.fields
            .into_iter()
            .map(|(name, value)| (name.into_owned(), value))
            .collect()
    }
}

/// The first name of a path, and the path from there; `None` if it is the last. `entity.messageId` is the field
/// `messageId` of the object in the field `entity`.
///
/// A loop over the bytes: this runs for each field of each record, and a searcher costs more than such a short
/// text.
pub(crate) fn first_step(path: &str) -> (&str, Option<&str>) {
    let dot = path.bytes().position(|byte| byte == b'.');
    match dot.and_then(|dot| Some((path.get(..dot)?, path.get(dot + 1..)?))) {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    }
}

/// The value at a path in nested objects.
pub(crate) fn inside<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.')
        .try_fold(value, |value, name| value.as_object()?.get(name))
}

/// The object that holds the last field of a path, and that field's name. The field may be absent.
fn holder<'v, 'p>(value: &'v mut Value, path: &'p str) -> Option<(&'v mut Map<String, Value>, &'p str)> {
    let object = value.as_object_mut()?;
    match first_step(path) {
        (name, Some(rest)) => holder(object.get_mut(name)?, rest),
        (name, None) => Some((object, name)),
    }
}

/// Describes a parser's error without quoting the input.
pub(crate) fn describe(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => "it is not a JSON object",
        serde_json::error::Category::Syntax if error.to_string().starts_with("recursion") => {
            "it is nested too deeply"
        }
        _ => match error.to_string() {
            text if text.starts_with("control character") => {
                "a string contains a line break or control character"
            }
            text if text.starts_with("trailing comma") => "a comma is followed by no value",
            text if text.starts_with("key must be a string") => "a field's name in quotes is missing",
            _ => "it is not JSON",
        },
    };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

struct RecordVisitor;

impl RecordVisitor {
    fn deserialize_with<'de, D: Deserializer<'de>>(self, json: D) -> Result<Parsed<'de>, D::Error> {
        json.deserialize_map(self)
    }
}

/// A record's fields, and what was found about their exactness.
struct Parsed<'de> {
    fields: Vec<(Cow<'de, str>, Value)>,
    exact: bool,
    /// Whether it contains a number with a fraction.
    fractions: bool,
}

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = Parsed<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields: Vec<(Cow<'de, str>, Value)> = Vec::with_capacity(16);
        let mut fidelity = Fidelity::default();
        let mut seen = HashSet::new();
        while let Some(name) = map.next_key_seed(NameSeed)? {
            let value = map.next_value_seed(ValueSeed {
                depth: 1,
                fidelity: &mut fidelity,
            })?;
            fidelity.exact &= storable_name(&name);
            // A scan is faster than a set for the dozen fields of every known format.
            let twice = match fields.len() {
                0..=32 => fields.iter().any(|(field, _)| *field == name),
                33 => {
                    seen.extend(fields.iter().map(|(field, _)| field.to_string()));
                    !seen.insert(name.to_string())
                }
                _ => !seen.insert(name.to_string()),
            };
            if twice {
                fidelity.exact = false;
            } else {
                fields.push((name, value));
            }
        }
        Ok(Parsed {
            fields,
            exact: fidelity.exact,
            fractions: fidelity.fractions,
        })
    }
}

/// `DynamoDB` refuses empty attribute names and names over 64 KiB.
pub(crate) fn storable_name(name: &str) -> bool {
    !name.is_empty() && name.len() < 65_536
}

/// Borrows a field name if it contains no escape sequence.
pub(crate) struct NameSeed;

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for NameSeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(v))
    }

    fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(v.to_owned()))
    }
}

/// What was found about the exactness of parsed values.
struct Fidelity {
    /// No loss was found.
    exact: bool,
    /// There are numbers with a fraction. Their text decides whether an `f64` is exact.
    fractions: bool,
}

impl Default for Fidelity {
    fn default() -> Self {
        Self {
            exact: true,
            fractions: false,
        }
    }
}

/// Parses a value like `serde_json::Value`, and records what that type cannot represent.
struct ValueSeed<'e> {
    depth: usize,
    fidelity: &'e mut Fidelity,
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_f64<E: serde::de::Error>(self, v: f64) -> Result<Value, E> {
        // The table returns `5.0` as `5`. Integers that are parsed as `f64` have already lost digits.
        // Below 1e-100, values are close to the end of the table's range.
        if v.fract() == 0.0 || v.abs() < 1e-100 {
            self.fidelity.exact = false;
        }
        self.fidelity.fractions = true;
        Number::from_f64(v)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number that is not finite"))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::String(v.to_owned()))
    }

    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(Value::String(v))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let Self { depth, fidelity } = self;
        fidelity.exact &= depth < MAX_DEPTH;
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(ValueSeed {
            depth: depth + 1,
            fidelity: &mut *fidelity,
        })? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let Self { depth, fidelity } = self;
        fidelity.exact &= depth < MAX_DEPTH;
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(ValueSeed {
                depth: depth + 1,
                fidelity: &mut *fidelity,
            })?;
            fidelity.exact &= storable_name(&name);
            if fields.insert(name, value).is_some() {
                fidelity.exact = false;
            }
        }
        Ok(Value::Object(fields))
    }
}

/// Parses a JSON value with the same limits as a record's fields.
///
/// # Errors
/// The parser's error.
pub(crate) fn value(text: &str) -> Result<Value, serde_json::Error> {
    let mut fidelity = Fidelity::default();
    let mut json = serde_json::Deserializer::from_str(text);
    let value = ValueSeed {
        depth: 1,
        fidelity: &mut fidelity,
    }
    .deserialize(&mut json)?;
    json.end()?;
    if fidelity.exact && (!fidelity.fractions || keeps_numbers(text)) {
        Ok(value)
    } else {
        Err(serde_json::Error::custom("the value cannot be kept exactly"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn fields_are_taken_and_the_rest_is_kept() {
        let mut record = Record::parse(r#"{"a":1,"b":"x","c":{"d":[true,null]},"\u0065":-2.5}"#).unwrap();
        assert_eq!(record.take("b"), Some(json!("x")));
        assert_eq!(record.take("b"), None);
        assert!(record.is_exact());
        assert_eq!(
            Value::Object(record.into_rest()),
            json!({"a":1,"c":{"d":[true,null]},"e":-2.5})
        );
    }

    #[test]
    fn integers_of_any_length_keep_their_digits() {
        let text = r#"{"a":155362501117028031234567,"b":18446744073709551615,"c":1.5,"d":-155362501117028031234567,"a":1}"#;
        let record = Record::parse(text).unwrap();
        let digits = |name: &str| record.long_integer(name, record.get(name).unwrap());
        assert_eq!(digits("a").as_deref(), Some("155362501117028031234567"));
        for short in ["b", "c", "d"] {
            assert_eq!(digits(short), None, "{short}");
        }
    }

    #[test]
    fn a_path_leads_into_objects_only() {
        let text = r#"{"a":{"b":{"c":1},"d":2},"a.d":3,"e":[{"d":4}],"f":"x"}"#;
        let mut record = Record::parse(text).unwrap();
        assert_eq!(record.get("a.b.c"), Some(&json!(1)));
        assert_eq!(record.get("a.b"), Some(&json!({"c": 1})));
        for path in ["a.c", "a.b.d", "e.d", "f.d", "g.d", "a.d.e"] {
            assert_eq!(record.get(path), None, "{path}");
            assert_eq!(record.take(path), None, "{path}");
        }
        assert_eq!(record.take("a.b.c"), Some(json!(1)));
        assert_eq!(record.take("a.d"), Some(json!(2)));
        assert_eq!(record.put_back("a.d", json!(5)), None);
        assert_eq!(record.put_back("f.d", json!(6)), Some(json!(6)));
        assert_eq!(
            Value::Object(record.into_rest()),
            json!({"a": {"b": {}, "d": 5}, "a.d": 3, "e": [{"d": 4}], "f": "x"})
        );
    }

    #[test]
    fn lossy_values_are_detected() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":123456789012345678901234567890}"#,
            r#"{"a":1e300}"#,
            r#"{"a":1e-200}"#,
            r#"{"a":-0.0}"#,
            r#"{"a":0.1000000000000000055511151231257827}"#,
            r#"{"a":[19.076,{"b":1.00000000000000000001}]}"#,
            r#"{"":1}"#,
            r#"{"a":[{"":1}]}"#,
        ] {
            assert!(!Record::parse(text).unwrap().is_exact(), "{text}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(40), "]".repeat(40));
        assert!(!Record::parse(&deep).unwrap().is_exact());
        let many: Vec<String> = (0..40).map(|i| format!("\"f{i}\":1")).collect();
        assert!(
            Record::parse(&format!("{{{}}}", many.join(",")))
                .unwrap()
                .is_exact()
        );
        assert!(
            !Record::parse(&format!("{{{},\"f3\":2}}", many.join(",")))
                .unwrap()
                .is_exact()
        );
    }

    #[test]
    fn errors_do_not_quote_the_record() {
        let error = Record::parse("[\"919999999999\"]").unwrap_err();
        assert_eq!(
            error.0,
            "the record cannot be read: it is not a JSON object (line 1, column 0)"
        );
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(500), "]".repeat(500));
        let error = Record::parse(&deep).unwrap_err().0;
        assert!(error.contains("nested too deep"), "{error}");
        for (text, reason) in [
            (
                "{\"a\":\"x\ny\"}",
                "a string contains a line break or control character (line 2, column 0)",
            ),
            (
                "{\"a\":1,\n}",
                "a comma is followed by no value (line 2, column 1)",
            ),
            ("{\"a\" 1}", "it is not JSON (line 1, column 6)"),
        ] {
            let error = Record::parse(text).unwrap_err().0;
            assert_eq!(error, format!("the record cannot be read: {reason}"));
        }
        assert!(Record::parse("{} {}").is_err());
        assert!(Record::parse("").is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_records_never_panic(text in ".{0,200}") {
            let _ = Record::parse(&text);
        }
    }
}
