//! The counts that an event adds to the counters: a pure function of its item and of the other events of its message.

use sha2::{Digest as _, Sha256};
use webhook_ingest::{
    counters::{self, Counter, Progress, QUARTER_MS, Quantity},
    event::{Attribute, EpochMillis, time},
    events_table::item::{
        CHANNEL, EVENT_TIME, Item, MESSAGE_ID, RECEIVED_AT, STATUS, STATUS_KEY, number_at, text_at,
    },
    facets::{self, Price, UNCATEGORISED},
};

use crate::{
    dimensions::Dimensions,
    messages::ParsedMessages,
    progress::{self, MessageEvent},
};

/// The attributes that the counts of an event need. A scan reads no others, except those of its message.
pub(crate) const ATTRIBUTES: [&str; 3] = [
    Attribute::MessageType.name(),
    Attribute::Remarks.name(),
    Attribute::Click.name(),
];

/// Counts that are added together, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterDelta {
    /// The identity of the event.
    pub identity: Identity,
    /// The counts: how often each subject is added.
    pub counts: Vec<(Subject, i64)>,
}

/// Distinguishes an event from all others, and determines the item of its marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// When it arrived, epoch milliseconds.
    pub received_at: EpochMillis,
    /// A digest that differs from those of all other events in the same second.
    pub marker: [u8; 8],
}

impl Identity {
    /// The second of the arrival, since 1970.
    pub(crate) fn second(&self) -> i64 {
        self.received_at.div_euclid(1000)
    }
}

/// Counters of a period, for events and messages with the same values. Contains no phone numbers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// The beginning of its UTC quarter of an hour, epoch milliseconds.
    pub began: EpochMillis,
    /// The values by which it is counted.
    pub dimensions: Dimensions,
    /// The counters, sorted.
    pub counters: Vec<Counter>,
    /// The counters of league tables, sorted.
    pub league: Vec<Progress>,
}

impl Subject {
    /// No counters yet, at a time (epoch milliseconds).
    pub(crate) fn at(at: EpochMillis, dimensions: Dimensions) -> Self {
        Self {
            began: at - at.rem_euclid(QUARTER_MS),
            dimensions,
            counters: Vec::new(),
            league: Vec::new(),
        }
    }

    /// The UTC day.
    pub fn day(&self) -> String {
        time::utc_day(self.began)
    }

    /// The UTC quarter of an hour, `2026-11-21T10:15`.
    pub fn quarter(&self) -> String {
        counters::quarter_of(self.began)
    }
}

impl CounterDelta {
    /// The counts of an event itself, without those of its message. `None` if the item is not an event.
    pub fn of(item: &Item) -> Option<Self> {
        Self::of_event(item, None, &ParsedMessages::default())
    }

    /// Whether an item has the attributes of an event.
    pub(crate) fn is_event(item: &Item) -> bool {
        Required::of(item).is_some()
    }

    /// The counts that an event adds: its own, and those of its message. `None` if the item is not an event.
    pub fn all(item: &Item, known: &ParsedMessages<'_>) -> Option<Self> {
        let event = MessageEvent::of(item);
        let mut delta = Self::of_event(item, event.as_ref(), known)?;
        if let Some(event) = event.filter(|event| !event.step.is_incoming()) {
            let journey = known.journey(event.step.message_id);
            delta.counts.extend(progress::added(&event, &journey));
        }
        Some(delta)
    }

    /// `parsed` is the same event; without it, its values are parsed from the item.
    fn of_event(item: &Item, parsed: Option<&MessageEvent<'_>>, known: &ParsedMessages<'_>) -> Option<Self> {
        let event = Required::of(item)?;
        let channel = counters::word(event.channel);
        let status = facets::status(item);
        let (mut dimensions, price) = match parsed {
            Some(parsed) => (parsed.dimensions.clone(), parsed.price.clone()),
            None => (Dimensions::of(item), Price::of(item)),
        };
        if let Some(answered) = text_at(item, Attribute::InReplyTo.name()) {
            for event in known.message(answered) {
                dimensions.inherit(&event.dimensions);
            }
        }
        let mut subject = Subject::at(event.at, dimensions);
        // Some gateways write the status into the field of the message type.
        if let Some(message_type) =
            facets::message_type(item).filter(|word| !counters::is_listed_status(word))
        {
            subject.counters.push(Quantity::Kind(message_type).on(&channel));
        }
        if let Some(reason) = facets::reason(item) {
            subject.counters.push(Quantity::Failure(reason).on(&channel));
        }
        if let Some(price) = price {
            let billing = Quantity::Billing {
                category: price.category.unwrap_or_else(|| UNCATEGORISED.to_owned()),
                billable: price.billable,
                status: status.clone(),
            };
            subject.counters.push(billing.on(&channel));
        }
        subject.counters.push(Quantity::Status(status).on(channel));
        subject.counters.sort_unstable();
        Some(Self {
            identity: Identity {
                received_at: event.received_at,
                marker: marker(event.message_id, event.status_key),
            },
            counts: vec![(subject, 1)],
        })
    }
}

/// The attributes that every event has.
struct Required<'i> {
    message_id: &'i str,
    status_key: &'i str,
    channel: &'i str,
    at: EpochMillis,
    received_at: EpochMillis,
}

