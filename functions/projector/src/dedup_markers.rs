//! Markers of counted events. Each event adds eight bytes to an item whose key depends only on the event's
//! arrival and digest, so that every projector looks for it in the same item.
//!
//! The markers of a minute are in one item. An item that is full is closed permanently. Later markers go into
//! the items below it: first one for ten seconds, then one for each second, one for each sixteenth of it, and 16
//! by a hex digit of the marker, which are closed in the same way. A marker is searched along this path. The update that adds a marker fails if the marker
//! exists or if the item was closed in the meantime.
//!
//! If one batch has more markers for an item than a condition can name, it closes the item and uses the items
//! below it. Concurrent projectors then fail only if they count the same event.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use aws_sdk_dynamodb::{
    Client,
    primitives::Blob,
    types::{AttributeValue, TransactWriteItem},
};
use tokio::time::Instant;
use webhook_ingest::{
    counters::{self, EXPIRES_AT, NO_PERIOD, PERIOD, SERIES, VERSION, markers},
    event::EpochMillis,
    events_table::item::{Item, number_at},
    operations::clients,
};

use crate::{
    chunk::{transact, update},
    counter_delta::Identity,
    items,
};

/// In an item of markers: the markers (BS).
const SEEN: &str = "seen";
/// In an item of markers: whether it is closed, with later markers below it (BOOL).
const CLOSED: &str = "closed";
/// An item with this many markers is closed. It takes at most four write units, or eight in a transaction. It
/// has more markers only if several projectors filled it at the same moment.
pub(crate) const MAX_MARKERS: usize = 512;
/// The level of the item of a second. An earlier version began there, so the levels down to it are always read.
const SECOND: usize = 2;
/// The level of the item of a sixteenth of a second.
const SIXTEENTH: usize = 3;
/// For this many events, the items down to [`SIXTEENTH`] are read with one call: their second is probably busy.
const MANY: usize = 200;
/// The last level. Markers have 16 hex digits; the first nine are enough for any number of events.
const MAX_LEVEL: usize = 12;
/// The most markers that an update's condition looks for. With more markers, which only a rebuild adds, the
/// update fails if any marker was added in the meantime. An expression can have 300 operators:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
const MAX_CONDITIONS: usize = 120;
/// How long markers live. A stream keeps its records for 24 hours, so no record is delivered
/// again later.
const LIVE_SECONDS: i64 = 3 * 86_400;
/// A closed item that expires within this time is renewed: it must outlive the items below it.
const RENEWED_SECONDS: i64 = 2 * 86_400;

/// The items of markers along the paths of some events.
#[derive(Default)]
pub(crate) struct Paths {
    nodes: HashMap<String, Node>,
}

#[derive(Default)]
struct Node {
    version: Option<String>,
    seen: HashSet<Vec<u8>>,
    is_closed: bool,
    /// Whether this batch closes the item.
    closes: bool,
    expires_at: i64,
}

impl Node {
    /// Whether markers go into the items below.
    fn has_items_below(&self) -> bool {
        self.is_closed || self.closes
    }
}

/// Markers to add, by the partition key of their items.
pub(crate) type NewMarkers = BTreeMap<String, BTreeSet<[u8; 8]>>;

impl Paths {
    /// Reads the paths of events until a deadline.
    ///
    /// # Errors
    /// Why the table did not answer in time.
    pub(crate) async fn read(
        client: &Client,
        table: &str,
        generation: &str,
        events: impl IntoIterator<Item = &Identity>,
        until: Instant,
    ) -> Result<Self, String> {
        let mut paths = Self::default();
        let mut below: Vec<&Identity> = events.into_iter().collect();
        let mut levels = 0..=if below.len() < MANY { SECOND } else { SIXTEENTH };
        while !below.is_empty() && *levels.end() <= MAX_LEVEL {
            let key = |event: &Identity, level| markers(generation, event.received_at, event.marker, level);
            let wanted: BTreeSet<String> = below
                .iter()
                .flat_map(|event| levels.clone().map(move |level| key(event, level)))
                .collect();
            let wanted: Vec<String> = wanted.into_iter().collect();
            for batch in wanted.chunks(items::MAX_READ) {
                let key = |series: &String| counters::key_of(series.clone(), NO_PERIOD.to_owned());
                let keys = batch.iter().map(key).collect();
                let items = items::read(client, table, keys, until).await?;
                paths.nodes.extend(items.iter().filter_map(node));
            }
            let last = *levels.end();
            below.retain(|event| {
                let node = paths.nodes.get(&key(event, last));
                node.is_some_and(|node| node.is_closed)
            });
            levels = last + 1..=last + 1;
        }
        Ok(paths)
    }

    /// Closes items to which these events would add more markers than a condition can name.
    pub(crate) fn close_busy(&mut self, generation: &str, events: &[&Identity]) {
        for _ in 0..MAX_LEVEL {
            let mut markers: HashMap<String, usize> = HashMap::new();
            for event in events {
                if let Some(key) = self.item_for(generation, event) {
                    *markers.entry(key).or_default() += 1;
                }
            }
            let busy: Vec<String> = markers
                .into_iter()
                .filter_map(|(key, markers)| (markers > MAX_CONDITIONS).then_some(key))
                .collect();
            if busy.is_empty() {
                break;
            }
            for key in busy {
                self.nodes.entry(key).or_default().closes = true;
            }
        }
    }

