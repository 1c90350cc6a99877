//! Whether two items tell the same: what makes a duplicate, and what a conflict.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    AS_SENT, DAY_SHARD, ENVELOPE, EVENT_TIME, EXPIRES_AT, Item, LATE, RECEIVED_AT, UNDATED, VERBATIM,
};

/// What the arrival may change without making it another event.
const OF_THE_ARRIVAL: [&str; 7] = [
    RECEIVED_AT,
    EXPIRES_AT,
    LATE,
    DAY_SHARD,
    AS_SENT,
    VERBATIM,
    ENVELOPE,
];

/// The names of the attributes in which two items with one key differ; empty for a duplicate.
/// What belongs to the arrival does not count, nor does the difference between absent and empty.
pub fn differences(one: &Item, other: &Item) -> Vec<String> {
    let undated = one.contains_key(UNDATED) || other.contains_key(UNDATED);
    let counts =
        |name: &str| !OF_THE_ARRIVAL.contains(&name) && !(undated && (name == EVENT_TIME || name == UNDATED));
    let mut names: Vec<&String> = one.keys().chain(other.keys()).filter(|n| counts(n)).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .filter(|name| match (one.get(*name), other.get(*name)) {
            (Some(a), Some(b)) => !same(a, b),
            (Some(a), None) | (None, Some(a)) => !is_empty(a),
            (None, None) => false,
        })
        .cloned()
        .collect()
}

fn same(one: &AttributeValue, other: &AttributeValue) -> bool {
    match (one, other) {
        // The table normalises numbers: `1e3` comes back as `1000`.
        (AttributeValue::N(a), AttributeValue::N(b)) => a == b || same_number(a, b),
        (AttributeValue::L(a), AttributeValue::L(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (AttributeValue::M(a), AttributeValue::M(b)) => {
            let covers = |a: &Item, b: &Item| {
                a.iter()
                    .all(|(name, value)| b.get(name).map_or(is_empty(value), |other| same(value, other)))
            };
            covers(a, b) && covers(b, a)
        }
        (a, b) => a == b || (is_empty(a) && is_empty(b)),
    }
}

#[expect(clippy::float_cmp, reason = "two spellings of one number parse to one float")]
fn same_number(one: &str, other: &str) -> bool {
    matches!((one.parse::<f64>(), other.parse::<f64>()), (Ok(a), Ok(b)) if a == b)
}

fn is_empty(value: &AttributeValue) -> bool {
    match value {
        AttributeValue::Null(_) => true,
        AttributeValue::S(text) => text.is_empty(),
        AttributeValue::L(list) => list.iter().all(is_empty),
        AttributeValue::M(fields) => fields.values().all(is_empty),
        _ => false,
    }
}
