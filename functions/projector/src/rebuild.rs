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
    item::Item,
    rollup::{CURRENT, GENERATION, NEXT, NO_PERIOD, PERIOD, SERIES},
    time,
};

use crate::{chunk::Counts, fact::Fact, rollups::Rollups};

/// What arrived longer ago is in no stream any more, however long it lay in a queue: those keep 14 days.
const STREAM_MAY_BRING_MS: i64 = 16 * 86_400_000;
/// Counts of so many items, and so many events, are held before they are written: some 100 MB.
const MOST_ITEMS: usize = 100_000;
const MOST_RECENT: usize = 100_000;
/// Of the recent ones, so many are counted before patience begins anew.
const AT_ONCE: usize = 1_000;
/// How long the table may keep refusing.
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
    let mut sum = Sum::new(rollups, generation);
    while let Some(page) = pages.next().await {
        let items = page
            .context("the events table could not be read")?
            .items
            .unwrap_or_default();
        let facts: Vec<Fact> = items.iter().filter_map(Fact::of).collect();
        rebuilt.skipped += (items.len() - facts.len()) as u64;
        rebuilt.events += facts.len() as u64;
        sum.add(facts).await?;
        progress(rebuilt.events);
    }
    sum.write().await?;
    Ok(rebuilt)
}

/// Adds events up before they are written: a scan gives them in no order, so that each page has
/// some of every day, and a page's counts would be written with every page.
struct Sum<'r> {
    rollups: &'r Rollups,
    generation: &'r str,
    /// What no stream will bring again.
    old: Counts,
    /// What one may still bring, and must therefore be marked.
    recent: Vec<Fact>,
}

impl<'r> Sum<'r> {
    fn new(rollups: &'r Rollups, generation: &'r str) -> Self {
        Self {
            rollups,
            generation,
            old: Counts::default(),
            recent: Vec::new(),
        }
    }

    async fn add(&mut self, facts: Vec<Fact>) -> anyhow::Result<()> {
        let oldest = time::now() - STREAM_MAY_BRING_MS;
        for fact in facts {
            if fact.received_at < oldest {
                self.old.add(self.generation, &fact);
            } else {
                self.recent.push(fact);
            }
        }
        if self.old.len() > MOST_ITEMS || self.recent.len() > MOST_RECENT {
            self.write().await?;
        }
        Ok(())
    }

    async fn write(&mut self) -> anyhow::Result<()> {
        self.rollups
            .add(std::mem::take(&mut self.old), PATIENCE)
            .await
            .map_err(anyhow::Error::msg)
            .context("the counters' table did not take a count")?;
        let mut recent = std::mem::take(&mut self.recent);
        // In order of arrival, so that those of one second share a transaction.
        recent.sort_by_key(|fact| fact.received_at);
        for facts in recent.chunks(AT_ONCE) {
            let until = Instant::now() + PATIENCE;
            self.rollups.count(self.generation, facts, until).await?;
        }
        Ok(())
    }
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
