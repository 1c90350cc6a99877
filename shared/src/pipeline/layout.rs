//! Where the records of a body are: in groups, each in the objects that contain its list.
//!
//! Safe on untrusted input. Takes four bytes for each record, four more for each record with a contact, and at
//! most some 120 bytes and the fields beside its list for each list of records.

mod contacts;
mod outline;
mod written;

use std::ops::Range;

use serde_json::value::RawValue;

use self::{
    contacts::Contacts,
    outline::{Outline, each, for_each, has_elements, offset, outline_in, too_long},
    written::{Body, Measure, PUNCTUATION},
};
use super::batch::{JSON_SPACE, Malformed};
use crate::provider::{self, FormatId, Nesting, Step};

/// The most bytes of fields around a record, names and punctuation included. They are copied into its event and
/// into every queue message.
pub(super) const MAX_OTHER_BYTES: usize = 16 * 1024;

/// In place of an object or a contact: there is none.
const NONE: u32 = u32::MAX;

/// The records of a body.
pub(super) struct Layout<'a> {
    text: &'a str,
    /// Where each record starts. Nothing else is stored for each: a body may contain millions of empty records.
    starts: Vec<u32>,
    /// Where each record's contact starts; shorter than `starts` if the last records have none.
    contacts: Vec<u32>,
    groups: Vec<Group<'a>>,
    objects: Vec<Object>,
    nesting: Option<&'static Nesting>,
}

/// Neighboring records in one list.
struct Group<'a> {
    /// The index of its first record.
    first: u32,
    /// Where the text of its last record ends.
    end: u32,
    /// The innermost object around the list; [`NONE`] for an array or a single record without envelope.
    object: u32,
    /// The object's field with the list.
    list: &'static str,
    /// The formats that its records can have.
    formats: &'a [FormatId],
}

/// An object around records.
struct Object {
    /// The object around it; [`NONE`] for the body.
    parent: u32,
    /// The number of objects around it in the nesting's path: `path[depth - 1]` leads from `parent` to it.
    depth: u8,
    /// Its fields beside those that lead to records, without braces.
    beside: Box<str>,
    /// The bytes of `beside` in it and in all objects around it, with names and punctuation of the path.
    bytes: u32,
}

impl<'a> Layout<'a> {
    /// The records of an array.
    pub(super) fn of_array(text: &'a str, formats: &'a [FormatId]) -> Result<Self, Malformed> {
        let mut layout = Self::empty(text, None);
        for_each(text, &mut |record| {
            layout.add((NONE, "", formats), record.get(), NONE)
        })?;
        Ok(layout)
    }

    /// The records in an object's envelope, or the object itself if it is a record.
    pub(super) fn of_object(text: &'a str, formats: &'a [FormatId]) -> Result<Self, Malformed> {
        let nesting = provider::nesting(formats);
        let mut layout = Self::empty(text, nesting);
        let leads = |name: &str| {
            let lists = formats.iter().filter_map(|format| format.envelope);
            let steps = nesting.into_iter().flat_map(Nesting::names);
            lists.chain(steps).find(|known| *known == name)
        };
        let is_id = |name: &str| {
            let mut plain = formats
                .iter()
                .copied()
                .filter(|format| !provider::is_nested(format));
            plain.any(|format| format.begins_at(name))
        };
        let outline = Outline::of(text, &leads, &is_id)?;
        if let Some(name) = outline.twice {
            return Err(Malformed(format!("{name} occurs twice")));
        }
        let known = |format: &FormatId| format.envelope.filter(|name| outline.leading(name).is_some());
        let Some(name) = formats.iter().find_map(known) else {
            return layout.without_envelope(&outline, formats);
        };
        let records = outline.leading(name).unwrap_or_default();
        if !records.starts_with(['[', '{']) {
            return Err(Malformed(format!("{name} is neither a list nor a record")));
        }
        let object = layout.push_object(NONE, 0, outline.beside(&[name])?)?;
        // Records in a named envelope can only have its formats.
        let mut same = formats.chunk_by(|one, next| one.envelope == next.envelope);
        let same = same.find(|formats| {
            formats
                .first()
                .is_some_and(|format| format.envelope == Some(name))
        });
        let formats = same.unwrap_or(formats);
        each(records, &mut |record| {
            layout.add((object, name, formats), record, NONE)
        })?;
        Ok(layout)
    }

