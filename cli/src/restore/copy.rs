//! Copies the missing items of the source, segment by segment and page by page.
//!
//! A page is first compared with the target by eventually consistent reads, which cost a tenth of a put for each item
//! that is there. Only a put decides: its condition fails if the item was written meanwhile.

use std::collections::HashMap;

use anyhow::{Context as _, bail};
use aws_sdk_dynamodb::{
    error::SdkError, operation::put_item::PutItemError, types::ReturnValuesOnConditionCheckFailure,
};
use futures::{StreamExt as _, TryStreamExt as _};
use indicatif::ProgressBar;
use webhook_ingest::{
    event::time,
    events_table::{
        item::{EXPIRES_AT, Item, MESSAGE_ID, RECEIVED_AT, number_at, size},
        read::{EventKey, event_key, key_attributes},
        rejected,
    },
    operations::dynamodb::{self, Unstorable},
};

use super::{
    not_copied::{NotCopied, Reason},
    pace::{Pace, Persistent, Tries},
    people::{Erased, FoundPeople, People},
    report::Counts,
    state::{Position, SEGMENTS, State},
};

/// Items of a page of the source, which has at most 1 MB. An interrupted run repeats a page of each segment.
const PAGE_ITEMS: i32 = 100;
/// Keys of a `BatchGetItem`, its maximum.
const KEYS: usize = 100;
/// Concurrent puts of a segment.
const PUTS: usize = 8;

/// Copies a table.
pub(super) struct Copier {
    /// The table that is read.
    pub(super) source: Persistent,
    /// The table that is written to.
    pub(super) target: Persistent,
    pub(super) pace: Pace,
    pub(super) not_copied: NotCopied,
    pub(super) bar: ProgressBar,
}

/// What a put did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Put {
    Written,
    /// The item is there, with the same attributes or with others.
    Exists {
        is_same: bool,
    },
    Refused(Unstorable),
}

impl Copier {
    /// Finds the erased people in the source, and the ids of their messages. Without a list of erased people,
    /// nothing is read.
    ///
    /// # Errors
    /// If the source does not answer.
    pub(super) async fn find_people(&self, erased: &Erased) -> anyhow::Result<People> {
        if erased.is_empty() {
            return People::new(erased, Vec::new());
        }
        self.bar.set_prefix("looking for erased people");
        let found: Vec<FoundPeople> = futures::stream::iter(0..SEGMENTS)
            .map(|segment| async move {
                let mut found = FoundPeople::default();
                let mut position = Position::default();
                while !position.is_done {
                    let (items, next) = self.page(segment, &position).await?;
                    self.bar.inc(items.len() as u64);
                    for item in &items {
                        found.add(erased, item)?;
                    }
                    position = next;
                }
                anyhow::Ok(found)
            })
            .buffer_unordered(usize::from(SEGMENTS))
            .try_collect()
            .await?;
        self.bar.set_position(0);
        People::new(erased, found)
    }

    /// Copies all segments that are not done.
    ///
    /// # Errors
    /// If a table does not answer, or refuses items for a reason that is not the item's.
    pub(super) async fn copy(&self, people: &People, state: &State) -> anyhow::Result<()> {
        self.bar.set_prefix("copying");
        let copied = futures::stream::iter(0..SEGMENTS)
            .map(|segment| self.segment(segment, people, state))
            .buffer_unordered(usize::from(SEGMENTS))
            .try_collect::<()>()
            .await;
        // Also after an error: the state then has the counts until here.
        state.announce([])?;
        copied
    }

    async fn segment(&self, segment: u16, people: &People, state: &State) -> anyhow::Result<()> {
        let mut position = state.position(segment);
        while !position.is_done {
            let (items, next) = self.page(segment, &position).await?;
            self.bar.inc(items.len() as u64);
            let mut counts = Counts {
                read: items.len() as u64,
                ..Counts::default()
            };
            let missing = self.missing(items, people, &mut counts).await?;
            state.announce(missing.iter().filter_map(|item| number_at(item, RECEIVED_AT)))?;
            let mut puts = futures::stream::iter(&missing)
                .map(|item| async move { (item, self.put(item).await) })
                .buffer_unordered(PUTS);
            while let Some((item, put)) = puts.next().await {
                match put? {
                    Put::Written => {
                        counts.written += 1;
                        counts.write_units += u64::from(units(item));
                    }
                    Put::Exists { is_same } => self.exists(item, is_same, &mut counts)?,
                    Put::Refused(why) => {
                        *counts.refused.entry(why.to_string()).or_default() += 1;
                        self.not_copied.write(item, Reason::Refused(why))?;
                    }
                }
            }
            counts.throttled_reads = self.source.take_throttled();
            counts.throttled_writes = self.target.take_throttled();
            counts.unanswered = self.source.take_unanswered() + self.target.take_unanswered();
            state.finish(segment, next.clone(), &counts);
            position = next;
        }
        Ok(())
    }

