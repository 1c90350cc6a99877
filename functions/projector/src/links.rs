//! Writes the [`links`] between the ids of people. An id is read first, which costs a tenth of a write: most links
//! exist already. What this process wrote or read lately is not even read again.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use aws_sdk_dynamodb::{
    Client, error::SdkError, operation::update_item::UpdateItemError, types::AttributeValue,
};
use futures::{StreamExt as _, stream};
use tokio::time::{Instant, timeout_at};
use webhook_ingest::{
    counters::{EXPIRES_AT, SERIES},
    links::{self, IDS, Linked, Links, MAX_LINKED},
    operations::clients,
};

/// How much longer than the event a link lives, in seconds. So a person's links are written once a week, and not
/// with every event, which expires a little later than the one before.
const SLACK: i64 = 7 * 86_400;
/// The most pairs of ids that a process remembers, some 2 MB.
const MAX_KNOWN: usize = 10_000;
/// The most concurrent calls.
const IN_FLIGHT: usize = 8;
/// Attempts if other projectors write the same item.
const ATTEMPTS: usize = 5;

/// Writes links. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LinkWriter {
    client: Client,
    table: String,
    /// Pairs of linked ids, each with the time at which its link expires (epoch seconds).
    known: Arc<Mutex<HashMap<(String, String), i64>>>,
}

impl LinkWriter {
    pub(crate) fn new(client: Client, table: String) -> Self {
        Self {
            client,
            table,
            known: Arc::default(),
        }
    }

    /// Writes links that do not exist yet. Returns how many items were written.
    ///
    /// # Errors
    /// The reason, if the table did not accept a link. The others are written; a retry may work.
    pub(crate) async fn write(&self, links: Links, until: Instant) -> Result<usize, String> {
        let unknown: Vec<(String, Linked)> = links
            .into_map()
            .into_iter()
            .filter(|(id, linked)| !self.is_known(id, linked))
            .collect();
        let mut written = 0;
        let mut failed = None;
        let mut calls = stream::iter(unknown)
            .map(|(id, linked)| async move {
                let result = timeout_at(until, self.write_one(&id, &linked)).await;
                result.unwrap_or_else(|_| Err("the time of the function is over".to_owned()))
            })
            .buffer_unordered(IN_FLIGHT);
        while let Some(result) = calls.next().await {
            match result {
                Ok(is_new) => written += usize::from(is_new),
                Err(why) => failed = Some(why),
            }
        }
        failed.map_or(Ok(written), Err)
    }

    fn is_known(&self, id: &str, linked: &Linked) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        linked.ids.iter().all(|other| {
            let until = known.get(&(id.to_owned(), other.clone()));
            until.is_some_and(|until| *until >= linked.expires_at)
        })
    }

    fn remember(&self, id: &str, ids: &BTreeSet<String>, until: i64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() + ids.len() > MAX_KNOWN {
            known.clear();
        }
        known.extend(ids.iter().map(|other| ((id.to_owned(), other.clone()), until)));
    }

    /// Returns whether the item was written.
    async fn write_one(&self, id: &str, wanted: &Linked) -> Result<bool, String> {
        for attempt in 0..ATTEMPTS {
            let current = links::read(&self.client, &self.table, id, attempt > 0)
                .await
                .map_err(|error| clients::failure(&error).to_owned())?;
            let Some(next) = next(current.as_ref(), wanted) else {
                let until = current.map_or(wanted.expires_at, |current| current.expires_at);
                self.remember(id, &wanted.ids, until);
                return Ok(false);
            };
            if self.replace(id, current.as_ref(), &next).await? {
                self.remember(id, &wanted.ids, next.expires_at);
                return Ok(true);
            }
        }
        Err("other processes write the links of the same person".to_owned())
    }

    /// Writes an item unless it changed meanwhile. Returns whether it was written.
    async fn replace(&self, id: &str, current: Option<&Linked>, next: &Linked) -> Result<bool, String> {
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(links::key(id)))
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
            // Ids are only added, or the item is deleted: an equal number means equal ids.
            Some(current) => {
                let size = AttributeValue::N(current.ids.len().to_string());
                let update = update.expression_attribute_values(":size", size);
                if current.expires_at == i64::MAX {
                    update.condition_expression("size(#ids) = :size AND attribute_not_exists(#expires)")
                } else {
                    let before = AttributeValue::N(current.expires_at.to_string());
                    update
                        .condition_expression("size(#ids) = :size AND #expires = :before")
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

fn changed_meanwhile<R>(error: &SdkError<UpdateItemError, R>) -> bool {
    matches!(
        error.as_service_error(),
        Some(UpdateItemError::ConditionalCheckFailedException(_))
    )
}

/// The item after adding links; `None` if it has them already, or if nothing fits.
fn next(current: Option<&Linked>, wanted: &Linked) -> Option<Linked> {
    let mut next = current.cloned().unwrap_or_default();
    for id in &wanted.ids {
        if next.ids.len() < MAX_LINKED {
            next.ids.insert(id.clone());
        }
    }
    let has_one = wanted.ids.iter().any(|id| next.ids.contains(id));
    if has_one && next.expires_at < wanted.expires_at {
        next.expires_at = wanted.expires_at.saturating_add(SLACK);
    }
    (current != Some(&next)).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linked(ids: impl IntoIterator<Item = usize>, expires_at: i64) -> Linked {
        Linked {
            ids: ids.into_iter().map(|id| format!("{id:03}")).collect(),
            expires_at,
        }
    }

    #[test]
    fn links_are_added_once_and_live_longer_than_their_events() {
        let week = 604_800;
        assert_eq!(next(None, &linked([1], 10)), Some(linked([1], 10 + week)));
        assert_eq!(next(Some(&linked([1], 10 + week)), &linked([1], 10 + week)), None);
        assert_eq!(
            next(Some(&linked([1], 10 + week)), &linked([1], 11 + week)),
            Some(linked([1], 11 + 2 * week))
        );
        assert_eq!(
            next(Some(&linked([1], 900_000)), &linked([2], 5)),
            Some(linked([1, 2], 900_000))
        );
        assert_eq!(
            next(Some(&linked([1], 5)), &linked([1], i64::MAX)),
            Some(linked([1], i64::MAX))
        );
        assert_eq!(next(Some(&linked([1], i64::MAX)), &linked([1], 5)), None);
    }

    #[test]
    fn a_million_ids_of_one_number_change_nothing_beyond_the_limit() {
        let full = linked(0..15, i64::MAX);
        assert_eq!(next(None, &linked(0..1_000_000, i64::MAX)).unwrap().ids.len(), 15);
        assert_eq!(next(Some(&full), &linked([500], i64::MAX)), None);
        assert_eq!(next(Some(&linked(0..15, 5)), &linked([500], 9)), None);
    }
}
