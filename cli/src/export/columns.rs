//! The columns of an export, and the row of an event. All formats have the same columns in this order.

use serde_json::{Map, Value};
use webhook_ingest::{
    event::Attribute,
    events_table::item::{
        self, AS_SENT, CHANNEL, DAY_SHARD, ENVELOPE, EVENT_TIME, EXPIRES_AT, EXTRA, FORMAT, Item, LATE,
        MESSAGE_ID, PROVIDER, RECEIVED_AT, RECIPIENT, STATUS, STATUS_KEY, UNDATED, VERBATIM,
    },
};

use super::{Numbers, key::MessageKey};

/// Type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A time in UTC, in milliseconds. The attribute has epoch milliseconds.
    Milliseconds,
    /// The same, of an attribute with epoch seconds.
    Seconds,
    /// True, or empty.
    Flag,
    /// A text. A value that is not a text is written as JSON.
    Text,
    /// A list or an object, as JSON text.
    Json,
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    /// Epoch milliseconds.
    Time(i64),
    Flag(bool),
    Text(String),
}

/// Digest of `message_id`; see [`MessageKey`].
const MESSAGE_KEY: &str = "message_key";
/// The same of `in_reply_to`.
const IN_REPLY_TO_KEY: &str = "in_reply_to_key";
/// Attributes without a column.
const OTHER: &str = "other";

/// Name and type of each column.
pub(super) const COLUMNS: [(&str, Kind); 35] = [
    (EVENT_TIME, Kind::Milliseconds),
    (RECEIVED_AT, Kind::Milliseconds),
    (MESSAGE_ID, Kind::Text),
    (MESSAGE_KEY, Kind::Text),
    (CHANNEL, Kind::Text),
    (STATUS, Kind::Text),
    (STATUS_KEY, Kind::Text),
    (RECIPIENT, Kind::Text),
    (PROVIDER, Kind::Text),
    (FORMAT, Kind::Text),
    (Attribute::BotId.name(), Kind::Text),
    (Attribute::RequestId.name(), Kind::Text),
    (Attribute::CallbackData.name(), Kind::Text),
    (Attribute::Campaign.name(), Kind::Text),
    (Attribute::Tags.name(), Kind::Json),
    (Attribute::MessageType.name(), Kind::Text),
    (Attribute::LastChannel.name(), Kind::Text),
    (Attribute::Remarks.name(), Kind::Text),
    (Attribute::Source.name(), Kind::Text),
    (Attribute::InReplyTo.name(), Kind::Text),
    (IN_REPLY_TO_KEY, Kind::Text),
    (Attribute::OpenedBy.name(), Kind::Text),
    (Attribute::Identities.name(), Kind::Json),
    (Attribute::Click.name(), Kind::Json),
    (Attribute::Content.name(), Kind::Json),
    (Attribute::Pricing.name(), Kind::Json),
    (LATE, Kind::Flag),
    (UNDATED, Kind::Flag),
    (EXPIRES_AT, Kind::Seconds),
    (EXTRA, Kind::Json),
    (ENVELOPE, Kind::Json),
    (AS_SENT, Kind::Json),
    (VERBATIM, Kind::Text),
    (OTHER, Kind::Json),
    ("day", Kind::Text),
];

/// The values of an event, one for each of [`COLUMNS`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row(pub(super) Vec<Option<Cell>>);

impl Row {
    /// The row of an item, and its time in epoch milliseconds. `None` if the item is not an event.
    pub(super) fn of(item: &Item, numbers: Numbers, key: &MessageKey) -> Option<(i64, Self)> {
        let text = |name: &str| item.get(name)?.as_s().ok().map(String::as_str);
        let at = item::number_at(item, EVENT_TIME)?;
        // A marker of a rejected body has no channel, and its sort key no `#`.
        if text(CHANNEL).is_none() || text(STATUS).is_none() || !text(STATUS_KEY)?.contains('#') {
            return None;
        }
        let message_key = text(MESSAGE_ID).map(|id| key.of(id));
        let reply_key = text(Attribute::InReplyTo.name()).map(|id| key.of(id));
        let mut fields = item::to_json(item);
        fields.remove(DAY_SHARD);
        if numbers == Numbers::Masked {
            fields = dashboard::without_numbers(fields);
        }
        let mut cells = Vec::with_capacity(COLUMNS.len());
        for (name, kind) in COLUMNS {
            cells.push(match name {
                MESSAGE_KEY => message_key.clone().map(Cell::Text),
                IN_REPLY_TO_KEY => reply_key.clone().map(Cell::Text),
                "day" => Some(Cell::Text(webhook_ingest::event::time::utc_day(at))),
                OTHER => other(&mut fields),
                _ => fields.remove(name).and_then(|value| cell(kind, value)),
            });
        }
        Some((at, Self(cells)))
    }

    /// The digest of the message id.
    pub(super) fn message_key(&self) -> &str {
        let named = COLUMNS.iter().zip(&self.0);
        match named.into_iter().find(|((name, _), _)| *name == MESSAGE_KEY) {
            Some((_, Some(Cell::Text(key)))) => key,
            _ => "",
        }
    }