    /// The keys of the items that this batch closes.
    pub(crate) fn closing(&self) -> impl Iterator<Item = &String> {
        self.nodes
            .iter()
            .filter(|(_, node)| node.closes)
            .map(|(key, _)| key)
    }

    /// The item for an event's marker; `None` if the event was counted already.
    pub(crate) fn item_for(&self, generation: &str, event: &Identity) -> Option<String> {
        let mut item = None;
        for level in 0..=MAX_LEVEL {
            let key = markers(generation, event.received_at, event.marker, level);
            let node = self.nodes.get(&key);
            if node.is_some_and(|node| node.seen.contains(event.marker.as_slice())) {
                return None;
            }
            let has_items_below = node.is_some_and(Node::has_items_below);
            if item.is_none() && (!has_items_below || level == MAX_LEVEL) {
                item = Some(key);
            }
            if level >= SECOND && !has_items_below {
                break;
            }
        }
        item
    }

    /// The updates that add markers and close items. They fail if a marker exists or an item is closed.
    pub(crate) fn updates(&self, table: &str, fresh: NewMarkers, now: EpochMillis) -> Vec<TransactWriteItem> {
        let added = fresh.into_iter().map(|(key, markers)| {
            let node = self.nodes.get(&key);
            update_for(table, key, markers, node, now)
        });
        let closed = self.nodes.iter().filter(|(_, node)| node.closes);
        let closed =
            closed.map(|(key, node)| update_for(table, key.clone(), BTreeSet::new(), Some(node), now));
        added.chain(closed).filter_map(transact).collect()
    }

    /// Renews closed items that expire soon.
    ///
    /// # Errors
    /// Why the table did not accept an update.
    pub(crate) async fn renew(&self, client: &Client, table: &str, now: EpochMillis) -> Result<(), String> {
        for (key, node) in &self.nodes {
            if node.is_closed && node.expires_at < now / 1000 + RENEWED_SECONDS {
                client
                    .update_item()
                    .table_name(table)
                    .key(SERIES, AttributeValue::S(key.clone()))
                    .key(PERIOD, AttributeValue::S(NO_PERIOD.to_owned()))
                    .update_expression("SET #expires = :expires")
                    // The item may have expired since it was read. A new item must not look open.
                    .condition_expression("attribute_exists(#closed)")
                    .expression_attribute_names("#closed", CLOSED)
                    .expression_attribute_names("#expires", EXPIRES_AT)
                    .expression_attribute_values(":expires", expires(now))
                    .send()
                    .await
                    .map_err(|e| clients::failure(&e).to_owned())?;
            }
        }
        Ok(())
    }
}

fn expires(now: EpochMillis) -> AttributeValue {
    AttributeValue::N((now / 1000 + LIVE_SECONDS).to_string())
}

fn update_for(
    table: &str,
    key: String,
    markers: BTreeSet<[u8; 8]>,
    node: Option<&Node>,
    now: EpochMillis,
) -> aws_sdk_dynamodb::types::builders::UpdateBuilder {
    let held = node.map_or(0, |node| node.seen.len());
    let closes = held + markers.len() >= MAX_MARKERS || node.is_some_and(|node| node.closes);
    let mut update = update(table, (key, NO_PERIOD.to_owned()))
        .expression_attribute_names("#version", VERSION)
        .expression_attribute_names("#expires", EXPIRES_AT)
        .expression_attribute_names("#closed", CLOSED)
        .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
        .expression_attribute_values(":expires", expires(now));
    let mut set = "SET #expires = :expires".to_owned();
    if closes {
        set.push_str(", #closed = :closed");
        update = update.expression_attribute_values(":closed", AttributeValue::Bool(true));
    }
    set.push_str(" ADD #version :one");
    let mut condition = "attribute_not_exists(#closed)".to_owned();
    if !markers.is_empty() && markers.len() <= MAX_CONDITIONS {
        let there: Vec<String> = (0..markers.len())
            .map(|index| format!("contains(#seen,:{index})"))
            .collect();
        condition += &[" AND NOT (", &there.join(" OR "), ")"].concat();
        for (index, marker) in markers.iter().enumerate() {
            update = update
                .expression_attribute_values(format!(":{index}"), AttributeValue::B(Blob::new(*marker)));
        }
    } else if let Some(read) = node.and_then(|node| node.version.clone()) {
        condition.push_str(" AND #version = :read");
        update = update.expression_attribute_values(":read", AttributeValue::N(read));
    } else {
        condition.push_str(" AND attribute_not_exists(#version)");
    }
    if !markers.is_empty() {
        set.push_str(", #seen :markers");
        let markers = markers.into_iter().map(Blob::new).collect();
        update = update
            .expression_attribute_names("#seen", SEEN)
            .expression_attribute_values(":markers", AttributeValue::Bs(markers));
    }
    update.update_expression(set).condition_expression(condition)
}

fn node(item: &Item) -> Option<(String, Node)> {
    let series = item.get(SERIES)?.as_s().ok()?.clone();
    let seen = item.get(SEEN).and_then(|v| v.as_bs().ok());
    let node = Node {
        version: item.get(VERSION).and_then(|v| v.as_n().ok()).cloned(),
        seen: seen
            .into_iter()
            .flatten()
            .map(|marker| marker.as_ref().to_vec())
            .collect(),
        is_closed: item.contains_key(CLOSED),
        closes: false,
        expires_at: number_at(item, EXPIRES_AT).unwrap_or_default(),
    };
    Some((series, node))
}
