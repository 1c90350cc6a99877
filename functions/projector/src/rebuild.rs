//! Counts the whole events table again, while events continue to arrive.
//!
//! A rebuild writes a new generation of counters next to the one that is read. As soon as the new generation
//! is registered, `projector` counts into both. Then the rebuild scans the table with strong consistency, so
//! that every event is either in the table already or reaches `projector` later. The markers keep events that
//! do both from being counted twice. A lease in the item `generation` allows one rebuild at a time.

use std::{
    collections::BTreeSet,
    ops::{Range, RangeInclusive},
    time::Duration,
};

use anyhow::Context as _;
use aws_sdk_dynamodb::Client;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::{sync::mpsc, task::JoinSet, time::Instant};
use webhook_ingest::{
    counters::{PERIOD, SERIES},
    event::{EpochMillis, journey::Step, time},
    events_table::{
        item::{self, Item, MESSAGE_ID},
        rejected,
    },
    links::{self, Links},
    operations::dynamodb,
};

use crate::{
    counter_delta::{ATTRIBUTES, CounterDelta, Identity},
    items,
    lease::Lease,
    links::LinkWriter,
    messages::{self, KnownMessages, Messages},
    rollups::Rollups,
    subjects::Subjects,
};

/// Events that arrived longer ago are in no stream, even after a long time in a queue: a queue keeps messages
/// for 14 days.
const STREAM_MAY_BRING_MS: i64 = 16 * 86_400_000;
/// The most recent counts that are held before they are marked, at some 100 bytes each. A scan returns events in no
/// order: the more events are marked together, the fewer items of markers are written repeatedly.
const MAX_RECENT: usize = 500_000;
/// How long a rebuild retries while the table refuses.
const TIMEOUT: Duration = Duration::from_mins(5);
/// Segments of the events table that are scanned concurrently.
const SEGMENTS: i32 = 8;
/// The most items of one page.
const PAGE_ITEMS: i32 = 2_000;
/// The most pages that wait to be counted.
const PAGES: usize = 8;
/// The most items of one message that are held until all of it is read. Beyond, its counts are those of the items
/// that are held.
const MAX_UNFINISHED: usize = 5_000;
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
    rebuild_for(rollups, events_table, Extras::default(), progress).await
}

/// What a rebuild does besides counting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extras {
    /// Whether it writes the lookups of the search.
    pub search_index: bool,
    /// Arrival times (epoch milliseconds) between which events were copied into the table less than a day ago. The
    /// stream may bring these events, however old they are, so they are marked before they are counted.
    pub copied: Option<RangeInclusive<EpochMillis>>,
}

impl Default for Extras {
    /// With the lookups, and without copied events.
    fn default() -> Self {
        Self {
            search_index: true,
            copied: None,
        }
    }
}

