//! Any bytes as a body of any receiver, decoded as the receivers do: nothing panics, and each item reproduces the
//! record that it was built from.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use webhook_ingest::{
    events_table::item::{self, Arrival},
    pipeline::{batch::Batch, decode::decode},
    provider,
};

#[path = "../verified.rs"]
mod verified;
use verified::verified;

const ARRIVAL: Arrival = Arrival { at: 1_704_876_900_000, retention_days: 180, late_after_hours: 72 };

fuzz_target!(|body: &[u8]| {
    let body = verified(body);
    let Ok(decoded) = decode(body.verified(), &provider::ALL) else { return };
    let Ok(batch) = Batch::parse(decoded.verified(), &provider::ALL) else { return };
    let whole = batch.body_of(&batch.positions().collect());
    let again = Batch::parse(whole.verified(), &provider::ALL).expect("a body of ours");
    assert!(again.records().eq(batch.records()));
    for position in batch.positions() {
        let text = batch.record(position);
        let Ok(event) = batch.read(position) else { continue };
        let Ok(item) = item::build(event.clone(), ARRIVAL).map(item::Item::from) else { continue };
        assert!(item::differences(&item, &item).is_empty());
        let stored = item::event(&item).expect("an item of ours is an event");
        let sent: Value = serde_json::from_str(text).expect("it was read");
        assert_eq!(Value::Object(provider::rebuild(&event)), sent);
        assert_eq!(Value::Object(provider::rebuild(&stored)), sent);
    }
});
