//! The events table: one conditional write per event, and no read before it.

pub mod index;
mod insert;
pub mod item;
pub mod read;
pub mod rejected;

use aws_sdk_dynamodb::{
    Client, error::SdkError, operation::put_item::PutItemError, types::ReturnValuesOnConditionCheckFailure,
};

pub use self::insert::Inserted;
use crate::{
    event::time,
    events_table::item::{Item, MESSAGE_ID, NewItem},
    operations::{
        clients::{self, Cause},
        dynamodb::{self, Unstorable},
        logging::Sampler,
        metrics,
    },
};

/// If the table rejects everything, at most ten log lines a minute are written. The metric counts all
/// rejections.
static REJECTIONS: Sampler = Sampler::new(10);

/// The events table.
#[derive(Clone)]
pub struct EventsTable {
    client: Client,
    table: String,
}

/// Why an item was not written.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// An item with this key exists. Contains that item.
    #[error("an item with this key exists")]
    Exists(Box<Item>),
    /// Our table can never store this item.
    #[error("DynamoDB refused the item: {0}")]
    Refused(Unstorable),
    /// Throttled, slow, unreachable, not permitted, or a table with another schema. May work later.
    #[error("the table did not accept the item: {0}")]
    Unavailable(String),
}

impl EventsTable {
    /// Wraps the table with this name.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Writes an item unless an item with its key exists.
    ///
    /// # Errors
    /// [`PutError`] distinguishes an existing item, a refused item, and failures that a retry may fix.
    pub async fn put(&self, item: NewItem) -> Result<(), PutError> {
        self.client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item.into()))
            .condition_expression(format!("attribute_not_exists({MESSAGE_ID})"))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await
            .map(|_| ())
            .map_err(classify)
    }
}

/// The only place that interprets an error of `PutItem`.
fn classify(error: SdkError<PutItemError>) -> PutError {
    let unavailable = PutError::Unavailable(clients::failure(&error).to_owned());
    if clients::cause(&error) == Cause::Throttled {
        metrics::table_throttles(1);
    }
    let SdkError::ServiceError(answer) = error else {
        return unavailable;
    };
    match answer.into_err() {
        PutItemError::ConditionalCheckFailedException(exists) => {
            PutError::Exists(Box::new(exists.item.unwrap_or_default()))
        }
        other if dynamodb::is_validation(&other) => match Unstorable::of(&other) {
            Some(unstorable) => PutError::Refused(unstorable),
            None => rejected(),
        },
        _ => unavailable,
    }
}

/// The table rejects the item although the item is valid, for example after a restore with another schema.
/// The error text is not logged, since some texts quote a value.
fn rejected() -> PutError {
    metrics::table_rejection();
    if let Some(unlogged) = REJECTIONS.admit("rejection", time::now()) {
        tracing::error!(
            unlogged,
            "the events table rejects items: ValidationException; check its key and its indexes"
        );
    }
    PutError::Unavailable("ValidationException".to_owned())
}