    /// The records in a nested envelope, or the object itself.
    fn without_envelope(mut self, outline: &Outline<'a>, formats: &'a [FormatId]) -> Result<Self, Malformed> {
        let has = |name: &str| outline.leading(name).is_some();
        let depth = self.nesting.and_then(|nesting| nesting.depth_of(has));
        if let (Some(nesting), Some(depth)) = (self.nesting, depth)
            && self.nested(nesting, outline, NONE, depth)?
        {
            return Ok(self);
        }
        if outline.has_id {
            self.add((NONE, "", formats), self.text, NONE)?;
            return Ok(self);
        }
        // An empty list is a check of the address. Anything else may be something.
        let outermost = self.nesting.and_then(|nesting| nesting.names().next());
        let is_check = outermost
            .and_then(|name| outline.leading(name))
            .is_some_and(|list| list.starts_with('['));
        if is_check {
            return Ok(self);
        }
        Err(Malformed(format!(
            "the body has no known envelope: expected {}",
            expected(formats)
        )))
    }

    fn empty(text: &'a str, nesting: Option<&'static Nesting>) -> Self {
        Self {
            text,
            starts: Vec::new(),
            contacts: Vec::new(),
            groups: Vec::new(),
            objects: Vec::new(),
            nesting,
        }
    }

    /// Adds the records in an object of a nested envelope. False if it has none and is not the body: then the
    /// object is a record itself.
    fn nested(
        &mut self,
        nesting: &'static Nesting,
        outline: &Outline<'a>,
        parent: u32,
        depth: usize,
    ) -> Result<bool, Malformed> {
        match nesting.path.get(depth) {
            None => self.lists(nesting, outline, parent, depth),
            Some(Step::List(name)) => {
                let Some(list) = outline.leading(name).filter(|list| has_elements(list)) else {
                    return Ok(false);
                };
                let object = self.push_object(parent, depth, outline.beside(&[name])?)?;
                each(list, &mut |element| {
                    if let Some(inner) = outline_in(nesting, element)
                        && self.nested(nesting, &inner, object, depth + 1)?
                    {
                        return Ok(());
                    }
                    self.add((object, name, nesting.rest), element, NONE)
                })?;
                Ok(true)
            }
            Some(Step::Object(name)) => {
                let inner = outline.leading(name);
                let Some(inner) = inner.and_then(|inner| outline_in(nesting, inner)) else {
                    return Ok(false);
                };
                let objects = self.objects.len();
                let beside = outline.beside(&[name]);
                let fitting = beside.as_ref().map_or("", String::as_str).to_owned();
                let object = self.push_object(parent, depth, fitting)?;
                if self.nested(nesting, &inner, object, depth + 1)? {
                    return beside.map(|_| true);
                }
                self.objects.truncate(objects);
                Ok(false)
            }
        }
    }

