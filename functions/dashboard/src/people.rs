//! The ids of a person, from the links in the counters' table.

use aws_sdk_dynamodb::Client;
use webhook_ingest::links;

use crate::refusal::{self, Refusal};

/// Reads links.
pub(crate) struct People {
    client: Client,
    table: String,
}

impl People {
    pub(crate) fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// All ids of the person with this id, this one first: at most 16, with a read for each. Only this id if the
    /// counters' table is not named, as in a terminal.
    ///
    /// # Errors
    /// If the table does not answer: a list without the linked ids would look complete.
    pub(crate) async fn ids(&self, id: String) -> Result<Vec<String>, Refusal> {
        if self.table.is_empty() {
            return Ok(vec![id]);
        }
        links::all(&self.client, &self.table, &[id])
            .await
            .map_err(|e| refusal::unavailable("the counters' table", &e))
    }
}
