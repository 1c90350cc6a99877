//! Sessions that were ended before they expired. A session is a signed cookie, and copies of it would stay
//! valid. Therefore a sign-out writes the session's id to the counters' table, and every request checks it.
//!
//! This costs half a kilobyte for each sign-out, until the session expires, and one strongly consistent read
//! (one unit) for each request. Nothing is cached, so that a session ends everywhere immediately.

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use webhook_ingest::counters::{EXPIRES_AT, NO_PERIOD, PERIOD, SERIES};

use crate::{
    access::Session,
    refusal::{self, Refusal},
};

/// The ended sessions.
pub(crate) struct Sessions {
    client: Client,
    table: String,
}

impl Sessions {
    pub(crate) fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Ends a session.
    ///
    /// # Errors
    /// If the table does not answer; the session then stays valid.
    pub(crate) async fn end(&self, session: &Session) -> Result<(), Refusal> {
        self.client
            .update_item()
            .table_name(&self.table)
            .key(SERIES, series(session))
            .key(PERIOD, AttributeValue::S(NO_PERIOD.to_owned()))
            .update_expression("SET #expires = :expires")
            .expression_attribute_names("#expires", EXPIRES_AT)
            .expression_attribute_values(":expires", AttributeValue::N(session.until.to_string()))
            .send()
            .await
            .map_err(|e| refusal::unavailable("the counters' table", &e))?;
        Ok(())
    }

    /// Whether a session was ended.
    ///
    /// # Errors
    /// If the table does not answer: a session that cannot be checked is not accepted.
    pub(crate) async fn is_ended(&self, session: &Session) -> Result<bool, Refusal> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(SERIES, series(session))
            .key(PERIOD, AttributeValue::S(NO_PERIOD.to_owned()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|e| refusal::unavailable("the counters' table", &e))?;
        Ok(answer.item.is_some())
    }
}

fn series(session: &Session) -> AttributeValue {
    AttributeValue::S(format!("signin#ended={}", session.id))
}
