//! Items of index entries. An index may contain only keys, so every list gets its items from the table.

use aws_sdk_dynamodb::Client;
use futures::{StreamExt as _, stream};
use webhook_ingest::events_table::{
    item::{EVENT_TIME, Item, MESSAGE_ID, STATUS_KEY},
    read::{self, EventKey},
};

use crate::{
    answered::Selection,
    refusal::{self, Refusal},
    sizes::SizeBudget,
};

/// Attributes of an index entry that identify the item, and its position in the index.
pub(crate) const KEYS: [&str; 3] = [MESSAGE_ID, STATUS_KEY, EVENT_TIME];

/// Items per call: one call for a page of the default size. `DynamoDB` allows 100, and returns up to 16 MB:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>
const ITEMS_OF_CALL: usize = 50;
/// Concurrent calls. They hold at most 80 MB, because an item has at most 400 KB.
const CALLS: usize = 4;
/// Calls in a row that may return nothing, because the table is throttled. The pauses between them add up to
/// 0.75 s.
const FRUITLESS_CALLS: u32 = 5;

/// Items of the first index entries, in the same order.
pub(crate) struct Taken {
    pub(crate) items: Vec<Item>,
    /// Number of entries. An entry whose item is not wanted, or deleted meanwhile, has no item.
    pub(crate) entries: usize,
}

/// Gets the items of index entries that a filter keeps, until one does not fit. `attributes` must contain the key;
/// `None` gets all attributes.
pub(crate) async fn items(
    client: &Client,
    table: &str,
    keys: &[EventKey],
    attributes: Option<&[&str]>,
    mut selection: Option<&mut Selection<'_>>,
    budget: &mut SizeBudget,
    size: fn(&Item) -> usize,
) -> Result<Taken, Refusal> {
    let calls: Vec<_> = keys
        .chunks(ITEMS_OF_CALL)
        .map(|keys| get(client, table, keys, attributes))
        .collect();
    let mut calls = stream::iter(calls).buffered(CALLS);
    let mut taken = Taken {
        items: Vec::new(),
        entries: 0,
    };
    while let Some(found) = calls.next().await {
        let mut found = found?;
        if let Some(selection) = selection.as_deref_mut() {
            selection.keep(&mut found).await?;
        }
        for item in found {
            if let Some(item) = item {
                if !budget.take(size(&item)) {
                    return Ok(taken);
                }
                taken.items.push(item);
            }
            taken.entries += 1;
        }
    }
    Ok(taken)
}

/// The items of at most [`ITEMS_OF_CALL`] keys, in their order.
async fn get(
    client: &Client,
    table: &str,
    keys: &[EventKey],
    attributes: Option<&[&str]>,
) -> Result<Vec<Option<Item>>, Refusal> {
    let mut found = read::events(client, table, keys, attributes, FRUITLESS_CALLS)
        .await
        .map_err(|error| refusal::of_read(&error))?;
    Ok(keys.iter().map(|key| found.remove(key)).collect())
}
