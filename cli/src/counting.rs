//! Counts all events of the table again, for `rollups rebuild` and at the end of `restore`.

use std::ops::RangeInclusive;

use anyhow::ensure;
use projector::{
    rebuild::{Extras, Rebuilt, rebuild_for},
    rollups::Rollups,
};
use webhook_ingest::{
    event::EpochMillis,
    operations::config::{Reader, environment},
};

use crate::{progress, target::Target};

/// The tables, and the settings of the count.
pub struct Counting {
    rollups: Rollups,
    events_table: String,
    search_index: bool,
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
            rollups: Rollups::new(target.aws.dynamodb.clone(), target.rollups_table.clone()),
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
