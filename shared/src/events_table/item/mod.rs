//! Converts an event to a table item and back. Owns the attribute names, DynamoDB's limits and the comparison
//! of items.

mod compare;
mod identity;
mod step;
mod value;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Value};

pub use crate::event::names::*;

pub(crate) use self::value::check_length;
pub use self::{
    compare::{Content, differences},
    step::{status_update, step},
    value::size,
};
use self::{
    identity::status_key,
    value::{from_attribute, to_attribute},
};
use super::index;
use crate::{
    event::{Attribute, Channel, EpochMillis, Event, MessageId, Status},
    provider::{self, Format},
    record::Unreadable,
};

/// A table item: attribute name to value.
pub type Item = HashMap<String, AttributeValue>;

/// An event with a time further ahead of its arrival than this is stored under its arrival. Under its own
/// time, no view of current events would show it. Two days cover every time zone and clocks that are a day
/// wrong.
pub const AHEAD_HOURS: u32 = 48;

/// `DynamoDB`'s limit for an item, names included:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
pub const MAX_ITEM_BYTES: usize = 400 * 1024;

/// When an event arrived, and the settings that apply to it.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// Epoch milliseconds.
    pub at: EpochMillis,
    /// When it is stored, epoch milliseconds, if it waited in a queue.
    pub stored_at: Option<EpochMillis>,
    /// Days until the item expires; 0 keeps it forever.
    pub retention_days: u32,
    /// An event that arrives more than this many hours after it happened is late.
    pub late_after_hours: u32,
}

impl Arrival {
    /// Whether an event with this time arrives late.
    pub fn is_late(&self, event_time: Option<EpochMillis>) -> bool {
        event_time.is_some_and(|at| self.at.saturating_sub(at) > i64::from(self.late_after_hours) * 3_600_000)
    }

    /// Whether a time is too far ahead to be plausible.
    fn is_absurd(&self, event_time: EpochMillis) -> bool {
        event_time.saturating_sub(self.at) > i64::from(AHEAD_HOURS) * 3_600_000
    }
}

