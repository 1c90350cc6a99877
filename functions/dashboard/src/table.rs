//! The questions that are asked of the events table. Each is a query on a key, none a scan.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::AttributeValue,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use webhook_ingest::{
    event::{Attribute, MessageId},
    events_table::item::{CHANNEL, EVENT_TIME, Item, MESSAGE_ID, RECIPIENT, STATUS, STATUS_KEY, number_at},
    operations::{clients, dynamodb},
};

use crate::{
    Refusal,
    days::{self, Wanted},
    sizes::Room,
    timeline,
};

/// How many events of a message one request reads; the rest is behind a cursor.
const MOST_EVENTS: usize = 2_000;
/// How many calls that takes at most. One brings 1 MB.
const MOST_CALLS: usize = 20;
/// Of an answer about a message, the bytes that are for its own events. An item of 400 KB that is written in
/// escapes takes nearly as much.
const OWN_EVENTS: usize = 3_100_000;
/// What the state of a message is folded from.
const FOLDED: [&str; 5] = [MESSAGE_ID, CHANNEL, STATUS, EVENT_TIME, RECIPIENT];
/// How far from a message's own events another one can be its fallback, in milliseconds.
const LINK_WINDOW_MS: i64 = 72 * 3_600_000;
/// How many of a person's events within that window are looked at.
const LINK_LOOK: i32 = 200;

/// Which part of a list is wanted, and how much may be read for it.
pub(crate) struct Page {
    /// How many events of which size.
    pub(crate) room: Room,
    /// The room that an event takes.
    pub(crate) size: fn(&Item) -> usize,
    /// Where the last part ended.
    pub(crate) cursor: Option<String>,
    /// Of a day: how many events of each shard one round reads.
    pub(crate) per_shard: usize,
    /// How many rounds there may be.
    pub(crate) rounds: usize,
    /// Only these attributes are wanted; all if nothing is said.
    pub(crate) attributes: Option<&'static [&'static str]>,
}

/// Events of a message.
pub(crate) struct OfMessage {
    /// Those that the answer has room for, in the order of their keys.
    pub(crate) items: Vec<Item>,
    /// Those that were read and found no room, with nothing but what a state is folded from.
    pub(crate) others: Vec<Item>,
    /// Where the part after `items` begins, if there is one.
    pub(crate) cursor: Option<String>,
}

/// A part of a list.
pub(crate) struct Part {
    pub(crate) items: Vec<Item>,
    /// Where the next part begins, if there is one.
    pub(crate) cursor: Option<String>,
}

/// The events table, read.
pub(crate) struct EventsTable {
    client: Client,
    name: String,
}

