//! The events table's stream in the embedded DynamoDB: indexed, read, and trimmed to unread records and the newest
//! ones, which other readers can still read.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use anyhow::Context as _;
use dynoxide::{
    actions::{
        get_records::{self, GetRecordsRequest},
        get_shard_iterator::{decode_shard_iterator, encode_shard_iterator},
    },
    storage::Storage,
    streams::shard_id,
};
use rusqlite::{Connection, OptionalExtension as _};
use serde_json::Value;

use super::{
    EVENTS_TABLE,
    engine::{Engine, finished},
    tables,
};

/// As in AWS, an unread record expires after a day; dedup markers expire later.
const MAX_AGE: &str = "-1 day";
/// Maximum of records that one step removes, so that requests do not wait long.
const RECORDS_PER_STEP: u32 = 1000;
/// Newest records that stay after they are counted, for other readers such as `listen`.
const KEPT: u32 = 10_000;
/// Keys of a record without content, see [`trim`].
const EMPTY: &str = "{}";

/// Adds an index for the stream's last number, which every write looks up. Without the index,
/// SQLite would read all records.
pub(super) fn prepare(connection: &Connection) -> anyhow::Result<()> {
    connection
        .execute_batch(
            "CREATE INDEX IF NOT EXISTS stream_records_by_number
             ON _stream_records (table_name, CAST(sequence_number AS INTEGER))",
        )
        .context("the stream's records could not be indexed")
}

/// Sequence number of a record.
pub(crate) type Position = i64;
/// Position before all records.
pub(crate) const BEGINNING: Position = 0;

/// The events table's stream.
#[derive(Clone)]
pub(crate) struct Stream {
    engine: Engine,
    /// The records up to this position are counted.
    counted: Arc<AtomicI64>,
}

impl Stream {
    pub(super) fn new(engine: Engine) -> Self {
        Self {
            engine,
            counted: Arc::new(AtomicI64::new(BEGINNING)),
        }
    }

    /// See [`super::Local::create_restored_table`].
    pub(super) fn create_restored_table(&self, name: &str) -> anyhow::Result<()> {
        self.engine.with(|storage| tables::create_restored(storage, name))
    }

    /// See [`after`]. Blocks.
    pub(crate) fn after(&self, position: Position, limit: usize) -> anyhow::Result<(Vec<Value>, Position)> {
        self.engine.with(|storage| after(storage, position, limit))
    }

    /// Marks the records up to a position as counted, and removes the older ones of them. Blocks.
    pub(crate) fn counted(&self, position: Position) -> anyhow::Result<()> {
        self.counted.store(position, Ordering::SeqCst);
        self.engine.with(|storage| {
            let connection = storage.conn();
            match oldest_kept(connection)? {
                Some(kept) => trim(connection, kept.min(position)),
                None => Ok(()),
            }
        })
    }

    /// Removes all records that are counted. Returns whether the stream is now empty. Blocks.
    pub(crate) fn purge(&self) -> anyhow::Result<bool> {
        let counted = self.counted.load(Ordering::SeqCst);
        self.engine.with(|storage| {
            trim(storage.conn(), counted)?;
            is_drained(storage.conn())
        })
    }
}

/// The position before the newest [`KEPT`] records; `None` if there are no older ones.
fn oldest_kept(connection: &Connection) -> anyhow::Result<Option<Position>> {
    let number = "CAST(sequence_number AS INTEGER)";
    let sql = format!(
        "SELECT {number} FROM _stream_records WHERE table_name = ?1 ORDER BY {number} DESC LIMIT 1 OFFSET ?2"
    );
    Ok(connection
        .prepare_cached(&sql)?
        .query_row((EVENTS_TABLE, KEPT), |row| row.get(0))
        .optional()?)
}

/// Records after a position, in the format in which Lambda delivers them, and the next position.
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

/// Removes the records up to the position `read`. The last one stays without its content: the number
/// of the next record is one more than the highest, even if the clock was set back.
fn trim(connection: &Connection, read: Position) -> anyhow::Result<()> {
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

/// Removes some records that are older than a day. Returns whether more may follow.
pub(super) fn expire(connection: &Connection) -> anyhow::Result<bool> {
    let removed = connection.execute(
        "DELETE FROM _stream_records
         WHERE id IN (SELECT id FROM _stream_records ORDER BY id LIMIT ?1)
           AND id < (SELECT MAX(id) FROM _stream_records)
           AND created_at < unixepoch('now', ?2)",
        (RECORDS_PER_STEP, MAX_AGE),
    )?;
    Ok(removed > 0)
}

/// Whether all records were read and trimmed.
fn is_drained(connection: &Connection) -> anyhow::Result<bool> {
    let left: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM _stream_records WHERE table_name = ?1 AND keys_json <> ?2)",
        [EVENTS_TABLE, EMPTY],
        |row| row.get(0),
    )?;
    Ok(!left)
}
