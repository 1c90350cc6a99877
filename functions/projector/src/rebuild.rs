//! Counts the whole events table anew, while events go on arriving.
//!
//! A new generation of counters is built beside the one that is read. From the moment it is named,
//! `projector` counts into both; the table is then read with strong consistency, so that every event
//! is in the table already or comes to `projector` afterwards, and the marks keep those that do both
//! from being counted twice.

use std::{collections::HashMap, time::Duration};

use anyhow::Context as _;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, WriteRequest};
use tokio::time::Instant;
use webhook_ingest::{
    event::EpochMillis,
    item::Item,
    rollup::{CURRENT, GENERATION, NEXT, NO_PERIOD, PERIOD, SERIES},
    time,
};

use crate::{chunk::Marks, fact::Fact, rollups::Rollups};

/// What arrived longer ago is in no stream any more, however long it lay in a queue: those keep 14 days.
const STREAM_MAY_BRING_MS: i64 = 16 * 86_400_000;
/// How long one page of events may take.
const PATIENCE: Duration = Duration::from_mins(5);
/// A batch write takes as many.
const BATCH: usize = 25;

/// What a rebuild did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Events that are in the counters now.
    pub events: u64,
    /// Items that are no events of ours.
    pub skipped: u64,
    /// Items of earlier generations that were deleted.
    pub removed: u64,
}

/// Counts every event of a table anew and then reads from what was counted. `progress` is told how
/// many events were counted so far.
///
/// # Errors
/// If a table does not answer. The counters that were read before are still read then, and the next
/// rebuild removes what this one left.
pub async fn rebuild(
    rollups: &Rollups,
    events_table: &str,
    progress: impl Fn(u64),
) -> anyhow::Result<Rebuilt> {
    let before = rollups.generations().await.map_err(anyhow::Error::msg)?;
    let next = time::now().to_string();
    point(rollups, &before.current, Some(&next)).await?;
    let mut rebuilt = recount(rollups, events_table, &next, progress).await?;
    point(rollups, &next, None).await?;
    rebuilt.removed = remove_others(rollups, &next).await?;
    Ok(rebuilt)
}

async fn recount(
    rollups: &Rollups,
    events_table: &str,
    generation: &str,
    progress: impl Fn(u64),
) -> anyhow::Result<Rebuilt> {
    let (client, _) = rollups.parts();
    let mut rebuilt = Rebuilt::default();
    let mut pages = client
        .scan()
        .table_name(events_table)
        .consistent_read(true)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let items = page
            .context("the events table could not be read")?
            .items
            .unwrap_or_default();
        let facts: Vec<Fact> = items.iter().filter_map(Fact::of).collect();
        rebuilt.skipped += (items.len() - facts.len()) as u64;
        rebuilt.events += facts.len() as u64;
        count(rollups, generation, facts, time::now()).await?;
        progress(rebuilt.events);
    }
    Ok(rebuilt)
}

async fn count(
    rollups: &Rollups,
    generation: &str,
    mut facts: Vec<Fact>,
    now: EpochMillis,
) -> anyhow::Result<()> {
    // In order of arrival, so that those of one second share a transaction.
    facts.sort_by_key(|fact| fact.received_at);
    let recent = facts.split_off(facts.partition_point(|fact| fact.received_at < now - STREAM_MAY_BRING_MS));
    let until = Instant::now() + PATIENCE;
    rollups.count_all(generation, &facts, Marks::None, until).await?;
    rollups.count_all(generation, &recent, Marks::Kept, until).await?;
    Ok(())
}

/// Names the generation that is read and the one that is being built.
async fn point(rollups: &Rollups, current: &str, next: Option<&str>) -> anyhow::Result<()> {
    let (client, table) = rollups.parts();
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let put = client
        .put_item()
        .table_name(table)
        .item(SERIES, text(GENERATION))
        .item(PERIOD, text(NO_PERIOD))
        .item(CURRENT, text(current));
    let put = match next {
        Some(next) => put.item(NEXT, text(next)),
        None => put,
    };
    put.send()
        .await
        .context("the counters' table could not be written")?;
    Ok(())
}

/// Deletes the counters and marks of every other generation.
async fn remove_others(rollups: &Rollups, current: &str) -> anyhow::Result<u64> {
    let (client, table) = rollups.parts();
    let mut removed = 0;
    let mut pages = client
        .scan()
        .table_name(table)
        .projection_expression("#series, #period")
        .expression_attribute_names("#series", SERIES)
        .expression_attribute_names("#period", PERIOD)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let keys = page
            .context("the counters' table could not be read")?
            .items
            .unwrap_or_default();
        let old: Vec<Item> = keys
            .into_iter()
            .filter(|key| is_of_another(key, current))
            .collect();
        for batch in old.chunks(BATCH) {
            removed += delete(rollups, batch).await?;
        }
    }
    Ok(removed)
}

/// Generations are numbers; what else is in the table is not of one.
fn is_of_another(key: &Item, current: &str) -> bool {
    let series = key.get(SERIES).and_then(|v| v.as_s().ok());
    series
        .and_then(|series| series.split_once('#'))
        .is_some_and(|(generation, _)| {
            generation != current && generation.bytes().all(|b| b.is_ascii_digit())
        })
}

async fn delete(rollups: &Rollups, keys: &[Item]) -> anyhow::Result<u64> {
    let (client, table) = rollups.parts();
    let request = |key: &Item| -> anyhow::Result<WriteRequest> {
        let delete = DeleteRequest::builder().set_key(Some(key.clone())).build()?;
        Ok(WriteRequest::builder().delete_request(delete).build())
    };
    let mut requests = keys.iter().map(request).collect::<anyhow::Result<Vec<_>>>()?;
    while !requests.is_empty() {
        let answer = client
            .batch_write_item()
            .set_request_items(Some(HashMap::from([(table.to_owned(), requests)])))
            .send()
            .await
            .context("old counters could not be deleted")?;
        requests = answer
            .unprocessed_items
            .unwrap_or_default()
            .into_values()
            .flatten()
            .collect();
    }
    Ok(keys.len() as u64)
}