impl EventsTable {
    pub(crate) fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    /// The events of a message after a place: one query, continued while there are more pages.
    pub(crate) async fn message(&self, id: &str, cursor: Option<&str>) -> Result<OfMessage, Refusal> {
        let mut read = OfMessage {
            items: Vec::new(),
            others: Vec::new(),
            cursor: None,
        };
        if id.is_empty() || id.len() > MessageId::MAX_BYTES {
            return Ok(read);
        }
        let mut start = match cursor {
            None => None,
            Some(cursor) => Some(event_key(id, read_cursor::<String>(cursor)?)),
        };
        let mut room = Room {
            entries: MOST_EVENTS,
            bytes: OWN_EVENTS,
        };
        let mut is_full = false;
        for _ in 0..MOST_CALLS {
            let page = self
                .client
                .query()
                .table_name(&self.name)
                .key_condition_expression("#key = :id")
                .expression_attribute_names("#key", MESSAGE_ID)
                .expression_attribute_values(":id", AttributeValue::S(id.to_owned()))
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|e| refusal(&e))?;
            for mut item in page.items.unwrap_or_default() {
                is_full = is_full || !room.take(timeline::size(&item));
                if is_full {
                    item.retain(|name, _| FOLDED.contains(&name.as_str()));
                    read.others.push(item);
                } else {
                    read.items.push(item);
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() || read.items.len() + read.others.len() >= MOST_EVENTS {
                break;
            }
        }
        if is_full || start.is_some() {
            let last = read.items.last().and_then(|item| text(item, STATUS_KEY));
            read.cursor = last.map(|key| write_cursor(&key));
        }
        Ok(read)
    }

    /// A person's events, the newest first.
    pub(crate) async fn recipient(&self, number: &str, page: Page) -> Result<Part, Refusal> {
        let mut start = page.cursor.as_deref().map(key_of).transpose()?;
        let mut room = page.room;
        let mut items: Vec<Item> = Vec::new();
        for _ in 0..page.rounds {
            let answer = self
                .client
                .query()
                .table_name(&self.name)
                .index_name("recipient-index")
                .key_condition_expression("#key = :number")
                .expression_attribute_names("#key", RECIPIENT)
                .expression_attribute_values(":number", AttributeValue::S(number.to_owned()))
                .scan_index_forward(false)
                .limit(i32::try_from(room.entries).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|e| refusal(&e))?;
            start = answer.last_evaluated_key;
            for item in answer.items.unwrap_or_default() {
                if !room.take((page.size)(&item)) {
                    let key = items.last().map(place_of_person);
                    return Ok(Part {
                        cursor: key.as_ref().map(cursor_of),
                        items,
                    });
                }
                items.push(only(item, page.attributes));
            }
            if start.is_none() || room.entries == 0 {
                break;
            }
        }
        Ok(Part {
            items,
            cursor: start.as_ref().map(cursor_of),
        })
    }

    /// Other events of a message's sending. Nothing where there is no recipient index.
    pub(crate) async fn around(&self, id: &str, events: &[Item]) -> Result<Around, Refusal> {
        let Some(number) = events.iter().find_map(|item| text(item, RECIPIENT)) else {
            return Ok(Around::default());
        };
        let times = || events.iter().filter_map(|item| number_at(item, EVENT_TIME));
        let (Some(first), Some(last)) = (times().min(), times().max()) else {
            return Ok(Around::default());
        };
        let answer = self
            .client
            .query()
            .table_name(&self.name)
            .index_name("recipient-index")
            .key_condition_expression("#key = :number AND #time BETWEEN :from AND :to")
            .expression_attribute_names("#key", RECIPIENT)
            .expression_attribute_names("#time", EVENT_TIME)
            .expression_attribute_values(":number", AttributeValue::S(number.to_owned()))
            .expression_attribute_values(
                ":from",
                AttributeValue::N(first.saturating_sub(LINK_WINDOW_MS).to_string()),
            )
            .expression_attribute_values(
                ":to",
                AttributeValue::N(last.saturating_add(LINK_WINDOW_MS).to_string()),
            )
            .limit(LINK_LOOK)
            .send()
            .await;
        match answer {
            Ok(answer) => Ok(Around::of(id, events, answer.items.unwrap_or_default())),
            Err(error) if dynamodb::lacks_index(&error) => Ok(Around::default()),
            Err(error) => Err(refusal(&error)),
        }
    }

    /// The events of a day, the newest first.
    pub(crate) async fn day(&self, wanted: &Wanted, page: Page) -> Result<Part, Refusal> {
        days::page(&self.client, &self.name, wanted, page).await
    }
}

/// A person's other events near a message's own.
#[derive(Default)]
pub(crate) struct Around {
    /// Of messages of the same sending: on another channel, with the same request or callback data.
    pub(crate) linked: Vec<Item>,
    /// Incoming, in answer to one of those messages.
    pub(crate) answers: Vec<Item>,
}

impl Around {
    fn of(id: &str, own: &[Item], candidates: Vec<Item>) -> Self {
        let shares = |name: &str, item: &Item| {
            text(item, name).is_some_and(|value| own.iter().any(|one| text(one, name) == Some(value)))
        };
        let (linked, others): (Vec<Item>, Vec<Item>) = candidates
            .into_iter()
            .filter(|item| text(item, MESSAGE_ID) != Some(id))
            .partition(|item| {
                !shares(CHANNEL, item)
                    && (shares(Attribute::RequestId.name(), item)
                        || shares(Attribute::CallbackData.name(), item))
            });
        let ids: BTreeSet<&str> = linked
            .iter()
            .filter_map(|item| text(item, MESSAGE_ID))
            .chain([id])
            .collect();
        let answers = others
            .into_iter()
            .filter(|item| text(item, Attribute::InReplyTo.name()).is_some_and(|to| ids.contains(to)))
            .collect();
        Self { linked, answers }
    }
}

/// The key of an event in the table.
fn event_key(message_id: &str, status_key: String) -> Item {
    Item::from([
        (MESSAGE_ID.to_owned(), AttributeValue::S(message_id.to_owned())),
        (STATUS_KEY.to_owned(), AttributeValue::S(status_key)),
    ])
}

/// The key of an event in `recipient-index`.
fn place_of_person(item: &Item) -> Item {
    let key = [RECIPIENT, EVENT_TIME, MESSAGE_ID, STATUS_KEY].iter();
    key.filter_map(|name| Some(((*name).to_owned(), item.get(*name)?.clone())))
        .collect()
}

/// An item with nothing but these attributes.
fn only(mut item: Item, attributes: Option<&[&str]>) -> Item {
    if let Some(attributes) = attributes {
        item.retain(|name, _| attributes.contains(&name.as_str()));
    }
    item
}

fn text<'i>(item: &'i Item, name: &str) -> Option<&'i str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

