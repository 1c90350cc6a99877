//! The writes of a rebuild: events are marked without being counted, and sums are added in as few transactions as
//! possible. Each transaction has a token, so it can be repeated if its response was lost.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_dynamodb::types::TransactWriteItem;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::Instant;
use webhook_ingest::{counters::REBUILD_SLOT, event::time, operations::backoff::Backoff};

use super::{CommitError, Rollups};
use crate::{
    chunk::Counts,
    counter_delta::{Identity, Subject},
    dedup_markers::{MAX_MARKERS, NewMarkers, Paths},
    names::Entry,
    subjects::Subjects,
};

/// The most items of markers that a transaction writes, which is DynamoDB's limit.
const CLAIMS: usize = 100;
/// The number of subjects whose names are registered together.
const AT_ONCE: usize = 1_000;
/// The most items of counts that are held before they are written, some 50 MB.
const MAX_ITEMS: usize = 50_000;
/// The most concurrent transactions.
const IN_FLIGHT: usize = 8;

/// The first pending events: those of [`CLAIMS`] seconds, the most that one transaction can mark.
fn window<'e>(events: &'e [Identity], pending: &[usize]) -> Vec<(usize, &'e Identity)> {
    let mut seconds = BTreeSet::new();
    let pending = pending
        .iter()
        .filter_map(|index| Some((*index, events.get(*index)?)));
    pending
        .take(CLAIMS * MAX_MARKERS)
        .take_while(|(_, event)| {
            seconds.insert(event.second());
            seconds.len() <= CLAIMS
        })
        .collect()
}

impl Rollups {
    /// Marks events, ordered by second, in a generation that is not read yet, without counting them. Returns
    /// the events that were not marked before; the caller counts those.
    pub(crate) async fn claim(
        &self,
        generation: &str,
        events: &[Identity],
        patience: Duration,
    ) -> Result<Vec<bool>, String> {
        let until = Instant::now() + patience;
        let mut claimed = vec![false; events.len()];
        let mut backoff = Backoff::until(until);
        let mut pending: Vec<usize> = (0..events.len()).collect();
        while !pending.is_empty() {
            let now = time::now();
            let some = window(events, &pending);
            let paths = Paths::read(
                &self.client,
                &self.table,
                generation,
                some.iter().map(|(_, event)| *event),
                until,
            )
            .await?;
            let mut fresh = NewMarkers::new();
            let mut taken = Vec::new();
            // Events whose item does not fit this transaction.
            let mut later = Vec::new();
            for (index, event) in &some {
                let Some(item) = paths.item_for(generation, event) else {
                    continue;
                };
                let has_room = match fresh.get(&item) {
                    Some(markers) => markers.len() < MAX_MARKERS,
                    None => fresh.len() < CLAIMS,
                };
                if !has_room {
                    later.push(*index);
                } else if fresh.entry(item).or_default().insert(event.marker) {
                    taken.push(*index);
                }
            }
            if !fresh.is_empty() {
                paths.renew(&self.client, &self.table, now).await?;
                let updates = paths.updates(&self.table, fresh, now);
                match self.commit_once(updates, until).await {
                    Ok(()) => {}
                    Err(error @ (CommitError::Conflict | CommitError::Cancelled(_))) => {
                        backoff.pause(error.to_string()).await?;
                        continue;
                    }
                    Err(error) => return Err(error.to_string()),
                }
            }
            for index in taken {
                if let Some(claimed) = claimed.get_mut(index) {
                    *claimed = true;
                }
            }
            pending.splice(..some.len(), later);
        }
        Ok(claimed)
    }

    /// Adds counts that no stream will deliver again. A failed write is not repeated in the same generation,
    /// since it is unknown which part of it was added.
    pub(crate) async fn add(
        &self,
        generation: &str,
        subjects: Subjects,
        patience: Duration,
    ) -> Result<(), String> {
        // The most frequent subjects first, so that their names are registered.
        let mut of_days = subjects.of_days();
        while let Some(some) = some_of(&mut of_days) {
            self.entries(generation, &some, patience).await?;
        }
        drop(of_days);
        let mut subjects = subjects.into_ordered();
        let mut counts = Counts::new(REBUILD_SLOT);
        while let Some(some) = some_of(&mut subjects) {
            let (some, sums): (Vec<Subject>, Vec<i64>) = some.into_iter().unzip();
            let entries = self.entries(generation, &some, patience).await?;
            for (entry, count) in entries.iter().zip(sums) {
                counts.add(generation, entry, count);
            }
            if counts.len() > MAX_ITEMS {
                self.write(
                    std::mem::replace(&mut counts, Counts::new(REBUILD_SLOT)),
                    patience,
                )
                .await?;
            }
        }
        self.write(counts, patience).await
    }

    /// The entries of subjects, whose names are registered.
    async fn entries(
        &self,
        generation: &str,
        subjects: &[Subject],
        patience: Duration,
    ) -> Result<Vec<Entry>, String> {
        let subjects: Vec<&Subject> = subjects.iter().collect();
        let until = Instant::now() + patience;
        let (entries, _) = self.names.register(generation, &subjects, until).await?;
        Ok(entries)
    }

    async fn write(&self, counts: Counts, patience: Duration) -> Result<(), String> {
        let parts = counts.parts();
        let writes: Vec<_> = parts.iter().map(|part| self.write_part(part, patience)).collect();
        stream::iter(writes)
            .buffer_unordered(IN_FLIGHT)
            .try_collect::<()>()
            .await
    }

    async fn write_part(&self, part: &Counts, patience: Duration) -> Result<(), String> {
        let until = Instant::now() + patience;
        let mut backoff = Backoff::until(until);
        let now = time::now();
        loop {
            match self.commit_once(part.updates(&self.table, now), until).await {
                Ok(()) => return Ok(()),
                Err(error @ (CommitError::Conflict | CommitError::Cancelled(_))) => {
                    backoff.pause(error.to_string()).await?;
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Repeats a transaction with one token until it is known whether DynamoDB executed it. Responses may be
    /// lost; DynamoDB executes a token once:
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-apis-txwriteitems-idempotency>
    async fn commit_once(&self, updates: Vec<TransactWriteItem>, until: Instant) -> Result<(), CommitError> {
        let name = token();
        let mut backoff = Backoff::until(until);
        loop {
            match self.commit(updates.clone(), Some(name.clone())).await {
                Ok(_) => return Ok(()),
                Err(unknown @ CommitError::Unknown(_)) => backoff.pause(unknown).await?,
                Err(failed) => return Err(failed),
            }
        }
    }
}

/// The next subjects that are held at once; `None` at the end.
fn some_of<T>(subjects: &mut impl Iterator<Item = T>) -> Option<Vec<T>> {
    let some: Vec<T> = subjects.take(AT_ONCE).collect();
    (!some.is_empty()).then_some(some)
}

/// A unique token for a transaction.
fn token() -> String {
    let half = || getrandom::u64().unwrap_or_default();
    format!("{:016x}{:016x}", half(), half())
}