    /// Adds the records in the lists of the innermost object of a nested envelope.
    fn lists(
        &mut self,
        nesting: &'static Nesting,
        outline: &Outline<'a>,
        parent: u32,
        depth: usize,
    ) -> Result<bool, Malformed> {
        let leading = outline.leading.iter();
        let lists: Vec<(&'static str, &'static [FormatId], &'a str)> = leading
            .filter_map(|(name, list)| {
                let formats = nesting.formats_of(name)?;
                has_elements(list.get()).then_some((*name, formats, list.get()))
            })
            .collect();
        if lists.is_empty() {
            return Ok(false);
        }
        let listed = outline
            .leading(nesting.contacts)
            .filter(|list| has_elements(list));
        let mut used: Vec<&str> = lists.iter().map(|(name, ..)| *name).collect();
        used.extend(listed.map(|_| nesting.contacts));
        let object = self.push_object(parent, depth, outline.beside(&used)?)?;
        let room = MAX_OTHER_BYTES.saturating_sub(self.bytes_around(object));
        let contacts = Contacts::of(nesting, self.text, listed, room)?;
        let first = self.starts.len();
        for (name, formats, list) in lists {
            each(list, &mut |record| {
                self.add((object, name, formats), record, contacts.of_record(record))
            })?;
        }
        // The only contact belongs to the only record, even if their ids differ.
        if self.starts.len() == first + 1 && self.contacts.len() <= first && contacts.single != NONE {
            self.contacts.resize(first, NONE);
            self.contacts.push(contacts.single);
        }
        Ok(true)
    }

    fn push_object(&mut self, parent: u32, depth: usize, beside: String) -> Result<u32, Malformed> {
        let around = self.objects.get(parent as usize).map_or(0, |object| object.bytes);
        let bytes = around as usize + beside.len() + PUNCTUATION;
        if depth > 0 && bytes > MAX_OTHER_BYTES {
            return Err(too_long("the records"));
        }
        let index =
            u32::try_from(self.objects.len()).map_err(|_| Malformed("the body is too long".into()))?;
        self.objects.push(Object {
            parent,
            depth: u8::try_from(depth).unwrap_or(u8::MAX),
            beside: beside.into_boxed_str(),
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
        });
        Ok(index)
    }

    /// Adds a record to the list of an object.
    fn add(
        &mut self,
        (object, list, formats): (u32, &'static str, &'a [FormatId]),
        record: &'a str,
        contact: u32,
    ) -> Result<(), Malformed> {
        let too_long_body = |_| Malformed("the body is too long".into());
        let start = offset(self.text, record);
        let end = u32::try_from(start + record.len()).map_err(too_long_body)?;
        let index = u32::try_from(self.starts.len()).map_err(too_long_body)?;
        self.starts.push(u32::try_from(start).map_err(too_long_body)?);
        match self.groups.last_mut() {
            Some(group) if group.object == object && group.list == list => group.end = end,
            _ => self.groups.push(Group {
                first: index,
                end,
                object,
                list,
                formats,
            }),
        }
        if contact != NONE {
            self.contacts.resize(index as usize, NONE);
            self.contacts.push(contact);
        }
        Ok(())
    }

    /// The number of records.
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// The formats that the record at a position can have.
    pub(super) fn formats(&self, position: u32) -> &'a [FormatId] {
        self.group_of(position).map_or(&[], |group| group.formats)
    }

