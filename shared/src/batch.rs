//! A verified body as a list of records: knows the envelopes, walks the records one at a time and
//! can put any of them into a body again. Holds nothing but references into the body.
//!
//! Safe on untrusted input.

use std::{borrow::Cow, fmt, ops::Range};

use serde::de::{Deserializer as _, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, value::RawValue};

use crate::{
    auth::Verified,
    event::{Event, Unreadable},
    letter::Letter,
    provider::{self, FormatId},
    record,
};

/// A body that is not JSON or has no known envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(String);

/// The records of one body.
pub struct Batch<'a> {
    formats: &'a [FormatId],
    /// What the records lie in.
    text: &'a str,
    /// Where each lies in it: four bytes a place, since a body may hold millions of empty records.
    places: Vec<Range<u32>>,
    /// What goes before and after records to make a body of them again.
    around: (String, &'static str),
    /// Fields of the envelope beside the records.
    envelope: Map<String, Value>,
}

impl<'a> Batch<'a> {
    /// Finds the records in a body: an array, an envelope of one of `formats`, or a single record.
    ///
    /// # Errors
    /// [`Malformed`] says what the body is instead, without quoting it.
    pub fn parse(verified: Verified<'a>, formats: &'a [FormatId]) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(verified.body())
            .map_err(|e| Malformed(format!("the body is not UTF-8 from byte {}", e.valid_up_to())))?;
        let text = text.trim_start_matches('\u{feff}').trim_matches(JSON_SPACE);
        match text.as_bytes().first() {
            Some(b'[') => Ok(Self::bare(formats, text, places(text)?)),
            Some(b'{') => Self::object(text, formats),
            Some(_) => Err(Malformed(
                "the body is neither a JSON array nor a JSON object".into(),
            )),
            None => Err(Malformed("the body is empty".into())),
        }
    }

    fn bare(formats: &'a [FormatId], text: &'a str, places: Vec<Range<u32>>) -> Self {
        Self {
            formats,
            text,
            places,
            around: ("[".into(), "]"),
            envelope: Map::new(),
        }
    }

    fn object(text: &'a str, formats: &'a [FormatId]) -> Result<Self, Malformed> {
        let mut json = serde_json::Deserializer::from_str(text);
        let mut fields = json
            .deserialize_map(ShallowFields)
            .and_then(|fields| json.end().map(|()| fields))
            .map_err(|e| not_json(&e))?;
        let envelope = formats.iter().enumerate().find_map(|(i, format)| {
            let name = format.envelope?;
            Some((i, name, fields.iter().position(|(field, _)| field == name)?))
        });
        let Some((format, name, at)) = envelope else {
            let is_record = formats
                .iter()
                .any(|format| fields.iter().any(|(field, _)| field == format.id_field()));
            return if is_record {
                Ok(Self::bare(formats, text, one_place(text)?))
            } else {
                Err(Malformed(format!(
                    "the body has no known envelope: expected {}",
                    expected(formats)
                )))
            };
        };
        let records = fields.remove(at).1.get();
        if fields.iter().any(|(field, _)| field == name) {
            return Err(Malformed(format!("{name} comes twice")));
        }
        let places = match records.as_bytes().first() {
            Some(b'[') => places(records)?,
            Some(b'{') => one_place(records)?,
            _ => return Err(Malformed(format!("{name} holds neither a list nor a record"))),
        };
        let mut before = String::from("{");
        let mut beside = Map::new();
        for (field, value) in fields {
            before.extend([
                Value::from(field.as_ref()).to_string().as_str(),
                ":",
                value.get(),
                ",",
            ]);
            let value = record::value(value.get()).unwrap_or_else(|_| Value::from(value.get()));
            beside.insert(field.into_owned(), value);
        }
        before.extend(["\"", name, "\":["]);
        if before.len() > MOST_BESIDE {
            return Err(Malformed(format!(
                "the fields beside {name} are longer than {MOST_BESIDE} bytes"
            )));
        }
        Ok(Self {
            // What its envelope names is nothing else.
            formats: formats.get(format..=format).unwrap_or(formats),
            text: records,
            places,
            around: (before, "]}"),
            envelope: beside,
        })
    }

    /// The records' texts, in order.
    pub fn records(&self) -> impl Iterator<Item = &'a str> + use<'a, '_> {
        self.places
            .iter()
            .filter_map(|place| self.text.get(place.start as usize..place.end as usize))
    }

    /// One record's text as an event.
    ///
    /// # Errors
    /// [`Unreadable`] says what is missing or wrong.
    pub fn read(&self, text: &str) -> Result<Event, Unreadable> {
        let mut event = provider::read(self.formats, text)?;
        event.envelope.clone_from(&self.envelope);
        Ok(event)
    }

    /// A body of some of the records, in the envelope they came in.
    pub fn body_of(&self, records: &[&str]) -> Vec<u8> {
        let (before, after) = &self.around;
        format!("{before}{}{after}", records.join(",")).into_bytes()
    }

    /// The letter, once for every few of its records: each small enough for a queue message.
    pub fn split(&self, letter: &Letter) -> Vec<Letter> {
        let records: Vec<&str> = self.records().collect();
        by_bytes(&records)
            .into_iter()
            .map(|chunk| Letter {
                body: self.body_of(chunk),
                ..letter.clone()
            })
            .collect()
    }
}

/// Records in one letter for the retry queue: at most this many bytes of them, so that even what
/// does not compress fits a message (base64 makes three bytes four).
const LETTER_BYTES: usize = 700 * 1024;

