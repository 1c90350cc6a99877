//! Counts the whole events table anew, while events go on arriving.
//!
//! A new generation of counters is built beside the one that is read. From the moment it is named,
//! `projector` counts into both; the table is then read with strong consistency, so that every event
//! is in the table already or comes to `projector` afterwards, and the markers keep those that do both
//! from being counted twice. A lease in the item `generation` admits one rebuild at a time.

use std::{collections::HashMap, time::Duration};

use anyhow::Context as _;
use aws_sdk_dynamodb::{
    Client,
    types::{DeleteRequest, WriteRequest},
};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::{sync::mpsc, task::JoinSet, time::Instant};
use webhook_ingest::{
    counters::{PERIOD, SERIES},
    event::time,
    events_table::item::Item,
};

use crate::{
    backoff::Backoff,
    counter_delta::{ATTRIBUTES, CounterDelta, Identity, Subject},
    lease::Lease,
    rollups::Rollups,
};

/// What arrived longer ago is in no stream any more, however long it lay in a queue: those keep 14 days.
const STREAM_MAY_BRING_MS: i64 = 16 * 86_400_000;
/// So many different subjects are held before they are written: some 80 MB.
const MOST_SUBJECTS: usize = 100_000;
/// So many recent events are held before they are marked, at 24 bytes each. A scan gives them in no
/// order: the more are marked together, the fewer items of markers are written again.
const MOST_RECENT: usize = 1_000_000;
/// How long the table may keep refusing.
const PATIENCE: Duration = Duration::from_mins(5);
/// Parts of the events table that are read at once.
const SEGMENTS: i32 = 8;
/// Items of one page at most.
const PAGE: i32 = 2_000;
/// Pages that wait to be counted.
const PAGES: usize = 8;
/// A batch write takes as many.
const BATCH: usize = 25;
/// Batch writes under way at once.
const IN_FLIGHT: usize = 8;

/// Result of a rebuild.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Events that are in the counters now.
    pub events: u64,
    /// Items that are no events of ours.
    pub skipped: u64,
    /// Items of earlier generations that were deleted.
    pub removed: u64,
}

/// Counts every event of a table anew, and then makes the new counters the ones that are read. `progress`
/// gets the number of events that are counted so far.
///
/// # Errors
/// If another rebuild is running, or if a table does not answer. The counters that were read before are
/// still read then, and the next rebuild removes what this one left.
pub async fn rebuild(
    rollups: &Rollups,
    events_table: &str,
    progress: impl Fn(u64),
) -> anyhow::Result<Rebuilt> {
    let (client, table) = rollups.parts();
    let lease = Lease::take(client, table).await?;
    let recounted = tokio::select! {
        recounted = recount(rollups, events_table, lease.generation(), progress) => recounted,
        lost = lease.keep() => Err(lost),
    };
    let mut rebuilt = match recounted {
        Ok(rebuilt) => rebuilt,
        Err(error) => {
            lease.give_up().await;
            return Err(error);
        }
    };
    lease.finish().await?;
    rebuilt.removed = remove_older(client, table, lease.generation()).await?;
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
    let (sender, mut pages) = mpsc::channel(PAGES);
    let mut readers = JoinSet::new();
    for segment in 0..SEGMENTS {
        let (client, table, sender) = (client.clone(), events_table.to_owned(), sender.clone());
        readers.spawn(async move { read(&client, &table, segment, &sender).await });
    }
    drop(sender);
    let mut sum = Sum::new(rollups, generation);
    while let Some((items, deltas)) = pages.recv().await {
        let deltas: Vec<CounterDelta> = deltas;
        let items: usize = items;
        rebuilt.skipped += (items - deltas.len()) as u64;
        rebuilt.events += deltas.len() as u64;
        sum.add(deltas).await?;
        progress(rebuilt.events);
    }
    while let Some(read) = readers.join_next().await {
        read.context("a segment of the events table was not read to its end")??;
    }
    sum.write().await?;
    Ok(rebuilt)
}

/// Reads a segment of the events table: how many items each page has, and the events among them.
async fn read(
    client: &Client,
    table: &str,
    segment: i32,
    pages: &mpsc::Sender<(usize, Vec<CounterDelta>)>,
) -> anyhow::Result<()> {
    let mut scan = client.scan().table_name(table).consistent_read(true).limit(PAGE);
    let names: Vec<String> = (0..ATTRIBUTES.len()).map(|place| format!("#{place}")).collect();
    for (placeholder, name) in names.iter().zip(ATTRIBUTES) {
        scan = scan.expression_attribute_names(placeholder, name);
    }
    let mut read = scan
        .projection_expression(names.join(","))
        .segment(segment)
        .total_segments(SEGMENTS)
        .into_paginator()
        .send();
    while let Some(page) = read.next().await {
        let items = page
            .context("the events table could not be read")?
            .items
            .unwrap_or_default();
        let deltas = items.iter().filter_map(CounterDelta::of).collect();
        if pages.send((items.len(), deltas)).await.is_err() {
            // The count ended, and says why.
            break;
        }
    }
    Ok(())
}

