//! The events table: one conditional `PutItem` per event, and no read before it.

pub mod item;

use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata as _, SdkError},
    operation::put_item::PutItemError,
    types::ReturnValuesOnConditionCheckFailure,
};

use crate::{
    event::time,
    events_table::item::{Item, MESSAGE_ID},
    operations::{logging::Sampler, metrics},
};

/// A table that rejects everything is logged a few times a minute; the metric counts all.
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
    /// An item with this key exists; here it is.
    #[error("an item with this key exists")]
    Exists(Box<Item>),
    /// No table of ours can ever store this item.
    #[error("DynamoDB refused the item: {0}")]
    Refused(Unstorable),
    /// Throttled, slow, unreachable, not permitted, or a table that does not fit the item: may work
    /// later.
    #[error("the table did not take the item: {0}")]
    Unavailable(String),
}

/// What makes an item one that `DynamoDB` can never store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unstorable {
    /// Over 400 KB.
    #[error("it is larger than 400 KB")]
    TooLarge,
    /// A partition key over 2,048 bytes or a sort key over 1,024, of the table or of an index.
    #[error("a key of it is too long")]
    KeyTooLong,
    /// A key of the table or of an index is an empty text.
    #[error("a key of it is empty")]
    EmptyKey,
    /// Over 32 levels.
    #[error("it is nested too deeply")]
    TooDeep,
    /// More digits or a larger exponent than a number attribute holds.
    #[error("a number of it is out of range")]
    NumberOutOfRange,
}

impl Unstorable {
    /// `DynamoDB` answers each of these with the same code as a table of another schema; only the
    /// text distinguishes them. A text that is not known here is not the item's fault: trying again
    /// for days loses nothing, and giving up at once would.
    fn told_by(text: &str) -> Option<Self> {
        const TEXTS: [(&str, Unstorable); 8] = [
            (
                "Item size has exceeded the maximum allowed size",
                Unstorable::TooLarge,
            ),
            ("Size of hashkey has exceeded", Unstorable::KeyTooLong),
            (
                "Aggregated size of all range keys has exceeded",
                Unstorable::KeyTooLong,
            ),
            ("cannot contain an empty string value", Unstorable::EmptyKey),
            (
                "Nesting Levels have exceeded supported limits",
                Unstorable::TooDeep,
            ),
            ("more than 38 significant digits", Unstorable::NumberOutOfRange),
            ("Number overflow", Unstorable::NumberOutOfRange),
            ("Number underflow", Unstorable::NumberOutOfRange),
        ];
        let known = TEXTS.iter().find(|(part, _)| text.contains(part));
        known.map(|(_, unstorable)| *unstorable)
    }
}

impl EventsTable {
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

/// The one place that reads an error of `PutItem`.
fn classify(error: SdkError<PutItemError>) -> PutError {
    let unavailable = PutError::Unavailable(crate::operations::clients::failure(&error).to_owned());
    let SdkError::ServiceError(answer) = error else {
        return unavailable;
    };
    match answer.into_err() {
        PutItemError::ConditionalCheckFailedException(exists) => {
            PutError::Exists(Box::new(exists.item.unwrap_or_default()))
        }
        other if other.code() == Some("ValidationException") => {
            match Unstorable::told_by(other.message().unwrap_or_default()) {
                Some(unstorable) => PutError::Refused(unstorable),
                None => rejected(),
            }
        }
        _ => unavailable,
    }
}

/// The table takes no such item, as one does that was restored with another schema. The text is not
/// logged: some texts quote a value.
fn rejected() -> PutError {
    metrics::table_rejection();
    if let Some(unlogged) = REJECTIONS.admit("rejection", time::now()) {
        tracing::error!(
            unlogged,
            "the events table rejects items: ValidationException; do its key and its indexes fit?"
        );
    }
    PutError::Unavailable("ValidationException".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `DynamoDB`'s own texts, as its users report them. The missing space in the second is theirs.
    #[test]
    fn only_what_is_wrong_with_the_item_is_final() {
        for (text, unstorable) in [
            (
                "Item size has exceeded the maximum allowed size",
                Some(Unstorable::TooLarge),
            ),
            (
                "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes",
                Some(Unstorable::KeyTooLong),
            ),
            (
                "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of 1024 bytes",
                Some(Unstorable::KeyTooLong),
            ),
            (
                "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: message_id",
                Some(Unstorable::EmptyKey),
            ),
            (
                "One or more parameter values are not valid. A value specified for a secondary index key is not supported. The AttributeValue for a key attribute cannot contain an empty string value. IndexName: recipient-index, IndexKey: recipient",
                Some(Unstorable::EmptyKey),
            ),
            (
                "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit",
                Some(Unstorable::TooDeep),
            ),
            (
                "Attempting to store more than 38 significant digits in a Number",
                Some(Unstorable::NumberOutOfRange),
            ),
            (
                "Number overflow. Attempting to store a number with magnitude larger than supported range",
                Some(Unstorable::NumberOutOfRange),
            ),
            (
                "Number underflow. Attempting to store a number with magnitude smaller than supported range",
                Some(Unstorable::NumberOutOfRange),
            ),
            // The table is another one than ours.
            (
                "One or more parameter values were invalid: Missing the key order_id in the item",
                None,
            ),
            (
                "One or more parameter values were invalid: Type mismatch for key status_key expected: N actual: S",
                None,
            ),
            (
                "One or more parameter values were invalid: Type mismatch for Index Key event_time Expected: S Actual: N IndexName: day-index",
                None,
            ),
            ("The provided key element does not match the schema", None),
            (
                "The provided expression refers to an attribute that does not exist in the item",
                None,
            ),
            ("", None),
        ] {
            assert_eq!(Unstorable::told_by(text), unstorable, "{text}");
        }
    }
}
