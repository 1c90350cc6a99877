//! Writes the [`links`] between the ids of people, and the lookups of the search. An item is read first, which costs a
//! tenth of a write: most links exist already. What this process wrote or read lately is not even read again. New items
//! are inserted 25 at a time, because each call takes CPU.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use aws_sdk_dynamodb::{
    Client, error::SdkError, operation::update_item::UpdateItemError, types::AttributeValue,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::{Instant, timeout_at};
use webhook_ingest::{
    counters::{EXPIRES_AT, PERIOD, SERIES},
    links::{self, IDS, LinkKey, Linked, Links},
    operations::{
        backoff::Backoff,
        clients,
        dynamodb::{self, MAX_STATEMENTS},
    },
};

/// How much longer than the event a link lives, in seconds. So a person's links are written once a week, and not
/// with every event, which expires a little later than the one before.
const SLACK: i64 = 7 * 86_400;
/// The most pairs of a key and an id that a process remembers, some 10 MB.
const MAX_KNOWN: usize = 30_000;
/// Items that a call reads: the limit of `BatchGetItem`.
const READ: usize = 100;
/// The most concurrent calls that read.
const READS: usize = 4;
/// The most concurrent calls that write.
const WRITES: usize = 16;
/// Attempts if other projectors write the same item.
const ATTEMPTS: usize = 5;

/// A key, the ids to link, and the item that was read.
type Wanted = (LinkKey, Linked, Option<Linked>);

/// Writes links. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LinkWriter {
    client: Client,
    table: String,
    /// Whether lookups are written.
    search_index: bool,
    /// Linked ids that exist, each with the time at which its link expires (epoch seconds).
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    links: HashMap<LinkKey, HashMap<String, i64>>,
    /// Number of ids, at most [`MAX_KNOWN`].
    ids: usize,
}

/// Result of writing links.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Written {
    /// Items with the ids of people.
    pub(crate) links: usize,
    /// Items of the search.
    pub(crate) lookups: usize,
}

impl Written {
    /// The number for items of this kind.
    fn of(&mut self, key: &LinkKey) -> &mut usize {
        if key.is_lookup() {
            &mut self.lookups
        } else {
            &mut self.links
        }
    }
}

impl LinkWriter {
    pub(crate) fn new(client: Client, table: String) -> Self {
        Self {
            client,
            table,
            search_index: true,
            known: Arc::default(),
        }
    }

    /// The same writer without lookups.
    pub(crate) fn without_search_index(self) -> Self {
        Self {
            search_index: false,
            ..self
        }
    }

    /// Writes links that do not exist yet: new items with inserts, and those that others wrote meanwhile, or that a call
    /// could not insert, one by one.
    ///
    /// # Errors
    /// The reason, if the table did not accept a link. The others are written; a retry may work.
    pub(crate) async fn write(&self, links: Links, until: Instant) -> Result<Written, String> {
        let unknown: Vec<(LinkKey, Linked)> = links
            .into_map()
            .into_iter()
            .filter(|(key, _)| self.search_index || !key.is_lookup())
            .filter(|(key, linked)| !self.is_known(key, linked))
            .collect();
        let parts: Vec<_> = unknown
            .chunks(READ)
            .map(|part| self.missing(part, until))
            .collect();
        let missing: Vec<Vec<Wanted>> = stream::iter(parts).buffered(READS).try_collect().await?;
        let (new, mut others): (Vec<Wanted>, Vec<Wanted>) = missing
            .into_iter()
            .flatten()
            .partition(|(_, _, current)| current.is_none());
        let mut written = Written::default();
        let mut calls = stream::iter(new)
            .chunks(MAX_STATEMENTS)
            .map(|part| self.insert(part, until))
            .buffer_unordered(WRITES);
        while let Some((inserted, left)) = calls.next().await {
            written.lookups += inserted.lookups;
            written.links += inserted.links;
            others.extend(left);
        }
        let mut failed = None;
        let mut calls = stream::iter(others)
            .map(|(key, wanted, current)| async move {
                let result = timeout_at(until, self.write_one(&key, &wanted, current)).await;
                let result = result.unwrap_or_else(|_| Err("the time of the function is over".to_owned()));
                (key, result)
            })
            .buffer_unordered(WRITES);
        while let Some((key, result)) = calls.next().await {
            match result {
                Ok(is_new) => *written.of(&key) += usize::from(is_new),
                Err(why) => failed = Some(why),
            }
        }
        failed.map_or(Ok(written), Err)
    }

