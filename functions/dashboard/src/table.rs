//! The questions that are asked of the events table. Each is a query on a key, none a scan.

use aws_sdk_dynamodb::{Client, error::ProvideErrorMetadata as _, types::AttributeValue};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use webhook_ingest::{
    aws,
    event::{Attribute, MessageId},
    item::{CHANNEL, EVENT_TIME, Item, MESSAGE_ID, RECIPIENT, number_at},
};

use crate::Refusal;

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
pub(crate) struct Events {
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
    pub(crate) async fn recipient(&self, number: &str, page: Page) -> Result<Events, Refusal> {
        let start = page.cursor.map(|cursor| key_of(&cursor)).transpose()?;
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
        Ok(Events {
            items: answer.items.unwrap_or_default(),
            cursor: answer.last_evaluated_key.as_ref().map(cursor_of),
        })
    }

    /// Events of other messages that tell of the same sending: to the same person, near in time,
    /// on another channel, with the same request or callback data. Nothing where there is no
    /// recipient index.
    pub(crate) async fn linked(&self, events: &[Item]) -> Result<Vec<Item>, Refusal> {
        let text = |item: &Item, name: &str| item.get(name).and_then(|v| v.as_s().ok()).cloned();
        let Some(number) = events.iter().find_map(|item| text(item, RECIPIENT)) else {
            return Ok(Vec::new());
        };
        let times = || events.iter().filter_map(|item| number_at(item, EVENT_TIME));
        let (Some(first), Some(last)) = (times().min(), times().max()) else {
            return Ok(Vec::new());
        };
        let answer = self
            .client
            .query()
            .table_name(&self.name)
            .index_name("recipient-index")
            .key_condition_expression("#key = :number AND #time BETWEEN :from AND :to")
            .expression_attribute_names("#key", RECIPIENT)
            .expression_attribute_names("#time", EVENT_TIME)
            .expression_attribute_values(":number", AttributeValue::S(number))
            .expression_attribute_values(":from", AttributeValue::N((first - LINK_WINDOW_MS).to_string()))
            .expression_attribute_values(":to", AttributeValue::N((last + LINK_WINDOW_MS).to_string()))
            .limit(LINK_LOOK)
            .send()
            .await;
        let candidates = match answer {
            Ok(answer) => answer.items.unwrap_or_default(),
            Err(error) if lacks_index(&error) => return Ok(Vec::new()),
            Err(error) => return Err(refusal(&error)),
        };
        let shares = |name: &str, item: &Item| {
            text(item, name)
                .is_some_and(|value| events.iter().any(|own| text(own, name).as_ref() == Some(&value)))
        };
        Ok(candidates
            .into_iter()
            .filter(|item| {
                !shares(MESSAGE_ID, item)
                    && !shares(CHANNEL, item)
                    && (shares(Attribute::RequestId.name(), item)
                        || shares(Attribute::CallbackData.name(), item))
            })
            .collect())
    }
}

type QueryFault = aws_sdk_dynamodb::error::SdkError<aws_sdk_dynamodb::operation::query::QueryError>;

fn lacks_index(error: &QueryFault) -> bool {
    error.code() == Some("ValidationException") && error.message().is_some_and(|m| m.contains("index"))
}

fn refusal(error: &QueryFault) -> Refusal {
    if lacks_index(error) {
        return Refusal::NotFound(
            "the table has no index for this question; the stack switched it off".into(),
        );
    }
    if error.code() == Some("ValidationException") {
        return Refusal::BadRequest("the cursor does not belong to this list".into());
    }
    let why = error.code().unwrap_or_else(|| aws::failure(error));
    tracing::error!(why, "the events table did not answer a query");
    Refusal::Unavailable("the events table does not answer just now; try again".into())
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
    URL_SAFE_NO_PAD.encode(Value::Object(fields).to_string())
}

fn key_of(cursor: &str) -> Result<Item, Refusal> {
    let bad = || Refusal::BadRequest("the cursor is not one of this API".into());
    let json = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad())?;
    let Ok(Value::Object(fields)) = serde_json::from_slice(&json) else {
        return Err(bad());
    };
    fields
        .into_iter()
        .map(|(name, value)| match value {
            Value::String(text) => Ok((name, AttributeValue::S(text))),
            Value::Number(number) => Ok((name, AttributeValue::N(number.to_string()))),
            _ => Err(bad()),
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