/// The same with a [`Extras`].
///
/// # Errors
/// As above.
pub async fn rebuild_for(
    rollups: &Rollups,
    events_table: &str,
    extras: Extras,
    progress: impl Fn(u64),
) -> anyhow::Result<Rebuilt> {
    let (client, table) = rollups.parts();
    let lease = Lease::take(client, table).await?;
    let recounted = tokio::select! {
        recounted = Box::pin(recount(rollups, events_table, lease.generation(), extras, progress)) => recounted,
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
    extras: Extras,
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
    let mut sum = Sum::new(rollups, generation, extras.copied);
    let mut links = LinkWriter::new(client.clone(), rollups.parts().1.to_owned());
    if !extras.search_index {
        links = links.without_search_index();
    }
    while let Some(Page {
        items,
        deltas,
        links: found,
    }) = pages.recv().await
    {
        let events = deltas.len();
        rebuilt.skipped += (items - events) as u64;
        rebuilt.events += events as u64;
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

/// Whole messages of the events table.
struct Page {
    /// Number of items.
    items: usize,
    /// The counts of the events among them.
    deltas: Vec<CounterDelta>,
    /// The links that they name.
    links: Links,
}

impl Page {
    async fn of(messages: &Messages, items: Vec<Item>) -> anyhow::Result<Self> {
        let mut links = Links::default();
        for item in &items {
            links.add(item);
        }
        let steps: Vec<Step<'_>> = items.iter().filter_map(item::step).collect();
        let own = steps.iter().filter(|step| !step.is_incoming());
        let own = own.map(|step| step.message_id.to_owned()).collect();
        let mut known = KnownMessages::among(&items);
        messages
            .complete(&mut known, &steps, own, Instant::now() + TIMEOUT)
            .await
            .map_err(anyhow::Error::msg)
            .context("the events table could not be read")?;
        let messages = known.parsed();
        Ok(Self {
            items: items.len(),
            deltas: items
                .iter()
                .filter_map(|item| CounterDelta::all(item, &messages))
                .collect(),
            links,
        })
    }
}

fn message_id(item: &Item) -> Option<&str> {
    item::text_at(item, MESSAGE_ID)
}

/// Scans a segment of the events table. A scan returns the events of a message one after the other.
async fn read(client: &Client, table: &str, segment: i32, pages: &mpsc::Sender<Page>) -> anyhow::Result<()> {
    let messages = Messages::new(client.clone(), table.to_owned());
    let attributes: BTreeSet<&str> = ATTRIBUTES
        .into_iter()
        .chain(messages::ATTRIBUTES)
        .chain(links::ATTRIBUTES)
        .collect();
    let (projection, names) = dynamodb::projection(attributes);
    let mut read = client
        .scan()
        .table_name(table)
        .consistent_read(true)
        .limit(PAGE_ITEMS)
        .projection_expression(projection)
        .set_expression_attribute_names(Some(names))
        .segment(segment)
        .total_segments(SEGMENTS)
        .into_paginator()
        .send();
    // The last message of a page may continue on the next one.
    let mut items: Vec<Item> = Vec::new();
    while let Some(page) = read.next().await {
        let page = page.context("the events table could not be read")?;
        items.extend(
            page.items
                .unwrap_or_default()
                .into_iter()
                .filter(|item| !rejected::is_marker(item)),
        );
        let last = items.last().and_then(message_id);
        let whole = items
            .iter()
            .rposition(|item| message_id(item) != last)
            .map_or(0, |index| index + 1);
        let unfinished = items.split_off(if items.len() - whole > MAX_UNFINISHED {
            items.len()
        } else {
            whole
        });
        let whole = std::mem::replace(&mut items, unfinished);
        if !whole.is_empty() && pages.send(Page::of(&messages, whole).await?).await.is_err() {
            // The counting has ended, and returns the reason.
            return Ok(());
        }
    }
    if !items.is_empty() {
        // As above.
        _ = pages.send(Page::of(&messages, items).await?).await;
    }
    Ok(())
}

/// Adds up events before they are written. A scan returns events in no order, so each page has some events of
/// every day; without adding up, every page would write all days.
struct Sum<'r> {
    rollups: &'r Rollups,
    generation: &'r str,
    /// See [`Extras::copied`].
    copied: Option<RangeInclusive<EpochMillis>>,
    subjects: Subjects,
    /// Counts that a stream may still deliver, with their ranges in `changes`. They must be marked before they are
    /// added.
    recent: Vec<(Identity, Range<usize>)>,
    /// Indices of subjects, and what to add.
    changes: Vec<(usize, i64)>,
}

impl<'r> Sum<'r> {
    fn new(rollups: &'r Rollups, generation: &'r str, copied: Option<RangeInclusive<EpochMillis>>) -> Self {
        Self {
            rollups,
            generation,
            copied,
            subjects: Subjects::default(),
            recent: Vec::new(),
            changes: Vec::new(),
        }
    }

    async fn add(&mut self, deltas: Vec<CounterDelta>) -> anyhow::Result<()> {
        let oldest = time::now() - STREAM_MAY_BRING_MS;
        for delta in deltas {
            let from = self.changes.len();
            for (subject, count) in delta.counts {
                self.changes.push((self.subjects.index(subject), count));
            }
            let received_at = delta.identity.received_at;
            let is_copied = self
                .copied
                .as_ref()
                .is_some_and(|range| range.contains(&received_at));
            if received_at < oldest && !is_copied {
                self.count(from..self.changes.len());
                self.changes.truncate(from);
            } else {
                self.recent.push((delta.identity, from..self.changes.len()));
            }
        }
        if self.recent.len() > MAX_RECENT {
            self.claim().await?;
        }
        if self.subjects.is_full() {
            self.write().await?;
        }
        Ok(())
    }

    fn count(&mut self, range: Range<usize>) {
        for (index, change) in self.changes.get(range).unwrap_or_default() {
            self.subjects.add(*index, *change);
        }
    }

    async fn claim(&mut self) -> anyhow::Result<()> {
        let mut recent = std::mem::take(&mut self.recent);
        // Ordered by arrival and digest, so that events with the same item of markers are adjacent.
        recent.sort_unstable_by_key(|(event, _)| (event.second(), event.marker));
        let (events, ranges): (Vec<Identity>, Vec<Range<usize>>) = recent.into_iter().unzip();
        let each = events.len().div_ceil(IN_FLIGHT).max(1);
        let claims: Vec<_> = events
            .chunks(each)
            .map(|some| self.rollups.claim(self.generation, some, TIMEOUT))
            .collect();
        let claimed: Vec<Vec<bool>> = futures::future::try_join_all(claims)
            .await
            .map_err(anyhow::Error::msg)
            .context("the counters' table did not accept a marker")?;
        for (range, is_claimed) in ranges.into_iter().zip(claimed.into_iter().flatten()) {
            if is_claimed {
                self.count(range);
            }
        }
        self.changes.clear();
        Ok(())
    }

    /// Writes all counts.
    async fn write(&mut self) -> anyhow::Result<()> {
        self.claim().await?;
        self.rollups
            .add(self.generation, std::mem::take(&mut self.subjects), TIMEOUT)
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
        removed += old.len() as u64;
        let until = Instant::now() + TIMEOUT;
        let deletes = old
            .chunks(items::MAX_DELETED)
            .map(|keys| items::delete(client, table, keys.to_vec(), until));
        futures::stream::iter(deletes.collect::<Vec<_>>())
            .buffer_unordered(IN_FLIGHT)
            .try_collect::<Vec<f64>>()
            .await
            .map_err(anyhow::Error::msg)
            .context("old counters could not be deleted")?;
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
