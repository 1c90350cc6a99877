//! DynamoDB on SQLite, and the events table in it.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use aws_sdk_dynamodb::{
    Client,
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
        ProjectionType, ScalarAttributeType, TimeToLiveSpecification,
    },
};
use dynoxide::Database;
use tokio::{sync::watch, task::JoinHandle};
use webhook_ingest::item;

use super::{EVENTS_TABLE, listen, until};

/// How often expired items are removed. In AWS it takes up to some days.
const SWEEP: Duration = Duration::from_mins(1);

pub(super) async fn start(
    data: Option<&Path>,
    stopped: watch::Receiver<bool>,
) -> anyhow::Result<(String, Vec<JoinHandle<()>>)> {
    let database = match data {
        Some(folder) => {
            let file = folder.join("tables.sqlite");
            let path = file.to_str().context("the data folder's path is not UTF-8")?;
            Database::new(path).with_context(|| format!("{path} cannot be opened"))?
        }
        None => Database::memory()?,
    };
    let (listener, url) = listen().await?;
    let sweep = {
        let (database, stopped) = (database.clone(), stopped.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = until(stopped) => {}
                () = sweep(database) => {}
            }
        })
    };
    let server = tokio::spawn(async move {
        if let Err(error) = dynoxide::server::serve_with_shutdown(listener, database, until(stopped)).await {
            tracing::error!(error, "the local DynamoDB ended");
        }
    });
    Ok((url, vec![server, sweep]))
}

async fn sweep(database: Database) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let database = database.clone();
        let swept = tokio::task::spawn_blocking(move || database.sweep_ttl()).await;
        if let Ok(Err(error)) = swept {
            tracing::warn!(%error, "expired items could not be removed");
        }
    }
}

/// Creates the events table with its indexes, unless it exists.
pub(super) async fn create(client: &Client) -> anyhow::Result<()> {
    let tables = client
        .list_tables()
        .send()
        .await
        .context("the local DynamoDB does not answer")?;
    if tables.table_names().iter().any(|name| name == EVENTS_TABLE) {
        return Ok(());
    }
    let attribute = |name: &str, kind: ScalarAttributeType| {
        AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(kind)
            .build()
    };
    let key = |name: &str, kind: KeyType| {
        KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind)
            .build()
    };
    let index = |name: &str, partition: &str| -> anyhow::Result<GlobalSecondaryIndex> {
        Ok(GlobalSecondaryIndex::builder()
            .index_name(name)
            .key_schema(key(partition, KeyType::Hash)?)
            .key_schema(key(item::EVENT_TIME, KeyType::Range)?)
            .projection(Projection::builder().projection_type(ProjectionType::All).build())
            .build()?)
    };
    client
        .create_table()
        .table_name(EVENTS_TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute(item::MESSAGE_ID, ScalarAttributeType::S)?)
        .attribute_definitions(attribute(item::STATUS_KEY, ScalarAttributeType::S)?)
        .attribute_definitions(attribute(item::RECIPIENT, ScalarAttributeType::S)?)
        .attribute_definitions(attribute(item::DAY_SHARD, ScalarAttributeType::S)?)
        .attribute_definitions(attribute(item::EVENT_TIME, ScalarAttributeType::N)?)
        .key_schema(key(item::MESSAGE_ID, KeyType::Hash)?)
        .key_schema(key(item::STATUS_KEY, KeyType::Range)?)
        .global_secondary_indexes(index("recipient-index", item::RECIPIENT)?)
        .global_secondary_indexes(index("day-index", item::DAY_SHARD)?)
        .send()
        .await
        .context("the events table could not be created")?;
    client
        .update_time_to_live()
        .table_name(EVENTS_TABLE)
        .time_to_live_specification(
            TimeToLiveSpecification::builder()
                .attribute_name(item::EXPIRES_AT)
                .enabled(true)
                .build()?,
        )
        .send()
        .await
        .context("time to live could not be switched on")?;
    Ok(())
}
