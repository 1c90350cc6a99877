//! Any two bodies: the comparison of their first records is reflexive and symmetric. It finds them
//! equal if an independent comparison does, and never if an unlisted field differs.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use webhook_ingest::{events_table::item::Content, pipeline::batch::Batch, provider};

#[path = "../verified.rs"]
mod verified;
use verified::verified;

/// The value of an unlisted field in an independent normal form: objects sorted by name, numbers as
/// an exponent and digits without leading or trailing zeros.
fn normal(text: &str) -> String {
    let text = text.trim();
    match text.as_bytes().first() {
        Some(b'[') => {
            let parts: Vec<&RawValue> = serde_json::from_str(text).expect("a list");
            let parts: Vec<String> = parts.iter().map(|part| normal(part.get())).collect();
            format!("[{}]", parts.join(","))
        }
        Some(b'{') => {
            let fields = fields(text).expect("an object");
            let fields: Vec<String> = fields.iter().map(|(name, values)| format!("{name:?}:{values:?}")).collect();
            format!("{{{}}}", fields.join(","))
        }
        Some(b'"') => format!("{:?}", serde_json::from_str::<String>(text).expect("a string")),
        Some(b'-' | b'0'..=b'9') => number(text),
        _ => text.to_owned(),
    }
}

fn number(text: &str) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let lower = digits.to_lowercase();
    let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
    let Ok(exponent) = exponent.parse::<i128>() else { return text.to_owned() };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let trimmed = all.trim_end_matches('0');
    let scale = exponent - fraction.len() as i128 + (all.len() - trimmed.len()) as i128;
    match trimmed.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits => format!("{sign}{digits}e{scale}"),
    }
}

/// An object's fields by name, with all values in order. Uses a visitor, because a map would drop
/// repeated names.
fn fields(text: &str) -> Option<BTreeMap<String, Vec<String>>> {
    struct Fields;
    impl<'de> serde::de::Visitor<'de> for Fields {
        type Value = BTreeMap<String, Vec<String>>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut fields = BTreeMap::<String, Vec<String>>::new();
            while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                fields.entry(name).or_default().push(normal(value.get()));
            }
            Ok(fields)
        }
    }
    use serde::Deserializer as _;
    serde_json::Deserializer::from_str(text).deserialize_map(Fields).ok()
}

/// Names that no format lists: equal records must have exactly equal values there.
const UNLISTED: [&str; 4] = ["x", "", "attempt", "é"];

fuzz_target!(|input: &[u8]| {
    let mut bodies = input.splitn(2, |byte| *byte == b'\n').map(verified);
    let (Some(one), Some(other)) = (bodies.next(), bodies.next()) else { return };
    let (Ok(first), Ok(second)) = (
        Batch::parse(one.verified(), &provider::ALL),
        Batch::parse(other.verified(), &provider::ALL),
    ) else {
        return;
    };
    let (Some(text), Some(other_text)) = (first.records().next(), second.records().next()) else { return };
    if first.read(0).is_err() || second.read(0).is_err() {
        return;
    }
    let (around, other_around) = (first.around(0), second.around(0));
    let a: Content<'_> = first.content(0, &around).expect("it was read");
    let b: Content<'_> = second.content(0, &other_around).expect("it was read");
    assert!(a.differences(&a).is_empty());
    assert_eq!(a.differences(&b), b.differences(&a));
    let same = a.differences(&b).is_empty();
    let (Some(fields_a), Some(fields_b)) = (fields(text), fields(other_text)) else { return };
    if fields_a == fields_b {
        // Only the envelope may differ.
        assert!(same || a.differences(&b) == ["envelope"]);
    }
    for name in UNLISTED {
        assert!(!same || fields_a.get(name) == fields_b.get(name), "{name}");
    }
});
