//! Counts all events of the table again, for `rollups rebuild` and at the end of `restore`, and merges pending counts,
//! for `rollups merge`.

use std::{ops::RangeInclusive, time::Duration};

use anyhow::{Context as _, bail, ensure};
use projector::{
    rebuild::{Extras, Rebuilt, rebuild_for},
    rollups::{Merged, Rollups},
};
use tokio::time::{Instant, sleep};
use webhook_ingest::{
    event::EpochMillis,
    operations::config::{Reader, environment},
};

use crate::{progress, target::Target};

const NO_ANSWER: &str = "the counters' table does not answer";

/// Between two merges.
const PAUSE: Duration = Duration::from_secs(1);
/// How long `merge` tries: longer than the lease of a process that was killed.
const MERGE_TIMEOUT: Duration = Duration::from_mins(3);

/// The tables, and the settings of the count.
pub struct Counting {
    rollups: Rollups,
    events_table: String,
    search_index: bool,
}

fn rollups(target: &Target) -> Rollups {
    Rollups::new(target.aws.dynamodb.clone(), target.rollups_table.clone())
}

impl Counting {
    /// Reads the settings.
    ///
    /// # Errors
    /// If the counters' table is unknown, or `SEARCH_INDEX` is invalid.
    pub fn prepare(target: &Target) -> anyhow::Result<Self> {
        ensure!(!target.rollups_table.is_empty(), "ROLLUPS_TABLE is missing");
        let mut reader = Reader::new(environment);
        let search_index = reader.search_index();
        Ok(Self {
            rollups: rollups(target),
            events_table: target.storage.events_table.clone(),
            search_index: reader.finish(search_index)?,
        })
    }

    /// Counts, and shows the progress on a terminal. `copied`: the arrival times between which events were copied into
    /// the table; the stream may bring them after this, and they are marked so that `projector` does not count them
    /// once more.
    ///
    /// # Errors
    /// If a table does not answer, or another rebuild is running.
    pub async fn run(&self, copied: Option<RangeInclusive<EpochMillis>>) -> anyhow::Result<Rebuilt> {
        let extras = Extras {
            search_index: self.search_index,
            copied,
        };
        let bar = progress::bar(None, "counting: {human_pos} events read");
        let counted = |events| bar.set_position(events);
        let rebuilt = rebuild_for(&self.rollups, &self.events_table, extras, counted).await;
        bar.finish_and_clear();
        rebuilt
    }
}

/// Merges all pending counts into the items of their periods. Waits while another process merges.
///
/// # Errors
/// If the counters' table does not answer, or another process merges for minutes.
pub async fn merge(target: &Target) -> anyhow::Result<Merged> {
    let rollups = rollups(target);
    let until = Instant::now() + MERGE_TIMEOUT;
    let generations = rollups.generations().await.map_err(anyhow::Error::msg);
    let generation = generations.context(NO_ANSWER)?.current;
    let mut sum = Merged::default();
    loop {
        let merged = rollups.merge(&generation, until).await;
        let merged = merged.map_err(anyhow::Error::msg).context(NO_ANSWER)?;
        if merged.is_by_another {
            if Instant::now() >= until {
                bail!("another process merges the counts for minutes; see the log of `projector`");
            }
        } else if merged.batches == 0 {
            return Ok(sum);
        }
        sum.batches += merged.batches;
        sum.items += merged.items;
        // Also because the next merge deletes the pending counts of this one: a reader may not see the items yet.
        sleep(PAUSE).await;
    }
}