    /// A page of a segment of the source, and the position after it.
    async fn page(&self, segment: u16, position: &Position) -> anyhow::Result<(Vec<Item>, Position)> {
        let scan = self
            .source
            .client
            .scan()
            .table_name(&self.source.table)
            .consistent_read(true)
            .segment(i32::from(segment))
            .total_segments(i32::from(SEGMENTS))
            .limit(PAGE_ITEMS)
            .set_exclusive_start_key(position.after.as_ref().map(key_attributes));
        let page = self.source.call(|| scan.clone().send()).await?;
        let after = page.last_evaluated_key.as_ref().and_then(event_key);
        let next = Position {
            is_done: after.is_none(),
            after,
        };
        Ok((page.items.unwrap_or_default(), next))
    }

    /// The items of a page to write. Counts the others.
    async fn missing(
        &self,
        items: Vec<Item>,
        people: &People,
        counts: &mut Counts,
    ) -> anyhow::Result<Vec<Item>> {
        let now = time::now() / 1000;
        let mut wanted = HashMap::new();
        for item in items {
            if rejected::is_marker(&item) {
                counts.markers += 1;
            } else if number_at(&item, EXPIRES_AT).is_some_and(|at| at <= now) {
                counts.expired += 1;
            } else if people.leave_out(&item) {
                counts.erased += 1;
            } else {
                let key = event_key(&item).context("an item of the source has no key")?;
                wanted.insert(key, item);
            }
        }
        let keys: Vec<EventKey> = wanted.keys().cloned().collect();
        for keys in keys.chunks(KEYS) {
            for there in self.look(keys).await? {
                if let Some(item) = event_key(&there).and_then(|key| wanted.remove(&key)) {
                    self.exists(&item, item == there, counts)?;
                }
            }
        }
        Ok(wanted.into_values().collect())
    }

    /// The items of the target with these keys.
    async fn look(&self, keys: &[EventKey]) -> anyhow::Result<Vec<Item>> {
        let target = &self.target;
        let mut wanted: Vec<Item> = keys.iter().map(key_attributes).collect();
        let mut found = Vec::new();
        let mut tries = Tries::new();
        loop {
            let look = || dynamodb::batch_look(&target.client, &target.table, wanted.clone());
            let answer = target.call(look).await?;
            found.extend(answer.items);
            wanted = answer.unprocessed;
            if wanted.is_empty() {
                return Ok(found);
            }
            target.unprocessed(&mut tries).await?;
        }
    }

    fn exists(&self, item: &Item, is_same: bool, counts: &mut Counts) -> anyhow::Result<()> {
        counts.already_there += 1;
        if !is_same {
            counts.different += 1;
            self.not_copied.write(item, Reason::Different)?;
        }
        Ok(())
    }

    /// Writes an item if its key is missing.
    async fn put(&self, item: &Item) -> anyhow::Result<Put> {
        let mut tries = Tries::new();
        let put = self
            .target
            .client
            .put_item()
            .table_name(&self.target.table)
            .set_item(Some(item.clone()))
            .condition_expression("attribute_not_exists(#id)")
            .expression_attribute_names("#id", MESSAGE_ID)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        loop {
            self.pace.wait(units(item)).await;
            let Err(error) = put.clone().send().await else {
                return Ok(Put::Written);
            };
            if let SdkError::ServiceError(answer) = &error {
                match answer.err() {
                    PutItemError::ConditionalCheckFailedException(there) => {
                        let is_same = there.item.as_ref() == Some(item);
                        // An earlier try stored it, and its response was lost.
                        let is_own = is_same && tries.is_uncertain;
                        return Ok(if is_own {
                            Put::Written
                        } else {
                            Put::Exists { is_same }
                        });
                    }
                    invalid if dynamodb::is_validation(invalid) => {
                        let Some(why) = Unstorable::of(invalid) else {
                            bail!(
                                "the table {} rejects items: ValidationException; check its indexes",
                                self.target.table
                            );
                        };
                        return Ok(Put::Refused(why));
                    }
                    _ => {}
                }
            }
            self.target.failed(&error, &mut tries).await?;
        }
    }
}

/// The write units of an item: one for each KB that has begun.
fn units(item: &Item) -> u32 {
    u32::try_from(size(item).div_ceil(1024))
        .unwrap_or(u32::MAX)
        .max(1)
}
