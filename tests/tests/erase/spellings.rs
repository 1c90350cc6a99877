//! A phone number is found in every common spelling, in any attribute, at any depth.

#[path = "../../../shared/src/phone/spelling.rs"]
mod spelling;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use integration_tests::{
    fixtures::noise_text,
    storage::{Key, key},
};
use proptest::{
    prelude::RngExt as _,
    strategy::{Strategy as _, ValueTree as _},
    test_runner::TestRunner,
};
use webhook_ingest::events_table::item::{self, Item};

use super::{Setup, a_person, other, record};

/// The number in many spellings.
fn spellings(number: &str) -> Vec<String> {
    let (code, rest) = number.split_at(2);
    let (middle, end) = rest.split_at(5);
    let script = |zero: char| -> String {
        let digits = number
            .bytes()
            .map(|digit| u32::from(zero) + u32::from(digit - b'0'));
        digits.map(|c| char::from_u32(c).unwrap()).collect()
    };
    // The digits, separated.
    let apart = |between: &str| {
        let digits: Vec<&str> = number.split_terminator("").skip(1).collect();
        digits.join(between)
    };
    vec![
        format!("+{code} {middle} {end}"),
        format!("(+{code}) {middle}-{end}"),
        format!("00{code}{middle}{end}"),
        format!("00{code} {middle} {end}"),
        format!("+{code}.{middle}.{end}"),
        format!("+{code}/{middle}/{end}"),
        format!("+{code}_{middle}_{end}"),
        format!("+{code}\u{a0}{middle}\u{202f}{end}"),
        format!("+{code}\u{2013}{middle}\u{2011}{end}"),
        script('\u{966}'),
        script('\u{660}'),
        format!("\u{ff0b}{}", script('\u{ff10}')),
        format!("{code}\u{200d}{middle}\u{200b}{end}"),
        format!("%2B{code}%20{middle}%20{end}"),
        format!("{{\"to\":\"{{\\\"m\\\":\\\"+{code} {middle}\\\\u0020{end}\\\"}}\"}}"),
        format!("1234 +{code} {middle} {end} 99"),
        format!("&#43;{code}&nbsp;{middle}&#x20;{end}"),
        format!("+{code} (0) {middle} {end}"),
        apart(" "),
        apart("-"),
        apart("."),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_common_spelling_is_found_in_every_attribute() {
    let setup = Setup::start().await;
    let items = setup.items().await;
    let number = a_person(&items);
    let spellings = spellings(&number);
    let mut put = Vec::new();
    for (i, spelling) in spellings.iter().enumerate() {
        let places: [(&str, AttributeValue); 5] = [
            ("remarks", AttributeValue::S(spelling.clone())),
            (
                "tags",
                AttributeValue::L(vec![AttributeValue::S(spelling.clone())]),
            ),
            ("verbatim", AttributeValue::S(record("m", spelling))),
            ("as_sent", AttributeValue::M(nested(spelling, 3))),
            (
                "envelope",
                AttributeValue::M(Item::from([(spelling.clone(), AttributeValue::Null(true))])),
            ),
        ];
        for (name, value) in places {
            let mut item = other(&items, &number, &format!("Mx-{i}-{name}"), "remarks", "x");
            item.insert(name.to_owned(), value);
            setup.put(item.clone()).await;
            put.push(key(&item));
        }
    }
    let kept = other(&items, &number, "Mx-kept", "remarks", &format!("{number}5"));
    setup.put(kept.clone()).await;
    setup.erase(&["--recipient", &number, "--yes"]).await.unwrap();
    let after = setup.items().await;
    let left: Vec<&Key> = put.iter().filter(|key| after.contains_key(*key)).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(after.contains_key(&key(&kept)));
}

/// A text inside nested lists and maps.
fn nested(text: &str, depth: usize) -> Item {
    let value = match depth {
        0 => AttributeValue::S(text.to_owned()),
        _ if depth.is_multiple_of(2) => AttributeValue::L(vec![
            AttributeValue::Bool(true),
            AttributeValue::M(nested(text, depth - 1)),
        ]),
        _ => AttributeValue::M(nested(text, depth - 1)),
    };
    Item::from([("x".to_owned(), value)])
}

/// Any number in any spelling at any depth of any attribute is erased, and nothing else. All cases share one
/// table, because each erasure reads the whole table.
#[tokio::test(flavor = "multi_thread")]
async fn any_number_in_any_spelling_at_any_depth_is_erased() {
    const NUMBERS: usize = 4;
    const SPELLINGS: usize = 25;
    let setup = Setup::start().await;
    let items = setup.items().await;
    let mut chance = TestRunner::deterministic();
    let mut draw = || chance.rng().random_range(0..1_000_usize);
    let numbers: Vec<String> = (0..NUMBERS)
        .map(|i| format!("{}{:03}{:03}{:03}", 31 + i, draw(), draw(), draw()))
        .collect();
    let mut whose: BTreeMap<Key, usize> = BTreeMap::new();
    for (i, number) in numbers.iter().enumerate() {
        let spelling = spelling::spelling_of(number);
        for n in 0..SPELLINGS {
            let text = spelling.new_tree(&mut chance).unwrap().current();
            let text = if n % 3 == 0 {
                format!("id-7-{text}-1795000000")
            } else {
                text
            };
            let id = format!("Mx-{}-{}", ["a", "b", "c", "d"][i], noise_text(6 + n));
            let mut item = other(&items, "", &id, "remarks", "x");
            match n % 5 {
                0 => item.insert("extra".into(), AttributeValue::M(nested(&text, n))),
                1 => item.insert("callback_data".into(), AttributeValue::S(text)),
                2 => item.insert(text.clone(), AttributeValue::Bool(true)),
                3 => item.insert(item::MESSAGE_ID.into(), AttributeValue::S(format!("{id}-{text}"))),
                _ => item.insert("tags".into(), AttributeValue::Ss(vec![text, "spring".into()])),
            };
            setup.put(item.clone()).await;
            whose.insert(key(&item), i);
        }
    }
    for (i, number) in numbers.iter().enumerate() {
        let before = setup.items().await;
        let report = setup.erase(&["--recipient", number, "--yes"]).await.unwrap();
        let after = setup.items().await;
        let gone: BTreeSet<&Key> = before.keys().filter(|key| !after.contains_key(*key)).collect();
        let theirs: BTreeSet<&Key> = whose
            .iter()
            .filter(|(_, whose)| **whose == i)
            .map(|(key, _)| key)
            .collect();
        assert_eq!(gone, theirs, "{number}");
        assert_eq!(report.traces.len(), SPELLINGS);
    }
}
