//! Redacts responses for viewers. Every field of every response has a class, which determines its visibility
//! independently of its value. A field without a class does not compile, and a stored attribute without a
//! class is redacted completely.

mod event;

use serde_json::{Map, Value};
use webhook_ingest::{
    events_table::item::{EVENT_TIME, MESSAGE_ID},
    personal,
};

use crate::{
    answers::{
        BillingCount, DayCount, DeadLetter, DeadLetters, Depth, Depths, Event, Events, FailureCount,
        Fallback, Folded, Funnel, HeatCell, HourCount, JourneyLeg, LatencyRow, LeagueRow, Message, Outcome,
        PersonEvents, PersonJourney, Reached, Session, Spend, SpendRow, Summary, TypeCount, UnpricedRow,
    },
    search::answer::{Found, SearchResult},
    tokens::TokenCipher,
};

/// Field with the token of a message.
const TOKEN: &str = "token";

/// Replaces a redacted value.
const REDACTED: &str = "***";
/// Number of visible last digits of a recipient, to distinguish two people.
const SHOWN_DIGITS: usize = 3;
/// Shorter recipients have no visible digits: three of six digits would be half of the number.
const MIN_DIGITS: usize = 7;

/// A caller whose role sees no numbers.
pub(crate) struct Viewer<'a> {
    /// Creates message tokens; `None` if the dashboard has no key.
    pub(crate) cipher: Option<&'a TokenCipher>,
}

impl Viewer<'_> {
    fn token(&self, id: &str) -> Option<String> {
        self.cipher?.encrypt(id)
    }
}

/// A response that can be redacted for viewers.
pub(crate) trait ForViewer {
    /// The same response without phone numbers.
    fn for_viewer(self, viewer: &Viewer<'_>) -> Self;
}

impl<T: ForViewer> ForViewer for Option<T> {
    fn for_viewer(self, viewer: &Viewer<'_>) -> Self {
        self.map(|part| part.for_viewer(viewer))
    }
}

impl<T: ForViewer> ForViewer for Box<T> {
    fn for_viewer(self, viewer: &Viewer<'_>) -> Self {
        Self::new((*self).for_viewer(viewer))
    }
}

impl<T: ForViewer> ForViewer for Vec<T> {
    fn for_viewer(self, viewer: &Viewer<'_>) -> Self {
        self.into_iter().map(|entry| entry.for_viewer(viewer)).collect()
    }
}

/// A stored event as a viewer sees it, without tokens: no value contains the id of a person, and none from which one
/// could be computed.
pub fn without_numbers(event: Map<String, Value>) -> Map<String, Value> {
    Event(event).for_viewer(&Viewer { cipher: None }).0
}

/// A text with redacted ids of people.
pub(crate) fn text(text: &str) -> String {
    personal::redact(text).into_owned()
}

/// A message id with redacted ids of people. An id that may contain an encoded number is redacted completely.
fn redacted_id(id: &str) -> String {
    personal::redact_id(id).into_owned()
}

/// Whether a text could contain the id of a person.
pub(crate) fn names_person(text: &str) -> bool {
    personal::is_in(text)
}

/// Whether a message id could contain the id of a person, also encoded.
pub(crate) fn is_personal_id(id: &str) -> bool {
    personal::is_in(id) || personal::is_encoded(id)
}

/// Classes of the fields of responses.
mod class {
    use super::{ForViewer, Viewer};

    /// Counts, times and fixed words: unchanged.
    pub(super) fn public<T>(value: T, _: &Viewer<'_>) -> T {
        value
    }

    /// Never shown.
    pub(super) fn withheld<T: Default>(_: T, _: &Viewer<'_>) -> T {
        T::default()
    }

    /// Texts from providers and people: phone numbers are redacted.
    pub(super) fn words<T: Words>(value: T, _: &Viewer<'_>) -> T {
        value.redacted()
    }

    /// A person.
    pub(super) fn person(value: Option<String>, _: &Viewer<'_>) -> Option<String> {
        value.map(|recipient| super::person(&recipient))
    }

    /// A nested response; its fields have their own classes.
    pub(super) fn part<T: ForViewer>(value: T, viewer: &Viewer<'_>) -> T {
        value.for_viewer(viewer)
    }

    /// Types for [`words`].
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

    impl Words for std::collections::BTreeMap<String, u64> {
        fn redacted(self) -> Self {
            self.into_iter()
                .map(|(name, count)| (name.redacted(), count))
                .collect()
        }
    }

