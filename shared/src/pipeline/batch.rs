//! Parses a verified body into a list of records. Reads any of them as an event, and writes any of them into a new
//! body. Stores only references to the body, see `layout`.
//!
//! Safe on untrusted input.

use std::ops::Range;

use serde_json::Value;

use super::{layout::Layout, positions::Positions};
use crate::{
    auth::{Verified, VerifiedBody},
    event::Event,
    events_table::item::{self, Content},
    provider::{self, FormatId},
    queue::message::QueueMessage,
    record::{self, Unreadable, exact::Exact},
};

/// A body that is not JSON or has no known envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(super) String);

impl Malformed {
    /// Creates the error with its reason.
    pub(super) fn new(why: String) -> Self {
        Self(why)
    }
}

/// The records of one body.
pub struct Batch<'a> {
    verified: Verified<'a>,
    layout: Layout<'a>,
}

impl<'a> Batch<'a> {
    /// Finds the records in a body: an array, an envelope of one of `formats`, or a single record.
    ///
    /// # Errors
    /// [`Malformed`] says what is wrong, without quoting the body.
    pub fn parse(verified: Verified<'a>, formats: &'a [FormatId]) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(verified.body())
            .map_err(|e| Malformed(format!("the body is not UTF-8 from byte {}", e.valid_up_to())))?;
        let text = text.trim_start_matches('\u{feff}').trim_matches(JSON_SPACE);
        let layout = match text.as_bytes().first() {
            Some(b'[') => Layout::of_array(text, formats)?,
            Some(b'{') => Layout::of_object(text, formats)?,
            Some(_) => {
                return Err(Malformed(
                    "the body is neither a JSON array nor a JSON object".into(),
                ));
            }
            None => return Err(Malformed("the body is empty".into())),
        };
        Ok(Self { verified, layout })
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.layout.len()
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text of the record at a position; empty if there is none.
    pub fn record(&self, position: u32) -> &'a str {
        self.layout.record(position)
    }

    /// The records' texts, in order.
    pub fn records(&self) -> impl Iterator<Item = &'a str> + use<'a, '_> {
        self.positions().map(|position| self.record(position))
    }

    /// The records' positions, in order.
    pub fn positions(&self) -> Range<u32> {
        0..u32::try_from(self.len()).unwrap_or(u32::MAX)
    }

    /// Reads the record at a position as an event. A record that is too long for an item is refused before it is
    /// parsed, since parsed values can take fifty times the length of their text.
    ///
    /// # Errors
    /// [`Unreadable`] says what is missing or wrong.
    pub fn read(&self, position: u32) -> Result<Event, Unreadable> {
        let text = self.record(position);
        item::check_length(text)?;
        let envelope = envelope(self.layout.envelope(position));
        let mut event = provider::read_within(self.layout.formats(position), text, envelope)?;
        event.url_bot = self.verified.bot().map(str::to_owned);
        Ok(event)
    }

    /// The content of the record at a position, for a comparison with a stored item. `around` is
    /// [`Self::around`] of the same record.
    ///
    /// # Errors
    /// [`Unreadable`] if the record is not an event.
    pub fn content<'t>(&self, position: u32, around: &'t str) -> Result<Content<'t>, Unreadable>
    where
        'a: 't,
    {
        let unreadable = || Unreadable::new("the record cannot be read");
        let Ok(Exact::Object(record)) = Exact::parse(self.record(position)) else {
            return Err(unreadable());
        };
        let format = provider::format_of(self.layout.formats(position), &record);
        Ok(Content {
            format: format.ok_or_else(unreadable)?,
            record,
            envelope: Exact::parse(around).map_err(|_| unreadable())?,
        })
    }

    /// The fields around a record as the text of a JSON object: the body without the record.
    pub fn around(&self, position: u32) -> String {
        match self.layout.envelope(position) {
            text if text.is_empty() => "{}".to_owned(),
            text => text,
        }
    }

    /// The bytes of neighboring records with the fields around each.
    pub(crate) fn bytes_of(&self, run: &Range<u32>) -> usize {
        run.clone().map(|position| self.layout.bytes(position)).sum()
    }

    /// A body with some of the records, in the original envelope.
    pub fn body_of(&self, positions: &Positions) -> VerifiedBody {
        let body = self.layout.body_of(positions.runs());
        VerifiedBody::part_of(self.verified, body.into_bytes())
    }

    /// Splits a message of this batch into several, each with few enough records for one SQS message.
    pub fn split(&self, message: &QueueMessage) -> Vec<QueueMessage> {
        self.chunks(&Positions::from(self.positions()))
            .map(|chunk| QueueMessage {
                body: self.body_of(&chunk).into(),
                ..message.clone()
            })
            .collect()
    }

    /// Splits records into chunks, one for each message of the retry queue. A record that is larger than a
    /// message is a chunk by itself.
    pub(crate) fn chunks(&self, positions: &Positions) -> impl Iterator<Item = Positions> {
        let mut rest = positions.runs().flatten().peekable();
        std::iter::from_fn(move || {
            let mut chunk = Positions::default();
            let mut measure = self.layout.measure();
            let mut room = CHUNK_BYTES;
            while let Some(position) = rest.peek().copied() {
                match room.checked_sub(measure.add(position)) {
                    Some(less) => room = less,
                    None if chunk.is_empty() => room = 0,
                    None => break,
                }
                chunk.push(position);
                rest.next();
            }
            (!chunk.is_empty()).then_some(chunk)
        })
    }

    /// The longest run from a position with at most this many records, and at most this many bytes of records
    /// and of the fields around each. Empty if not even the first record fits.
    pub(crate) fn run_from(&self, start: u32, records: usize, bytes: usize) -> Range<u32> {
        let most = u32::try_from(records).unwrap_or(u32::MAX);
        let window = start..self.positions().end.min(start.saturating_add(most)).max(start);
        let mut room = bytes;
        let mut end = start;
        for position in window {
            match room.checked_sub(self.layout.bytes(position)) {
                Some(less) => room = less,
                None => break,
            }
            end = position + 1;
        }
        start..end
    }
}

