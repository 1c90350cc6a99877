//! Deletes events in batches, and retries those that the table leaves unprocessed.

use std::time::Duration;

use anyhow::{Context as _, bail};
use aws_sdk_dynamodb::types::{DeleteRequest, WriteRequest};
use futures::{StreamExt as _, TryStreamExt as _};
use webhook_ingest::events_table::read::{EventKey, key_attributes};

use crate::target::Target;

/// Maximum of `BatchWriteItem`:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
const BATCH: usize = 25;
const IN_FLIGHT: usize = 4;
const TRIES: u32 = 10;

/// Deletes items by key. Deleting a missing item succeeds, so the call is idempotent.
pub(super) async fn all(
    target: &Target,
    keys: &[EventKey],
    deleted: impl Fn(usize) + Copy,
) -> anyhow::Result<()> {
    futures::stream::iter(keys.chunks(BATCH))
        .map(|keys| async move {
            batch(target, keys).await?;
            deleted(keys.len());
            anyhow::Ok(())
        })
        .buffer_unordered(IN_FLIGHT)
        .try_collect()
        .await
}

async fn batch(target: &Target, keys: &[EventKey]) -> anyhow::Result<()> {
    let table = &target.storage.events_table;
    let mut wanted: Vec<WriteRequest> = keys.iter().map(request).collect::<Result<_, _>>()?;
    let mut pause = Duration::from_millis(50);
    for _ in 0..TRIES {
        let answer = target
            .aws
            .dynamodb
            .batch_write_item()
            .request_items(table, wanted)
            .send()
            .await
            .context(
                "the events table did not accept the deletion; run the same command again to continue",
            )?;
        wanted = answer
            .unprocessed_items
            .and_then(|mut left| left.remove(table))
            .unwrap_or_default();
        if wanted.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
    bail!(
        "the events table is too busy: {} events of a batch were not deleted; run the same command again to continue",
        wanted.len()
    );
}

fn request(key: &EventKey) -> anyhow::Result<WriteRequest> {
    let delete = DeleteRequest::builder()
        .set_key(Some(key_attributes(key)))
        .build()?;
    Ok(WriteRequest::builder().delete_request(delete).build())
}
