//! Reconciliation: reads every message from the table. Each sent event must be stored exactly once
//! with the sent content, and the message must have no other events.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use aws_sdk_dynamodb::types::AttributeValue;
use futures::{StreamExt as _, TryStreamExt as _};
use webhook_ingest::{
    event::EpochMillis,
    events_table::item::{self, Arrival, Item},
    provider,
};

use super::happening::Happening;
use crate::place::Target;

/// Concurrent queries.
const IN_FLIGHT: usize = 32;

/// Result of the reconciliation.
#[derive(Debug, Default)]
pub struct Found {
    /// Message ids that were read.
    pub messages: usize,
    /// Events that are stored as expected.
    pub events: usize,
    /// Number of these events that are marked late.
    pub late: usize,
    /// Number of these events that were stored before the simulation started.
    pub before: usize,
    /// Differences, one line each.
    pub differences: Vec<String>,
}

/// Result for one message.
#[derive(Default)]
struct Part {
    events: usize,
    late: usize,
    before: usize,
    missing: Vec<String>,
    wrong: Vec<String>,
}

/// Reads every message. Messages with missing events are read again until `timeout`.
///
/// # Errors
/// If the table does not answer.
pub(super) async fn reconcile(
    target: &Target,
    told: &[Happening],
    began: EpochMillis,
    timeout: Duration,
    read: impl Fn(usize),
) -> anyhow::Result<Found> {
    let mut messages: BTreeMap<&str, Vec<&Happening>> = BTreeMap::new();
    for happening in told {
        messages.entry(&happening.message_id).or_default().push(happening);
    }
    let until = Instant::now() + timeout;
    let mut found = Found {
        messages: messages.len(),
        ..Found::default()
    };
    let mut open: Vec<(&str, Vec<&Happening>)> = messages.into_iter().collect();
    loop {
        let parts: Vec<Part> = futures::stream::iter(&open)
            .map(|(id, told)| async { Ok::<_, anyhow::Error>(part(told, stored(target, id).await?, began)) })
            .buffered(IN_FLIGHT)
            .try_collect()
            .await?;
        let last = Instant::now() >= until;
        let mut again = Vec::new();
        for ((id, told), part) in open.into_iter().zip(parts) {
            if !part.missing.is_empty() && !last {
                again.push((id, told));
                continue;
            }
            found.events += part.events;
            found.late += part.late;
            found.before += part.before;
            found.differences.extend(part.missing);
            found.differences.extend(part.wrong);
            read(1);
        }
        if again.is_empty() {
            return Ok(found);
        }
        open = again;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn stored(target: &Target, id: &str) -> anyhow::Result<Vec<Item>> {
    target
        .aws
        .dynamodb
        .query()
        .table_name(&target.storage.events_table)
        .key_condition_expression("#key = :id")
        .expression_attribute_names("#key", item::MESSAGE_ID)
        .expression_attribute_values(":id", AttributeValue::S(id.to_owned()))
        .consistent_read(true)
        .into_paginator()
        .items()
        .send()
        .collect::<Result<_, _>>()
        .await
        .context("the events table does not answer")
}

/// Compares the sent events of one message with its items.
fn part(told: &[&Happening], mut items: Vec<Item>, began: EpochMillis) -> Part {
    let mut part = Part::default();
    let mut unmatched = Vec::new();
    for happening in told {
        match items
            .iter()
            .position(|item| is(item, happening) && says(item, happening))
        {
            Some(place) => {
                let item = items.swap_remove(place);
                part.events += 1;
                part.late += usize::from(item.contains_key(item::LATE));
                let arrived = item::number_at(&item, item::RECEIVED_AT);
                part.before += usize::from(arrived.is_some_and(|at| at < began));
            }
            None => unmatched.push(*happening),
        }
    }
    for happening in unmatched {
        match items.iter().position(|item| is(item, happening)) {
            Some(place) => {
                items.swap_remove(place);
                part.wrong
                    .push(format!("{}: stored, but not as it was sent", name(happening)));
            }
            None => part.missing.push(format!("{}: not stored", name(happening))),
        }
    }
    part.wrong.extend(items.iter().map(|item| {
        let text = |name: &str| {
            item.get(name)
                .and_then(|v| v.as_s().ok())
                .map_or("?", String::as_str)
        };
        format!(
            "{} {}: stored, but never sent",
            text(item::MESSAGE_ID),
            text(item::STATUS_KEY)
        )
    }));
    part
}

/// Whether channel, status and time of an item are those of the event.
fn is(item: &Item, happening: &Happening) -> bool {
    let text = |name: &str| item.get(name).and_then(|v| v.as_s().ok()).map(String::as_str);
    text(item::CHANNEL) == Some(happening.channel)
        && text(item::STATUS) == Some(happening.status)
        && item::number_at(item, item::EVENT_TIME) == Some(happening.at)
}

/// Whether an item contains exactly the content of the provider's record.
fn says(item: &Item, happening: &Happening) -> bool {
    let recipient = item.get(item::RECIPIENT).and_then(|v| v.as_s().ok());
    let rebuilt = item::event(item).map(|event| provider::rebuild(&event));
    recipient == Some(&happening.recipient)
        && rebuilt.as_ref() == happening.record.as_object()
        && made(happening)
            .is_some_and(|made| names(&made) == names(item) && item::differences(&made, item).is_empty())
}

/// Names of an item's attributes that do not depend on the time of arrival.
fn names(item: &Item) -> BTreeSet<&str> {
    let of_arrival = [item::RECEIVED_AT, item::LATE, item::EXPIRES_AT];
    item.keys()
        .map(String::as_str)
        .filter(|name| !of_arrival.contains(name))
        .collect()
}

/// The item that the receivers' code builds from a record.
fn made(happening: &Happening) -> Option<Item> {
    let formats = receivers::receiver(happening.function)?.formats;
    let event = provider::read(formats, &happening.record.to_string()).ok()?;
    let arrival = Arrival {
        at: happening.at,
        retention_days: 0,
        late_after_hours: 1,
    };
    item::build(event, arrival).ok().map(Item::from)
}

fn name(happening: &Happening) -> String {
    format!(
        "{} {} {} of {}",
        happening.message_id,
        happening.channel,
        happening.status,
        jiff::Timestamp::from_millisecond(happening.at).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    )
}
