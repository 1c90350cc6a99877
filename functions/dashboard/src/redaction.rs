//! What a viewer gets of each answer. Every field of every answer has a class, and the class decides,
//! not the look of a value: an unclassified field does not compile, and a stored attribute nobody
//! classified is masked as a whole.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use webhook_ingest::{
    event::Attribute,
    events_table::item::{
        AS_SENT, CHANNEL, DAY_SHARD, ENVELOPE, EVENT_TIME, EXPIRES_AT, EXTRA, FORMAT, LATE, MESSAGE_ID,
        PROVIDER, RECEIVED_AT, RECIPIENT, STATUS, STATUS_KEY, UNDATED, VERBATIM,
    },
    phone,
};

use crate::{
    answers::{
        BillingCount, DayCount, DeadLetter, DeadLetters, Depth, Depths, Event, Events, FailureCount,
        Fallback, Folded, Funnel, HourCount, JourneyLeg, Message, Outcome, PersonEvents, PersonJourney,
        Session, Summary, TypeCount,
    },
    tokens::Seal,
};

/// Stands for a value that a viewer does not see.
const MASKED: &str = "***";
/// A recipient keeps as many of its last digits, so that two people can be told apart.
const SHOWN_DIGITS: usize = 3;
/// Shorter recipients keep none: three of six digits would be half of them.
const SHORTEST_NUMBER: usize = 7;

/// A caller whose role sees no numbers.
pub(crate) struct Viewer<'a> {
    /// Makes tokens of message ids; nothing where the dashboard has no key to make them with.
    pub(crate) seal: Option<&'a Seal>,
}

impl Viewer<'_> {
    fn token(&self, id: &str) -> Option<String> {
        self.seal?.close(id)
    }
}

/// An answer that is fit for a viewer after a conversion.
pub(crate) trait ForViewer {
    /// The same answer without numbers of people.
    fn for_viewer(self, viewer: &Viewer<'_>) -> Self;
}

impl<T: ForViewer> ForViewer for Vec<T> {
    fn for_viewer(self, viewer: &Viewer<'_>) -> Self {
        self.into_iter().map(|entry| entry.for_viewer(viewer)).collect()
    }
}

/// Text with every number of a person masked.
pub(crate) fn text(text: &str) -> String {
    phone::redact(text).into_owned()
}

/// Whether a text could hold a person's number.
pub(crate) fn holds_number(text: &str) -> bool {
    phone::contains_number(text)
}

/// The classes of the fields of answers.
mod class {
    use super::{ForViewer, Viewer};

    /// Figures, times, our own words: shown as they are.
    pub(super) fn public<T>(value: T, _: &Viewer<'_>) -> T {
        value
    }

    /// Never shown.
    pub(super) fn hidden<T: Default>(_: T, _: &Viewer<'_>) -> T {
        T::default()
    }

    /// Texts of providers and people, shown with numbers masked.
    pub(super) fn words<T: Words>(value: T, _: &Viewer<'_>) -> T {
        value.redacted()
    }

    /// A person.
    pub(super) fn person(value: Option<String>, _: &Viewer<'_>) -> Option<String> {
        value.map(|recipient| super::person(&recipient))
    }

    /// An answer within an answer; its fields have their own classes.
    pub(super) fn part<T: ForViewer>(value: T, viewer: &Viewer<'_>) -> T {
        value.for_viewer(viewer)
    }

    /// What [`words`] takes.
    pub(super) trait Words {
        fn redacted(self) -> Self;
    }

    impl Words for String {
        fn redacted(self) -> Self {
            super::text(&self)
        }
    }

    impl<W: Words> Words for Option<W> {
        fn redacted(self) -> Self {
            self.map(Words::redacted)
        }
    }