    /// Approximate bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        /// Bytes of a value or an absent value besides its text.
        const BESIDE: usize = 48;
        let text = |cell: &Option<Cell>| match cell {
            Some(Cell::Text(text)) => text.len(),
            _ => 0,
        };
        self.0.iter().map(|cell| text(cell) + BESIDE).sum()
    }
}

/// What is left of an item after the other columns took their attributes. This column precedes no attribute's column.
fn other(fields: &mut Map<String, Value>) -> Option<Cell> {
    let left = std::mem::take(fields);
    (!left.is_empty()).then(|| Cell::Text(Value::Object(left).to_string()))
}

fn cell(kind: Kind, value: Value) -> Option<Cell> {
    match (kind, value) {
        (_, Value::Null) => None,
        (Kind::Milliseconds, value) => value.as_i64().map(Cell::Time),
        (Kind::Seconds, value) => value.as_i64()?.checked_mul(1000).map(Cell::Time),
        (Kind::Flag, value) => value.as_bool().map(Cell::Flag),
        (Kind::Text, Value::String(text)) => Some(Cell::Text(text)),
        (Kind::Text | Kind::Json, value) => Some(Cell::Text(value.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;

    use super::*;

    fn text(value: &str) -> AttributeValue {
        AttributeValue::S(value.to_owned())
    }

    fn item() -> Item {
        let number = |value: &str| AttributeValue::N(value.to_owned());
        Item::from(
            [
                ("message_id", text("api-337-919812345678-x")),
                ("status_key", text("RCS#sent")),
                ("day_shard", text("2026-11-21#07")),
                ("channel", text("RCS")),
                ("status", text("sent")),
                ("event_time", number("1795251227123")),
                ("received_at", number("1795251228000")),
                ("expires_at", number("1810803228")),
                ("recipient", text("919812345678")),
                ("in_reply_to", text("api-337-919812345678-x")),
                ("tags", AttributeValue::L(vec![text("diwali")])),
                (
                    "extra",
                    AttributeValue::M(Item::from([("n".to_owned(), number("5"))])),
                ),
                ("later", text("call 919812345678")),
                (
                    "as_sent",
                    AttributeValue::M(Item::from([("mobile".to_owned(), text("+91 98123 45678"))])),
                ),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        )
    }

    fn shown(item: &Item, numbers: Numbers) -> Vec<(&'static str, Cell)> {
        let (at, row) = Row::of(item, numbers, &MessageKey::in_test()).unwrap();
        assert_eq!(at, 1_795_251_227_123);
        assert_eq!(row.0.len(), COLUMNS.len());
        let named = COLUMNS.iter().zip(row.0);
        named
            .filter_map(|((name, _), cell)| Some((*name, cell?)))
            .collect()
    }

    fn of(name: &str, cells: &[(&'static str, Cell)]) -> Option<Cell> {
        cells
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, cell)| cell.clone())
    }

    #[test]
    fn a_row_has_every_attribute_once() {
        let cells = shown(&item(), Numbers::Full);
        let text = |value: &str| Some(Cell::Text(value.to_owned()));
        assert_eq!(of("event_time", &cells), Some(Cell::Time(1_795_251_227_123)));
        assert_eq!(of("expires_at", &cells), Some(Cell::Time(1_810_803_228_000)));
        assert_eq!(of("day", &cells), text("2026-11-21"));
        assert_eq!(of("tags", &cells), text(r#"["diwali"]"#));
        assert_eq!(of("extra", &cells), text(r#"{"n":5}"#));
        assert_eq!(of("as_sent", &cells), text(r#"{"mobile":"+91 98123 45678"}"#));
        assert_eq!(of("other", &cells), text(r#"{"later":"call 919812345678"}"#));
        assert_eq!(of("recipient", &cells), text("919812345678"));
        assert_eq!(of("message_key", &cells), of("in_reply_to_key", &cells));
        assert_eq!(of("late", &cells), None);
    }

    #[test]
    fn a_masked_row_has_no_number_and_keeps_the_joins() {
        let full = shown(&item(), Numbers::Full);
        let cells = shown(&item(), Numbers::Masked);
        let text = |value: &str| Some(Cell::Text(value.to_owned()));
        assert_eq!(of("message_key", &cells), of("message_key", &full));
        assert_eq!(of("message_id", &cells), text("api-***-*********678-x"));
        assert_eq!(of("recipient", &cells), text("*********678"));
        assert_eq!(of("other", &cells), text(r#"{"later":"***"}"#));
        for withheld in ["as_sent", "status_key", "verbatim"] {
            assert_eq!(of(withheld, &cells), None, "{withheld}");
        }
        assert!(!format!("{cells:?}").contains("9812345"), "{cells:?}");
    }

    #[test]
    fn other_items_of_the_table_are_no_events() {
        for missing in ["channel", "status", "event_time", "status_key"] {
            let mut item = item();
            item.remove(missing);
            assert_eq!(
                Row::of(&item, Numbers::Full, &MessageKey::in_test()),
                None,
                "{missing}"
            );
        }
        let mut marker = item();
        marker.insert("status_key".to_owned(), text("rejected"));
        assert_eq!(Row::of(&marker, Numbers::Full, &MessageKey::in_test()), None);
    }
}
