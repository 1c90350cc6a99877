//! The events table's stream, as the embedded DynamoDB keeps it: made quick, read, and trimmed to
//! unread records.

use anyhow::Context as _;
use dynoxide::{
    actions::{
        get_records::{self, GetRecordsRequest},
        get_shard_iterator::{decode_shard_iterator, encode_shard_iterator},
    },
    storage::Storage,
    streams::shard_id,
};
use rusqlite::Connection;
use serde_json::Value;

use super::{
    EVENTS_TABLE,
    engine::{Engine, finished},
};

/// As in AWS, an unread record is kept for a day; the counters' dedup markers outlive it.
const KEPT: &str = "-1 day";
/// Records that one step of trimming removes at most, so that no request waits long for it.
const AT_ONCE: u32 = 1000;
/// The keys of a record whose content is gone, see [`trim`].
const EMPTY: &str = "{}";

/// Before every write the stream's last number is looked up: by an index instead of by reading all
/// its records.
pub(super) fn prepare(connection: &Connection) -> anyhow::Result<()> {
    connection
        .execute_batch(
            "CREATE INDEX IF NOT EXISTS stream_records_by_number
             ON _stream_records (table_name, CAST(sequence_number AS INTEGER))",
        )
        .context("the stream's records could not be indexed")
}

/// The number of a stream's record.
pub(crate) type Position = i64;
/// Before all records.
pub(crate) const BEGINNING: Position = 0;

/// The events table's stream.
#[derive(Clone)]
pub(crate) struct Stream(pub(super) Engine);

impl Stream {
    /// See [`after`]. It blocks.
    pub(crate) fn after(&self, position: Position, limit: usize) -> anyhow::Result<(Vec<Value>, Position)> {
        self.0.with(|storage| after(storage, position, limit))
    }

    /// See [`trim`]. It blocks.
    pub(crate) fn trim(&self, read: Position) -> anyhow::Result<()> {
        self.0.with(|storage| trim(storage.conn(), read))
    }
}

/// The records after a place, in the form in which Lambda delivers them, and the place after them.
pub(super) fn after(
    storage: &Storage,
    position: Position,
    limit: usize,
) -> anyhow::Result<(Vec<Value>, Position)> {
    let answer = finished(get_records::execute(
        storage,
        GetRecordsRequest {
            shard_iterator: encode_shard_iterator(EVENTS_TABLE, &shard_id(EVENTS_TABLE), position),
            limit: Some(limit),
        },
    ))?;
    let records = answer
        .records
        .iter()
        .filter(|record| !record.dynamodb.keys.is_empty())
        .map(serde_json::to_value)
        .collect::<Result<_, _>>()?;
    let next = answer
        .next_shard_iterator
        .and_then(|next| decode_shard_iterator(&next));
    let (_, _, next) = next.context("the stream ended")?;
    Ok((records, next))
}

/// Removes the records up to a place, which were read. The last of them stays without its content:
/// the next record's number is one more than the highest, also if the clock was set back.
pub(super) fn trim(connection: &Connection, read: Position) -> anyhow::Result<()> {
    let number = "CAST(sequence_number AS INTEGER)";
    connection.execute(
        &format!(
            "UPDATE _stream_records SET event_name = 'REMOVE', keys_json = ?3, new_image = NULL, old_image = NULL
             WHERE table_name = ?1 AND {number} = ?2 AND keys_json <> ?3"
        ),
        (EVENTS_TABLE, read, EMPTY),
    )?;
    connection.execute(
        &format!("DELETE FROM _stream_records WHERE table_name = ?1 AND {number} < ?2"),
        (EVENTS_TABLE, read),
    )?;
    Ok(())
}

/// Removes some of the records that are older than a day. Returns whether there may be more.
pub(super) fn expire(connection: &Connection) -> anyhow::Result<bool> {
    let removed = connection.execute(
        "DELETE FROM _stream_records
         WHERE id IN (SELECT id FROM _stream_records ORDER BY id LIMIT ?1)
           AND id < (SELECT MAX(id) FROM _stream_records)
           AND created_at < unixepoch('now', ?2)",
        (AT_ONCE, KEPT),
    )?;
    Ok(removed > 0)
}

/// Whether all records were read and trimmed.
pub(super) fn is_drained(connection: &Connection) -> anyhow::Result<bool> {
    let left: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM _stream_records WHERE table_name = ?1 AND keys_json <> ?2)",
        [EVENTS_TABLE, EMPTY],
        |row| row.get(0),
    )?;
    Ok(!left)
}