    /// Inserts at most [`MAX_STATEMENTS`] items. Returns what was written, and what was not.
    async fn insert(&self, new: Vec<Wanted>, until: Instant) -> (Written, Vec<Wanted>) {
        let items: Vec<(Wanted, Linked)> = new
            .into_iter()
            .filter_map(|wanted| {
                let (key, linked, _) = &wanted;
                let item = next(key, None, linked)?;
                Some((wanted, item))
            })
            .collect();
        let statements = items
            .iter()
            .filter_map(|((key, ..), item)| dynamodb::insert_statement(&self.table, attributes(key, item)))
            .collect();
        let call = self.client.batch_execute_statement();
        let call = call.set_statements(Some(statements)).send();
        let responses = match timeout_at(until, call).await {
            Ok(Ok(answer)) => answer.responses.unwrap_or_default(),
            // The single writes report it if they fail, too.
            Ok(Err(error)) => {
                tracing::debug!(why = clients::failure(&error), "a call with inserts failed");
                Vec::new()
            }
            Err(_) => Vec::new(),
        };
        let mut responses = responses.into_iter();
        let (mut written, mut left) = (Written::default(), Vec::new());
        for (wanted, item) in items {
            let (key, ..) = &wanted;
            if responses.next().is_some_and(|response| response.error.is_none()) {
                self.remember(key, &item.ids, item.expires_at);
                *written.of(key) += 1;
            } else {
                left.push(wanted);
            }
        }
        (written, left)
    }

    fn is_known(&self, key: &LinkKey, linked: &Linked) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.links.get(key).is_some_and(|known| {
            let mut ids = linked.ids.iter();
            ids.all(|id| known.get(id).is_some_and(|until| *until >= linked.expires_at))
        })
    }

    fn remember(&self, key: &LinkKey, ids: &BTreeSet<String>, until: i64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.ids + ids.len() > MAX_KNOWN {
            *known = Known::default();
        }
        known.ids += ids.len();
        let of_key = known.links.entry(key.clone()).or_default();
        of_key.extend(ids.iter().map(|id| (id.clone(), until)));
    }

    /// Reads the items of some links. Returns the links that they lack.
    async fn missing(&self, links: &[(LinkKey, Linked)], until: Instant) -> Result<Vec<Wanted>, String> {
        let mut keys: Vec<_> = links.iter().map(|(key, _)| key.attributes()).collect();
        let mut current: HashMap<LinkKey, Linked> = HashMap::new();
        let mut backoff = Backoff::until(until);
        while !keys.is_empty() {
            let read = dynamodb::batch_look(&self.client, &self.table, keys);
            let read = timeout_at(until, read)
                .await
                .map_err(|_| "the time of the function is over".to_owned())?
                .map_err(|error| clients::failure(&error).to_owned())?;
            current.extend(read.items.iter().filter_map(links::of_item));
            keys = read.unprocessed;
            if !keys.is_empty() {
                backoff.pause("keys were left unprocessed".to_owned()).await?;
            }
        }
        let mut missing = Vec::new();
        for (key, wanted) in links {
            let current = current.remove(key);
            if next(key, current.as_ref(), wanted).is_some() {
                missing.push((key.clone(), wanted.clone(), current));
            } else {
                let until = current.map_or(wanted.expires_at, |current| current.expires_at);
                self.remember(key, &wanted.ids, until);
            }
        }
        Ok(missing)
    }

    /// Returns whether the item was written.
    async fn write_one(
        &self,
        key: &LinkKey,
        wanted: &Linked,
        mut current: Option<Linked>,
    ) -> Result<bool, String> {
        for _ in 0..ATTEMPTS {
            let Some(next) = next(key, current.as_ref(), wanted) else {
                let until = current.map_or(wanted.expires_at, |current| current.expires_at);
                self.remember(key, &wanted.ids, until);
                return Ok(false);
            };
            if self.replace(key, current.as_ref(), &next).await? {
                self.remember(key, &wanted.ids, next.expires_at);
                return Ok(true);
            }
            current = links::read(&self.client, &self.table, key)
                .await
                .map_err(|error| clients::failure(&error).to_owned())?;
        }
        Err("other processes write the same links".to_owned())
    }

    /// Writes an item unless it changed meanwhile. Returns whether it was written.
    async fn replace(&self, key: &LinkKey, current: Option<&Linked>, next: &Linked) -> Result<bool, String> {
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .expression_attribute_names("#ids", IDS)
            .expression_attribute_names("#expires", EXPIRES_AT)
            .expression_attribute_values(":ids", AttributeValue::Ss(next.ids.iter().cloned().collect()));
        update = if next.expires_at == i64::MAX {
            update.update_expression("SET #ids = :ids REMOVE #expires")
        } else {
            update
                .update_expression("SET #ids = :ids, #expires = :expires")
                .expression_attribute_values(":expires", AttributeValue::N(next.expires_at.to_string()))
        };
        update = match current {
            None => update
                .condition_expression("attribute_not_exists(#series)")
                .expression_attribute_names("#series", SERIES),
            // Ids are only added, or deleted by `erase`: an equal number means equal ids.
            Some(current) => {
                let ids = if current.ids.is_empty() {
                    "attribute_exists(#series) AND attribute_not_exists(#ids)"
                } else {
                    let size = AttributeValue::N(current.ids.len().to_string());
                    update = update.expression_attribute_values(":size", size);
                    "size(#ids) = :size"
                };
                if current.ids.is_empty() {
                    update = update.expression_attribute_names("#series", SERIES);
                }
                if current.expires_at == i64::MAX {
                    update.condition_expression(format!("{ids} AND attribute_not_exists(#expires)"))
                } else {
                    let before = AttributeValue::N(current.expires_at.to_string());
                    update
                        .condition_expression(format!("{ids} AND #expires = :before"))
                        .expression_attribute_values(":before", before)
                }
            }
        };
        match update.send().await {
            Ok(_) => Ok(true),
            Err(error) if changed_meanwhile(&error) => Ok(false),
            Err(error) => Err(clients::failure(&error).to_owned()),
        }
    }
}

