//! Any text: masking leaves no number, changes nothing the second time, and a number that is in a
//! masked text was in the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webhook_ingest::phone::{contains_number, redact, Number};

fuzz_target!(|text: &str| {
    let redacted = redact(text);
    assert_eq!(contains_number(text), redacted != text);
    assert!(!contains_number(&redacted));
    assert_eq!(redact(&redacted), redacted);
    // The first line is a number to look for in the rest.
    let Some((number, rest)) = text.split_once('\n') else { return };
    let Some(number) = Number::parse(number) else { return };
    assert!(number.is_in(number.digits()));
    if number.is_in(rest) {
        assert!(!number.is_in(&redact(rest)));
    }
});
