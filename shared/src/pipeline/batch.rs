//! Parses a verified body into a list of records. Knows the envelopes, iterates over the records and can
//! write any of them into a new body. Stores only references to the body, four bytes for each record.
//!
//! Safe on untrusted input.

use std::{borrow::Cow, fmt, ops::Range};

use serde::de::{Deserializer as _, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, value::RawValue};

use super::positions::Positions;
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
pub struct Malformed(String);

impl Malformed {
    /// Creates the error with its reason.
    pub(super) fn new(why: String) -> Self {
        Self(why)
    }
}

/// The records of one body.
pub struct Batch<'a> {
    formats: &'a [FormatId],
    verified: Verified<'a>,
    /// The text that contains the records.
    text: &'a str,
    /// Where each record starts in `text`. Nothing else is stored, since a body may contain millions of empty
    /// records.
    starts: Vec<u32>,
    /// The texts before and after records that make a body of them.
    around: (String, &'static str),
    /// Fields of the envelope next to the records, see [`Event::envelope`].
    envelope: Value,
    /// The same fields as the text of a JSON object.
    beside: String,
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
        match text.as_bytes().first() {
            Some(b'[') => Ok(Self::bare(verified, formats, text, starts(text)?)),
            Some(b'{') => Self::object(verified, text, formats),
            Some(_) => Err(Malformed(
                "the body is neither a JSON array nor a JSON object".into(),
            )),
            None => Err(Malformed("the body is empty".into())),
        }
    }

    fn bare(verified: Verified<'a>, formats: &'a [FormatId], text: &'a str, starts: Vec<u32>) -> Self {
        Self {
            verified,
            formats,
            text,
            starts,
            around: ("[".into(), "]"),
            envelope: Value::Null,
            beside: "{}".into(),
        }
    }

    fn object(verified: Verified<'a>, text: &'a str, formats: &'a [FormatId]) -> Result<Self, Malformed> {
        let mut json = serde_json::Deserializer::from_str(text);
        let outline = json
            .deserialize_map(OutlineOf { formats })
            .and_then(|outline| json.end().map(|()| outline))
            .map_err(|e| not_json(&e))?;
        let Some((name, records)) = outline.records(formats)? else {
            return if outline.has_id {
                Ok(Self::bare(verified, formats, text, vec![0]))
            } else {
                Err(Malformed(format!(
                    "the body has no known envelope: expected {}",
                    expected(formats)
                )))
            };
        };
        let starts = match records.as_bytes().first() {
            Some(b'[') => starts(records)?,
            Some(b'{') => vec![0],
            _ => return Err(Malformed(format!("{name} is neither a list nor a record"))),
        };
        let fields = outline.beside(name)?;
        let beside: Vec<String> = fields
            .iter()
            .map(|(field, value)| format!("{}:{}", Value::from(field.as_ref()), value.get()))
            .collect();
        let comma = if beside.is_empty() { "" } else { "," };
        let beside = beside.join(",");
        Ok(Self {
            verified,
            // Records in a named envelope can only have its formats.
            formats: formats
                .iter()
                .position(|format| format.envelope == Some(name))
                .and_then(|at| formats.get(at..=at))
                .unwrap_or(formats),
            text: records,
            starts,
            around: (format!("{{{beside}{comma}\"{name}\":["), "]}"),
            beside: format!("{{{beside}}}"),
            envelope: envelope(fields, &beside),
        })
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The text of the record at a position; empty if there is none.
    pub fn record(&self, position: u32) -> &'a str {
        self.run(&(position..position + 1))
    }

    /// The text of neighboring records, with the commas between them.
    fn run(&self, run: &Range<u32>) -> &'a str {
        let Some(start) = self.starts.get(run.start as usize) else {
            return "";
        };
        let (rest, is_last) = match self.starts.get(run.end as usize) {
            Some(next) => (self.text.get(*start as usize..*next as usize), false),
            None => (self.text.get(*start as usize..), true),
        };
        let rest = rest.unwrap_or_default().trim_end_matches(JSON_SPACE);
        // The text is followed by a comma or the end of the list, or by nothing if the record is not in a
        // list.
        let end = match (is_last, self.text.starts_with('[')) {
            (false, _) => ",",
            (true, true) => "]",
            (true, false) => "",
        };
        rest.strip_suffix(end)
            .unwrap_or(rest)
            .trim_end_matches(JSON_SPACE)
    }

    /// The records' texts, in order.
    pub fn records(&self) -> impl Iterator<Item = &'a str> + use<'a, '_> {
        self.positions().map(|position| self.record(position))
    }

    /// The records' positions, in order.
    pub fn positions(&self) -> Range<u32> {
        0..u32::try_from(self.starts.len()).unwrap_or(u32::MAX)
    }

    /// Reads one record's text as an event. A record that is too long for an item is refused before it is
    /// parsed, since parsed values can take fifty times the length of their text.
    ///
    /// # Errors
    /// [`Unreadable`] says what is missing or wrong.
    pub fn read(&self, text: &str) -> Result<Event, Unreadable> {
        item::check_length(text)?;
        let mut event = provider::read(self.formats, text)?;
        event.envelope.clone_from(&self.envelope);
        Ok(event)
    }

    /// The content of one record, for a comparison with a stored item.
    ///
    /// # Errors
    /// [`Unreadable`] if the record is not an event.
    pub fn content<'t>(&'t self, text: &'t str) -> Result<Content<'t>, Unreadable> {
        let unreadable = || Unreadable::new("the record cannot be read");
        let Ok(Exact::Object(record)) = Exact::parse(text) else {
            return Err(unreadable());
        };
        Ok(Content {
            format: provider::format_of(self.formats, &record).ok_or_else(unreadable)?,
            record,
            envelope: Exact::parse(&self.beside).map_err(|_| unreadable())?,
        })
    }

    /// The bytes of the envelope's fields, which every event contains.
    fn envelope_bytes(&self) -> usize {
        self.beside.len()
    }

    /// The bytes of neighboring records with the envelope's fields of each.
    pub(crate) fn bytes_of(&self, run: &Range<u32>) -> usize {
        self.run(run).len() + run.len() * self.envelope_bytes()
    }

    /// A body with some of the records, in the original envelope.
    pub fn body_of(&self, positions: &Positions) -> VerifiedBody {
        let (before, after) = &self.around;
        let runs = || positions.runs().map(|run| self.run(&run));
        let bytes = runs().map(|run| run.len() + 1).sum::<usize>();
        let mut body = Vec::with_capacity(before.len() + bytes + after.len());
        body.extend_from_slice(before.as_bytes());
        for (i, run) in runs().enumerate() {
            if i > 0 {
                body.push(b',');
            }
            body.extend_from_slice(run.as_bytes());
        }
        body.extend_from_slice(after.as_bytes());
        VerifiedBody::part_of(self.verified, body)
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
        let mut runs = positions.runs();
        let mut rest = 0..0;
        std::iter::from_fn(move || {
            let mut chunk = Positions::default();
            let mut room = CHUNK_BYTES;
            loop {
                if rest.is_empty() {
                    match runs.next() {
                        Some(run) => rest = run,
                        None => break,
                    }
                }
                let mut end = self.reaches(&rest, room);
                if chunk.is_empty() {
                    end = end.max(rest.start + 1);
                }
                let taken = rest.start..end;
                room = room.saturating_sub(self.run(&taken).len() + 1);
                rest.start = end;
                chunk.extend(taken);
                if !rest.is_empty() {
                    break;
                }
            }
            (!chunk.is_empty()).then_some(chunk)
        })
    }

    /// The longest run from a position with at most this many records, and at most this many bytes of records
    /// and of envelopes. Empty if not even the first record fits.
    pub(crate) fn run_from(&self, start: u32, records: usize, bytes: usize) -> Range<u32> {
        let most = (bytes / (self.envelope_bytes() + 1)).min(records);
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        let window = start..self.positions().end.min(start.saturating_add(most)).max(start);
        start..self.reaches(&window, bytes)
    }

    /// The end of the longest prefix of a run whose records fit these bytes.
    fn reaches(&self, run: &Range<u32>, bytes: usize) -> u32 {
        let Some(starts) = self.starts.get(run.start as usize..run.end as usize) else {
            return run.start;
        };
        let Some(first) = starts.first() else {
            return run.start;
        };
        let ends_within = |position: u32| {
            let next = self
                .starts
                .get(position as usize + 1)
                .map_or(self.text.len(), |next| *next as usize);
            next - *first as usize <= bytes
        };
        let (mut low, mut high) = (run.start, run.end);
        while low < high {
            let middle = low + (high - low) / 2;
            if ends_within(middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// The fields next to the records, in the form of [`Event::envelope`].
fn envelope(fields: Vec<(Cow<'_, str>, &RawValue)>, text: &str) -> Value {
    if fields.is_empty() {
        return Value::Null;
    }
    let mut map = Map::new();
    for (field, value) in fields {
        let kept = record::value(value.get())
            .ok()
            .filter(|_| record::storable_name(&field));
        let Some(value) = kept else {
            return Value::String(format!("{{{text}}}"));
        };
        if map.insert(field.into_owned(), value).is_some() {
            return Value::String(format!("{{{text}}}"));
        }
    }
    Value::Object(map)
}

/// The most bytes of records in one message of the retry queue. Even incompressible records then fit a
/// message (base64 makes four bytes of three).
const CHUNK_BYTES: usize = 700 * 1024;

/// The most bytes of fields next to the records. They are copied into every event and every queue message.
const MAX_OTHER_BYTES: usize = 16 * 1024;

/// JSON's white space, RFC 8259 section 2.
pub(super) const JSON_SPACE: [char; 4] = [' ', '\n', '\r', '\t'];

/// Finds the start of each value in a list. Also checks that the text is JSON.
fn starts(list: &str) -> Result<Vec<u32>, Malformed> {
    let mut json = serde_json::Deserializer::from_str(list);
    json.deserialize_seq(Starts { list })
        .and_then(|starts| json.end().map(|()| starts))
        .map_err(|e| not_json(&e))
}

/// Records where each value of a list starts.
struct Starts<'a> {
    list: &'a str,
}

impl<'de> Visitor<'de> for Starts<'de> {
    type Value = Vec<u32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut starts = Vec::new();
        while let Some(value) = seq.next_element::<&'de RawValue>()? {
            // The value's text is a slice of the list's text, so the difference of the addresses is its
            // position.
            let start = value.get().as_ptr().addr() - self.list.as_ptr().addr();
            starts.push(u32::try_from(start).map_err(A::Error::custom)?);
        }
        Ok(starts)
    }
}

