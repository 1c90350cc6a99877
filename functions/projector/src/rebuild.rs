//! Counts the whole events table again, while events continue to arrive.
//!
//! A rebuild writes a new generation of counters next to the one that is read. As soon as the new generation
//! is registered, `projector` counts into both. Then the rebuild scans the table with strong consistency, so
//! that every event is either in the table already or reaches `projector` later. The markers keep events that
//! do both from being counted twice. A lease in the item `generation` allows one rebuild at a time.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

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
    events_table::{item::Item, rejected},
    links::{self, Links},
};

use crate::{
    backoff::Backoff,
    counter_delta::{ATTRIBUTES, CounterDelta, Identity, Subject},
    lease::Lease,
    links::LinkWriter,
    rollups::Rollups,
};

/// Events that arrived longer ago are in no stream, even after a long time in a queue: a queue keeps messages
/// for 14 days.
const STREAM_MAY_BRING_MS: i64 = 16 * 86_400_000;
/// The most different subjects that are held before they are written: some 80 MB.
const MAX_SUBJECTS: usize = 100_000;
/// The most recent events that are held before they are marked, at 24 bytes each. A scan returns events in no
/// order: the more events are marked together, the fewer items of markers are written repeatedly.
const MAX_RECENT: usize = 1_000_000;
/// How long a rebuild retries while the table refuses.
const TIMEOUT: Duration = Duration::from_mins(5);
/// Segments of the events table that are scanned concurrently.
const SEGMENTS: i32 = 8;
/// The most items of one page.
const PAGE_ITEMS: i32 = 2_000;
/// The most pages that wait to be counted.
const PAGES: usize = 8;
/// The most items of a batch write.
const BATCH: usize = 25;
/// The most concurrent batch writes.
const IN_FLIGHT: usize = 8;

/// Result of a rebuild.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Events that the counters contain now.
    pub events: u64,
    /// Items that are not events.
    pub skipped: u64,
    /// Items of earlier generations that were deleted.
    pub removed: u64,
}

/// Counts every event of a table again, and then switches to the new counters. Writes missing links, and the missing
/// lookups of the search. `progress` gets the number of
/// events that were counted so far.
///
/// # Errors
/// If another rebuild is running, or if a table does not answer. The old counters then stay in use, and the
/// next rebuild removes the items of this one.
pub async fn rebuild(
    rollups: &Rollups,
    events_table: &str,
    progress: impl Fn(u64),
) -> anyhow::Result<Rebuilt> {
    rebuild_for(rollups, events_table, true, progress).await
}

