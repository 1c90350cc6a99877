//! JSON values as attributes and back, and the bytes they count for.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;

use super::{Item, to_json};
use crate::record::DEEPEST;

/// The bytes an item counts for, by the documented rules:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
pub fn size(item: &Item) -> usize {
    item.iter()
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

/// What the table cannot hold is written as JSON text or left out; [`Event::verbatim`] then has it.
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
        nested if depth > DEEPEST => AttributeValue::S(nested.to_string()),
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
