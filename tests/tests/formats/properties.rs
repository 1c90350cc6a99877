//! Any values in any fields: a parsed record can be rebuilt unchanged.

use std::sync::LazyLock;

use integration_tests::{
    samples::{Sample, every_sample},
    storage::rebuilt,
};
use proptest::prelude::*;
use serde_json::{Map, Value};
use webhook_ingest::{
    events_table::item::{self, Arrival},
    provider,
};

use super::record_of;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn unlisted_fields_are_rebuilt_unchanged(
        base: prop::sample::Index,
        extra in prop::collection::btree_map("[a-z_#. ]{0,12}|\\PC{1,6}|entity\\.[a-z.]{0,6}|entity\\.messageId|error\\.errorMessage", any_value(), 0..6),
    ) {
        let (function, mut record) = base_record(base);
        for (name, value) in extra {
            record.entry(name).or_insert(value);
        }
        let text = Value::Object(record.clone()).to_string();
        let event = read(function, &text);
        // Of the listed fields, only the block of a gateway's callback could make a record unreadable.
        prop_assert!(event.is_ok(), "{text}");
        prop_assert_eq!(there_and_back(event.unwrap()), record);
    }

    #[test]
    fn any_value_of_a_listed_field_is_rebuilt_or_rejected(
        base: prop::sample::Index,
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(any_value())), 1..4),
    ) {
        let (function, mut record) = base_record(base);
        for (which, value) in changes {
            change(&mut record, which, value);
        }
        let text = Value::Object(record.clone()).to_string();
        if let Ok(event) = read(function, &text) {
            prop_assert_eq!(there_and_back(event), record);
        }
    }
}

/// Changes or removes one field: of the record, or of an object in it.
fn change(record: &mut Map<String, Value>, which: prop::sample::Index, value: Option<Value>) {
    let nested = record.values_mut().filter_map(Value::as_object_mut);
    let mut objects: Vec<&mut Map<String, Value>> = nested.filter(|fields| !fields.is_empty()).collect();
    let place = which.index(2 * objects.len() + 1);
    let fields = if place < objects.len() {
        objects.swap_remove(place)
    } else {
        record
    };
    let name = fields.keys().nth(which.index(fields.len())).unwrap().clone();
    match value {
        Some(value) => fields.insert(name, value),
        None if fields.len() > 1 => fields.remove(&name),
        None => None,
    };
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-1000..1000_i32).prop_map(|n| Value::from(f64::from(n) / 8.0)),
        "\\PC{0,12}".prop_map(Value::from),
        "[0-9+]{0,14}".prop_map(Value::from),
        Just(Value::from("2025-06-03T14:22:05.123Z")),
        Just(Value::from("")),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(
                prop_oneof![
                    "\\PC{0,6}".boxed(),
                    Just("suggestionResponse".to_owned()).boxed(),
                    Just("metadata".to_owned()).boxed(),
                    Just("message_id".to_owned()).boxed(),
                    Just("messageId".to_owned()).boxed(),
                    Just("message".to_owned()).boxed(),
                    Just("eventType".to_owned()).boxed(),
                ],
                inner,
                0..5
            )
            .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A sample's function and record.
fn base_record(which: prop::sample::Index) -> (&'static str, Map<String, Value>) {
    static SAMPLES: LazyLock<Vec<Sample>> = LazyLock::new(every_sample);
    let sample = which.get(&SAMPLES);
    let mut record = record_of(&sample.body);
    // Absent in this sample; it matters where it is present.
    if sample.name == "rcs-callback/exception_403" {
        record.insert("status".to_owned(), Value::Null);
    }
    (sample.function, record)
}

/// Reads a record as its function does.
fn read(
    function: &str,
    text: &str,
) -> Result<webhook_ingest::event::Event, webhook_ingest::record::Unreadable> {
    provider::read(receivers::receiver(function).unwrap().formats, text)
}

fn there_and_back(event: webhook_ingest::event::Event) -> Map<String, Value> {
    let arrival = Arrival {
        stored_at: None,
        at: 1_767_225_600_000,
        retention_days: 180,
        late_after_hours: 72,
    };
    rebuilt(&item::build(event, arrival).unwrap().into())
}