/// The fields around a record, in the form of [`Event::envelope`].
fn envelope(text: String) -> Value {
    if text.is_empty() || text == "{}" {
        return Value::Null;
    }
    record::value(&text).unwrap_or(Value::String(text))
}

/// The most bytes of records in one message of the retry queue. Even incompressible records then fit a
/// message (base64 makes four bytes of three).
const CHUNK_BYTES: usize = 700 * 1024;

/// JSON's white space, RFC 8259 section 2.
pub(super) const JSON_SPACE: [char; 4] = [' ', '\n', '\r', '\t'];

pub(super) fn not_json(error: &serde_json::Error) -> Malformed {
    Malformed(format!("the body cannot be read: {}", record::describe(error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::layout::MAX_OTHER_BYTES;
    use crate::provider::{netcore_delivery_status, netcore_events, netcore_incoming, whatsapp_incoming};
    use proptest::prelude::*;

    static EVENTS: [FormatId; 1] = [&netcore_events::FORMAT];
    static STATUS: [FormatId; 1] = [&netcore_delivery_status::FORMAT];
    static INCOMING: [FormatId; 2] = [&netcore_incoming::FORMAT, &whatsapp_incoming::FORMAT];

    fn records(body: &str, formats: &'static [FormatId]) -> Result<Vec<String>, String> {
        let batch = Batch::parse(Verified::in_test(body.as_bytes()), formats).map_err(|e| e.0)?;
        Ok(batch.records().map(str::to_owned).collect())
    }

    #[test]
    fn records_are_found_in_every_envelope() {
        assert_eq!(
            records(" [ {\"a\":1} , 2,\"x,y\" ] ", &EVENTS).unwrap(),
            ["{\"a\":1}", "2", "\"x,y\""]
        );
        assert_eq!(records("\u{feff}[1]", &EVENTS).unwrap(), ["1"]);
        assert_eq!(records("[]", &EVENTS).unwrap(), [""; 0]);
        assert_eq!(
            records(r#"{"message_id":"x"}"#, &EVENTS).unwrap(),
            [r#"{"message_id":"x"}"#]
        );
        assert_eq!(
            records(r#"{"delivery_status":[{"a":1},{}]}"#, &STATUS).unwrap(),
            ["{\"a\":1}", "{}"]
        );
        assert_eq!(
            records(r#"{"delivery_status":{"a":1}}"#, &STATUS).unwrap(),
            ["{\"a\":1}"]
        );
        assert_eq!(
            records(r#"{"incoming_message":[{"a":1}]}"#, &INCOMING).unwrap(),
            ["{\"a\":1}"]
        );
    }

    #[test]
    fn a_malformed_body_has_a_reason() {
        for (body, says) in [
            ("", "the body is empty"),
            ("null", "the body is neither a JSON array nor a JSON object"),
            ("17", "the body is neither a JSON array nor a JSON object"),
            (
                "[1,",
                "the body cannot be read: it ends too early (line 1, column 3)",
            ),
            (
                "[1] [2]",
                "the body cannot be read: it is not JSON (line 1, column 5)",
            ),
            (
                "{\"a\"}",
                "the body cannot be read: it is not JSON (line 1, column 5)",
            ),
            (
                r#"{"events":[]}"#,
                "the body has no known envelope: expected [{\"message_id\":…}]",
            ),
        ] {
            assert_eq!(records(body, &EVENTS).unwrap_err(), says, "{body}");
        }
        assert_eq!(
            records(r#"{"delivery_status":null}"#, &STATUS).unwrap_err(),
            "delivery_status is neither a list nor a record"
        );
        assert_eq!(
            records(r#"{"delivery_status":[1],"delivery_status":[2]}"#, &STATUS).unwrap_err(),
            "delivery_status occurs twice"
        );
        let wide = format!(
            "{{\"x\":\"{}\",\"delivery_status\":[1]}}",
            "y".repeat(MAX_OTHER_BYTES)
        );
        assert_eq!(
            records(&wide, &STATUS).unwrap_err(),
            "the fields beside delivery_status are longer than 16384 bytes"
        );
        let error = Batch::parse(Verified::in_test(b"[\"\xff\"]"), &EVENTS)
            .err()
            .unwrap();
        assert_eq!(error.0, "the body is not UTF-8 from byte 2");
    }

    #[test]
    fn deep_nesting_needs_no_recursion() {
        let deep = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(records(&deep, &EVENTS).unwrap().len(), 1);
    }

    #[test]
    fn a_body_of_some_records_keeps_the_envelope() {
        let body = r#"{"account":{"id":7},"delivery_status":[{"ncmessage_id":"x","status":"sent"}],"v":2}"#;
        let batch = Batch::parse(Verified::in_test(body.as_bytes()), &STATUS).unwrap();
        let twice: Positions = [0, 0].into_iter().collect();
        let body = String::from_utf8(batch.body_of(&twice).bytes().to_vec()).unwrap();
        let record = r#"{"ncmessage_id":"x","status":"sent"}"#;
        assert_eq!(
            body,
            format!(r#"{{"account":{{"id":7}},"v":2,"delivery_status":[{record},{record}]}}"#)
        );
        let event = batch.read(0).unwrap();
        assert_eq!(event.envelope, serde_json::json!({"account":{"id":7},"v":2}));
    }

    #[test]
    fn an_envelope_that_does_not_fit_an_attribute_is_kept_as_text() {
        for beside in [
            r#""a":5.0"#,
            r#""a":1,"a":2"#,
            r#""":1"#,
            r#""a":[0.10000000000000000001]"#,
        ] {
            let body = format!(r#"{{{beside},"delivery_status":[{{"ncmessage_id":"x","status":"sent"}}]}}"#);
            let batch = Batch::parse(Verified::in_test(body.as_bytes()), &STATUS).unwrap();
            let event = batch.read(0).unwrap();
            assert_eq!(event.envelope, Value::String(format!("{{{beside}}}")));
        }
    }

    #[test]
    fn a_run_is_limited_by_records_and_bytes() {
        let run = |body: &str, start, bytes| -> (u32, u32) {
            let batch = Batch::parse(Verified::in_test(body.as_bytes()), &STATUS).unwrap();
            let run = batch.run_from(start, 25, bytes);
            (run.start, run.end)
        };
        let of = |records: usize| format!("[{}]", vec![r#"{"a":1}"#; records].join(","));
        assert_eq!(run("[]", 0, 1000), (0, 0));
        assert_eq!(run(&of(1), 0, 1000), (0, 1));
        assert_eq!(run(&of(1), 1, 1000), (1, 1));
        assert_eq!(run(&of(60), 0, 1000), (0, 25));
        assert_eq!(run(&of(60), 50, 1000), (50, 60));
        // A record and its comma take eight bytes.
        assert_eq!(run(&of(7), 3, 24), (3, 6));
        let long = format!(r#"[1,"{}",2,3]"#, "x".repeat(100));
        assert_eq!(
            [run(&long, 0, 50), run(&long, 1, 50), run(&long, 2, 50)],
            [(0, 1), (1, 1), (2, 4)]
        );
        // Every record has the envelope's fields, here 304 bytes.
        let envelope = format!(
            r#"{{"x":"{}","delivery_status":[{}]}}"#,
            "y".repeat(296),
            ["1"; 7].join(",")
        );
        assert_eq!(run(&envelope, 0, 1000), (0, 3));
        assert_eq!(run(&envelope, 6, 1000), (6, 7));
        assert_eq!(run(&envelope, 0, 100), (0, 0));
    }

    #[test]
    fn chunks_contain_every_record_once() {
        let records: Vec<String> = (0..50)
            .map(|i| format!("\"{}\"", "x".repeat(i * 40_000)))
            .collect();
        let body = format!("[{}]", records.join(" , "));
        let batch = Batch::parse(Verified::in_test(body.as_bytes()), &EVENTS).unwrap();
        let gaps: Positions = [0..1, 2..20, 21..22, 40..50].into_iter().flatten().collect();
        for positions in [
            Positions::from(0..50),
            gaps,
            Positions::from(7..8),
            Positions::default(),
        ] {
            let chunks: Vec<Positions> = batch.chunks(&positions).collect();
            let mut all = Vec::new();
            for chunk in chunks {
                let body = batch.body_of(&chunk);
                let body = body.bytes();
                assert!(
                    chunk.len() == 1 || body.len() <= CHUNK_BYTES + 2,
                    "{}",
                    body.len()
                );
                let held: Vec<String> = serde_json::from_slice(body).unwrap();
                assert_eq!(held.len(), chunk.len());
                all.extend(held.iter().map(String::len));
            }
            let expected: Vec<usize> = positions
                .runs()
                .flatten()
                .map(|position| position as usize * 40_000)
                .collect();
            assert_eq!(all, expected);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(batch) = Batch::parse(Verified::in_test(&body), &INCOMING) {
                for position in batch.positions() {
                    let _ = batch.read(position);
                }
            }
        }

        #[test]
        fn every_value_of_an_array_is_found_once(values in prop::collection::vec("[a-z,\\]\\[{}\"\\\\ ]{0,12}", 0..20)) {
            let body = serde_json::to_string(&values).unwrap();
            let walked: Vec<String> = records(&body, &EVENTS).unwrap().iter().map(|r| serde_json::from_str(r).unwrap()).collect();
            prop_assert_eq!(walked, values);
        }
    }
}
