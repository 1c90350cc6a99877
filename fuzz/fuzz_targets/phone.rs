//! Any text: redacting leaves no phone number and is idempotent, and `is_in` finds no number in a
//! redacted text that it finds in the original. The same for all ids of people.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webhook_ingest::{
    personal,
    phone::{contains_number, redact, Number},
};

fuzz_target!(|text: &str| {
    let redacted = redact(text);
    assert_eq!(contains_number(text), redacted != text);
    assert!(!contains_number(&redacted));
    assert_eq!(redact(&redacted), redacted);
    let impersonal = personal::redact(text);
    assert_eq!(personal::is_in(text), impersonal != text);
    assert!(!personal::is_in(&impersonal));
    assert_eq!(personal::redact(&impersonal), impersonal);
    // The first line is the number to find in the rest.
    let Some((number, rest)) = text.split_once('\n') else { return };
    let Some(number) = Number::parse(number) else { return };
    assert!(number.is_in(number.digits()));
    if number.is_in(rest) {
        assert!(!number.is_in(&redact(rest)));
    }
});
