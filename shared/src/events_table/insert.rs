//! Inserts up to 25 items with one call. An `INSERT` statement is conditional, like the put of one item: it
//! fails if the key exists, and it costs the same write units. But 25 of them take one signature, one
//! request and one response.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html>

use std::collections::HashSet;

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::batch_execute_statement::BatchExecuteStatementError,
    types::{BatchStatementErrorCodeEnum as Code, BatchStatementRequest, BatchStatementResponse},
};

use super::EventsTable;
use crate::{
    event::time,
    events_table::item::NewItem,
    operations::{
        clients::{self, Cause},
        dynamodb,
        logging::Sampler,
        metrics,
    },
};

/// If every call is refused, at most ten log lines a minute are written. The metric counts all calls.
static REFUSED_CALLS: Sampler = Sampler::new(10);

/// Result of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// Written now.
    Stored,
    /// Perhaps not written: the item's key exists, the table refused the item or the whole call, or the call
    /// contained another item with the same key. [`EventsTable::put`] distinguishes these cases.
    Undecided,
    /// Not written, because the table or an index was throttled or had an internal error. The SDK does not try
    /// again, since the call itself succeeded.
    Retryable,
    /// The table was throttled or unreachable, even after the SDK's retries. A later call may work.
    Unavailable,
}

impl EventsTable {
    /// Writes each item whose key does not exist. Returns a result for each item, in order. The table
    /// refuses a call with more than [`MAX_STATEMENTS`](dynamodb::MAX_STATEMENTS) items.
    pub async fn insert(&self, items: Vec<NewItem>) -> Vec<Inserted> {
        // DynamoDB refuses a call that contains a key twice.
        let first_of_key = first_of_key(&items);
        let mut results = vec![Inserted::Undecided; items.len()];
        let (indexes, statements): (Vec<usize>, Vec<BatchStatementRequest>) = items
            .into_iter()
            .enumerate()
            .zip(first_of_key)
            .filter(|(_, is_first)| *is_first)
            .filter_map(|((index, item), _)| {
                Some((
                    index,
                    dynamodb::insert_statement(&self.table, item.into_attributes())?,
                ))
            })
            .unzip();
        let call = self.client.batch_execute_statement();
        let answers: Vec<Inserted> = match call.set_statements(Some(statements)).send().await {
            Ok(output) => {
                let codes = output.responses().iter().map(code);
                if codes.clone().any(|code| code == Some(&Code::AccessDenied)) {
                    refused("AccessDenied");
                }
                metrics::table_throttles(codes.clone().filter(|code| is_throttling(*code)).count());
                codes.map(result).collect()
            }
            Err(error) => vec![failed(&error, indexes.len()); indexes.len()],
        };
        for (index, answer) in indexes.into_iter().zip(answers) {
            if let Some(result) = results.get_mut(index) {
                *result = answer;
            }
        }
        results
    }
}

/// For each item, whether no earlier item has the same key.
fn first_of_key(items: &[NewItem]) -> Vec<bool> {
    let mut keys = HashSet::with_capacity(items.len());
    items.iter().map(|item| keys.insert(item.key())).collect()
}

/// The error code of a statement; `None` if it was executed.
fn code(response: &BatchStatementResponse) -> Option<&Code> {
    // An error without a code is handled like a refused item.
    let error = response.error()?;
    Some(error.code().unwrap_or(&Code::ValidationError))
}

fn is_throttling(code: Option<&Code>) -> bool {
    matches!(
        code,
        Some(Code::ProvisionedThroughputExceeded | Code::ThrottlingError | Code::RequestLimitExceeded)
    )
}

fn result(code: Option<&Code>) -> Inserted {
    match code {
        None => Inserted::Stored,
        Some(Code::InternalServerError | Code::TransactionConflict) => Inserted::Retryable,
        throttling if is_throttling(throttling) => Inserted::Retryable,
        Some(_) => Inserted::Undecided,
    }
}

/// The only place that interprets an error of `BatchExecuteStatement`.
fn failed(error: &SdkError<BatchExecuteStatementError>, items: usize) -> Inserted {
    let reason = clients::failure(error);
    let cause = clients::cause(error);
    match cause {
        Cause::Throttled | Cause::NoAnswer => {
            if cause == Cause::Throttled {
                metrics::table_throttles(items);
            }
            tracing::debug!(reason, "a batch of events goes to the retry queue");
            Inserted::Unavailable
        }
        // A fault of one item may fail the call, so the items are put one by one.
        Cause::Server => Inserted::Undecided,
        Cause::Caller => {
            refused(reason);
            Inserted::Undecided
        }
    }
}

/// Reports a call that DynamoDB refused although single puts may work.
fn refused(reason: &str) {
    metrics::refused_batch();
    if let Some(unlogged) = REFUSED_CALLS.admit("batch", time::now()) {
        tracing::warn!(
            unlogged,
            reason,
            "DynamoDB refused a batch of inserts, so its events are written one by one; \
             check that the function has the permission dynamodb:PartiQLInsert"
        );
    }
}
