//! Reads and deletes many items of the counters' table, and repeats what it leaves unprocessed.

use aws_sdk_dynamodb::{
    Client,
    types::{ConsumedCapacity, DeleteRequest, ReturnConsumedCapacity, WriteRequest},
};
use tokio::time::Instant;
use webhook_ingest::{
    events_table::item::Item,
    operations::{backoff::Backoff, clients, dynamodb},
};

/// The most items that a call reads:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>
pub(crate) const MAX_READ: usize = 100;
/// The most items that a call deletes:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
pub(crate) const MAX_DELETED: usize = 25;

/// Reads the items of up to [`MAX_READ`] keys, with strong consistency. Those that do not exist are missing.
///
/// # Errors
/// Why the table did not return all of them in time.
pub(crate) async fn read(
    client: &Client,
    table: &str,
    mut keys: Vec<Item>,
    until: Instant,
) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    let mut backoff = Backoff::until(until);
    loop {
        let read = dynamodb::batch_read(client, table, keys, None)
            .await
            .map_err(|error| clients::failure(&error).to_owned())?;
        items.extend(read.items);
        if read.unprocessed.is_empty() {
            return Ok(items);
        }
        keys = read.unprocessed;
        backoff.pause("keys were left unprocessed".to_owned()).await?;
    }
}

/// Deletes up to [`MAX_DELETED`] items. Returns the write units.
///
/// # Errors
/// Why the table did not delete all of them in time.
pub(crate) async fn delete(
    client: &Client,
    table: &str,
    keys: Vec<Item>,
    until: Instant,
) -> Result<f64, String> {
    let request = |key: Item| {
        // All required fields are set.
        let delete = DeleteRequest::builder().set_key(Some(key)).build().ok()?;
        Some(WriteRequest::builder().delete_request(delete).build())
    };
    let mut requests: Vec<WriteRequest> = keys.into_iter().filter_map(request).collect();
    let mut write_units = 0.0;
    let mut backoff = Backoff::until(until);
    loop {
        let answer = client
            .batch_write_item()
            .request_items(table, requests)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| clients::failure(&error).to_owned())?;
        let consumed = answer.consumed_capacity.unwrap_or_default();
        write_units += consumed.iter().map(|of| units(Some(of))).sum::<f64>();
        let left = answer.unprocessed_items.unwrap_or_default().into_values();
        requests = left.flatten().collect();
        if requests.is_empty() {
            return Ok(write_units);
        }
        backoff.pause("items were left unprocessed".to_owned()).await?;
    }
}

/// The units that a call used, if the table reported them.
pub(crate) fn units(consumed: Option<&ConsumedCapacity>) -> f64 {
    consumed
        .and_then(|consumed| consumed.capacity_units)
        .unwrap_or_default()
}
