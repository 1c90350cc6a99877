//! Reads the events table's stream with the API of DynamoDB Streams: the records of each shard in order, a shard after
//! its parent.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{bail, ensure};
use aws_sdk_dynamodbstreams::{
    Client,
    error::{ProvideErrorMetadata as _, SdkError},
    operation::get_shard_iterator::GetShardIteratorError,
    types::{Record, Shard, ShardIteratorType},
};
use jiff::Timestamp;

use crate::account::Failed;

/// Maximum number of shards of a stream. A table has one for each of its partitions and about four hours of the last day.
const MAX_SHARDS: usize = 10_000;
/// Records of a page: the most that one call returns.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_GetRecords.html>
const PAGE: i32 = 1000;

/// The clocks of this machine and of DynamoDB may differ by this many seconds.
const CLOCK_SKEW: i64 = 60;

/// Where reading starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// With the records that are written from now on.
    Now,
    /// With the oldest record of the stream, at most a day ago.
    Oldest,
}

/// Error code of a position whose records were removed from the stream, a day after they were written.
const TRIMMED: &str = "TrimmedDataAccessException";

/// The position in a shard.
struct Position {
    iterator: String,
    /// Sequence number of the last record that was read.
    last: Option<String>,
    /// Records written before this time (epoch seconds) are not returned.
    not_before: i64,
}

/// The shards of a stream that are being read.
pub(super) struct Stream {
    client: Client,
    arn: String,
    /// When reading with [`Start::Now`] began, epoch seconds.
    began: i64,
    open: BTreeMap<String, Position>,
    /// Shards that are read to their end, or that ended before the start.
    ended: BTreeSet<String>,
    /// Whether a shard ended whose children are not read yet.
    has_orphans: bool,
}

impl Stream {
    /// # Errors
    /// If the stream does not answer, or has more than [`MAX_SHARDS`] shards.
    pub(super) async fn open(client: Client, arn: String, start: Start) -> anyhow::Result<Self> {
        let mut stream = Self {
            client,
            arn,
            began: match start {
                Start::Now => Timestamp::now().as_second(),
                Start::Oldest => i64::MIN,
            },
            open: BTreeMap::new(),
            ended: BTreeSet::new(),
            has_orphans: false,
        };
        let shards = stream.describe().await?;
        let parents: BTreeSet<&str> = shards.iter().filter_map(Shard::parent_shard_id).collect();
        let ids: BTreeSet<&str> = shards.iter().filter_map(Shard::shard_id).collect();
        for shard in &shards {
            let Some(id) = shard.shard_id() else { continue };
            let is_first = shard.parent_shard_id().is_none_or(|parent| !ids.contains(parent));
            match start {
                // Records are written into shards without children.
                Start::Now if parents.contains(id) => {
                    stream.ended.insert(id.to_owned());
                }
                Start::Now => stream.begin(id, ShardIteratorType::Latest).await?,
                Start::Oldest if is_first => stream.begin(id, ShardIteratorType::TrimHorizon).await?,
                Start::Oldest => {}
            }
        }
        Ok(stream)
    }

    /// Ids of the shards to read.
    pub(super) fn shards(&self) -> Vec<String> {
        self.open.keys().cloned().collect()
    }

    /// The next records of a shard; none if there are no new ones.
    ///
    /// # Errors
    /// If the stream does not answer; the position is unchanged.
    pub(super) async fn read(&mut self, shard: &str) -> anyhow::Result<Vec<Record>> {
        const ACTION: &str = "dynamodb:GetRecords";
        let Some(position) = self.open.get_mut(shard) else {
            return Ok(Vec::new());
        };
        let request = self
            .client
            .get_records()
            .shard_iterator(&position.iterator)
            .limit(PAGE);
        let page = match request.send().await {
            Ok(page) => page,
            Err(error) => {
                let after = match error.code() {
                    // An iterator is valid for 15 minutes.
                    Some("ExpiredIteratorException") => position.last.clone(),
                    Some(TRIMMED) => {
                        warn_of_trimmed_records();
                        None
                    }
                    _ => return Err(Failed::new(ACTION, &error).into()),
                };
                self.reopen(shard, after).await?;
                return Ok(Vec::new());
            }
        };
        let mut records = page.records.unwrap_or_default();
        let last = records
            .iter()
            .rev()
            .find_map(|record| record.dynamodb()?.sequence_number());
        if let Some(last) = last {
            position.last = Some(last.to_owned());
        }
        let not_before = position.not_before;
        records.retain(|record| written_at(record).is_none_or(|at| at >= not_before));
        if let Some(next) = page.next_shard_iterator {
            position.iterator = next;
        } else {
            self.open.remove(shard);
            self.ended.insert(shard.to_owned());
            self.has_orphans = true;
        }
        Ok(records)
    }

