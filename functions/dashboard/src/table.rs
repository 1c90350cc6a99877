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
    aws,
    event::{Attribute, MessageId},
    item::{CHANNEL, EVENT_TIME, Item, MESSAGE_ID, RECIPIENT, number_at},
};

use crate::{
    Refusal,
    days::{self, Wanted},
};

/// A message with more events than this is shown without the rest.
const MOST_EVENTS: usize = 2_000;
/// How far from a message's own events another one can be its fallback, in milliseconds.
const LINK_WINDOW_MS: i64 = 72 * 3_600_000;
/// How many of a person's events within that window are looked at.
const LINK_LOOK: i32 = 200;

/// Which part of a list is wanted.
pub(crate) struct Page {
    /// How many events.
    pub(crate) limit: usize,
    /// Where the last part ended.
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

    /// All events of a message: one query, continued while there are more pages.
    pub(crate) async fn message(&self, id: &str) -> Result<Vec<Item>, Refusal> {
        if id.is_empty() || id.len() > MessageId::MAX_BYTES {
            return Ok(Vec::new());
        }
        let mut items = Vec::new();
        let mut pages = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("#key = :id")
            .expression_attribute_names("#key", MESSAGE_ID)
            .expression_attribute_values(":id", AttributeValue::S(id.to_owned()))
            .consistent_read(true)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            items.extend(page.map_err(|e| refusal(&e))?.items.unwrap_or_default());
            if items.len() >= MOST_EVENTS {
                items.truncate(MOST_EVENTS);
                break;
            }
        }
        Ok(items)
    }

    /// A person's events, the newest first.
    pub(crate) async fn recipient(&self, number: &str, page: Page) -> Result<Part, Refusal> {
        let start = page.cursor.as_deref().map(key_of).transpose()?;
        let answer = self
            .client
            .query()
            .table_name(&self.name)
            .index_name("recipient-index")
            .key_condition_expression("#key = :number")
            .expression_attribute_names("#key", RECIPIENT)
            .expression_attribute_values(":number", AttributeValue::S(number.to_owned()))
            .scan_index_forward(false)
            .limit(i32::try_from(page.limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(|e| refusal(&e))?;
        Ok(Part {
            items: answer.items.unwrap_or_default(),
            cursor: answer.last_evaluated_key.as_ref().map(cursor_of),
        })
    }

    /// What else tells of a message's sending. Nothing where there is no recipient index.
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
            Err(error) if lacks_index(&error) => Ok(Around::default()),
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

fn text<'i>(item: &'i Item, name: &str) -> Option<&'i str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

type QueryFault = SdkError<aws_sdk_dynamodb::operation::query::QueryError>;

fn lacks_index(error: &QueryFault) -> bool {
    error.code() == Some("ValidationException") && error.message().is_some_and(|m| m.contains("index"))
}

pub(crate) fn refusal(error: &QueryFault) -> Refusal {
    if lacks_index(error) {
        return Refusal::NotFound(
            "the table has no index for this question; the stack switched it off".into(),
        );
    }
    if error.code() == Some("ValidationException") {
        return foreign_cursor();
    }
    unavailable("the events table", error)
}

/// The refusal of a question that a table did not answer; the log says why.
pub(crate) fn unavailable<E: ProvideErrorMetadata>(table: &str, error: &SdkError<E>) -> Refusal {
    let why = aws::failure(error);
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
