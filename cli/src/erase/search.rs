//! Finds all events of a person: first the messages in `recipient-index`, if it exists, and then in the
//! whole table, because ids and texts of other items may name the person.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use aws_sdk_dynamodb::{
    config::http::HttpResponse, error::SdkError, operation::query::QueryError, types::AttributeValue,
};
use futures::{StreamExt as _, TryStreamExt as _};
use indicatif::ProgressBar;
use webhook_ingest::{
    events_table::{
        index::RECIPIENT_INDEX,
        item::{self, Item},
    },
    operations::dynamodb,
};

use super::{
    Options,
    person::{self, MatchReason, Person},
};
use crate::target::Target;

/// Segments of the table that are scanned concurrently.
const SEGMENTS: i32 = 4;
/// Concurrent queries by message id.
const IN_FLIGHT: usize = 8;
/// The first pass finds every message to or from the person, the second pass finds events that name
/// one of these messages. More passes are needed if such messages arrive during the search, or for
/// each linked id that is not in the counters' table.
const PASSES: usize = 6;

/// An event of the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Such as `RCS`.
    pub channel: String,
    /// Such as `sent`.
    pub status: String,
    /// Why it belongs to the person.
    pub why: MatchReason,
}

/// Events by message id and status key.
pub type Traces = BTreeMap<(String, String), Trace>;

/// Events of a person in a page of items.
#[derive(Default)]
struct Page {
    traces: Traces,
    /// Ids of messages to or from the person.
    ids: Vec<String>,
    /// Ids of the person that the items link.
    people: BTreeSet<String>,
}

impl Page {
    /// Keeps the key of an item of the person. All events of a message to or from the number belong
    /// to the person.
    fn add(&mut self, person: &Person, item: &Item) {
        let Some(why) = person.match_reason(item) else {
            return;
        };
        let text = |name: &str| {
            let text = item.get(name).and_then(|v| v.as_s().ok());
            text.cloned().unwrap_or_default()
        };
        if why != MatchReason::Mention && !person::is_shared(item) {
            self.ids.push(text(item::MESSAGE_ID));
        }
        if why == MatchReason::Recipient {
            let recipient = item.get(item::RECIPIENT).and_then(|v| v.as_s().ok());
            let ids = recipient
                .map(String::as_str)
                .into_iter()
                .chain(person::identities(item));
            // Only what names the person under a further id.
            if person::identities(item).next().is_some() {
                self.people.extend(ids.map(str::to_owned));
            }
        }
        let trace = Trace {
            channel: text(item::CHANNEL),
            status: text(item::STATUS),
            why,
        };
        self.traces
            .insert((text(item::MESSAGE_ID), text(item::STATUS_KEY)), trace);
    }

    fn of(person: &Person, items: &[Item]) -> Self {
        let mut page = Self::default();
        for item in items {
            page.add(person, item);
        }
        page
    }
}

/// All events of a person. Memory use grows with the result, not with the table.
pub(super) async fn events(
    target: &Target,
    person: &mut Person,
    options: &Options,
    bar: &ProgressBar,
) -> anyhow::Result<Traces> {
    let mut traces = Traces::new();
    let mut asked = BTreeSet::new();
    let mut read = BTreeSet::new();
    for _ in 0..PASSES {
        let new: Vec<String> = person
            .recipients()
            .into_iter()
            .filter(|id| asked.insert(id.clone()))
            .collect();
        let mut ids = BTreeSet::new();
        for recipient in new {
            let is_shared = person::is_address(&recipient);
            match by_recipient(target, recipient).await {
                Ok(found) => {
                    ids.extend(found.iter().cloned());
                    if !is_shared {
                        person.add_ids(found)?;
                    }
                }
                Err(error) if dynamodb::lacks_index(&error) => ensure!(
                    !options.quick,
                    "the table has no {RECIPIENT_INDEX}, or it is still being created: run the command without --quick"
                ),
                Err(error) => {
                    return Err(error).with_context(|| format!("{RECIPIENT_INDEX} does not answer"));
                }
            }
        }
        let pages: Vec<Page> = if options.quick {
            // All of them again: an id that was linked meanwhile may name further events.
            read.extend(ids);
            read.extend(person.ids().iter().cloned());
            let messages: Vec<Vec<Item>> = futures::stream::iter(read.clone())
                .map(|id| async move { target.items_of(&id).await })
                .buffer_unordered(IN_FLIGHT)
                .try_collect()
                .await?;
            messages.iter().map(|items| Page::of(person, items)).collect()
        } else {
            bar.set_position(0);
            futures::stream::iter(0..SEGMENTS)
                .map(|segment| segment_of(target, person, segment, bar))
                .buffer_unordered(SEGMENTS.unsigned_abs() as usize)
                .try_collect()
                .await?
        };
        let mut is_new = false;
        for page in pages {
            traces.extend(page.traces);
            is_new |= person.add_ids(page.ids)?;
            if !options.exact {
                is_new |= person.add_linked(page.people);
            }
        }
        if !is_new {
            break;
        }
    }
    Ok(traces)
}

/// Ids of the messages to or from a person. An index may contain only keys.
async fn by_recipient(
    target: &Target,
    recipient: String,
) -> Result<BTreeSet<String>, SdkError<QueryError, HttpResponse>> {
    let query = target.aws.dynamodb.query();
    let entries: Vec<Item> = query
        .table_name(&target.storage.events_table)
        .index_name(RECIPIENT_INDEX)
        .key_condition_expression("#key = :number")
        .projection_expression("#id")
        .expression_attribute_names("#key", item::RECIPIENT)
        .expression_attribute_names("#id", item::MESSAGE_ID)
        .expression_attribute_values(":number", AttributeValue::S(recipient))
        .into_paginator()
        .items()
        .send()
        .collect::<Result<_, _>>()
        .await?;
    let ids = entries
        .iter()
        .filter_map(|entry| entry.get(item::MESSAGE_ID)?.as_s().ok());
    Ok(ids.cloned().collect())
}

/// The person's items in one segment of the table.
async fn segment_of(
    target: &Target,
    person: &Person,
    segment: i32,
    bar: &ProgressBar,
) -> anyhow::Result<Page> {
    let mut found = Page::default();
    let mut pages = target
        .aws
        .dynamodb
        .scan()
        .table_name(&target.storage.events_table)
        .segment(segment)
        .total_segments(SEGMENTS)
        .consistent_read(true)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let items = page
            .context("the events table does not answer")?
            .items
            .unwrap_or_default();
        bar.inc(items.len() as u64);
        for item in &items {
            found.add(person, item);
        }
    }
    Ok(found)
}

/// Approximate number of events in the table.
pub(super) async fn size(target: &Target) -> u64 {
    let described = target
        .aws
        .dynamodb
        .describe_table()
        .table_name(&target.storage.events_table)
        .send()
        .await;
    let count = described.ok().and_then(|d| d.table?.item_count);
    count
        .and_then(|count| u64::try_from(count).ok())
        .unwrap_or_default()
}