/// The item of a new event: attributes in a fixed order. An [`Item`] of the SDK would hash and copy every name,
/// which an `INSERT` statement does not need.
#[derive(Debug, Clone, PartialEq)]
pub struct NewItem(Vec<(&'static str, AttributeValue)>);

impl NewItem {
    /// The message id and the status key.
    pub fn key(&self) -> (Option<&str>, Option<&str>) {
        let text = |wanted| {
            let (_, value) = self.0.iter().find(|(name, _)| *name == wanted)?;
            value.as_s().ok().map(String::as_str)
        };
        (text(MESSAGE_ID), text(STATUS_KEY))
    }

    /// The attributes. Each name occurs once and contains no quotes.
    pub fn into_attributes(self) -> Vec<(&'static str, AttributeValue)> {
        self.0
    }
}

impl From<NewItem> for Item {
    fn from(item: NewItem) -> Self {
        let named = |(name, value): (&str, _)| (name.to_owned(), value);
        item.0.into_iter().map(named).collect()
    }
}

/// Builds the item of an event.
///
/// # Errors
/// [`Unreadable`] if the item would exceed DynamoDB's size limit.
pub fn build(mut event: Event, arrival: Arrival) -> Result<NewItem, Unreadable> {
    // The key contains the time that the sender wrote: it distinguishes two events regardless of their
    // arrival.
    let key = status_key(&event);
    if event.event_time.is_some_and(|at| arrival.is_absurd(at)) {
        provider::keep_time(&mut event);
        event.event_time = None;
    }
    let late = arrival.is_late(event.event_time);
    let at = event.event_time.unwrap_or(arrival.at);
    let mut item = Vec::with_capacity(28);
    let mut put = |name: &'static str, value: AttributeValue| item.push((name, value));

    let shard = index::partition_of(at, &event.status, event.message_id.as_str());
    put(MESSAGE_ID, AttributeValue::S(event.message_id.into_string()));
    put(STATUS_KEY, AttributeValue::S(key.into_string()));
    put(DAY_SHARD, AttributeValue::S(shard));
    put(CHANNEL, text(event.channel.as_str()));
    put(STATUS, text(event.status.as_str()));
    put(EVENT_TIME, number(at));
    put(RECEIVED_AT, number(arrival.at));
    if let Some(stored_at) = arrival.stored_at {
        put(STORED_AT, number(stored_at));
    }
    put(PROVIDER, text(event.provider));
    put(FORMAT, text(event.format.as_str()));
    if let Some(recipient) = event.recipient {
        put(RECIPIENT, AttributeValue::S(recipient));
    }
    if late {
        put(LATE, AttributeValue::Bool(true));
    }
    if event.event_time.is_none() {
        put(UNDATED, AttributeValue::Bool(true));
    }
    if arrival.retention_days > 0 {
        put(
            EXPIRES_AT,
            number(arrival.at / 1000 + i64::from(arrival.retention_days) * 86_400),
        );
    }
    // The record's own bot wins.
    let url_bot = event
        .url_bot
        .filter(|_| !event.attributes.contains_key(&Attribute::BotId));
    if let Some(bot) = url_bot {
        put(Attribute::BotId.name(), AttributeValue::S(bot));
        put(BOT_FROM_URL, AttributeValue::Bool(true));
    }
    for (attribute, value) in event.attributes {
        put(attribute.name(), to_attribute(value, 1));
    }
    for (name, fields) in [(EXTRA, event.extra), (AS_SENT, event.as_sent)] {
        if !fields.is_empty() {
            put(name, to_attribute(Value::Object(fields), 0));
        }
    }
    if !event.envelope.is_null() {
        put(ENVELOPE, to_attribute(event.envelope, 0));
    }
    if let Some(record) = event.verbatim {
        put(VERBATIM, AttributeValue::S(record));
    }

    match value::size_of(item.iter().map(|(name, value)| (*name, value))) {
        bytes if bytes > MAX_ITEM_BYTES => Err(Unreadable(format!(
            "the record makes an item of {bytes} bytes; a table item holds {MAX_ITEM_BYTES}"
        ))),
        _ => Ok(NewItem(item)),
    }
}

/// The event that an item was built from. `None` if the item is not an event.
pub fn event(item: &Item) -> Option<Event> {
    let text_at = |name: &str| item.get(name).and_then(|v| v.as_s().ok()).cloned();
    let map_at = |name: &str| match item.get(name).map(from_attribute) {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let undated = item.contains_key(UNDATED);
    let is_of_record = |attribute: Attribute| is_of_record(item, attribute);
    let format = Format::by_name(&text_at(FORMAT)?)?;
    Some(Event {
        format: format.name,
        provider: format.provider,
        message_id: MessageId::new(text_at(MESSAGE_ID)?).ok()?,
        channel: Channel::from_word(&text_at(CHANNEL)?),
        status: Status::from_word(&text_at(STATUS)?).ok()?,
        event_time: number_at(item, EVENT_TIME).filter(|_| !undated),
        recipient: text_at(RECIPIENT),
        event_id: None,
        addressee: None,
        url_bot: text_at(Attribute::BotId.name()).filter(|_| !is_of_record(Attribute::BotId)),
        attributes: Attribute::ALL
            .into_iter()
            .filter(|a| is_of_record(*a))
            .filter_map(|a| Some((a, from_attribute(item.get(a.name())?))))
            .collect(),
        extra: map_at(EXTRA),
        as_sent: map_at(AS_SENT),
        envelope: item.get(ENVELOPE).map_or(Value::Null, from_attribute),
        verbatim: text_at(VERBATIM),
    })
}

/// Whether an attribute of an item is a part of the provider's record.
fn is_of_record(item: &Item, attribute: Attribute) -> bool {
    attribute != Attribute::BotId || !item.contains_key(BOT_FROM_URL)
}

/// An item as a JSON object with the same names.
pub fn to_json(item: &Item) -> Map<String, Value> {
    item.iter()
        .map(|(name, value)| (name.clone(), from_attribute(value)))
        .collect()
}

/// A number attribute as an integer.
pub fn number_at(item: &Item, name: &str) -> Option<i64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

/// A text attribute.
pub fn text_at<'i>(item: &'i Item, name: &str) -> Option<&'i str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::Verified,
        pipeline::batch::Batch,
        provider::{FormatId, netcore_delivery_status, netcore_events, netcore_incoming, whatsapp_incoming},
    };

    use proptest::prelude::*;
    use std::fmt::Write as _;

    static EVENTS: [FormatId; 1] = [&netcore_events::FORMAT];

    fn arrival(at: EpochMillis) -> Arrival {
        Arrival {
            stored_at: None,
            at,
            retention_days: 180,
            late_after_hours: 72,
        }
    }

    fn items_of(body: &str, formats: &[FormatId], at: EpochMillis) -> Vec<Item> {
        let batch = Batch::parse(Verified::in_test(body.as_bytes()), formats).unwrap();
        let read = |position| Item::from(build(batch.read(position).unwrap(), arrival(at)).unwrap());
        batch.positions().map(read).collect()
    }

    fn item_of(record: &str) -> Item {
        items_of(record, &EVENTS, 1_704_900_000_000).remove(0)
    }

    fn key(item: &Item) -> &str {
        item[STATUS_KEY].as_s().unwrap()
    }

    #[test]
    fn another_delivery_of_one_event_is_a_duplicate() {
        let one = item_of(
            r#"{"message_id":"m","status":"Sent","channel":"RCS","event_time":1704876828,"remarks":"","x":1.5}"#,
        );
        for other in [
            r#"{"x":1.5,"event_time":"1704876828","channel":"rcs","status":"SENT","message_id":"m"}"#,
            r#"{"message_id":"m","status":"Sent","channel":"RCS","event_time":1704876828000,"x":1.50,"click_data":{"text":""},"tags":null}"#,
        ] {
            let other = item_of(other);
            assert_eq!(key(&one), key(&other));
            assert_eq!(differences(&one, &other), [""; 0]);
        }
        let changed = item_of(
            r#"{"message_id":"m","status":"Sent","channel":"RCS","event_time":1704876829,"remarks":"late","x":1.5}"#,
        );
        assert_eq!(differences(&one, &changed), ["event_time", "remarks"]);
    }

    #[test]
    fn another_delivery_of_an_event_without_a_time_is_a_duplicate() {
        let sent = r#"{"message_id":"m","status":"Sent","channel":"RCS"}"#;
        let early = items_of(sent, &EVENTS, 1_704_900_000_000).remove(0);
        let later = items_of(sent, &EVENTS, 1_705_900_000_000).remove(0);
        assert_eq!(differences(&early, &later), [""; 0]);
        assert_eq!(number_at(&early, EVENT_TIME), Some(1_704_900_000_000));
        assert_eq!(early[UNDATED], AttributeValue::Bool(true));
    }

    #[test]
    fn different_clicks_have_different_keys() {
        let tap = |more: &str| {
            item_of(&format!(
                r#"{{"message_id":"m","status":"Clicked","channel":"RCS",{more}}}"#
            ))
        };
        let keys: std::collections::BTreeSet<String> = [
            r#""event_time":1704876828"#,
            r#""event_time":1704876829"#,
            r#""event_time":"10/01/2024 08:53:48""#,
            r#""event_time":"10/01/2024 08:53:49""#,
            r#""event_time":1704876828,"callbackdata":{"tap":1}"#,
            r#""event_time":1704876828,"callbackdata":{"tap":2}"#,
            r#""event_time":1704876828,"click_data":{"text":"a"}"#,
        ]
        .iter()
        .map(|more| key(&tap(more)).to_owned())
        .collect();
        assert_eq!(keys.len(), 7);
        let empty = tap(r#""event_time":1704876828,"click_data":{"text":""},"tags":[""],"remarks":"""#);
        assert_eq!(key(&empty), key(&tap(r#""event_time":1704876828"#)));
    }

    #[test]
    fn a_different_envelope_is_a_conflict_with_the_same_key() {
        static STATUS: [FormatId; 1] = [&netcore_delivery_status::FORMAT];
        let body = |batch: u8| {
            format!(
                r#"{{"batch":{batch},"delivery_status":[{{"ncmessage_id":"m","status":"clicked","received_at":"1704876828"}}]}}"#
            )
        };
        let (one, two) = (
            items_of(&body(1), &STATUS, 1_704_900_000_000).remove(0),
            items_of(&body(2), &STATUS, 1_704_900_000_000).remove(0),
        );
        assert_eq!(key(&one), key(&two));
        assert_eq!(differences(&one, &two), ["envelope"]);
        assert_eq!(to_json(&two)["envelope"]["batch"], 2);
    }

    #[test]
    fn records_in_a_named_envelope_have_its_format() {
        static INCOMING: [FormatId; 2] = [&netcore_incoming::FORMAT, &whatsapp_incoming::FORMAT];
        let body = r#"{"incoming_message":[{"message_id":"m","from":"919960432580","message_type":"ORDER","order_type":{"n":1}}]}"#;
        let item = items_of(body, &INCOMING, 1_704_900_000_000).remove(0);
        assert_eq!(item[CHANNEL].as_s().unwrap(), "WHATSAPP");
        assert_eq!(item[RECIPIENT].as_s().unwrap(), "919960432580");
    }

    #[test]
    fn an_item_rebuilds_its_record_and_counts_its_bytes() {
        let text = r#"{"message_id":"m","status":"Failed","channel":"RCS","event_time":-5,"tags":[1,"a"],"x":{"deep":[5.0]}}"#;
        let item = item_of(text);
        let sent: Value = serde_json::from_str(text).unwrap();
        assert_eq!(Value::Object(provider::rebuild(&event(&item).unwrap())), sent);
        let small = Item::from([("ab".to_owned(), AttributeValue::S("cde".into()))]);
        assert_eq!(size(&small), 5);
        let number = Item::from([("n".to_owned(), AttributeValue::N("1704876828000".into()))]);
        assert_eq!(size(&number), 1 + 7 + 1);
    }

    #[test]
    fn an_event_far_ahead_is_stored_under_its_arrival_and_rebuilds_its_record() {
        let at = 1_704_900_000_000;
        for (ahead, undated) in [
            (0, false),
            (48 * 3600, false),
            (48 * 3600 + 1, true),
            (600 * 365 * 86_400, true),
        ] {
            let text = format!(
                r#"{{"message_id":"m","status":"Clicked","channel":"RCS","event_time":{}}}"#,
                at / 1000 + ahead
            );
            let item = items_of(&text, &EVENTS, at).remove(0);
            assert_eq!(item.contains_key(UNDATED), undated, "{text}");
            let stored = if undated { at } else { at + ahead * 1000 };
            assert_eq!(number_at(&item, EVENT_TIME), Some(stored));
            assert!(
                item[DAY_SHARD]
                    .as_s()
                    .unwrap()
                    .starts_with(&crate::event::time::utc_day(stored))
            );
            let sent: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(Value::Object(provider::rebuild(&event(&item).unwrap())), sent);
            // It is delivered again close to its time: the key and the event are the same.
            let again = items_of(&text, &EVENTS, at + ahead * 1000).remove(0);
            assert_eq!(key(&item), key(&again));
            assert_eq!(differences(&item, &again), [""; 0]);
        }
    }

    /// A JSON value in a record, and the ways to change it.
    #[derive(Debug, Clone)]
    enum Node {
        Null,
        Bool(bool),
        Number(String),
        Text(String),
        List(Vec<Node>),
        Object(Vec<(String, Node)>),
    }

    impl Node {
        /// Writes the value as JSON. `respelled` selects another spelling of the same value.
        fn write(&self, respelled: bool) -> String {
            match self {
                Self::Null => "null".into(),
                Self::Bool(b) => b.to_string(),
                Self::Number(digits) if respelled => format!("{digits}0e-1"),
                Self::Number(digits) => digits.clone(),
                Self::Text(text) if respelled => {
                    let escaped = text.encode_utf16().fold(String::new(), |mut all, unit| {
                        let _ = write!(all, "\\u{unit:04x}");
                        all
                    });
                    format!("\"{escaped}\"")
                }
                Self::Text(text) => Value::from(text.as_str()).to_string(),
                Self::List(list) => {
                    let list: Vec<String> = list.iter().map(|node| node.write(respelled)).collect();
                    format!("[{}]", list.join(if respelled { " , " } else { "," }))
                }
                Self::Object(fields) => {
                    let mut all: Vec<String> = fields
                        .iter()
                        .map(|(name, node)| {
                            format!("{}:{}", Value::from(name.as_str()), node.write(respelled))
                        })
                        .collect();
                    if respelled {
                        all.reverse();
                    }
                    format!("{{{}}}", all.join(","))
                }
            }
        }

        /// Changes one place: the one that `at` leads to.
        fn change(&mut self, at: &mut impl Iterator<Item = usize>) {
            let next = at.next().unwrap_or_default();
            match self {
                Self::Null => *self = Self::Bool(false),
                Self::Bool(b) => *b = !*b,
                Self::Number(digits) => {
                    let place = digits.len() - 1 - next % digits.len();
                    let digit = digits[place..=place].parse::<u8>().unwrap();
                    let other = if digit == 9 { 1 } else { digit + 1 };
                    digits.replace_range(place..=place, &other.to_string());
                }
                Self::Text(text) => text.push('!'),
                Self::List(list) if list.is_empty() || next.is_multiple_of(4) => list.push(Self::Null),
                Self::List(list) if next % 4 == 1 => {
                    list.pop();
                }
                Self::List(list) => {
                    let place = next % list.len();
                    list[place].change(at);
                }
                Self::Object(fields) if fields.is_empty() || next.is_multiple_of(5) => {
                    fields.push(("new".into(), Self::Null));
                }
                Self::Object(fields) if next % 5 == 1 => {
                    let twice = fields[0].clone();
                    fields.push(twice);
                }
                Self::Object(fields) if next % 5 == 2 => fields[0].0.push('x'),
                Self::Object(fields) => {
                    let place = next % fields.len();
                    fields[place].1.change(at);
                }
            }
        }
    }

    fn node() -> impl Strategy<Value = Node> {
        let leaf = prop_oneof![
            Just(Node::Null),
            any::<bool>().prop_map(Node::Bool),
            "[1-9][0-9]{0,45}".prop_map(Node::Number),
            "[a-zé\"\\\\ ]{0,6}".prop_map(Node::Text),
        ];
        leaf.prop_recursive(5, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Node::List),
                prop::collection::btree_map("[a-c]{0,2}", inner, 0..4)
                    .prop_map(|fields| Node::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn one_difference_anywhere_is_a_conflict_and_another_spelling_is_not(
            node in node(), envelope in node(), at in prop::collection::vec(0_usize..40, 12), in_envelope in any::<bool>(),
        ) {
            static STATUS: [FormatId; 1] = [&netcore_delivery_status::FORMAT];
            let body = |node: &Node, envelope: &Node, respelled| {
                let record = [r#""ncmessage_id":"m""#.to_owned(), r#""status":"sent""#.to_owned(), format!(r#""x":{}"#, node.write(respelled))];
                let record = if respelled { [&record[2], &record[1], &record[0]] } else { [&record[0], &record[1], &record[2]] };
                format!(
                    r#"{{"account":{},"delivery_status":[{{{}}}]}}"#,
                    envelope.write(respelled), record.map(String::as_str).join(",")
                )
            };
            let first = items_of(&body(&node, &envelope, false), &STATUS, 1).remove(0);
            let respelled = items_of(&body(&node, &envelope, true), &STATUS, 2).remove(0);
            prop_assert_eq!(differences(&first, &respelled), [""; 0]);
            let (mut changed, mut changed_envelope) = (node.clone(), envelope.clone());
            let place = if in_envelope { &mut changed_envelope } else { &mut changed };
            place.change(&mut at.into_iter());
            let second = items_of(&body(&changed, &changed_envelope, false), &STATUS, 2).remove(0);
            let name = if in_envelope { "envelope" } else { "extra" };
            prop_assert_eq!(differences(&first, &second), [name]);
            prop_assert_eq!(differences(&second, &first), [name]);
        }
    }

    #[test]
    fn an_item_over_the_limit_is_refused() {
        let text = format!(
            r#"{{"message_id":"m","status":"Sent","channel":"RCS","x":"{}"}}"#,
            "y".repeat(MAX_ITEM_BYTES)
        );
        let event = provider::read(&EVENTS, &text).unwrap();
        let error = build(event, arrival(1)).unwrap_err();
        assert!(error.0.contains("a table item holds 409600"), "{error}");
    }
}