/// Adds events up before they are written: a scan gives them in no order, so that each page has
/// some of every day, and a page's counts would be written with every page.
struct Sum<'r> {
    rollups: &'r Rollups,
    generation: &'r str,
    /// Places in `counts`.
    subjects: HashMap<Subject, usize>,
    counts: Vec<u64>,
    /// Events that a stream may still bring, and that must therefore be marked before they are counted,
    /// with the places of their subjects.
    recent: Vec<(Identity, usize)>,
}

impl<'r> Sum<'r> {
    fn new(rollups: &'r Rollups, generation: &'r str) -> Self {
        Self {
            rollups,
            generation,
            subjects: HashMap::new(),
            counts: Vec::new(),
            recent: Vec::new(),
        }
    }

    async fn add(&mut self, deltas: Vec<CounterDelta>) -> anyhow::Result<()> {
        let oldest = time::now() - STREAM_MAY_BRING_MS;
        for delta in deltas {
            let place = *self.subjects.entry(delta.subject).or_insert(self.counts.len());
            if place == self.counts.len() {
                self.counts.push(0);
            }
            if delta.identity.received_at < oldest {
                self.count(place);
            } else {
                self.recent.push((delta.identity, place));
            }
        }
        if self.recent.len() > MOST_RECENT {
            self.claim().await?;
        }
        if self.subjects.len() > MOST_SUBJECTS {
            self.write().await?;
        }
        Ok(())
    }

    fn count(&mut self, place: usize) {
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1;
        }
    }

    async fn claim(&mut self) -> anyhow::Result<()> {
        let mut recent = std::mem::take(&mut self.recent);
        // In order of arrival and digest, so that those of one item of markers come together.
        recent.sort_unstable_by_key(|(event, _)| (event.second(), event.marker));
        let (events, places): (Vec<Identity>, Vec<usize>) = recent.into_iter().unzip();
        let each = events.len().div_ceil(IN_FLIGHT).max(1);
        let claims: Vec<_> = events
            .chunks(each)
            .map(|some| self.rollups.claim(self.generation, some, PATIENCE))
            .collect();
        let claimed: Vec<Vec<bool>> = futures::future::try_join_all(claims)
            .await
            .map_err(anyhow::Error::msg)
            .context("the counters' table did not take a marker")?;
        for (place, is_claimed) in places.into_iter().zip(claimed.into_iter().flatten()) {
            if is_claimed {
                self.count(place);
            }
        }
        Ok(())
    }

    /// Writes all that was added up.
    async fn write(&mut self) -> anyhow::Result<()> {
        self.claim().await?;
        let counts = std::mem::take(&mut self.counts);
        let subjects = std::mem::take(&mut self.subjects).into_iter();
        let subjects = subjects.filter_map(|(subject, place)| {
            let count = *counts.get(place)?;
            (count > 0).then_some((subject, count))
        });
        self.rollups
            .add(self.generation, subjects.collect(), PATIENCE)
            .await
            .map_err(anyhow::Error::msg)
            .context("the counters' table did not take a count")
    }
}

/// Deletes what earlier generations left: counters, names and markers. A later one may be under
/// construction already, and is not touched.
async fn remove_older(client: &Client, table: &str, current: &str) -> anyhow::Result<u64> {
    let mut removed = 0;
    let mut pages = client
        .scan()
        .table_name(table)
        .limit(PAGE)
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
        let old: Vec<Item> = keys.into_iter().filter(|key| is_older(key, current)).collect();
        let batches: Vec<_> = old
            .chunks(BATCH)
            .map(|batch| delete(client, table, batch))
            .collect();
        futures::stream::iter(batches)
            .buffer_unordered(IN_FLIGHT)
            .try_collect::<()>()
            .await?;
        removed += old.len() as u64;
    }
    Ok(removed)
}

/// Generations are numbers that grow; what else is in the table is not of one.
fn is_older(key: &Item, current: &str) -> bool {
    let series = key.get(SERIES).and_then(|v| v.as_s().ok());
    let generation = series.and_then(|series| series.split_once('#')?.0.parse::<u64>().ok());
    let current = current.parse::<u64>().unwrap_or_default();
    generation.is_some_and(|generation| generation < current)
}

async fn delete(client: &Client, table: &str, keys: &[Item]) -> anyhow::Result<()> {
    let request = |key: &Item| -> anyhow::Result<WriteRequest> {
        let delete = DeleteRequest::builder().set_key(Some(key.clone())).build()?;
        Ok(WriteRequest::builder().delete_request(delete).build())
    };
    let mut requests = keys.iter().map(request).collect::<anyhow::Result<Vec<_>>>()?;
    let mut backoff = Backoff::until(Instant::now() + PATIENCE);
    while !requests.is_empty() {
        let answer = client
            .batch_write_item()
            .set_request_items(Some(HashMap::from([(table.to_owned(), requests)])))
            .send()
            .await
            .context("old counters could not be deleted")?;
        let left = answer.unprocessed_items.unwrap_or_default().into_values();
        requests = left.flatten().collect();
        if !requests.is_empty() {
            backoff
                .pause(anyhow::anyhow!(
                    "old counters could not be deleted: the table is busy"
                ))
                .await?;
        }
    }
    Ok(())
}