/// The same, with or without the lookups of the search.
///
/// # Errors
/// As above.
pub async fn rebuild_for(
    rollups: &Rollups,
    events_table: &str,
    search_index: bool,
    progress: impl Fn(u64),
) -> anyhow::Result<Rebuilt> {
    let (client, table) = rollups.parts();
    let lease = Lease::take(client, table).await?;
    let recounted = tokio::select! {
        recounted = recount(rollups, events_table, lease.generation(), search_index, progress) => recounted,
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
    search_index: bool,
    progress: impl Fn(u64),
) -> anyhow::Result<Rebuilt> {
    let (client, _) = rollups.parts();
    let mut rebuilt = Rebuilt::default();
    let (sender, mut pages) = mpsc::channel::<Page>(PAGES);
    let mut readers = JoinSet::new();
    for segment in 0..SEGMENTS {
        let (client, table, sender) = (client.clone(), events_table.to_owned(), sender.clone());
        readers.spawn(async move { read(&client, &table, segment, &sender).await });
    }
    drop(sender);
    let mut sum = Sum::new(rollups, generation);
    let mut links = LinkWriter::new(client.clone(), rollups.parts().1.to_owned());
    if !search_index {
        links = links.without_search_index();
    }
    while let Some(Page {
        items,
        deltas,
        links: found,
    }) = pages.recv().await
    {
        rebuilt.skipped += (items - deltas.len()) as u64;
        rebuilt.events += deltas.len() as u64;
        sum.add(deltas).await?;
        links
            .write(found, Instant::now() + TIMEOUT)
            .await
            .map_err(anyhow::Error::msg)
            .context("the counters' table did not accept a link")?;
        progress(rebuilt.events);
    }
    while let Some(read) = readers.join_next().await {
        read.context("a segment of the events table was not read to its end")??;
    }
    sum.write().await?;
    Ok(rebuilt)
}

/// A page of the events table.
struct Page {
    /// Number of items.
    items: usize,
    /// The events among them.
    deltas: Vec<CounterDelta>,
    /// The links that they name.
    links: Links,
}

/// Scans a segment of the events table.
async fn read(client: &Client, table: &str, segment: i32, pages: &mpsc::Sender<Page>) -> anyhow::Result<()> {
    let mut scan = client
        .scan()
        .table_name(table)
        .consistent_read(true)
        .limit(PAGE_ITEMS);
    let attributes: BTreeSet<&str> = ATTRIBUTES.into_iter().chain(links::ATTRIBUTES).collect();
    let names: Vec<String> = (0..attributes.len()).map(|index| format!("#{index}")).collect();
    for (placeholder, name) in names.iter().zip(attributes) {
        scan = scan.expression_attribute_names(placeholder, name);
    }
    let mut read = scan
        .projection_expression(names.join(","))
        .segment(segment)
        .total_segments(SEGMENTS)
        .into_paginator()
        .send();
    while let Some(page) = read.next().await {
        let mut items = page
            .context("the events table could not be read")?
            .items
            .unwrap_or_default();
        items.retain(|item| !rejected::is_marker(item));
        let mut links = Links::default();
        for item in &items {
            links.add(item);
        }
        let page = Page {
            items: items.len(),
            deltas: items.iter().filter_map(CounterDelta::of).collect(),
            links,
        };
        if pages.send(page).await.is_err() {
            // The counting has ended, and returns the reason.
            break;
        }
    }
    Ok(())
}

/// Adds up events before they are written. A scan returns events in no order, so each page has some events of
/// every day; without adding up, every page would write all days.
struct Sum<'r> {
    rollups: &'r Rollups,
    generation: &'r str,
    /// Indices in `counts`.
    subjects: HashMap<Subject, usize>,
    counts: Vec<u64>,
    /// Events that a stream may still deliver, with the indices of their subjects. They must be marked before
    /// they are counted.
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
            let index = *self.subjects.entry(delta.subject).or_insert(self.counts.len());
            if index == self.counts.len() {
                self.counts.push(0);
            }
            if delta.identity.received_at < oldest {
                self.count(index);
            } else {
                self.recent.push((delta.identity, index));
            }
        }
        if self.recent.len() > MAX_RECENT {
            self.claim().await?;
        }
        if self.subjects.len() > MAX_SUBJECTS {
            self.write().await?;
        }
        Ok(())
    }

    fn count(&mut self, index: usize) {
        if let Some(count) = self.counts.get_mut(index) {
            *count += 1;
        }
    }

    async fn claim(&mut self) -> anyhow::Result<()> {
        let mut recent = std::mem::take(&mut self.recent);
        // Ordered by arrival and digest, so that events with the same item of markers are adjacent.
        recent.sort_unstable_by_key(|(event, _)| (event.second(), event.marker));
        let (events, indexes): (Vec<Identity>, Vec<usize>) = recent.into_iter().unzip();
        let each = events.len().div_ceil(IN_FLIGHT).max(1);
        let claims: Vec<_> = events
            .chunks(each)
            .map(|some| self.rollups.claim(self.generation, some, TIMEOUT))
            .collect();
        let claimed: Vec<Vec<bool>> = futures::future::try_join_all(claims)
            .await
            .map_err(anyhow::Error::msg)
            .context("the counters' table did not accept a marker")?;
        for (index, is_claimed) in indexes.into_iter().zip(claimed.into_iter().flatten()) {
            if is_claimed {
                self.count(index);
            }
        }
        Ok(())
    }

    /// Writes all counts.
    async fn write(&mut self) -> anyhow::Result<()> {
        self.claim().await?;
        let counts = std::mem::take(&mut self.counts);
        let subjects = std::mem::take(&mut self.subjects).into_iter();
        let subjects = subjects.filter_map(|(subject, index)| {
            let count = *counts.get(index)?;
            (count > 0).then_some((subject, count))
        });
        self.rollups
            .add(self.generation, subjects.collect(), TIMEOUT)
            .await
            .map_err(anyhow::Error::msg)
            .context("the counters' table did not accept a count")
    }
}

/// Deletes the items of earlier generations: counters, names and markers. Items of a later generation stay,
/// since a rebuild may be writing them.
async fn remove_older(client: &Client, table: &str, current: &str) -> anyhow::Result<u64> {
    let mut removed = 0;
    let mut pages = client
        .scan()
        .table_name(table)
        .limit(PAGE_ITEMS)
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

/// Generations are increasing numbers. Other items of the table do not belong to a generation.
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
    let mut backoff = Backoff::until(Instant::now() + TIMEOUT);
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
