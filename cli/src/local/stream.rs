//! The events table's stream, as the embedded DynamoDB keeps it: made quick, kept for a day, read.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use dynoxide::{
    Database,
    actions::{
        describe_stream::DescribeStreamRequest, get_records::GetRecordsRequest,
        get_shard_iterator::GetShardIteratorRequest, list_streams::ListStreamsRequest,
    },
};
use rusqlite::Connection;
use serde_json::Value;

use super::EVENTS_TABLE;

/// As in AWS, records are kept for a day; the counters' marks outlive them.
const KEPT: &str = "-1 day";

/// The path of a database in memory that a second connection of this process can open too.
pub(super) fn memory() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("file:netcore-webhooks-{number}?mode=memory&cache=shared")
}

/// Before every write the stream's last number is looked up: by an index instead of by reading all
/// its records. Removes records older than a day.
pub(super) fn prepare(path: &str) -> anyhow::Result<()> {
    let database = Connection::open(path).with_context(|| format!("{path} cannot be opened"))?;
    database
        .execute_batch(
            "CREATE INDEX IF NOT EXISTS stream_records_by_number
             ON _stream_records (table_name, CAST(sequence_number AS INTEGER))",
        )
        .context("the stream's records could not be indexed")?;
    database
        .execute(
            "DELETE FROM _stream_records WHERE created_at < unixepoch('now', ?1)",
            [KEPT],
        )
        .context("old records of the stream could not be removed")?;
    Ok(())
}

/// A place in the stream.
pub(crate) struct Position(String);

/// The beginning of the events table's stream.
pub(crate) fn beginning(database: &Database) -> anyhow::Result<Position> {
    let streams = database.list_streams(ListStreamsRequest {
        table_name: Some(EVENTS_TABLE.to_owned()),
        ..Default::default()
    })?;
    let stream = streams.streams.into_iter().next();
    let stream_arn = stream.context("the events table has no stream")?.stream_arn;
    let described = database.describe_stream(DescribeStreamRequest {
        stream_arn: stream_arn.clone(),
        ..Default::default()
    })?;
    let shard = described.stream_description.shards.into_iter().next();
    let answer = database.get_shard_iterator(GetShardIteratorRequest {
        stream_arn,
        shard_id: shard.context("the stream has no shard")?.shard_id,
        shard_iterator_type: "TRIM_HORIZON".to_owned(),
        sequence_number: None,
    })?;
    Ok(Position(
        answer.shard_iterator.context("the stream gives no iterator")?,
    ))
}

/// The records after a place, in the form in which Lambda delivers them, and the place after them.
pub(crate) fn after(
    database: &Database,
    position: &Position,
    limit: usize,
) -> anyhow::Result<(Vec<Value>, Position)> {
    let answer = database.get_records(GetRecordsRequest {
        shard_iterator: position.0.clone(),
        limit: Some(limit),
    })?;
    let records = answer
        .records
        .iter()
        .map(serde_json::to_value)
        .collect::<Result<_, _>>()?;
    let next = answer.next_shard_iterator.context("the stream ended")?;
    Ok((records, Position(next)))
}