fn not_json(error: &serde_json::Error) -> Malformed {
    Malformed(format!("the body cannot be read: {}", record::describe(error)))
}

fn expected(formats: &[FormatId]) -> String {
    let known: Vec<String> = formats
        .iter()
        .map(|format| match format.envelope {
            Some(name) => format!("{{\"{name}\":[…]}}"),
            None => format!("[{{\"{}\":…}}]", format.id_field()),
        })
        .collect();
    known.join(" or ")
}

/// An object's fields with unparsed values: all fields that may contain an envelope's records, and of the
/// others at most [`MAX_OTHER_BYTES`] bytes.
struct Outline<'de> {
    wrapped: Vec<(&'static str, &'de RawValue)>,
    twice: Option<&'static str>,
    others: Vec<(Cow<'de, str>, &'de RawValue)>,
    /// The length of all others, including dropped ones.
    other_bytes: usize,
    has_id: bool,
}

impl<'de> Outline<'de> {
    /// The envelope's name and its records, for the first of `formats` whose envelope the object has.
    fn records(&self, formats: &[FormatId]) -> Result<Option<(&'static str, &'de str)>, Malformed> {
        if let Some(name) = self.twice {
            return Err(Malformed(format!("{name} occurs twice")));
        }
        Ok(formats.iter().find_map(|format| {
            let (name, records) = self
                .wrapped
                .iter()
                .find(|(name, _)| format.envelope == Some(*name))?;
            Some((*name, records.get()))
        }))
    }

