//! Recognizes `DynamoDB`'s errors, and reads or inserts several items with one call. The only module that compares the
//! codes and texts of its errors.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    operation::batch_get_item::BatchGetItemError,
    types::{AttributeValue, BatchStatementRequest, KeysAndAttributes, builders::KeysAndAttributesBuilder},
};

/// An item, or its key.
type Attributes = HashMap<String, AttributeValue>;

/// Result of reading several items with one call.
pub struct BatchRead {
    /// The items that exist, in no order.
    pub items: Vec<Attributes>,
    /// The keys that `DynamoDB` did not process, because the table was throttled or the answer was full.
    pub unprocessed: Vec<Attributes>,
}

/// A projection expression for these attributes, and the names of its placeholders: `#` and the attribute's name. The
/// names can be reserved words.
pub fn projection<'n>(attributes: impl IntoIterator<Item = &'n str>) -> (String, HashMap<String, String>) {
    let names: HashMap<String, String> = attributes
        .into_iter()
        .map(|name| (format!("#{name}"), name.to_owned()))
        .collect();
    let placeholders: Vec<&str> = names.keys().map(String::as_str).collect();
    (placeholders.join(", "), names)
}

/// Reads the items of up to 100 keys with one call and strong consistency. `None`
/// reads all attributes:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>
///
/// # Errors
/// If the table does not answer.
pub async fn batch_read(
    client: &Client,
    table: &str,
    keys: Vec<Attributes>,
    attributes: Option<&[&str]>,
) -> Result<BatchRead, SdkError<BatchGetItemError, HttpResponse>> {
    let mut request = KeysAndAttributes::builder()
        .set_keys(Some(keys))
        .consistent_read(true);
    if let Some(attributes) = attributes {
        let (projection, names) = projection(attributes.iter().copied());
        request = request
            .projection_expression(projection)
            .set_expression_attribute_names(Some(names));
    }
    send(client, table, request).await
}

/// Reads the items of up to 100 keys with one call, eventually consistent, which costs half. The items can be those of
/// a moment ago.
///
/// # Errors
/// If the table does not answer.
pub async fn batch_look(
    client: &Client,
    table: &str,
    keys: Vec<Attributes>,
) -> Result<BatchRead, SdkError<BatchGetItemError, HttpResponse>> {
    send(client, table, KeysAndAttributes::builder().set_keys(Some(keys))).await
}

async fn send(
    client: &Client,
    table: &str,
    request: KeysAndAttributesBuilder,
) -> Result<BatchRead, SdkError<BatchGetItemError, HttpResponse>> {
    let request = request.build().map_err(SdkError::construction_failure)?;
    let answer = client
        .batch_get_item()
        .request_items(table, request)
        .send()
        .await?;
    let unprocessed = answer.unprocessed_keys.unwrap_or_default().into_values();
    Ok(BatchRead {
        items: answer
            .responses
            .unwrap_or_default()
            .into_values()
            .flatten()
            .collect(),
        unprocessed: unprocessed.flat_map(|rest| rest.keys).collect(),
    })
}

/// DynamoDB's limit for the statements of one call:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html>
pub const MAX_STATEMENTS: usize = 25;

/// The statement that inserts an item, for a call with up to [`MAX_STATEMENTS`]. `None` without attributes.
pub fn insert_statement(
    table: &str,
    attributes: Vec<(&'static str, AttributeValue)>,
) -> Option<BatchStatementRequest> {
    let names = attributes
        .iter()
        .map(|(name, _)| name.len() + "'':?,".len())
        .sum::<usize>();
    let mut text = String::with_capacity("INSERT INTO \"\" VALUE {}".len() + table.len() + names);
    text.push_str("INSERT INTO \"");
    text.push_str(table);
    text.push_str("\" VALUE ");
    let mut separator = "{'";
    let mut parameters = Vec::with_capacity(attributes.len());
    for (name, value) in attributes {
        text.push_str(separator);
        text.push_str(name);
        text.push_str("':?");
        separator = ",'";
        parameters.push(value);
    }
    text.push('}');
    BatchStatementRequest::builder()
        .statement(text)
        .set_parameters(Some(parameters))
        .build()
        .ok()
}

/// Whether the request was invalid for the table: a bad item, another schema, or a missing index.
pub fn is_validation(error: &impl ProvideErrorMetadata) -> bool {
    error.code() == Some("ValidationException")
}

/// Whether a query named an index that the table does not have, or that is still being created.
pub fn lacks_index(error: &impl ProvideErrorMetadata) -> bool {
    is_validation(error) && error.message().is_some_and(|text| text.contains("index"))
}

/// Why `DynamoDB` can never store an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unstorable {
    /// Over 400 KB.
    #[error("it is larger than 400 KB")]
    TooLarge,
    /// A partition key over 2,048 bytes or a sort key over 1,024, of the table or of an index.
    #[error("one of its keys is too long")]
    KeyTooLong,
    /// A key of the table or of an index is an empty string.
    #[error("one of its keys is empty")]
    EmptyKey,
    /// More than 32 levels.
    #[error("it is nested too deeply")]
    TooDeep,
    /// More digits or a larger exponent than a number attribute can hold.
    #[error("one of its numbers is out of range")]
    NumberOutOfRange,
}

impl Unstorable {
    /// The fault of the item, from a validation error of a write. `DynamoDB` uses the same code for these
    /// faults and for a table with another schema; only the text distinguishes them. An unknown text is not
    /// treated as the item's fault: retrying for days loses nothing, but giving up at once would.
    pub fn of(error: &impl ProvideErrorMetadata) -> Option<Self> {
        Self::in_text(error.message().unwrap_or_default())
    }

    fn in_text(text: &str) -> Option<Self> {
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

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::error::ErrorMetadata;

    use super::*;

    /// `DynamoDB`'s texts, as reported by its users. The missing space in the second is original.
    #[test]
    fn only_errors_of_the_item_are_final() {
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
            // The table has another schema.
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
            assert_eq!(Unstorable::in_text(text), unstorable, "{text}");
        }
    }

    /// `DynamoDB`'s texts for a query on an index that does not exist, or is still being created.
    #[test]
    fn a_missing_index_is_recognized() {
        let error = |code: &str, text: &str| ErrorMetadata::builder().code(code).message(text).build();
        let text = "The table does not have the specified index: day-index";
        assert!(lacks_index(&error("ValidationException", text)));
        let building = "Cannot read from backfilling global secondary index: day-index";
        assert!(lacks_index(&error("ValidationException", building)));
        assert!(!lacks_index(&error("ResourceNotFoundException", text)));
        assert!(!lacks_index(&error(
            "ValidationException",
            "The provided starting key is invalid"
        )));
    }
}