    impl<W: Words> Words for Vec<W> {
        fn redacted(self) -> Self {
            self.into_iter().map(Words::redacted).collect()
        }
    }
}

/// The fields of each response and their classes. A field without a class does not compile.
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
        from: public, to: public, tz: public, updated_at: public, lacks_latest_counts: public, counts: part, reached: part, latency: part,
        hours: part, heat: part, spend: part, billing: part, failures: part, message_types: part, funnel: part,
        fallback: part, bots: words, tags: part, bots_table: part, campaigns: part, templates: part,
        countries: part, channels: words, truncated: public, folded: part, previous: part,
    }
    Reached { messages: public, reached: public, read: public, clicked: public, failed: public, by_channel: words }
    LatencyRow {
        from: public, to: public, channel: words, count: public, p50_ms: public, p90_ms: public, p99_ms: public,
    }
    LeagueRow { name: words, sent: public, reached: public, read: public, clicked: public, failed: public }
    HeatCell { weekday: public, hour: public, status: words, count: public }
    Spend {
        currency: public, spent: public, per_reached: public, forecast: public, unpriced: public,
        unpriced_rows: part, rows: part,
    }
    UnpricedRow { country: words, channel: words, category: words, messages: public }
    SpendRow {
        country: words, channel: words, category: words, messages: public, per: public, price: public,
        amount: public,
    }
    Folded { kind: public, most: public, days: public }
    DayCount { day: public, channel: words, status: words, count: public }
    HourCount { hour: public, channel: words, status: words, count: public }
    BillingCount { category: words, billable: public, count: public, messages: public, status: words }
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
        body_bytes: public, body: withheld, encoding: withheld, truncated: withheld, part: public, parts: public,
        letter: words,
    }
    Session { role: public, sign_in: public, may: public, bot_names: public }
    PersonJourney { journey: part, outcome: part, events: public }
}

impl ForViewer for SearchResult {
    fn for_viewer(self, viewer: &Viewer<'_>) -> Self {
        let Self {
            found,
            left_out,
            truncated,
            searched,
        } = self;
        Self {
            found: found.for_viewer(viewer),
            left_out,
            truncated,
            searched,
        }
    }
}

impl ForViewer for Found {
    fn for_viewer(self, viewer: &Viewer<'_>) -> Self {
        let Self {
            kind,
            message_id,
            token: _,
            recipient,
            state,
            event_time,
            name,
        } = self;
        Self {
            kind,
            token: message_id.as_deref().and_then(|id| viewer.token(id)),
            message_id: message_id.as_deref().map(redacted_id),
            recipient: class::person(recipient, viewer),
            state: class::words(state, viewer),
            event_time,
            name: class::words(name, viewer),
        }
    }
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
            message_id: redacted_id(&message_id),
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
            message_id: redacted_id(&message_id),
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
        // The events stay sorted by time, so the positions stay valid.
        let Self {
            ids,
            events,
            cursor: _,
            journeys,
        } = self;
        Self {
            ids: ids.iter().map(|id| person(id)).collect(),
            events: events.for_viewer(viewer),
            // A cursor contains a number.
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
            message_id: redacted_id(&message_id),
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
            // A cursor contains an id.
            cursor: None,
        }
    }
}

impl ForViewer for Events {
    fn for_viewer(self, viewer: &Viewer<'_>) -> Self {
        let Self {
            events,
            cursor,
            searched_to,
            skipped_hours,
            truncated,
        } = self;
        Self {
            events: unordered(events.for_viewer(viewer)),
            searched_to,
            skipped_hours,
            truncated: truncated || cursor.is_some(),
            cursor: None,
        }
    }
}

/// Sorts events with the same time by their redacted names, because the original order reveals the order of
/// the ids. Events stay sorted by time, and events of one message keep their order.
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

/// A redacted recipient: the last digits of a number, or the kind of another address.
fn person(recipient: &str) -> String {
    if recipient.bytes().all(|byte| byte.is_ascii_digit()) {
        let shown = if recipient.len() < MIN_DIGITS {
            0
        } else {
            SHOWN_DIGITS
        };
        let (redacted, last) = recipient.split_at(recipient.len() - shown);
        return format!("{}{last}", "*".repeat(redacted.len()));
    }
    match recipient.split_once(':') {
        Some((kind, _)) if is_plain(kind) => format!("{kind}:{REDACTED}"),
        _ => REDACTED.to_owned(),
    }
}

/// Whether a name cannot contain a phone number in any spelling.
fn is_plain(name: &str) -> bool {
    name.chars()
        .all(|c| c.is_ascii_alphabetic() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const VIEWER: Viewer<'_> = Viewer { cipher: None };

    #[test]
    fn an_overview_keeps_its_figures_and_redacts_its_words() {
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
            tags: vec![
                LeagueRow {
                    name: "plain".to_owned(),
                    sent: 1_000_000,
                    ..LeagueRow::default()
                },
                LeagueRow {
                    name: "t919812345678".to_owned(),
                    ..LeagueRow::default()
                },
            ],
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
        assert_eq!(shown["tags"][0]["sent"], 1_000_000);
        assert_eq!(shown["tags"][1]["name"], "t*********678");
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
    #[test]
    fn a_redacted_person_keeps_the_last_digits_or_the_kind() {
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
    fn the_reason_of_a_leg_contains_no_number() {
        let leg = JourneyLeg {
            message_id: "api-337-919812345678-x".to_owned(),
            token: None,
            channel: "RCS".to_owned(),
            state: "failed".to_owned(),
            state_time: 5,
            reason: Some("no route to +91 98123 45678".to_owned()),
        };
        let shown = serde_json::to_string(&leg.for_viewer(&VIEWER)).unwrap();
        assert!(
            !shown.contains("98123") && shown.contains("no route to"),
            "{shown}"
        );
    }
}