/// The attributes of a new item.
fn attributes(key: &LinkKey, item: &Linked) -> Vec<(&'static str, AttributeValue)> {
    let mut attributes = vec![
        (SERIES, AttributeValue::S(key.series.clone())),
        (PERIOD, AttributeValue::S(key.period.clone())),
        (IDS, AttributeValue::Ss(item.ids.iter().cloned().collect())),
    ];
    if item.expires_at != i64::MAX {
        attributes.push((EXPIRES_AT, AttributeValue::N(item.expires_at.to_string())));
    }
    attributes
}

fn changed_meanwhile<R>(error: &SdkError<UpdateItemError, R>) -> bool {
    matches!(
        error.as_service_error(),
        Some(UpdateItemError::ConditionalCheckFailedException(_))
    )
}

/// The item after adding links; `None` if it has them already, or if nothing fits.
fn next(key: &LinkKey, current: Option<&Linked>, wanted: &Linked) -> Option<Linked> {
    let mut next = current.cloned().unwrap_or_default();
    for id in &wanted.ids {
        if !next.ids.contains(id) && key.has_room(&next.ids, id) {
            next.ids.insert(id.clone());
        }
    }
    let has_one = wanted.ids.iter().any(|id| next.ids.contains(id));
    if has_one && next.expires_at < wanted.expires_at {
        next.expires_at = wanted.expires_at.saturating_add(SLACK);
    }
    (has_one && current != Some(&next)).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person() -> LinkKey {
        LinkKey::of_person("919812345678")
    }

    fn linked(ids: impl IntoIterator<Item = usize>, expires_at: i64) -> Linked {
        Linked {
            ids: ids.into_iter().map(|id| format!("{id:03}")).collect(),
            expires_at,
        }
    }

    #[test]
    fn links_are_added_once_and_live_longer_than_their_events() {
        let week = 604_800;
        assert_eq!(
            next(&person(), None, &linked([1], 10)),
            Some(linked([1], 10 + week))
        );
        assert_eq!(
            next(&person(), Some(&linked([1], 10 + week)), &linked([1], 10 + week)),
            None
        );
        assert_eq!(
            next(&person(), Some(&linked([1], 10 + week)), &linked([1], 11 + week)),
            Some(linked([1], 11 + 2 * week))
        );
        assert_eq!(
            next(&person(), Some(&linked([1], 900_000)), &linked([2], 5)),
            Some(linked([1, 2], 900_000))
        );
        assert_eq!(
            next(&person(), Some(&linked([1], 5)), &linked([1], i64::MAX)),
            Some(linked([1], i64::MAX))
        );
        assert_eq!(
            next(&person(), Some(&linked([1], i64::MAX)), &linked([1], 5)),
            None
        );
    }

    #[test]
    fn a_million_ids_of_one_number_change_nothing_beyond_the_limit() {
        let full = linked(0..15, i64::MAX);
        assert_eq!(
            next(&person(), None, &linked(0..1_000_000, i64::MAX))
                .unwrap()
                .ids
                .len(),
            15
        );
        assert_eq!(next(&person(), Some(&full), &linked([500], i64::MAX)), None);
        assert_eq!(next(&person(), Some(&linked(0..15, 5)), &linked([500], 9)), None);
    }

    #[test]
    fn an_item_of_the_search_stays_within_one_write_unit() {
        let mut links = Links::default();
        let text = |text: String| AttributeValue::S(text);
        for index in 0..5_000 {
            links.add(
                &[
                    (
                        "message_id".to_owned(),
                        text(format!("api-337-919812345678-{index:032}-1704876827")),
                    ),
                    (
                        "event_time".to_owned(),
                        AttributeValue::N("1795262400000".to_owned()),
                    ),
                    ("request_id".to_owned(), text("r".repeat(5_000))),
                    (
                        "expires_at".to_owned(),
                        AttributeValue::N("1810814400".to_owned()),
                    ),
                ]
                .into(),
            );
        }
        let mut wanted = links.into_map();
        assert_eq!(wanted.len(), 8);
        let (key, wanted) = wanted.pop_first().unwrap();
        let full = next(&key, None, &wanted).unwrap();
        assert!((8..=12).contains(&full.ids.len()), "{}", full.ids.len());
        let mut item = key.attributes();
        item.insert(
            IDS.to_owned(),
            AttributeValue::Ss(full.ids.iter().cloned().collect()),
        );
        item.insert(
            EXPIRES_AT.to_owned(),
            AttributeValue::N(full.expires_at.to_string()),
        );
        assert!(webhook_ingest::events_table::item::size(&item) <= 1024);
        assert_eq!(next(&key, Some(&full), &wanted), None);
    }
}