    /// Begins with the children of ended shards.
    ///
    /// # Errors
    /// If the stream does not answer.
    pub(super) async fn follow(&mut self) -> anyhow::Result<()> {
        if !self.has_orphans {
            return Ok(());
        }
        let shards = self.describe().await?;
        let mut left: BTreeSet<&str> = self.ended.iter().map(String::as_str).collect();
        let mut children = Vec::new();
        for shard in &shards {
            let (Some(id), Some(parent)) = (shard.shard_id(), shard.parent_shard_id()) else {
                continue;
            };
            if self.ended.contains(parent) {
                left.remove(parent);
                if !self.ended.contains(id) && !self.open.contains_key(id) {
                    children.push(id.to_owned());
                }
            }
        }
        // A child appears soon after its parent ended. Ended shards that are no longer listed have none to wait for.
        let listed: BTreeSet<&str> = shards.iter().filter_map(Shard::shard_id).collect();
        self.has_orphans = left.iter().any(|id| listed.contains(id));
        let listed: BTreeSet<String> = listed.into_iter().map(str::to_owned).collect();
        for child in children {
            self.begin(&child, ShardIteratorType::TrimHorizon).await?;
        }
        self.ended.retain(|id| listed.contains(id));
        Ok(())
    }

    async fn begin(&mut self, shard: &str, start: ShardIteratorType) -> anyhow::Result<()> {
        let iterator = self.iterator(shard, start, None).await;
        let position = Position {
            iterator: iterator.map_err(|error| not_started(&error))?,
            last: None,
            not_before: i64::MIN,
        };
        self.open.insert(shard.to_owned(), position);
        Ok(())
    }

    /// Continues after a record, or else with the oldest one that the stream still has and that is not older than the
    /// start.
    async fn reopen(&mut self, shard: &str, after: Option<String>) -> anyhow::Result<()> {
        let is_known = after.is_some();
        let kind = if is_known {
            ShardIteratorType::AfterSequenceNumber
        } else {
            ShardIteratorType::TrimHorizon
        };
        let iterator = match self.iterator(shard, kind, after).await {
            Err(error) if is_known && error.code() == Some(TRIMMED) => {
                warn_of_trimmed_records();
                self.iterator(shard, ShardIteratorType::TrimHorizon, None).await
            }
            iterator => iterator,
        };
        let iterator = iterator.map_err(|error| not_started(&error))?;
        if let Some(position) = self.open.get_mut(shard) {
            position.iterator = iterator;
            if !is_known {
                position.not_before = self.began.saturating_sub(CLOCK_SKEW);
            }
        }
        Ok(())
    }

    async fn iterator(
        &self,
        shard: &str,
        kind: ShardIteratorType,
        after: Option<String>,
    ) -> Result<String, SdkError<GetShardIteratorError>> {
        let answer = self
            .client
            .get_shard_iterator()
            .stream_arn(&self.arn)
            .shard_id(shard)
            .shard_iterator_type(kind)
            .set_sequence_number(after)
            .send()
            .await?;
        Ok(answer.shard_iterator.unwrap_or_default())
    }

    /// All shards of the stream.
    async fn describe(&self) -> anyhow::Result<Vec<Shard>> {
        let mut shards = Vec::new();
        let mut from = None;
        loop {
            let answer = self
                .client
                .describe_stream()
                .stream_arn(&self.arn)
                .set_exclusive_start_shard_id(from)
                .send()
                .await
                .map_err(|error| Failed::new("dynamodb:DescribeStream", &error))?;
            let Some(description) = answer.stream_description else {
                bail!("DynamoDB described no stream");
            };
            shards.extend(description.shards.unwrap_or_default());
            ensure!(
                shards.len() <= MAX_SHARDS,
                "the stream has more than {MAX_SHARDS} shards, too many for one reader"
            );
            match description.last_evaluated_shard_id {
                Some(last) => from = Some(last),
                None => return Ok(shards),
            }
        }
    }
}

fn warn_of_trimmed_records() {
    tracing::warn!("events of more than a day ago are no longer in the stream; they are left out");
}

fn not_started(error: &SdkError<GetShardIteratorError>) -> Failed {
    Failed::new("dynamodb:GetShardIterator", error)
}

/// Time of the write, epoch seconds.
fn written_at(record: &Record) -> Option<i64> {
    Some(record.dynamodb()?.approximate_creation_date_time()?.secs())
}