    impl<W: Words> Words for Vec<W> {
        fn redacted(self) -> Self {
            self.into_iter().map(Words::redacted).collect()
        }
    }
}

/// One line for each answer: its fields and their classes. A field without a class does not compile.
macro_rules! classes {
    ($($answer:ident { $($field:ident: $class:ident),+ $(,)? })+) => {$(
        impl ForViewer for $answer {
            fn for_viewer(self, viewer: &Viewer<'_>) -> Self {
                let Self { $($field),+ } = self;
                Self { $($field: class::$class($field, viewer)),+ }
            }
        }
    )+};
}

classes! {
    Summary {
        from: public, to: public, updated_at: public, counts: part, hours: part, billing: part, failures: part,
        message_types: part, funnel: part, fallback: part, bots: words, tags: words, channels: words,
        truncated: public,
        folded: part,
    }
    Folded { kind: public, most: public, days: public }
    DayCount { day: public, channel: words, status: words, count: public }
    HourCount { hour: public, channel: words, status: words, count: public }
    BillingCount { category: words, billable: public, count: public, messages: public }
    FailureCount { channel: words, reason: words, count: public }
    TypeCount { channel: words, message_type: words, count: public }
    Funnel {
        channel: words, sent: public, delivered: public, read: public, clicked: public, failed: public,
        not_sent: public, blocked: public,
    }
    Fallback { attempts: public, fell_back: public, delivered: public, failed: public, clicked: public }
    DeadLetters { depths: part, newest: part }
    Depths { retry: part, dead_letter: part }
    Depth { visible: public, in_flight: public }
    DeadLetter {
        id: public, sent_at: public, reason: words, detail: words, function: words, received_at: public,
        body_bytes: public, body: hidden, encoding: hidden, truncated: hidden, part: public, parts: public,
        letter: words,
    }
    Session { role: public, sign_in: public, may: public }
    PersonJourney { journey: part, outcome: part, events: public }
}

impl ForViewer for JourneyLeg {
    fn for_viewer(self, viewer: &Viewer<'_>) -> Self {
        let Self {
            message_id,
            token: _,
            channel,
            state,
            state_time,
            reason,
        } = self;
        Self {
            token: viewer.token(&message_id),
            message_id: text(&message_id),
            channel: text(&channel),
            state: text(&state),
            state_time,
            reason: class::words(reason, viewer),
        }
    }
}

impl ForViewer for Outcome {
    fn for_viewer(self, viewer: &Viewer<'_>) -> Self {
        let Self {
            message_id,
            token: _,
            channel,
            state,
            state_time,
            sent_time,
            clicked,
            incoming,
        } = self;
        Self {
            token: viewer.token(&message_id),
            message_id: text(&message_id),
            channel: text(&channel),
            state: text(&state),
            state_time,
            sent_time,
            clicked,
            incoming,
        }
    }
}

impl ForViewer for PersonEvents {
    fn for_viewer(self, viewer: &Viewer<'_>) -> Self {
        // The order of a person's events is that of their times, and positions in it stay.
        let Self {
            events,
            cursor: _,
            journeys,
        } = self;
        Self {
            events: events.for_viewer(viewer),
            // A cursor holds a number.
            cursor: None,
            journeys: journeys.for_viewer(viewer),
        }
    }
}

impl ForViewer for Message {
    fn for_viewer(self, viewer: &Viewer<'_>) -> Self {
        let Self {
            message_id,
            token: _,
            recipient,
            provider,
            channel,
            state,
            state_time,
            events,
            journey,
            outcome,
            linked,
            answers,
            truncated,
            cursor: _,
        } = self;
        Self {
            token: viewer.token(&message_id),
            message_id: text(&message_id),
            recipient: class::person(recipient, viewer),
            provider: class::words(provider, viewer),
            channel: class::words(channel, viewer),
            state: class::words(state, viewer),
            state_time,
            events: events.for_viewer(viewer),
            journey: journey.for_viewer(viewer),
            outcome: outcome.map(|outcome| outcome.for_viewer(viewer)),
            linked: unordered(linked.for_viewer(viewer)),
            answers: unordered(answers.for_viewer(viewer)),
            truncated,
            // A cursor holds an id.
            cursor: None,
        }
    }
}

impl ForViewer for Events {
    fn for_viewer(self, viewer: &Viewer<'_>) -> Self {
        let Self {
            events,
            cursor,
            truncated,
        } = self;
        Self {
            events: unordered(events.for_viewer(viewer)),
            truncated: truncated || cursor.is_some(),
            cursor: None,
        }
    }
}

/// Events of one time in an order that says nothing of the ids they were sorted by. The order of times
/// stays, and so does the order of one message's events.
fn unordered(mut events: Vec<Event>) -> Vec<Event> {
    fn time(event: &Event) -> Option<i64> {
        event.0.get(EVENT_TIME)?.as_i64()
    }
    fn name(event: &Event) -> Option<&str> {
        [TOKEN, MESSAGE_ID]
            .iter()
            .find_map(|name| event.0.get(*name)?.as_str())
    }
    for same in events.chunk_by_mut(|a, b| time(a) == time(b)) {
        same.sort_by(|a, b| name(a).cmp(&name(b)));
    }
    events
}

/// What opens a message to a viewer.
const TOKEN: &str = "token";
/// The same of the message that an event answers.
const IN_REPLY_TO_TOKEN: &str = "in_reply_to_token";

/// The class of an event's attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// A figure, a time or a mark: anything but a number and a boolean is masked.
    Figure,
    /// A text of a provider or person, or a list of them: shown with numbers masked.
    Words,
    /// A message id: as words, and beside it, under this name, the token that opens the message.
    Id(&'static str),
    /// A person.
    Person,
    /// An object: of the fields in [`TOLD`] the words, of all others the name at most.
    Structure,
    /// An object of unlisted fields: names at most.
    Names,
    /// Never shown: it holds the record again, or what a number can be computed from.
    Hidden,
}

/// The class of every attribute that is stored under a name of ours. Any other is masked as a whole.
const ATTRIBUTES: [(&str, Class); 31] = [
    (MESSAGE_ID, Class::Id(TOKEN)),
    (RECIPIENT, Class::Person),
    (CHANNEL, Class::Words),
    (STATUS, Class::Words),
    (PROVIDER, Class::Words),
    (FORMAT, Class::Words),
    (EVENT_TIME, Class::Figure),
    (RECEIVED_AT, Class::Figure),
    (EXPIRES_AT, Class::Figure),
    (LATE, Class::Figure),
    (UNDATED, Class::Figure),
    (Attribute::BotId.name(), Class::Words),
    (Attribute::RequestId.name(), Class::Words),
    (Attribute::CallbackData.name(), Class::Words),
    (Attribute::Tags.name(), Class::Words),
    (Attribute::MessageType.name(), Class::Words),
    (Attribute::LastChannel.name(), Class::Words),
    (Attribute::Remarks.name(), Class::Words),
    (Attribute::Source.name(), Class::Words),
    (Attribute::Campaign.name(), Class::Words),
    (Attribute::InReplyTo.name(), Class::Id(IN_REPLY_TO_TOKEN)),
    (Attribute::Click.name(), Class::Structure),
    (Attribute::Content.name(), Class::Structure),
    (Attribute::Pricing.name(), Class::Structure),
    (EXTRA, Class::Names),
    (ENVELOPE, Class::Names),
    // A digest of the record's content is in it.
    (STATUS_KEY, Class::Hidden),
    // Its last part is a digest of the id.
    (DAY_SHARD, Class::Hidden),
    (AS_SENT, Class::Hidden),
    (VERBATIM, Class::Hidden),
    // Not stored: a name of ours in the answer, which no attribute may take.
    (TOKEN, Class::Hidden),
];

/// Fields of `click`, `content` and `pricing` whose words a viewer reads, at any depth. No address
/// (`url`, `fileUri`) and nothing the sender put in to get it back (`postbackData`, `payload`) is among
/// them: those may hold numbers in other encodings.
const TOLD: [&str; 27] = [
    "action",
    "billable",
    "body",
    "button_reply",
    "button_type",
    "caption",
    "category",
    "description",
    "document_type",
    "emoji",
    "fileName",
    "filename",
    "image_type",
    "interactive_type",
    "label",
    "list_reply",
    "mimeType",
    "mime_type",
    "payload_type",
    "pricing_model",
    "reaction_type",
    "suggestionResponse",
    "suggestionType",
    "text",
    "text_type",
    "title",
    "type",
];

impl ForViewer for Event {
    fn for_viewer(self, viewer: &Viewer<'_>) -> Self {
        let classes: BTreeMap<&str, Class> = ATTRIBUTES.into();
        let mut shown = Map::new();
        for (name, value) in self.0 {
            match (classes.get(name.as_str()), value) {
                (Some(Class::Hidden), _) => {}
                (Some(Class::Figure), value @ (Value::Number(_) | Value::Bool(_))) => {
                    shown.insert(name, value);
                }
                (Some(Class::Id(token)), Value::String(id)) => {
                    if let Some(sealed) = viewer.token(&id) {
                        shown.insert((*token).to_owned(), sealed.into());
                    }
                    shown.insert(name, text(&id).into());
                }
                (Some(Class::Person), Value::String(recipient)) => {
                    shown.insert(name, person(&recipient).into());
                }
                (Some(Class::Words), value) => {
                    shown.insert(name, words(value));
                }
                (Some(Class::Structure), value) => {
                    shown.insert(name, structure(value));
                }
                (Some(Class::Names), Value::Object(fields)) => {
                    shown.insert(name, names(fields));
                }
                (Some(Class::Figure | Class::Id(_) | Class::Person | Class::Names), _) => {
                    shown.insert(name, MASKED.into());
                }
                (None, _) => {
                    shown.insert(plain_name(&name).to_owned(), MASKED.into());
                }
            }
        }
        Self(shown)
    }
}

/// A recipient: of a number the last digits, of another kind of address the kind.
fn person(recipient: &str) -> String {
    if recipient.bytes().all(|byte| byte.is_ascii_digit()) {
        let shown = if recipient.len() < SHORTEST_NUMBER {
            0
        } else {
            SHOWN_DIGITS
        };
        let (hidden, last) = recipient.split_at(recipient.len() - shown);
        return format!("{}{last}", "*".repeat(hidden.len()));
    }
    match recipient.split_once(':') {
        Some((kind, _)) if is_plain(kind) => format!("{kind}:{MASKED}"),
        _ => MASKED.to_owned(),
    }
}

fn words(value: Value) -> Value {
    match value {
        Value::String(said) => text(&said).into(),
        Value::Array(list) if list.iter().all(Value::is_string) => list.into_iter().map(words).collect(),
        Value::Bool(_) | Value::Null => value,
        Value::Number(_) | Value::Array(_) | Value::Object(_) => MASKED.into(),
    }
}

fn structure(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut shown = Map::new();
            for (name, value) in fields {
                if TOLD.contains(&name.as_str()) {
                    shown.insert(name, structure(value));
                } else {
                    shown.insert(plain_name(&name).to_owned(), MASKED.into());
                }
            }
            shown.into()
        }
        Value::Array(list) => list.into_iter().map(structure).collect(),
        other => words(other),
    }
}

