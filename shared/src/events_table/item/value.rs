//! Converts JSON values to attributes and back, and counts their bytes.

use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::{Item, MAX_ITEM_BYTES, to_json};
use crate::record::{MAX_DEPTH, NameSeed, Unreadable, describe};

/// How much smaller an item can be than its record's values: a status is stored as a shorter word.
const SLACK: usize = 4096;

/// Refuses a record that is too long to become an item. Counts its values as the table does, without keeping
/// them. A record that passes has at most a few hundred thousand values; parsed, it takes at most some 50 MB.
///
/// # Errors
/// [`Unreadable`] if the record's item would exceed DynamoDB's size limit.
pub(crate) fn check_length(record: &str) -> Result<(), Unreadable> {
    // The item contains all values exactly, or else the text as well. Both count toward its size.
    if record.len() <= MAX_ITEM_BYTES {
        return Ok(());
    }
    let mut json = serde_json::Deserializer::from_str(record);
    let weight = Fields
        .deserialize(&mut json)
        .map_err(|e| Unreadable(format!("the record cannot be read: {}", describe(&e))))?;
    if weight <= MAX_ITEM_BYTES + SLACK {
        return Ok(());
    }
    Err(Unreadable(format!(
        "the record's values take {weight} bytes; a table item holds {MAX_ITEM_BYTES}"
    )))
}

/// Counts a record's values. Field names do not count: they are renamed or moved.
struct Fields;

impl<'de> DeserializeSeed<'de> for Fields {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<usize, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<usize, A::Error> {
        let mut weight = 0;
        while map.next_key_seed(NameSeed)?.is_some() {
            weight += map.next_value_seed(Weight)?;
        }
        Ok(weight)
    }
}

/// The least number of bytes that a value counts for. Must match [`value_size`].
struct Weight;

impl<'de> DeserializeSeed<'de> for Weight {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<usize, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Weight {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<usize, E> {
        Ok(1)
    }

    fn visit_bool<E>(self, _: bool) -> Result<usize, E> {
        Ok(1)
    }

    // A number counts at least one digit and one more byte.
    fn visit_i64<E>(self, _: i64) -> Result<usize, E> {
        Ok(2)
    }

    fn visit_u64<E>(self, _: u64) -> Result<usize, E> {
        Ok(2)
    }

    fn visit_f64<E>(self, _: f64) -> Result<usize, E> {
        Ok(2)
    }

    fn visit_str<E>(self, text: &str) -> Result<usize, E> {
        Ok(text.len())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<usize, A::Error> {
        let mut weight = 3;
        while let Some(value) = seq.next_element_seed(Self)? {
            weight += 1 + value;
        }
        Ok(weight)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<usize, A::Error> {
        let mut weight = 3;
        while let Some(name) = map.next_key_seed(NameSeed)? {
            weight += 1 + name.len() + map.next_value_seed(Self)?;
        }
        Ok(weight)
    }
}

/// The size of an item by the documented rules, in bytes:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
pub fn size(item: &Item) -> usize {
    size_of(item.iter().map(|(name, value)| (name.as_str(), value)))
}

/// [`size`] of an item with these attributes.
pub(super) fn size_of<'a>(attributes: impl Iterator<Item = (&'a str, &'a AttributeValue)>) -> usize {
    attributes
        .map(|(name, value)| name.len() + value_size(value))
        .sum()
}

fn value_size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => {
            let significant = digits.bytes().filter(u8::is_ascii_digit).count();
            significant.div_ceil(2) + 1 + usize::from(digits.starts_with('-'))
        }
        AttributeValue::L(list) => 3 + list.iter().map(|v| 1 + value_size(v)).sum::<usize>(),
        AttributeValue::M(fields) => {
            3 + fields
                .iter()
                .map(|(name, v)| 1 + name.len() + value_size(v))
                .sum::<usize>()
        }
        _ => 1,
    }
}

/// Values that the table cannot hold are written as JSON text or omitted. [`verbatim`](crate::event::Event::verbatim) then contains
/// them.
pub(super) fn to_attribute(value: Value, depth: usize) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(b) => AttributeValue::Bool(b),
        Value::Number(n) => {
            let in_range = n
                .as_f64()
                .is_some_and(|f| f == 0.0 || (1e-100..1e100).contains(&f.abs()));
            if in_range {
                AttributeValue::N(n.to_string())
            } else {
                AttributeValue::S(n.to_string())
            }
        }
        Value::String(text) => AttributeValue::S(text),
        nested if depth > MAX_DEPTH => AttributeValue::S(nested.to_string()),
        Value::Array(list) => {
            AttributeValue::L(list.into_iter().map(|v| to_attribute(v, depth + 1)).collect())
        }
        Value::Object(fields) => AttributeValue::M(
            fields
                .into_iter()
                .filter(|(name, _)| crate::record::storable_name(name))
                .map(|(name, v)| (name, to_attribute(v, depth + 1)))
                .collect(),
        ),
    }
}

pub(super) fn from_attribute(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => Value::String(text.clone()),
        AttributeValue::N(digits) => digits
            .parse::<i64>()
            .map(Value::from)
            .or_else(|_| digits.parse::<u64>().map(Value::from))
            .or_else(|_| digits.parse::<f64>().map(Value::from))
            .unwrap_or_else(|_| Value::String(digits.clone())),
        AttributeValue::Bool(b) => Value::Bool(*b),
        AttributeValue::L(list) => Value::Array(list.iter().map(from_attribute).collect()),
        AttributeValue::M(fields) => Value::Object(to_json(fields)),
        AttributeValue::Ss(list) | AttributeValue::Ns(list) => Value::from(list.clone()),
        _ => Value::Null,
    }
}