type QueryFault = SdkError<aws_sdk_dynamodb::operation::query::QueryError>;

pub(crate) fn refusal(error: &QueryFault) -> Refusal {
    if dynamodb::lacks_index(error) {
        return Refusal::NotFound(
            "the table has no index for this question; the stack switched it off".into(),
        );
    }
    if dynamodb::is_validation(error) {
        return foreign_cursor();
    }
    unavailable("the events table", error)
}

/// The refusal of a question that a table did not answer; the log says why.
pub(crate) fn unavailable<E: ProvideErrorMetadata>(table: &str, error: &SdkError<E>) -> Refusal {
    let why = clients::failure(error);
    tracing::error!(table, why, "a table did not answer");
    Refusal::Unavailable(format!("{table} does not answer just now; try again"))
}

/// The refusal of a cursor that is not one of this list.
pub(crate) fn foreign_cursor() -> Refusal {
    Refusal::BadRequest("the cursor does not belong to this list".into())
}

/// A place in a list as an opaque text.
pub(crate) fn write_cursor(place: &impl Serialize) -> String {
    // Places are plain data, which always is JSON.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(place).unwrap_or_default())
}

/// The place in a list that a text stands for.
pub(crate) fn read_cursor<P: DeserializeOwned>(cursor: &str) -> Result<P, Refusal> {
    let json = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| foreign_cursor())?;
    serde_json::from_slice(&json).map_err(|_| foreign_cursor())
}

/// A key as an opaque text.
fn cursor_of(key: &Item) -> String {
    let fields: Map<String, Value> = key
        .iter()
        .filter_map(|(name, value)| match value {
            AttributeValue::S(text) => Some((name.clone(), Value::from(text.as_str()))),
            AttributeValue::N(number) => Some((name.clone(), Value::from(number.parse::<i64>().ok()?))),
            _ => None,
        })
        .collect();
    write_cursor(&fields)
}

fn key_of(cursor: &str) -> Result<Item, Refusal> {
    let fields: Map<String, Value> = read_cursor(cursor)?;
    fields
        .into_iter()
        .map(|(name, value)| match value {
            Value::String(text) => Ok((name, AttributeValue::S(text))),
            Value::Number(number) => Ok((name, AttributeValue::N(number.to_string()))),
            _ => Err(foreign_cursor()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_a_key_and_nothing_else_is() {
        let key = Item::from([
            ("recipient".to_owned(), AttributeValue::S("91".into())),
            ("event_time".to_owned(), AttributeValue::N("1704876828000".into())),
        ]);
        assert_eq!(key_of(&cursor_of(&key)).unwrap(), key);
        for bad in ["", "!", "e30x", "W10", &URL_SAFE_NO_PAD.encode("{\"a\":[]}")] {
            assert!(matches!(key_of(bad), Err(Refusal::BadRequest(_))), "{bad}");
        }
    }
}
