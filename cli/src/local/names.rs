//! Names of the local tables: their keys, and how SQL quotes them.

use webhook_ingest::{counters, events_table::item};

use super::{EVENTS_TABLE, ROLLUPS_TABLE};

/// The names of a table's keys, which are strings.
pub(super) fn keys_of(table: &str) -> Option<[&'static str; 2]> {
    match table {
        EVENTS_TABLE => Some([item::MESSAGE_ID, item::STATUS_KEY]),
        ROLLUPS_TABLE => Some([counters::SERIES, counters::PERIOD]),
        _ => None,
    }
}

/// A name as an SQL identifier.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
