//! The events table: one conditional `PutItem` per event, and no read before it.

use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata as _, SdkError},
    operation::put_item::PutItemError,
    types::ReturnValuesOnConditionCheckFailure,
};

use crate::item::{Item, MESSAGE_ID};

/// The events table.
#[derive(Clone)]
pub struct DynamoStore {
    client: Client,
    table: String,
}

/// Why an item was not written.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// An item with this key exists; here it is.
    #[error("an item with this key exists")]
    Exists(Box<Item>),
    /// `DynamoDB` says that this item can never be stored.
    #[error("DynamoDB refused the item: {0}")]
    Refused(String),
    /// Throttled, slow, unreachable or not permitted: may work later.
    #[error("the table did not take the item: {0}")]
    Unavailable(String),
}

impl DynamoStore {
    /// A store on one table.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Writes an item unless one with its key exists.
    ///
    /// # Errors
    /// [`PutError`] tells a duplicate's existing item, a refusal, and what may work later apart.
    pub async fn put(&self, item: Item) -> Result<(), PutError> {
        self.client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression(format!("attribute_not_exists({MESSAGE_ID})"))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await
            .map(|_| ())
            .map_err(classify)
    }
}

fn classify(error: SdkError<PutItemError>) -> PutError {
    let unavailable = PutError::Unavailable(crate::aws::failure(&error).to_owned());
    let SdkError::ServiceError(answer) = error else {
        return unavailable;
    };
    match answer.into_err() {
        PutItemError::ConditionalCheckFailedException(exists) => {
            PutError::Exists(Box::new(exists.item.unwrap_or_default()))
        }
        other if other.code() == Some("ValidationException") => {
            PutError::Refused(other.message().unwrap_or("ValidationException").to_owned())
        }
        _ => unavailable,
    }
}