    /// The fields next to the records.
    fn beside(mut self, name: &str) -> Result<Vec<(Cow<'de, str>, &'de RawValue)>, Malformed> {
        for (field, value) in self.wrapped.into_iter().filter(|(field, _)| *field != name) {
            self.other_bytes += field.len() + value.get().len();
            self.others.push((field.into(), value));
        }
        if self.other_bytes > MAX_OTHER_BYTES {
            return Err(Malformed(format!(
                "the fields beside {name} are longer than {MAX_OTHER_BYTES} bytes"
            )));
        }
        Ok(self.others)
    }
}

struct OutlineOf<'f> {
    formats: &'f [FormatId],
}

impl<'de> Visitor<'de> for OutlineOf<'_> {
    type Value = Outline<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut outline = Outline {
            wrapped: Vec::new(),
            twice: None,
            others: Vec::new(),
            other_bytes: 0,
            has_id: false,
        };
        while let Some(name) = map.next_key_seed(record::NameSeed)? {
            let value: &'de RawValue = map.next_value()?;
            let envelope = self.formats.iter().filter_map(|format| format.envelope);
            if let Some(envelope) = envelope.into_iter().find(|envelope| name == *envelope) {
                if outline.wrapped.iter().any(|(known, _)| *known == envelope) {
                    outline.twice = Some(envelope);
                } else {
                    outline.wrapped.push((envelope, value));
                }
                continue;
            }
            outline.has_id |= self.formats.iter().any(|format| format.is_id(&name));
            outline.other_bytes += name.len() + value.get().len();
            if outline.other_bytes <= MAX_OTHER_BYTES {
                outline.others.push((name, value));
            }
        }
        Ok(outline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let event = batch.read(batch.records().next().unwrap()).unwrap();
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
            let event = batch.read(batch.record(0)).unwrap();
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
                for record in batch.records() {
                    let _ = batch.read(record);
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