/// Runs of records that fit a letter; one that is larger stands alone.
pub(crate) fn by_bytes<'r, 'a>(records: &'r [&'a str]) -> Vec<&'r [&'a str]> {
    let mut chunks = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (i, record) in records.iter().enumerate() {
        if bytes + record.len() > LETTER_BYTES && i > start {
            chunks.extend(records.get(start..i));
            (start, bytes) = (i, 0);
        }
        bytes += record.len() + 1;
    }
    chunks.extend(records.get(start..).filter(|rest| !rest.is_empty()));
    chunks
}

/// Fields beside the records go into every event and every letter.
const MOST_BESIDE: usize = 16 * 1024;

/// JSON's white space, RFC 8259 section 2.
const JSON_SPACE: [char; 4] = [' ', '\n', '\r', '\t'];

/// Where a list's values lie in its text. Checks on the way that the text is JSON.
fn places(list: &str) -> Result<Vec<Range<u32>>, Malformed> {
    let mut json = serde_json::Deserializer::from_str(list);
    json.deserialize_seq(Places { list })
        .and_then(|places| json.end().map(|()| places))
        .map_err(|e| not_json(&e))
}

/// The place of a record that is not in a list.
fn one_place(record: &str) -> Result<Vec<Range<u32>>, Malformed> {
    let end = u32::try_from(record.len()).map_err(|_| Malformed("the body is larger than 4 GiB".into()))?;
    Ok(std::iter::once(0..end).collect())
}

/// Notes where each value of a list begins and ends.
struct Places<'a> {
    list: &'a str,
}

impl<'de> Visitor<'de> for Places<'de> {
    type Value = Vec<Range<u32>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut places = Vec::new();
        while let Some(value) = seq.next_element::<&'de RawValue>()? {
            // The value's text is a part of the list's: the distance of their addresses is its place.
            let start = value.get().as_ptr().addr() - self.list.as_ptr().addr();
            let place = u32::try_from(start)
                .and_then(|start| Ok(start..u32::try_from(start as usize + value.get().len())?));
            places.push(place.map_err(A::Error::custom)?);
        }
        Ok(places)
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

/// An object's fields with their values unread.
struct ShallowFields;

impl<'de> Visitor<'de> for ShallowFields {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(name) = map.next_key_seed(record::NameSeed)? {
            fields.push((name, map.next_value()?));
        }
        Ok(fields)
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
        let batch = Batch::parse(Verified::before(body.as_bytes()), formats).map_err(|e| e.0)?;
        Ok(batch.records().map(str::to_owned).collect())
    }

    #[test]
    fn finds_the_records_in_every_envelope() {
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
    fn says_what_a_body_is_instead() {
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
            "delivery_status holds neither a list nor a record"
        );
        assert_eq!(
            records(r#"{"delivery_status":[1],"delivery_status":[2]}"#, &STATUS).unwrap_err(),
            "delivery_status comes twice"
        );
        let wide = format!(
            "{{\"x\":\"{}\",\"delivery_status\":[1]}}",
            "y".repeat(MOST_BESIDE)
        );
        assert_eq!(
            records(&wide, &STATUS).unwrap_err(),
            "the fields beside delivery_status are longer than 16384 bytes"
        );
        let error = Batch::parse(Verified::before(b"[\"\xff\"]"), &EVENTS)
            .err()
            .unwrap();
        assert_eq!(error.0, "the body is not UTF-8 from byte 2");
    }

    #[test]
    fn deep_nesting_is_walked_without_recursion() {
        let deep = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(records(&deep, &EVENTS).unwrap().len(), 1);
    }

    #[test]
    fn a_body_of_some_records_keeps_the_envelope() {
        let body = r#"{"account":{"id":7},"delivery_status":[{"ncmessage_id":"x","status":"sent"}],"v":2}"#;
        let batch = Batch::parse(Verified::before(body.as_bytes()), &STATUS).unwrap();
        let body = String::from_utf8(batch.body_of(&["1", "2"])).unwrap();
        assert_eq!(body, r#"{"account":{"id":7},"v":2,"delivery_status":[1,2]}"#);
        let event = batch.read(batch.records().next().unwrap()).unwrap();
        assert_eq!(
            Value::Object(event.envelope),
            serde_json::json!({"account":{"id":7},"v":2})
        );
    }

    #[test]
    fn chunks_hold_every_record_once() {
        let records: Vec<String> = (0..50).map(|i| "x".repeat(i * 40_000)).collect();
        let records: Vec<&str> = records.iter().map(String::as_str).collect();
        let chunks = by_bytes(&records);
        assert_eq!(chunks.concat(), records);
        assert!(
            chunks
                .iter()
                .all(|c| c.len() == 1 || c.iter().map(|r| r.len()).sum::<usize>() <= LETTER_BYTES)
        );
        assert!(by_bytes(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(batch) = Batch::parse(Verified::before(&body), &INCOMING) {
                for record in batch.records() {
                    let _ = batch.read(record);
                }
            }
        }

        #[test]
        fn walking_gives_each_value_once(values in prop::collection::vec("[a-z,\\]\\[{}\"\\\\ ]{0,12}", 0..20)) {
            let body = serde_json::to_string(&values).unwrap();
            let walked: Vec<String> = records(&body, &EVENTS).unwrap().iter().map(|r| serde_json::from_str(r).unwrap()).collect();
            prop_assert_eq!(walked, values);
        }
    }
}