impl<'i> Required<'i> {
    fn of(item: &'i Item) -> Option<Self> {
        text_at(item, STATUS)?;
        Some(Self {
            message_id: text_at(item, MESSAGE_ID)?,
            status_key: text_at(item, STATUS_KEY)?,
            channel: text_at(item, CHANNEL)?,
            at: number_at(item, EVENT_TIME)?,
            received_at: number_at(item, RECEIVED_AT)?,
        })
    }
}

/// Eight bytes are enough: a busy second has some thousand events, so a collision happens once in 10¹³
/// seconds.
fn marker(message_id: &str, status_key: &str) -> [u8; 8] {
    let mut hash = Sha256::new();
    hash.update(message_id.len().to_le_bytes());
    hash.update(message_id);
    hash.update(status_key);
    hash.finalize().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;

    use super::*;

    fn item(extra: &[(&str, AttributeValue)]) -> Item {
        let mut item = Item::from([
            (MESSAGE_ID.into(), text("api-337-919209209291")),
            (STATUS_KEY.into(), text("RCS#failed")),
            (CHANNEL.into(), text("RCS")),
            (STATUS.into(), text("failed")),
            (EVENT_TIME.into(), AttributeValue::N("1704876828000".into())),
            (RECEIVED_AT.into(), AttributeValue::N("1704876829500".into())),
        ]);
        item.extend(
            extra
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone())),
        );
        item
    }

    fn text(t: &str) -> AttributeValue {
        AttributeValue::S(t.into())
    }

    fn subject(item: &Item) -> Subject {
        let mut counts = CounterDelta::of(item).unwrap().counts;
        assert_eq!(counts.len(), 1);
        counts.remove(0).0
    }

    fn status(status: &str) -> Counter {
        Quantity::Status(status.into()).on("RCS")
    }

    #[test]
    fn a_failure_counts_its_reason_without_numbers() {
        let subject = subject(&item(&[("remarks", text("919209209291 is not reachable"))]));
        assert_eq!(
            subject.counters,
            [
                status("failed"),
                Quantity::Failure("*********291 is not reachable".into()).on("RCS")
            ]
        );
        assert_eq!(
            (subject.day(), subject.quarter()),
            ("2024-01-10".to_owned(), "2024-01-10T08:45".to_owned())
        );
    }

    #[test]
    fn an_open_by_a_machine_has_its_own_counter() {
        let counters = |extra: &[(&str, AttributeValue)]| {
            let mut opened = item(extra);
            opened.insert(STATUS.into(), text("opened"));
            subject(&opened).counters
        };
        assert_eq!(counters(&[]), [status("opened")]);
        assert_eq!(
            counters(&[("opened_by", text("GoogleImageProxy"))]),
            [status("opened_by_machine")]
        );
    }

    #[test]
    fn a_bounce_counts_its_reason_without_the_address() {
        let mut bounced = item(&[("remarks", text("smtp;550 5.1.1 <nobody@b.example> unknown"))]);
        bounced.insert(STATUS.into(), text("bounced"));
        assert_eq!(
            subject(&bounced).counters,
            [
                status("bounced"),
                Quantity::Failure("smtp;550 5.1.1 <***> unknown".into()).on("RCS")
            ]
        );
    }

    #[test]
    fn spellings_of_a_type_are_one_and_a_status_is_none() {
        let types = |word: &str| -> Vec<String> {
            let counters = subject(&item(&[("message_type", text(word))])).counters;
            let types = counters.into_iter().filter_map(|counter| match counter.quantity {
                Quantity::Kind(message_type) => Some(message_type),
                _ => None,
            });
            types.collect()
        };
        for word in ["Text", "TEXT", " text"] {
            assert_eq!(types(word), ["text"], "{word}");
        }
        for word in ["DELIVERED", "Not sent", ""] {
            assert_eq!(types(word), [""; 0], "{word}");
        }
    }

    #[test]
    fn words_contain_no_phone_numbers() {
        let number = || text("919812345678");
        let pricing = AttributeValue::M(Item::from([
            ("billable".into(), AttributeValue::Bool(true)),
            ("category".into(), number()),
        ]));
        let delta = CounterDelta::of(&item(&[
            ("bot_id", number()),
            ("tags", AttributeValue::L(vec![number()])),
            ("message_type", number()),
            ("remarks", number()),
            ("pricing", pricing),
            (CHANNEL, number()),
            (STATUS, number()),
        ]))
        .unwrap();
        let words = format!("{:?}", delta.counts);
        assert!(!words.contains("9198") && !words.contains("12345"), "{words}");
    }

    #[test]
    fn prices_are_read_in_any_spelling() {
        for (billable, expected) in [
            (AttributeValue::Bool(true), true),
            (text("TRUE"), true),
            (text("false"), false),
            (AttributeValue::N("1".into()), true),
        ] {
            let pricing = AttributeValue::M(Item::from([
                ("billable".into(), billable),
                ("category".into(), text("marketing")),
            ]));
            let counters = subject(&item(&[("pricing", pricing)])).counters;
            let billing = Quantity::Billing {
                category: "marketing".into(),
                billable: expected,
                status: "failed".into(),
            };
            assert!(counters.contains(&billing.on("RCS")));
        }
    }

    #[test]
    fn an_item_that_is_not_an_event_has_no_delta() {
        let mut broken = item(&[]);
        broken.remove(RECEIVED_AT);
        assert_eq!(CounterDelta::of(&broken), None);
        assert_eq!(CounterDelta::of(&Item::new()), None);
    }
}
