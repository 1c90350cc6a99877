//! Any bytes as a queue message, and as the body of a queue message: nothing panics, and a written
//! message can be read again without loss.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webhook_ingest::queue::message::{QueueMessage, Reason};

#[path = "../verified.rs"]
mod verified;
use verified::verified;

fuzz_target!(|input: &[u8]| {
    if let Ok(text) = std::str::from_utf8(input) {
        let _ = QueueMessage::read(text);
        let _ = QueueMessage::join([text, text]);
    }
    let message = QueueMessage {
        reason: Reason::Exhausted,
        detail: "d".into(),
        function: "event-webhook".into(),
        received_at: 1,
        body: verified(input).into(),
    };
    let messages = message.write();
    assert_eq!(messages.len(), 1);
    assert_eq!(QueueMessage::read(&messages[0]), Ok(message));
});
