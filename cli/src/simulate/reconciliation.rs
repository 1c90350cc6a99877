//! Reconciliation: reads every message from the table. Each sent event must be stored exactly once
//! with the sent content, and the message must have no other events.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, TryStreamExt as _};
use webhook_ingest::{
    event::EpochMillis,
    events_table::item::{self, Arrival, Item},
    provider,
};

use super::event::SimulatedEvent;
use crate::target::Target;

/// Concurrent queries.
const IN_FLIGHT: usize = 32;

/// Result of the reconciliation.
#[derive(Debug, Default)]
pub struct Reconciliation {
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
struct MessageResult {
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
    events: &[SimulatedEvent],
    began: EpochMillis,
    timeout: Duration,
    read: impl Fn(usize),
) -> anyhow::Result<Reconciliation> {
    let mut messages: BTreeMap<&str, Vec<&SimulatedEvent>> = BTreeMap::new();
    for event in events {
        messages.entry(&event.message_id).or_default().push(event);
    }
    let until = Instant::now() + timeout;
    let mut found = Reconciliation {
        messages: messages.len(),
        ..Reconciliation::default()
    };
    let mut open: Vec<(&str, Vec<&SimulatedEvent>)> = messages.into_iter().collect();
    loop {
        let parts: Vec<MessageResult> = futures::stream::iter(&open)
            .map(|(id, events)| async {
                Ok::<_, anyhow::Error>(compare(events, target.items_of(id).await?, began))
            })
            .buffered(IN_FLIGHT)
            .try_collect()
            .await?;
        let last = Instant::now() >= until;
        let mut again = Vec::new();
        for ((id, events), part) in open.into_iter().zip(parts) {
            if !part.missing.is_empty() && !last {
                again.push((id, events));
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

/// Compares the sent events of one message with its items.
fn compare(events: &[&SimulatedEvent], mut items: Vec<Item>, began: EpochMillis) -> MessageResult {
    let mut part = MessageResult::default();
    let mut unmatched = Vec::new();
    for event in events {
        match items
            .iter()
            .position(|item| is_same_event(item, event) && has_same_content(item, event))
        {
            Some(index) => {
                let item = items.swap_remove(index);
                part.events += 1;
                part.late += usize::from(item.contains_key(item::LATE));
                let arrived = item::number_at(&item, item::RECEIVED_AT);
                part.before += usize::from(arrived.is_some_and(|at| at < began));
            }
            None => unmatched.push(*event),
        }
    }
    for event in unmatched {
        match items.iter().position(|item| is_same_event(item, event)) {
            Some(index) => {
                items.swap_remove(index);
                part.wrong
                    .push(format!("{}: stored, but not as it was sent", name(event)));
            }
            None => part.missing.push(format!("{}: not stored", name(event))),
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
fn is_same_event(item: &Item, event: &SimulatedEvent) -> bool {
    let text = |name: &str| item.get(name).and_then(|v| v.as_s().ok()).map(String::as_str);
    text(item::CHANNEL) == Some(event.channel)
        && text(item::STATUS) == Some(event.status)
        && item::number_at(item, item::EVENT_TIME) == Some(event.at)
}

/// Whether an item contains exactly the content of the provider's record.
fn has_same_content(item: &Item, event: &SimulatedEvent) -> bool {
    let recipient = item.get(item::RECIPIENT).and_then(|v| v.as_s().ok());
    let rebuilt = item::event(item).map(|event| provider::rebuild(&event));
    recipient == Some(&event.recipient)
        && rebuilt.as_ref() == event.record.as_object()
        && expected_item(event).is_some_and(|expected| {
            names(&expected) == names(item) && item::differences(&expected, item).is_empty()
        })
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
fn expected_item(event: &SimulatedEvent) -> Option<Item> {
    let formats = receivers::receiver(event.function)?.formats;
    let around = event.format.around(&event.record);
    let parsed = provider::read_within(formats, &event.record.to_string(), around).ok()?;
    let arrival = Arrival {
        stored_at: None,
        at: event.at,
        retention_days: 0,
        late_after_hours: 1,
    };
    item::build(parsed, arrival).ok().map(Item::from)
}

fn name(event: &SimulatedEvent) -> String {
    format!(
        "{} {} {} of {}",
        event.message_id,
        event.channel,
        event.status,
        jiff::Timestamp::from_millisecond(event.at).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    )
}
