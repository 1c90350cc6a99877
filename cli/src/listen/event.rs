//! An event of the stream: which ones are wanted, and how they are shown.

use anyhow::ensure;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodbstreams::types::{AttributeValue as StreamValue, OperationType, Record};
use serde_json::{Map, Value};
use webhook_ingest::{
    event::Attribute,
    events_table::item::{self, CHANNEL, DAY_SHARD, Item, STATUS, STATUS_KEY},
};

use crate::{export::Numbers, get};

/// Conditions of an event: one of each kind that is named.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    channels: Vec<String>,
    statuses: Vec<String>,
    tags: Vec<String>,
}

impl Filter {
    /// Reads conditions such as `channel=RCS`.
    ///
    /// # Errors
    /// If a text has another form.
    pub(super) fn parse(texts: &[String]) -> anyhow::Result<Self> {
        let mut filter = Self::default();
        for text in texts {
            let (name, value) = text.split_once('=').unwrap_or_default();
            ensure!(
                !value.is_empty(),
                "--filter takes channel=VALUE, status=VALUE or tag=VALUE"
            );
            match name {
                "channel" => filter.channels.push(value.to_uppercase()),
                "status" => filter.statuses.push(value.to_lowercase()),
                "tag" => filter.tags.push(value.to_owned()),
                _ => anyhow::bail!("--filter takes channel=VALUE, status=VALUE or tag=VALUE"),
            }
        }
        Ok(filter)
    }

    fn accepts(&self, item: &Item) -> bool {
        let one_of = |wanted: &[String], name| {
            let value = item::text_at(item, name).unwrap_or_default();
            wanted.is_empty() || wanted.iter().any(|wanted| wanted == value)
        };
        let tags = item.get(Attribute::Tags.name()).and_then(|tags| tags.as_l().ok());
        let mut tags = tags.into_iter().flatten().filter_map(|tag| tag.as_s().ok());
        one_of(&self.channels, CHANNEL)
            && one_of(&self.statuses, STATUS)
            && (self.tags.is_empty() || tags.any(|tag| self.tags.contains(tag)))
    }
}

/// A stored event.
pub(super) struct Event {
    /// The same if the record is read again.
    pub(super) id: String,
    /// Time of the write, epoch seconds.
    pub(super) stored_at: i64,
    /// As in the JSON API.
    pub(super) fields: Map<String, Value>,
}

impl Event {
    /// The event of a record; `None` if it is a deletion or no event, or the filter does not accept it.
    pub(super) fn of(record: Record, filter: &Filter, numbers: Numbers) -> Option<Self> {
        if record.event_name != Some(OperationType::Insert) {
            return None;
        }
        let written = record.dynamodb?;
        let image = written.new_image?;
        let item: Item = image
            .into_iter()
            .map(|(name, value)| (name, converted(value)))
            .collect();
        // A marker of a rejected body has no channel, and its sort key no `#`.
        let is_event = item.contains_key(CHANNEL)
            && item::text_at(&item, STATUS_KEY).is_some_and(|key| key.contains('#'));
        if !is_event || !filter.accepts(&item) {
            return None;
        }
        let mut fields = item::to_json(&item);
        fields.remove(DAY_SHARD);
        if numbers == Numbers::Masked {
            fields = dashboard::without_numbers(fields);
        }
        Some(Self {
            id: record.event_id.unwrap_or_default(),
            stored_at: written.approximate_creation_date_time.map_or(0, |at| at.secs()),
            fields,
        })
    }

    /// A line for a terminal.
    pub(super) fn line(&self) -> String {
        let text = |name: &str| self.fields.get(name).and_then(Value::as_str).unwrap_or("-");
        let fields = Value::Object(self.fields.clone());
        let line = format!(
            "{}  {}  {}",
            get::row(&fields),
            text(item::RECIPIENT),
            text(item::MESSAGE_ID)
        );
        get::without_control_characters(&line.replace('\n', " "))
    }
}

/// The two SDKs have separate types for the same values.
fn converted(value: StreamValue) -> AttributeValue {
    match value {
        StreamValue::B(bytes) => {
            AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new(bytes.into_inner()))
        }
        StreamValue::Bool(flag) => AttributeValue::Bool(flag),
        StreamValue::L(values) => AttributeValue::L(values.into_iter().map(converted).collect()),
        StreamValue::M(fields) => AttributeValue::M(
            fields
                .into_iter()
                .map(|(name, value)| (name, converted(value)))
                .collect(),
        ),
        StreamValue::N(number) => AttributeValue::N(number),
        StreamValue::Ns(numbers) => AttributeValue::Ns(numbers),
        StreamValue::S(text) => AttributeValue::S(text),
        StreamValue::Ss(texts) => AttributeValue::Ss(texts),
        // Sets of bytes and later types do not occur in events.
        _ => AttributeValue::Null(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(channel: &str, status: &str, tags: &[&str]) -> Item {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        Item::from([
            ("channel".to_owned(), text(channel)),
            ("status".to_owned(), text(status)),
            (
                "tags".to_owned(),
                AttributeValue::L(tags.iter().map(|tag| text(tag)).collect()),
            ),
        ])
    }

    #[test]
    fn a_filter_needs_one_of_each_kind() {
        let filter = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            Filter::parse(&texts)
        };
        let both = filter(&["channel=rcs", "channel=SMS", "tag=diwali"]).unwrap();
        assert!(both.accepts(&item("RCS", "sent", &["other", "diwali"])));
        assert!(both.accepts(&item("SMS", "read", &["diwali"])));
        assert!(!both.accepts(&item("RCS", "sent", &["other"])));
        assert!(!both.accepts(&item("EMAIL", "sent", &["diwali"])));
        assert!(
            filter(&["status=Failed"])
                .unwrap()
                .accepts(&item("RCS", "failed", &[]))
        );
        assert!(filter(&[]).unwrap().accepts(&item("RCS", "failed", &[])));
        for wrong in ["channel", "channel=", "bot=1", ""] {
            assert!(filter(&[wrong]).is_err(), "{wrong}");
        }
    }
}
