//! Any bytes as a body of any receiver: nothing panics, and what becomes an item gives back the
//! record it came from.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use webhook_ingest::{events_table::item::{self, Arrival}, pipeline::batch::Batch, provider, queue::message::{QueueMessage, Reason}};

const ARRIVAL: Arrival = Arrival { at: 1_704_876_900_000, retention_days: 180, late_after_hours: 72 };

fuzz_target!(|body: &[u8]| {
    let letter = QueueMessage {
        reason: Reason::Malformed,
        detail: String::new(),
        function: String::new(),
        received_at: 0,
        body: body.to_vec(),
    };
    let Ok(batch) = Batch::parse(letter.verified(), &provider::ALL) else { return };
    for text in batch.records() {
        let Ok(event) = batch.read(text) else { continue };
        let Ok(item) = item::build(event.clone(), ARRIVAL) else { continue };
        assert!(item::differences(&item, &item).is_empty());
        let stored = item::event(&item).expect("an item of ours is an event");
        let sent: Value = serde_json::from_str(text).expect("it was read");
        assert_eq!(Value::Object(provider::rebuild(&event)), sent);
        assert_eq!(Value::Object(provider::rebuild(&stored)), sent);
    }
});
