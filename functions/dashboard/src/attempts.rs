//! How often somebody tried to sign in: counted in the counters' table, since a function's
//! environments share no memory.

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, ReturnValue},
};
use webhook_ingest::{
    event::EpochMillis,
    rollup::{EXPIRES_AT, PERIOD, SERIES},
};

use crate::{Refusal, table};

/// Tries from one address within [`WINDOW_SECONDS`].
const MOST: i64 = 10;
const WINDOW_SECONDS: i64 = 900;
const TRIES: &str = "tries";

/// The counter of tries.
pub(crate) struct Attempts {
    client: Client,
    table: String,
}

impl Attempts {
    pub(crate) fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Counts a try from an address before it is judged.
    ///
    /// # Errors
    /// [`Refusal::TooManyTries`] if there were too many, or that the table does not answer: a try
    /// that cannot be counted is not allowed.
    pub(crate) async fn count(&self, address: &str, now: EpochMillis) -> Result<(), Refusal> {
        let seconds = now / 1000;
        let window = seconds / WINDOW_SECONDS;
        let ends = (window + 1) * WINDOW_SECONDS;
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(SERIES, AttributeValue::S(format!("signin#{address}")))
            .key(PERIOD, AttributeValue::S(window.to_string()))
            .update_expression("SET #expires = :expires ADD #tries :one")
            .expression_attribute_names("#expires", EXPIRES_AT)
            .expression_attribute_names("#tries", TRIES)
            .expression_attribute_values(":expires", AttributeValue::N(ends.to_string()))
            .expression_attribute_values(":one", AttributeValue::N("1".into()))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await
            .map_err(|e| table::unavailable("the counters' table", &e))?;
        let tries: Option<i64> = answer
            .attributes
            .and_then(|attributes| attributes.get(TRIES)?.as_n().ok()?.parse().ok());
        if tries.unwrap_or(i64::MAX) > MOST {
            return Err(Refusal::TooManyTries(ends - seconds));
        }
        Ok(())
    }
}
