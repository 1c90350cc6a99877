//! DynamoDB on SQLite, and the tables in it: events with their stream, and counters.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use aws_sdk_dynamodb::{
    Client,
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
        ProjectionType, ScalarAttributeType, StreamSpecification, StreamViewType, TimeToLiveSpecification,
    },
};
use dynoxide::Database;
use tokio::{sync::watch, task::JoinHandle};
use webhook_ingest::{item, rollup};

use super::{EVENTS_TABLE, ROLLUPS_TABLE, listen, stream, until};

/// How often expired items are removed. In AWS it takes up to some days.
const SWEEP: Duration = Duration::from_mins(1);

/// The database, its URL, and the tasks that serve it.
pub(super) async fn start(
    data: Option<&Path>,
    stopped: watch::Receiver<bool>,
) -> anyhow::Result<(Database, String, Vec<JoinHandle<()>>)> {
    let path = match data {
        Some(folder) => {
            let file = folder.join("tables.sqlite");
            file.to_str()
                .context("the data folder's path is not UTF-8")?
                .to_owned()
        }
        None => stream::memory(),
    };
    let database = Database::new(&path).with_context(|| format!("{path} cannot be opened"))?;
    stream::prepare(&path)?;
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
    let tables = database.clone();
    let server = tokio::spawn(async move {
        if let Err(error) = dynoxide::server::serve_with_shutdown(listener, tables, until(stopped)).await {
            tracing::error!(error, "the local DynamoDB ended");
        }
    });
    Ok((database, url, vec![server, sweep]))
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

/// Creates the tables that do not exist yet. Returns whether there are events that were never
/// counted: in a folder of a version that kept no counters.
pub(super) async fn create(client: &Client) -> anyhow::Result<bool> {
    let tables = client
        .list_tables()
        .send()
        .await
        .context("the local DynamoDB does not answer")?;
    let exists = |wanted: &str| tables.table_names().iter().any(|name| name == wanted);
    let counts = exists(ROLLUPS_TABLE);
    if !counts {
        create_rollups(client).await?;
    }
    if !exists(EVENTS_TABLE) {
        create_events(client).await?;
        return Ok(false);
    }
    let table = client.describe_table().table_name(EVENTS_TABLE).send().await;
    let table = table.context("the events table cannot be described")?.table;
    if table.is_none_or(|table| table.latest_stream_arn.is_none()) {
        client
            .update_table()
            .table_name(EVENTS_TABLE)
            .stream_specification(new_images()?)
            .send()
            .await
            .context("the stream could not be switched on")?;
    }
    Ok(!counts)
}

fn attribute(name: &str, kind: ScalarAttributeType) -> anyhow::Result<AttributeDefinition> {
    let definition = AttributeDefinition::builder().attribute_name(name);
    Ok(definition.attribute_type(kind).build()?)
}

fn key(name: &str, kind: KeyType) -> anyhow::Result<KeySchemaElement> {
    let key = KeySchemaElement::builder().attribute_name(name);
    Ok(key.key_type(kind).build()?)
}

fn index(name: &str, partition: &str) -> anyhow::Result<GlobalSecondaryIndex> {
    Ok(GlobalSecondaryIndex::builder()
        .index_name(name)
        .key_schema(key(partition, KeyType::Hash)?)
        .key_schema(key(item::EVENT_TIME, KeyType::Range)?)
        .projection(Projection::builder().projection_type(ProjectionType::All).build())
        .build()?)
}

fn new_images() -> anyhow::Result<StreamSpecification> {
    Ok(StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(StreamViewType::NewImage)
        .build()?)
}

async fn create_events(client: &Client) -> anyhow::Result<()> {
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
        .stream_specification(new_images()?)
        .send()
        .await
        .context("the events table could not be created")?;
    expire(client, EVENTS_TABLE, item::EXPIRES_AT).await
}

async fn create_rollups(client: &Client) -> anyhow::Result<()> {
    client
        .create_table()
        .table_name(ROLLUPS_TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute(rollup::SERIES, ScalarAttributeType::S)?)
        .attribute_definitions(attribute(rollup::PERIOD, ScalarAttributeType::S)?)
        .key_schema(key(rollup::SERIES, KeyType::Hash)?)
        .key_schema(key(rollup::PERIOD, KeyType::Range)?)
        .send()
        .await
        .context("the counters' table could not be created")?;
    expire(client, ROLLUPS_TABLE, rollup::EXPIRES_AT).await
}

async fn expire(client: &Client, table: &str, attribute: &str) -> anyhow::Result<()> {
    client
        .update_time_to_live()
        .table_name(table)
        .time_to_live_specification(
            TimeToLiveSpecification::builder()
                .attribute_name(attribute)
                .enabled(true)
                .build()?,
        )
        .send()
        .await
        .context("time to live could not be switched on")?;
    Ok(())
}
