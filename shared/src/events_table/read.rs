//! Reads events by their keys. An index may contain only keys, so lists get their items here.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client, config::http::HttpResponse, error::SdkError, operation::batch_get_item::BatchGetItemError,
    types::AttributeValue,
};
use tokio::time::sleep;

use crate::{
    events_table::item::{Item, MESSAGE_ID, STATUS_KEY, text_at},
    operations::dynamodb,
};

/// The pause after the first call that returns nothing. Each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Message id and status key of an event.
pub type EventKey = (String, String);

/// The key of an item or of an entry of an index.
pub fn event_key(item: &Item) -> Option<EventKey> {
    let text = |name| text_at(item, name).map(str::to_owned);
    Some((text(MESSAGE_ID)?, text(STATUS_KEY)?))
}

/// The attributes of a key.
pub fn key_attributes((message_id, status_key): &EventKey) -> Item {
    Item::from([
        (MESSAGE_ID.to_owned(), AttributeValue::S(message_id.clone())),
        (STATUS_KEY.to_owned(), AttributeValue::S(status_key.clone())),
    ])
}

/// Why events were not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The table did not answer.
    #[error("the events table does not answer")]
    Failed(#[source] Box<SdkError<BatchGetItemError, HttpResponse>>),
    /// Several calls in a row returned nothing.
    #[error("the events table is throttled")]
    Throttled,
}

/// The events with these keys, at most 100, read with strong consistency: an index may be ahead of a replica of the
/// table. `None` reads all attributes; others must contain the key. Keys can repeat. Events that do not exist are
/// missing.
///
/// # Errors
/// [`ReadError::Throttled`] after `fruitless_calls` calls in a row that returned nothing.
pub async fn events(
    client: &Client,
    table: &str,
    keys: &[EventKey],
    attributes: Option<&[&str]>,
    fruitless_calls: u32,
) -> Result<HashMap<EventKey, Item>, ReadError> {
    let mut found = HashMap::new();
    // An event that is deleted and stored again can have two entries. DynamoDB refuses repeated keys.
    let unique: HashSet<&EventKey> = keys.iter().collect();
    let mut wanted: Vec<Item> = unique.into_iter().map(key_attributes).collect();
    let (mut fruitless, mut pause) = (0, FIRST_PAUSE);
    while !wanted.is_empty() {
        let read = dynamodb::batch_read(client, table, wanted, attributes)
            .await
            .map_err(|error| ReadError::Failed(Box::new(error)))?;
        wanted = read.unprocessed;
        if !read.items.is_empty() {
            (fruitless, pause) = (0, FIRST_PAUSE);
        } else if !wanted.is_empty() {
            fruitless += 1;
            if fruitless == fruitless_calls {
                return Err(ReadError::Throttled);
            }
            sleep(pause).await;
            pause *= 2;
        }
        let items = read.items.into_iter();
        found.extend(items.filter_map(|item| Some((event_key(&item)?, item))));
    }
    Ok(found)
}
