//! The counts that an event adds to the counters: a pure function of its item.

use aws_sdk_dynamodb::types::AttributeValue;
use sha2::{Digest as _, Sha256};
use webhook_ingest::{
    counters::{self, Counter},
    event::{Attribute, EpochMillis, Status, state, time},
    events_table::item::{CHANNEL, EVENT_TIME, Item, MESSAGE_ID, RECEIVED_AT, STATUS, STATUS_KEY, number_at},
    personal,
};

/// The attributes that a delta needs. A scan reads no others.
pub(crate) const ATTRIBUTES: [&str; 12] = [
    MESSAGE_ID,
    STATUS_KEY,
    CHANNEL,
    STATUS,
    EVENT_TIME,
    RECEIVED_AT,
    Attribute::BotId.name(),
    Attribute::Tags.name(),
    Attribute::MessageType.name(),
    Attribute::Remarks.name(),
    Attribute::Pricing.name(),
    Attribute::OpenedBy.name(),
];

/// The most different tags of an event that are counted. Each tag needs four of a transaction's 100 items.
const MAX_TAGS: usize = 20;
/// The most characters of a reason. A longer one is cut.
const LONGEST_REASON: usize = 160;

/// One event and its counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterDelta {
    /// The event's identity.
    pub identity: Identity,
    /// The counts that it adds.
    pub subject: Subject,
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

/// The counts that an event adds. Many events have the same subject. Contains no phone numbers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// The UTC day of the event.
    pub day: String,
    /// The UTC hour of the event, `2026-11-21T10`.
    pub hour: String,
    /// The bot that sent the message.
    pub bot: Option<String>,
    /// The sender's labels.
    pub tags: Vec<String>,
    /// The status, which is counted per day and per hour.
    pub status: Counter,
    /// Counters that are counted only per day.
    pub daily: Vec<Counter>,
}