fn names(fields: Map<String, Value>) -> Value {
    fields
        .into_iter()
        .map(|(name, _)| (plain_name(&name).to_owned(), Value::from(MASKED)))
        .collect::<Map<String, Value>>()
        .into()
}

/// A field's name where it cannot hold a number in any spelling.
fn plain_name(name: &str) -> &str {
    if is_plain(name) { name } else { MASKED }
}

fn is_plain(name: &str) -> bool {
    name.chars()
        .all(|c| c.is_ascii_alphabetic() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const VIEWER: Viewer<'_> = Viewer { seal: None };

    fn event(fields: Value) -> Value {
        let Value::Object(fields) = fields else {
            unreachable!()
        };
        Event(fields).for_viewer(&VIEWER).0.into()
    }

    #[test]
    fn every_stored_attribute_has_a_class() {
        let classes: BTreeMap<&str, Class> = ATTRIBUTES.into();
        assert_eq!(classes.len(), ATTRIBUTES.len());
        for attribute in Attribute::ALL {
            assert!(classes.contains_key(attribute.name()), "{}", attribute.name());
        }
    }

    #[test]
    fn figures_of_an_overview_stay_and_its_words_are_masked() {
        let summary = Summary {
            from: "2026-11-21".to_owned(),
            updated_at: Some(1_795_540_581_000),
            counts: vec![DayCount {
                day: "2026-11-21".to_owned(),
                channel: "RCS".to_owned(),
                status: "x919812345678".to_owned(),
                count: 1_000_000,
            }],
            failures: vec![FailureCount {
                channel: "SMS".to_owned(),
                reason: "no route to 919812345678".to_owned(),
                count: 123_456_789_012,
            }],
            bots: vec!["919812345678".to_owned()],
            tags: vec!["plain".to_owned(), "t919812345678".to_owned()],
            ..Summary::default()
        };
        let shown = serde_json::to_value(summary.for_viewer(&VIEWER)).unwrap();
        assert_eq!(shown["from"], "2026-11-21");
        assert_eq!(shown["updated_at"], 1_795_540_581_000_i64);
        assert_eq!(
            shown["counts"],
            json!([{"day": "2026-11-21", "channel": "RCS", "status": "x*********678", "count": 1_000_000}])
        );
        assert_eq!(
            shown["failures"],
            json!([{"channel": "SMS", "reason": "no route to *********678", "count": 123_456_789_012_u64}])
        );
        assert_eq!(shown["bots"], json!(["*********678"]));
        assert_eq!(shown["tags"], json!(["plain", "t*********678"]));
    }

    #[test]
    fn what_nobody_classified_is_masked_as_a_whole() {
        assert_eq!(
            event(json!({
                "message_id": "m-1", "event_time": 1_704_876_828_000_i64, "late": true, "status": "sent",
                "status_key": "RCS#sent#0f0f", "day_shard": "2026-11-21#07", "as_sent": {"a": 1}, "verbatim": "{}",
                "new_field": 12, "field 919812345678": "x", "received_at": "+91 98123 45678",
                "extra": {"note": "hello", "phone2": 1}, "envelope": {"account": 12}, "token": "forged",
                "tags": ["a", 5], "remarks": {"a": "b"}, "recipient": 919_812_345_678_u64,
            })),
            json!({
                "message_id": "m-1", "event_time": 1_704_876_828_000_i64, "late": true, "status": "sent",
                "new_field": "***", "***": "***", "received_at": "***",
                "extra": {"note": "***", "***": "***"}, "envelope": {"account": "***"},
                "tags": "***", "remarks": "***", "recipient": "***",
            })
        );
    }

    #[test]
    fn of_structures_the_listed_words_are_shown() {
        assert_eq!(
            event(json!({
                "click": {"text": "Visit", "postbackData": "https://x.example/%39%31", "suggestionResponse": {"text": "y", "at": 5}},
                "content": {"contacts": [{"phone": "1"}], "text_type": {"text": ["a", 5, {"body": "z"}]}, "latitude": 12.97},
                "pricing": {"billable": true, "category": "marketing", "amount": 0.25},
            })),
            json!({
                "click": {"text": "Visit", "postbackData": "***", "suggestionResponse": {"text": "y", "at": "***"}},
                "content": {"contacts": "***", "text_type": {"text": ["a", "***", {"body": "z"}]}, "latitude": "***"},
                "pricing": {"billable": true, "category": "marketing", "amount": "***"},
            })
        );
    }

    #[test]
    fn of_a_person_the_last_digits_or_the_kind_remain() {
        for (recipient, shown) in [
            ("919209209291", "*********291"),
            ("1234567", "****567"),
            ("123456", "******"),
            ("", ""),
            ("whatsapp:IN.1346", "whatsapp:***"),
            ("mailto:a@b.example", "mailto:***"),
            ("91:98123", "***"),
            ("+919209209291", "***"),
        ] {
            assert_eq!(person(recipient), shown, "{recipient}");
        }
    }

    #[test]
    fn events_of_one_time_do_not_show_the_order_of_their_ids() {
        let at = |time: i64, id: &str, status: &str| {
            let Value::Object(fields) = json!({"event_time": time, "message_id": id, "status": status})
            else {
                unreachable!()
            };
            Event(fields)
        };
        let shown = unordered(vec![
            at(9, "b", "1"),
            at(9, "a", "2"),
            at(9, "b", "0"),
            at(8, "a", "3"),
        ]);
        let statuses: Vec<&str> = shown
            .iter()
            .map(|event| event.0["status"].as_str().unwrap())
            .collect();
        assert_eq!(statuses, ["2", "1", "0", "3"]);
    }
}