    /// The text of the record at a position; empty if there is none.
    pub(super) fn record(&self, position: u32) -> &'a str {
        self.group_of(position)
            .map_or("", |group| self.run_in(group, &(position..position + 1)))
    }

    /// The text of neighboring records of one group, with the commas between them.
    fn run_in(&self, group: &Group<'a>, run: &Range<u32>) -> &'a str {
        let Some(start) = self.starts.get(run.start as usize) else {
            return "";
        };
        let next = self
            .starts
            .get(run.end as usize)
            .filter(|next| **next < group.end);
        match next {
            Some(next) => {
                let text = self.text.get(*start as usize..*next as usize).unwrap_or_default();
                let text = text.trim_end_matches(JSON_SPACE);
                text.strip_suffix(',')
                    .unwrap_or(text)
                    .trim_end_matches(JSON_SPACE)
            }
            None => self
                .text
                .get(*start as usize..group.end as usize)
                .unwrap_or_default(),
        }
    }

    fn group_index(&self, position: u32) -> usize {
        let after = self.groups.partition_point(|group| group.first <= position);
        after.saturating_sub(1)
    }

    fn group_of(&self, position: u32) -> Option<&Group<'a>> {
        if position as usize >= self.starts.len() {
            return None;
        }
        self.groups.get(self.group_index(position))
    }

    fn contact(&self, position: u32) -> Option<u32> {
        let contact = self.contacts.get(position as usize).copied();
        contact.filter(|contact| *contact != NONE)
    }

    fn contact_text(&self, contact: u32) -> &'a str {
        let rest = self.text.get(contact as usize..).unwrap_or_default();
        let mut json = serde_json::Deserializer::from_str(rest);
        let contact: Result<&RawValue, _> = serde::Deserialize::deserialize(&mut json);
        contact.map_or("", RawValue::get)
    }

    fn bytes_around(&self, object: u32) -> usize {
        self.objects
            .get(object as usize)
            .map_or(0, |object| object.bytes as usize)
    }

    /// The bytes of a record, its comma, and the fields around it, which its event contains.
    pub(super) fn bytes(&self, position: u32) -> usize {
        let around = self
            .group_of(position)
            .map_or(0, |group| self.bytes_around(group.object));
        let contact = self.contact(position);
        self.record(position).len()
            + 1
            + around
            + contact.map_or(0, |contact| self.contact_text(contact).len())
    }

    /// The fields around a record, as the text of a body without the record. Empty if there are none.
    pub(super) fn envelope(&self, position: u32) -> String {
        let Some(group) = self.group_of(position) else {
            return String::new();
        };
        if group.object == NONE {
            return String::new();
        }
        let mut body = Body::of(self);
        body.enter(group.object);
        body.refer_to(self.contact(position));
        body.end()
    }

    /// A body with some of the records, in the objects around them. Objects have only the contacts of these
    /// records.
    pub(super) fn body_of(&self, runs: impl Iterator<Item = Range<u32>>) -> String {
        let mut body = Body::of(self);
        for mut run in runs {
            while !run.is_empty() {
                let index = self.group_index(run.start);
                let Some(group) = self.groups.get(index) else {
                    break;
                };
                let next = self.groups.get(index + 1).map_or(u32::MAX, |next| next.first);
                let part = run.start..run.end.min(next);
                body.enter(group.object);
                body.list(group.list);
                body.text.push_str(self.run_in(group, &part));
                for position in part.clone() {
                    if self.contacts.is_empty() {
                        break;
                    }
                    body.refer_to(self.contact(position));
                }
                run.start = part.end;
            }
        }
        body.end()
    }

    /// Counts the bytes of a body while records are added in order.
    pub(super) fn measure(&self) -> Measure<'_, 'a> {
        Measure::of(self)
    }
}

