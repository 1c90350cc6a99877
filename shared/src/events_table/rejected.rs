//! Markers of rejected bodies that are in the dead-letter queue, so that a retry does not put the same body
//! there again. SQS standard queues do not deduplicate.
//!
//! A marker's sort key contains no `#`, and an event's always does, so the two never share a key. A marker has
//! no attribute of an index and no channel: lists, counters and searches do not see it.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::update_item::{UpdateItemError, builders::UpdateItemFluentBuilder},
    types::{AttributeValue, ReturnValue},
};

use super::{
    EventsTable,
    item::{EXPIRES_AT, Item, MESSAGE_ID, STATUS_KEY},
};
use crate::{
    event::{EpochMillis, key, time},
    operations::{clients, logging::Sampler},
};

/// A marker's partition key is this and the function's name.
pub const PREFIX: &str = "rejected#";

/// How often the body arrived (N).
const COPIES: &str = "copies";

/// A day less than SQS keeps the dead letter, so that a marker never outlives its body.
const KEPT_SECONDS: i64 = 13 * 86_400;

/// If the table refuses all updates, at most one line a minute.
static FAILURES: Sampler = Sampler::new(1);

/// A rejected body: the function that got it, and a digest of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedBody {
    partition: String,
    digest: String,
}

impl RejectedBody {
    /// The identity of a body.
    pub fn new(function: &str, body: &[u8]) -> Self {
        Self {
            partition: format!("{PREFIX}{function}"),
            digest: key::digest([body]),
        }
    }
}

/// Whether an item of the events table is a marker, by its key.
pub fn is_marker(item: &Item) -> bool {
    let text = |name: &str| item.get(name)?.as_s().ok();
    text(MESSAGE_ID).is_some_and(|message_id| message_id.starts_with(PREFIX))
        && text(STATUS_KEY).is_some_and(|status_key| !status_key.contains('#'))
}

/// Whether the dead-letter queue has a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It does. The number of times that the body arrived, this time included.
    Kept(u64),
    /// There is no marker.
    New,
    /// The table did not say.
    Unknown,
}

impl EventsTable {
    /// Counts a rejected body if it is marked as kept. One write unit.
    pub async fn count_rejected(&self, body: &RejectedBody, now: EpochMillis) -> Known {
        let counted = self
            .update_marker(body)
            .condition_expression("#expires_at > :now")
            .update_expression("ADD #copies :one")
            .expression_attribute_names("#copies", COPIES)
            .expression_attribute_names("#expires_at", EXPIRES_AT)
            .expression_attribute_values(":now", number(now / 1000))
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await;
        match counted {
            Ok(answer) => {
                let copies = answer.attributes.as_ref().and_then(|item| item.get(COPIES));
                let copies = copies.and_then(|copies| copies.as_n().ok()?.parse().ok());
                Known::Kept(copies.unwrap_or(2))
            }
            Err(error) if is_unmet(&error) => Known::New,
            Err(error) => {
                failed(&error);
                Known::Unknown
            }
        }
    }

    /// Marks a body as kept. Call it only after a queue has the body. One write unit. A failure is only
    /// logged: the next copy of the body then becomes another dead letter.
    pub async fn mark_rejected(&self, body: &RejectedBody, now: EpochMillis) {
        let marked = self
            .update_marker(body)
            .update_expression("SET #copies = :one, #expires_at = :expires_at")
            .expression_attribute_names("#copies", COPIES)
            .expression_attribute_names("#expires_at", EXPIRES_AT)
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":expires_at", number(now / 1000 + KEPT_SECONDS))
            .send()
            .await;
        if let Err(error) = marked {
            failed(&error);
        }
    }

    /// Removes a marker, because its dead letter is removed: the same body then becomes a dead letter again.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn forget_rejected(&self, body: &RejectedBody) -> Result<(), String> {
        let deleted = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key_of(body)))
            .send()
            .await;
        deleted.map(|_| ()).map_err(|e| clients::failure(&e).to_owned())
    }

    fn update_marker(&self, body: &RejectedBody) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key_of(body)))
    }
}

fn key_of(body: &RejectedBody) -> HashMap<String, AttributeValue> {
    HashMap::from([
        (MESSAGE_ID.to_owned(), AttributeValue::S(body.partition.clone())),
        (STATUS_KEY.to_owned(), AttributeValue::S(body.digest.clone())),
    ])
}

fn number(n: i64) -> AttributeValue {
    AttributeValue::N(n.to_string())
}

fn is_unmet(error: &SdkError<UpdateItemError>) -> bool {
    matches!(
        error.as_service_error(),
        Some(UpdateItemError::ConditionalCheckFailedException(_))
    )
}

fn failed(error: &SdkError<UpdateItemError>) {
    if let Some(unlogged) = FAILURES.admit("marker", time::now()) {
        let why = clients::failure(error);
        tracing::warn!(unlogged, why, "a rejected body may become another dead letter");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_depends_on_function_and_body_and_is_no_key_of_an_event() {
        let item = |message_id: &str, status_key: &str| {
            Item::from([
                (MESSAGE_ID.to_owned(), AttributeValue::S(message_id.to_owned())),
                (STATUS_KEY.to_owned(), AttributeValue::S(status_key.to_owned())),
            ])
        };
        let marker = RejectedBody::new("event-webhook", b"{");
        assert_eq!(marker.partition, "rejected#event-webhook");
        // base64url of the first 16 bytes of SHA-256.
        assert_eq!(marker.digest, "Ah-1ltuB5tAr89JYbuOYHw");
        for other in [
            RejectedBody::new("event-webhook", b"{ "),
            RejectedBody::new("event-webhook", b""),
            RejectedBody::new("fallback-sms", b"{"),
        ] {
            assert_ne!(other, marker);
            assert!(is_marker(&item(&other.partition, &other.digest)));
        }
        // A message id can be anything; the key of an event has a separator.
        assert!(!is_marker(&item("rejected#event-webhook", "RCS#sent")));
        assert!(!is_marker(&item("m-1", "Ah-1ltuB5tAr89JYbuOYHw")));
    }
}
