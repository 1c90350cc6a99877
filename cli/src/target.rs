//! Tables and queues of a command: those that the environment names, otherwise those of the running
//! local instance.

use std::{fs, path::Path};

use anyhow::{Context as _, bail};
use aws_sdk_dynamodb::types::AttributeValue;
use webhook_ingest::{
    events_table::{
        EventsTable,
        item::{self, Item},
    },
    operations::{
        clients::{Aws, Roots, Timeouts},
        config::{StorageConfig, environment},
    },
};

use crate::{local::RunningInstance, serve::INSTANCE_FILE};

/// Clients, tables and queues of a command.
pub struct Target {
    /// SDK clients.
    pub aws: Aws,
    /// Names and URLs.
    pub storage: StorageConfig,
    /// Name of the counters' table.
    pub rollups_table: String,
    /// The running local instance; `None` in AWS.
    pub local: Option<RunningInstance>,
}

/// Variables that a command needs for a stack in AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// `EVENTS_TABLE`.
    Table,
    /// `EVENTS_TABLE` and `ROLLUPS_TABLE`.
    Counters,
    /// `RETRY_QUEUE_URL` and `DEAD_LETTER_QUEUE_URL`.
    Queues,
}

impl Needs {
    fn variables(self) -> &'static [&'static str] {
        match self {
            Self::Table => &["EVENTS_TABLE"],
            Self::Counters => &["EVENTS_TABLE", "ROLLUPS_TABLE"],
            Self::Queues => &["RETRY_QUEUE_URL", "DEAD_LETTER_QUEUE_URL"],
        }
    }
}

/// Stands for a variable that a command does not use.
const UNUSED: &str = "https://not.set.invalid/";

impl Target {
    /// The events table; `None` if the environment names only queues.
    pub fn events_table(&self) -> Option<EventsTable> {
        let name = &self.storage.events_table;
        (name != UNUSED).then(|| EventsTable::new(self.aws.dynamodb.clone(), name.clone()))
    }

    /// The target that the environment names, or the running instance of this data folder.
    ///
    /// # Errors
    /// If only some of the variables are set, or no instance is running.
    pub async fn find(data: &Path, needs: Needs) -> anyhow::Result<Self> {
        if needs.variables().iter().any(|name| environment(name).is_some()) {
            let unused = |name: &str| match name {
                "EVENTS_TABLE" | "RETRY_QUEUE_URL" | "DEAD_LETTER_QUEUE_URL"
                    if !needs.variables().contains(&name) =>
                {
                    Some(UNUSED.to_owned())
                }
                _ => None,
            };
            let storage = StorageConfig::read(|name| environment(name).or_else(|| unused(name)))?;
            let rollups_table = environment("ROLLUPS_TABLE").unwrap_or_default();
            if needs == Needs::Counters && rollups_table.is_empty() {
                bail!("ROLLUPS_TABLE is missing");
            }
            // As AWS CLI does, whatever the functions use: a proxy of the network may inspect TLS.
            let aws = Aws::from_environment(Roots::System, Timeouts::background()).await;
            return Ok(Self {
                aws,
                storage,
                rollups_table,
                local: None,
            });
        }
        let file = data.join(INSTANCE_FILE);
        let Ok(text) = fs::read_to_string(&file) else {
            bail!(
                "nothing to work on: start `netcore-webhooks serve` with the data folder {}, or set {} for a stack in AWS",
                data.display(),
                needs.variables().join(" and ")
            );
        };
        let instance: RunningInstance = serde_json::from_str(&text)
            .with_context(|| format!("{} is damaged; start serve again", file.display()))?;
        let aws = instance.aws(Timeouts::background()).await;
        let storage = instance.storage();
        Ok(Self {
            aws,
            storage,
            rollups_table: instance.rollups_table.clone(),
            local: Some(instance),
        })
    }

    /// All items of a message.
    ///
    /// # Errors
    /// If the events table does not answer.
    pub async fn items_of(&self, message_id: &str) -> anyhow::Result<Vec<Item>> {
        let query = self.aws.dynamodb.query();
        query
            .table_name(&self.storage.events_table)
            .key_condition_expression("#key = :id")
            // Not the markers of rejected bodies.
            .filter_expression("attribute_exists(#channel)")
            .expression_attribute_names("#key", item::MESSAGE_ID)
            .expression_attribute_names("#channel", item::CHANNEL)
            .expression_attribute_values(":id", AttributeValue::S(message_id.to_owned()))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<_, _>>()
            .await
            .context("the events table does not answer")
    }
}
