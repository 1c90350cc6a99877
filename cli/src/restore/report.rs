//! The report of a restore.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::state::State;

/// Counts of the items of the source. Each is in exactly one of `written`, `already_there`, `refused`, `erased`,
/// `expired` and `markers`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Items that were read.
    pub read: u64,
    /// Items that were missing, and are written now.
    pub written: u64,
    /// The write units of these items, without those of indexes.
    pub write_units: u64,
    /// Items whose key the target has.
    pub already_there: u64,
    /// Those of them with other attributes. The target's stay.
    pub different: u64,
    /// Items that the target can never store, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Items of erased people.
    pub erased: u64,
    /// Expired items.
    pub expired: u64,
    /// Markers of rejected bodies.
    pub markers: u64,
    /// Throttled calls to the source. All were repeated.
    pub throttled_reads: u64,
    /// Throttled calls to the target, reads included. All were repeated.
    pub throttled_writes: u64,
    /// Calls without an answer, or with one of the status 5xx. All were repeated.
    pub unanswered: u64,
}

impl Counts {
    /// Adds the counts of a page.
    pub(super) fn add(&mut self, page: &Self) {
        self.read += page.read;
        self.written += page.written;
        self.write_units += page.write_units;
        self.already_there += page.already_there;
        self.different += page.different;
        for (why, count) in &page.refused {
            *self.refused.entry(why.clone()).or_default() += count;
        }
        self.erased += page.erased;
        self.expired += page.expired;
        self.markers += page.markers;
        self.throttled_reads += page.throttled_reads;
        self.throttled_writes += page.throttled_writes;
        self.unanswered += page.unanswered;
    }
}

/// Result for the counters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "counters", rename_all = "snake_case")]
pub enum Counters {
    /// They were counted again.
    Rebuilt {
        /// Events that they contain now.
        events: u64,
    },
    /// They are as before, because nothing was written.
    Unchanged,
    /// They are as before, because the target is not the stack's events table.
    OtherTable,
}

/// Result of a restore.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The table that was read.
    pub from: String,
    /// The table that was written to.
    pub to: String,
    /// Whether an interrupted run was continued. The counts include that run.
    pub resumed: bool,
    /// Counts of the items.
    #[serde(flatten)]
    pub counts: Counts,
    /// Result for the counters.
    #[serde(flatten)]
    pub counters: Counters,
    /// The files that name erased people.
    pub erasures: Vec<String>,
    /// File with the keys of different and refused items.
    pub not_copied: Option<PathBuf>,
}

impl Report {
    pub(super) fn new(
        state: &State,
        counters: Counters,
        erasures: Vec<String>,
        not_copied: Option<PathBuf>,
    ) -> Self {
        let job = state.job();
        Self {
            from: job.from,
            to: job.to,
            resumed: state.is_resumed,
            counts: state.counts(),
            counters,
            erasures,
            not_copied,
        }
    }

    /// Items that the target refused.
    pub fn refused(&self) -> u64 {
        self.counts.refused.values().sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        let resumed = if self.resumed { ", continued" } else { "" };
        writeln!(f, "restore     {} to {}{resumed}", self.from, self.to)?;
        writeln!(f, "read        {} items", counts.read)?;
        writeln!(
            f,
            "written     {} ({} write units)",
            counts.written, counts.write_units
        )?;
        let different = match counts.different {
            0 => String::new(),
            n => format!(", {n} of them with other content, which stays"),
        };
        writeln!(f, "there       {}{different}", counts.already_there)?;
        writeln!(
            f,
            "left out    {} of erased people, {} expired, {} markers of rejected bodies",
            counts.erased, counts.expired, counts.markers
        )?;
        for (why, count) in &counts.refused {
            writeln!(f, "refused     {count}: {why}")?;
        }
        if let Some(file) = &self.not_copied {
            writeln!(
                f,
                "not copied  the keys of different and refused items are in {}",
                file.display()
            )?;
        }
        writeln!(
            f,
            "repeated    {} throttled reads, {} throttled calls to the target, {} calls without an answer",
            counts.throttled_reads, counts.throttled_writes, counts.unanswered
        )?;
        match &self.counters {
            Counters::Rebuilt { events } => writeln!(f, "counters    counted again: {events} events")?,
            Counters::Unchanged => writeln!(f, "counters    unchanged, because nothing was written")?,
            Counters::OtherTable => writeln!(
                f,
                "counters    unchanged, because {} is not the stack's events table",
                self.to
            )?,
        }
        if self.erasures.is_empty() {
            return writeln!(f, "erased      nobody, as --nobody-erased says");
        }
        writeln!(
            f,
            "erased      as in {}; `erase` for the same people finds what is left",
            self.erasures.join(" and ")
        )
    }
}