impl CounterDelta {
    /// The delta of an event's item. `None` if the item is not an event.
    pub fn of(item: &Item) -> Option<Self> {
        let text = |name: &str| item.get(name)?.as_s().ok().map(String::as_str);
        let (message_id, status_key) = (text(MESSAGE_ID)?, text(STATUS_KEY)?);
        let channel = counters::word(text(CHANNEL)?);
        let status = match (text(STATUS)?, text(Attribute::OpenedBy.name())) {
            (status, Some(_)) if status == Status::Opened.as_str() => counters::OPENED_BY_MACHINE.to_owned(),
            (status, _) => counters::word(status),
        };
        let at = number_at(item, EVENT_TIME)?;
        let mut daily = Vec::new();
        if let Some(message_type) = text(Attribute::MessageType.name()).filter(|t| !t.is_empty()) {
            daily.push(Counter::Kind {
                channel: channel.clone(),
                message_type: counters::word(message_type),
            });
        }
        if state::is_failure(&status) {
            daily.push(Counter::Failure {
                channel: channel.clone(),
                reason: reason(text(Attribute::Remarks.name()).unwrap_or_default()),
            });
        }
        daily.extend(billing(item, &channel, &status));
        Some(Self {
            identity: Identity {
                received_at: number_at(item, RECEIVED_AT)?,
                marker: marker(message_id, status_key),
            },
            subject: Subject {
                day: time::utc_day(at),
                hour: counters::hour_of(at),
                bot: text(Attribute::BotId.name())
                    .map(counters::word)
                    .filter(|b| !b.is_empty()),
                tags: tags(item),
                status: Counter::Status { channel, status },
                daily,
            },
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
    let digest = hash.finalize();
    digest.first_chunk().copied().unwrap_or_default()
}

/// The provider's text with redacted ids of people, since counters outlive the events.
fn reason(remarks: &str) -> String {
    let text: String = personal::redact(remarks.trim())
        .chars()
        .take(LONGEST_REASON)
        .collect();
    if text.is_empty() {
        "no reason given".to_owned()
    } else {
        text
    }
}

fn tags(item: &Item) -> Vec<String> {
    let mut tags: Vec<String> = match item.get(Attribute::Tags.name()) {
        Some(AttributeValue::L(list)) => list.iter().filter_map(|tag| tag.as_s().ok()).cloned().collect(),
        Some(AttributeValue::S(tag)) => vec![tag.clone()],
        _ => Vec::new(),
    };
    for tag in &mut tags {
        *tag = counters::word(tag);
    }
    tags.retain(|tag| !tag.is_empty());
    tags.sort();
    tags.dedup();
    tags.truncate(MAX_TAGS);
    tags
}

fn billing(item: &Item, channel: &str, status: &str) -> Option<Counter> {
    let pricing = item.get(Attribute::Pricing.name())?.as_m().ok()?;
    let billable = match pricing.get("billable") {
        Some(AttributeValue::Bool(b)) => *b,
        Some(AttributeValue::S(text)) => text.eq_ignore_ascii_case("true") || text == "1",
        Some(AttributeValue::N(number)) => number == "1",
        _ => return None,
    };
    let category = pricing.get("category").and_then(|c| c.as_s().ok());
    Some(Counter::Billing {
        channel: channel.to_owned(),
        category: category
            .filter(|c| !c.is_empty())
            .map_or_else(|| "uncategorised".to_owned(), |c| counters::word(c)),
        billable,
        status: status.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(extra: &[(&str, AttributeValue)]) -> Item {
        let text = |t: &str| AttributeValue::S(t.into());
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

    #[test]
    fn a_failure_counts_its_reason_without_numbers() {
        let delta = CounterDelta::of(&item(&[("remarks", text("919209209291 is not reachable"))]))
            .unwrap()
            .subject;
        assert_eq!(
            delta.daily,
            [Counter::Failure {
                channel: "RCS".into(),
                reason: "*********291 is not reachable".into()
            }]
        );
        assert_eq!(
            (delta.day.as_str(), delta.hour.as_str()),
            ("2024-01-10", "2024-01-10T08")
        );
    }

    #[test]
    fn an_open_by_a_machine_has_its_own_counter() {
        let status = |extra: &[(&str, AttributeValue)]| {
            let mut opened = item(extra);
            opened.insert(STATUS.into(), text("opened"));
            match CounterDelta::of(&opened).unwrap().subject.status {
                Counter::Status { status, .. } => status,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(status(&[]), "opened");
        assert_eq!(
            status(&[("opened_by", text("GoogleImageProxy"))]),
            "opened_by_machine"
        );
    }

    #[test]
    fn a_bounce_counts_its_reason_without_the_address() {
        let mut bounced = item(&[("remarks", text("smtp;550 5.1.1 <nobody@b.example> unknown"))]);
        bounced.insert(STATUS.into(), text("bounced"));
        assert_eq!(
            CounterDelta::of(&bounced).unwrap().subject.daily,
            [Counter::Failure {
                channel: "RCS".into(),
                reason: "smtp;550 5.1.1 <***> unknown".into()
            }]
        );
    }

    #[test]
    fn the_first_twenty_different_tags_are_counted_in_order() {
        let delta = |tags: Vec<&str>| {
            let tags = AttributeValue::L(tags.into_iter().map(text).collect());
            CounterDelta::of(&item(&[("tags", tags)])).unwrap().subject.tags
        };
        assert_eq!(delta(vec!["b", "a", "b", " "]), ["a", "b"]);
        let names: Vec<String> = (10..50).map(|n| format!("t{n}")).collect();
        let many = delta(names.iter().rev().map(String::as_str).collect());
        assert_eq!(many, names[..20]);
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
        let words = format!("{:?}", delta.subject);
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
            let delta = CounterDelta::of(&item(&[("pricing", pricing)])).unwrap();
            assert!(delta.subject.daily.contains(&Counter::Billing {
                channel: "RCS".into(),
                category: "marketing".into(),
                billable: expected,
                status: "failed".into(),
            }));
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