fn expected(formats: &[FormatId]) -> String {
    let mut known: Vec<String> = formats.iter().copied().filter_map(provider::expected).collect();
    known.dedup();
    known.join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::Verified,
        pipeline::{Positions, batch::Batch},
        provider::{meta_account, meta_call, meta_message, meta_status, netcore_events},
    };
    use proptest::prelude::*;
    use serde_json::{Value, json};

    static META: [FormatId; 4] = [
        &meta_status::FORMAT,
        &meta_message::FORMAT,
        &meta_call::FORMAT,
        &meta_account::FORMAT,
    ];
    /// Formats of which Meta's are a part.
    static MIXED: [FormatId; 5] = [&netcore_events::FORMAT, META[0], META[1], META[2], META[3]];

    fn parsed<'a>(body: &'a str, formats: &'static [FormatId]) -> Batch<'a> {
        Batch::parse(Verified::in_test(body.as_bytes()), formats).unwrap()
    }

    fn error(body: &str) -> String {
        let parsed = Batch::parse(Verified::in_test(body.as_bytes()), &META);
        parsed.err().unwrap().to_string()
    }

    /// The records with the fields around each, and the body itself.
    fn records(batch: &Batch<'_>) -> Vec<(String, String)> {
        let of = |position| (batch.record(position).to_owned(), batch.around(position));
        batch.positions().map(of).collect()
    }

    fn written(batch: &Batch<'_>, positions: &Positions) -> String {
        String::from_utf8(batch.body_of(positions).bytes().to_vec()).unwrap()
    }

    #[test]
    fn records_are_found_at_each_level() {
        let body = r#" { "object" : "w", "entry" : [
            {"changes": [ {"value": {"statuses": [ {"id":1} , {"id":2} ], "contacts": [], "n": 1}, "field": "f"},
                          {"field": "other", "value": {"messages": []}} , 3 ], "id": "e1"},
            {"id": "e2", "changes": {"value": {"messages": {"id":4}, "statuses": [{"id":5}]}}},
            {"id": "e3"}, "e4"
        ] } "#;
        let batch = parsed(body, &META);
        let expected = [
            (
                r#"{"id":1}"#,
                r#"{"object":"w","entry":[{"id":"e1","changes":[{"field":"f","value":{"n":1,"contacts":[]}}]}]}"#,
            ),
            (
                r#"{"id":2}"#,
                r#"{"object":"w","entry":[{"id":"e1","changes":[{"field":"f","value":{"n":1,"contacts":[]}}]}]}"#,
            ),
            (
                r#"{"field": "other", "value": {"messages": []}}"#,
                r#"{"object":"w","entry":[{"id":"e1"}]}"#,
            ),
            ("3", r#"{"object":"w","entry":[{"id":"e1"}]}"#),
            (
                r#"{"id":4}"#,
                r#"{"object":"w","entry":[{"id":"e2","changes":[{"value":{}}]}]}"#,
            ),
            (
                r#"{"id":5}"#,
                r#"{"object":"w","entry":[{"id":"e2","changes":[{"value":{}}]}]}"#,
            ),
            (r#"{"id": "e3"}"#, r#"{"object":"w"}"#),
            (r#""e4""#, r#"{"object":"w"}"#),
        ];
        let found = records(&batch);
        let found: Vec<(&str, &str)> = found.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(found, expected);
        assert_eq!(
            written(&batch, &Positions::from(0..8)),
            [
                r#"{"object":"w","entry":[{"id":"e1","changes":[{"field":"f","value":{"n":1,"contacts":[],"statuses":[{"id":1} , {"id":2}]}},"#,
                r#"{"field": "other", "value": {"messages": []}} , 3]},"#,
                r#"{"id":"e2","changes":[{"value":{"messages":[{"id":4}],"statuses":[{"id":5}]}}]},{"id": "e3"}, "e4"]}"#,
            ]
            .concat()
        );
    }

    #[test]
    fn a_value_alone_is_a_body() {
        let body = r#"{"messaging_product":"whatsapp","metadata":{"a":1},"contacts":[{"wa_id":"7"}],"statuses":[{"id":"x","recipient_id":"7"}]}"#;
        for formats in [&META[..], &MIXED] {
            let batch = parsed(body, formats);
            assert_eq!(
                records(&batch),
                [(
                    r#"{"id":"x","recipient_id":"7"}"#.to_owned(),
                    r#"{"metadata":{"a":1},"messaging_product":"whatsapp","contacts":[{"wa_id":"7"}]}"#
                        .to_owned()
                )]
            );
            let again = written(&batch, &Positions::from(0..1));
            assert_eq!(
                serde_json::from_str::<Value>(&again).unwrap(),
                serde_json::from_str::<Value>(body).unwrap()
            );
        }
        // Without the mark it is a body of other formats.
        assert_eq!(
            error(r#"{"statuses":[{"id":"x"}]}"#),
            "the body has no known envelope: expected {\"entry\":[…]}"
        );
        let other = parsed(r#"{"message_id":"m","messages":[1],"entry_id":2}"#, &MIXED);
        assert_eq!(other.len(), 1);
        // An empty list is a check. Other values could be lost.
        assert_eq!(parsed(r#"{"entry":[]}"#, &META).len(), 0);
        for lost in [
            r#"{"entry":5}"#,
            r#"{"messaging_product":"whatsapp","statuses":[],"user_actions":[1]}"#,
            r#"{"messaging_product":"whatsapp","statuses":5}"#,
        ] {
            assert!(error(lost).contains("no known envelope"), "{lost}");
        }
        let record = parsed(r#"{"message_id":"m","entry":[]}"#, &MIXED);
        assert_eq!(record.len(), 1);
    }

    #[test]
    fn fields_around_a_record_are_bounded() {
        let of = |value: Value| json!({"entry": [{"id": "1", "changes": [{"value": value}]}]}).to_string();
        let wide = "y".repeat(MAX_OTHER_BYTES);
        assert_eq!(
            error(&of(json!({"x": wide, "statuses": [1]}))),
            "the fields beside statuses are longer than 16384 bytes"
        );
        let half = "y".repeat(MAX_OTHER_BYTES / 2);
        assert_eq!(
            error(&json!({"x": half, "entry": [{"y": half, "changes": [1]}]}).to_string()),
            "the fields beside the records are longer than 16384 bytes"
        );
        assert_eq!(
            error(&of(
                json!({"x": half, "contacts": [{"wa_id": "7", "name": half}], "statuses": [{"recipient_id": "7"}]})
            )),
            "the fields beside the records are longer than 16384 bytes"
        );
        // A change without records is a record, however long it is.
        assert_eq!(parsed(&of(json!({ "x": wide })), &META).len(), 1);
        assert_eq!(error(r#"{"entry":[1],"entry":[2]}"#), "entry occurs twice");
        assert_eq!(
            parsed(
                r#"{"entry":[{"changes":[{"value":{"statuses":[1],"statuses":[2]}}]}]}"#,
                &META
            )
            .len(),
            1
        );
    }

    /// Persons and records do not multiply: each record has its own contact only.
    #[test]
    fn a_thousand_messages_of_a_thousand_people() {
        let contacts: Vec<Value> = (0..1000)
            .map(|i| json!({"wa_id": i.to_string(), "profile": {"name": "n".repeat(2_000)}}))
            .collect();
        let messages: Vec<Value> = (0..1000)
            .map(|i| json!({"id": format!("wamid.{i}"), "from": i.to_string(), "text": "t".repeat(1_000)}))
            .collect();
        let body = json!({"entry": [{"id": "1", "changes": [{"value": {"contacts": contacts, "messages": messages}}]}]});
        let body = body.to_string();
        let batch = parsed(&body, &META);
        for position in [0, 1, 999] {
            let around: Value = serde_json::from_str(&batch.around(position)).unwrap();
            let listed = &around["entry"][0]["changes"][0]["value"]["contacts"];
            assert_eq!(listed.as_array().unwrap().len(), 1);
            assert_eq!(listed[0]["wa_id"], position.to_string());
        }
        let chunks: Vec<Positions> = batch.chunks(&Positions::from(batch.positions())).collect();
        let bodies: Vec<String> = chunks.iter().map(|chunk| written(&batch, chunk)).collect();
        assert_eq!(chunks.iter().map(Positions::len).sum::<usize>(), 1000);
        assert!(bodies.iter().all(|body| body.len() <= 701 * 1024));
        let all: usize = bodies.iter().map(String::len).sum();
        assert!(all < body.len() + 1024 * bodies.len(), "{all} of {}", body.len());
        // A run counts the fields around each record: ten messages with contacts, and no eleventh.
        assert_eq!(batch.run_from(0, 25, 32 * 1024).len(), 10);
    }

    #[test]
    fn a_record_has_no_other_persons_contact() {
        let body = r#"{"entry":[{"changes":[{"value":{"contacts":[{"wa_id":"7"}],"statuses":[{"recipient_id":"8"},{"recipient_id":"7"}]}}]}]}"#;
        let batch = parsed(body, &META);
        assert!(!batch.around(0).contains("contacts"));
        assert!(batch.around(1).contains(r#""contacts":[{"wa_id":"7"}]"#));
        let alone = r#"{"entry":[{"changes":[{"value":{"contacts":[{"wa_id":"7"}],"statuses":[{"recipient_id":"8"}]}}]}]}"#;
        assert!(
            parsed(alone, &META)
                .around(0)
                .contains(r#""contacts":[{"wa_id":"7"}]"#)
        );
    }

    #[test]
    fn a_group_takes_few_bytes() {
        assert!(size_of::<Group<'_>>() <= 48 && size_of::<Object>() <= 32);
        // The smallest changes with a record.
        let changes = vec![r#"{"value":{"statuses":[{}]}}"#; 200_000].join(",");
        let batch_body = format!(r#"{{"entry":[{{"changes":[{changes}]}}]}}"#);
        let batch = parsed(&batch_body, &META);
        assert_eq!(batch.len(), 200_000);
        assert_eq!(batch.record(199_999), "{}");
    }

    /// A record, or an object without records.
    fn record() -> impl Strategy<Value = Value> {
        prop_oneof![
            (0_u32..6).prop_map(|id| json!({"id": id, "from": id.to_string()})),
            (0_u32..6).prop_map(|id| json!({"id": id, "recipient_user_id": format!("US.{id}"), "s": "],}"})),
            Just(json!({})),
            Just(json!(17)),
        ]
    }

    fn value() -> impl Strategy<Value = Value> {
        let list = || prop::collection::vec(record(), 0..4);
        (
            list(),
            list(),
            list(),
            prop::collection::vec(0_u32..6, 0..4),
            any::<bool>(),
        )
            .prop_map(|(statuses, messages, calls, contacts, has_metadata)| {
                let mut value = json!({"statuses": statuses, "messages": messages, "calls": calls});
                let contacts: Vec<Value> = (contacts.iter())
                    .map(|id| json!({"wa_id": id.to_string(), "user_id": format!("US.{id}")}))
                    .collect();
                value["contacts"] = contacts.into();
                if has_metadata {
                    value["metadata"] = json!({"n": 1});
                }
                value
            })
    }

    fn body() -> impl Strategy<Value = Value> {
        let change = prop_oneof![
            4 => (value(), any::<bool>()).prop_map(|(value, has_field)| if has_field { json!({"field": "messages", "value": value}) } else { json!({ "value": value }) }),
            1 => Just(json!({"field": "account_update", "value": {"event": "x"}})),
            1 => Just(json!({})),
        ];
        let entry = (prop::collection::vec(change, 0..4), 0_u32..3)
            .prop_map(|(changes, id)| json!({"id": id, "changes": changes}));
        prop::collection::vec(entry, 0..4).prop_map(|entries| json!({"object": "w", "entry": entries}))
    }

    proptest! {
        #[test]
        fn split_bodies_have_the_same_records_in_the_same_fields(
            body in body(), parts in prop::collection::vec(0_usize..3, 0..60),
        ) {
            let body = body.to_string();
            let batch = parsed(&body, &META);
            let part_of = |position: u32| parts.get(position as usize).copied().unwrap_or_default();
            let mut again = Vec::new();
            for part in 0..3 {
                let positions: Positions = batch.positions().filter(|position| part_of(*position) == part).collect();
                if positions.is_empty() {
                    continue;
                }
                let written = written(&batch, &positions);
                serde_json::from_str::<Value>(&written).unwrap();
                let split = parsed(&written, &META);
                prop_assert_eq!(split.len(), positions.len());
                again.extend(records(&split));
            }
            let mut all = records(&batch);
            all.sort();
            again.sort();
            prop_assert_eq!(all, again);
        }

        #[test]
        fn any_nesting_is_read_without_panic(text in r#"\{"entry":(\[|\{|\]|\}|,|:|"changes":|"value":|"statuses":|"contacts":|\{"id":"1"\}|1){0,24}"#) {
            if let Ok(batch) = Batch::parse(Verified::in_test(text.as_bytes()), &META) {
                let _ = records(&batch);
            }
        }
    }
}
