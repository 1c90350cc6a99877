//! The embedded DynamoDB server, and its tables: events with their stream, and counters.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use dynoxide::{actions, storage::Storage};
use http::{StatusCode, header::CONTENT_TYPE};
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::{
    sync::{Mutex, watch},
    task::JoinHandle,
};
use webhook_ingest::{
    counters,
    event::time,
    events_table::{index, item},
};

use super::{
    EVENTS_TABLE, Indexes, ROLLUPS_TABLE,
    access_key::{self, AccessKey, Purged},
    engine::{Engine, finished},
    journal::Journal,
    layout, listen,
    names::{keys_of, quoted},
    stream::{self, Stream},
};
use crate::{
    listener::{Limits, read, serve, until_stopped},
    private,
};

/// File in the data folder.
const FILE: &str = "tables.sqlite";
/// Interval for removing expired items. AWS takes up to a few days.
const SWEEP: Duration = Duration::from_mins(1);
/// Expired items that one step removes; other requests wait for a step.
const ITEMS_PER_SWEEP: u32 = 25;
/// Free pages that are kept for new items; others are returned to the file system.
const FREE_PAGES: u32 = 2000;
/// Connections for reading: so many pages of scans and queries are read concurrently. Each connection
/// takes about 2 MB.
const READERS: usize = 4;
/// `DynamoDB` accepts bodies of up to 16 MB.
const MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;

/// Opens the tables and creates missing ones. Also returns whether there are events that were never
/// counted, which is the case in a folder of a version without counters.
pub(super) fn open(data: Option<&Path>, indexes: Indexes) -> anyhow::Result<(Engine, bool)> {
    let storage = match data {
        Some(folder) => {
            let file = folder.join(FILE);
            if !file.exists() {
                // SQLite creates its additional files with the permissions of this one.
                private::create(&file)?;
                layout::initialize(&Connection::open(&file)?)?;
            }
            connection(&file)?
        }
        None => Storage::memory()?,
    };
    layout::configure(storage.conn())?;
    let tables = storage.list_table_names()?;
    let exists = |wanted: &str| tables.iter().any(|name| name == wanted);
    if !exists(ROLLUPS_TABLE) {
        create(&storage, rollups(), counters::EXPIRES_AT)?;
    }
    if !exists(EVENTS_TABLE) {
        create(&storage, events(indexes), item::EXPIRES_AT)?;
    }
    for name in [EVENTS_TABLE, ROLLUPS_TABLE] {
        let table = storage.get_table_metadata(name)?;
        let table = table.with_context(|| format!("the table {name} is missing"))?;
        if name == EVENTS_TABLE && !table.stream_enabled {
            storage.enable_stream(name, "NEW_IMAGE", &time::now().to_string())?;
        }
        let described = layout::Table {
            name,
            attributes: &table.attribute_definitions,
            indexes: table.gsi_definitions.as_deref(),
            expires: table.ttl_attribute.as_deref(),
        };
        layout::create(storage.conn(), &described)?;
    }
    layout::enable_incremental_vacuum(storage.conn())?;
    let uncounted = exists(EVENTS_TABLE) && !exists(ROLLUPS_TABLE);
    let readers = match data {
        Some(folder) => (0..READERS)
            .map(|_| connection(&folder.join(FILE)))
            .collect::<anyhow::Result<_>>()?,
        None => Vec::new(),
    };
    Ok((Engine::new(storage, readers), uncounted))
}

fn connection(file: &Path) -> anyhow::Result<Storage> {
    let path = file.to_str().context("the data folder's path is not UTF-8")?;
    Storage::new(path).with_context(|| format!("{path} cannot be opened"))
}

/// Serves the tables and removes expired items. Returns the URL and the tasks.
pub(super) async fn start(
    engine: Engine,
    stream: Stream,
    journal: Arc<Option<Mutex<Journal>>>,
    access_key: AccessKey,
    stopped: watch::Receiver<bool>,
) -> anyhow::Result<(String, Vec<JoinHandle<()>>)> {
    let (listener, url) = listen().await?;
    let swept = {
        let (engine, journal, stopped) = (engine.clone(), journal.clone(), stopped.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = until_stopped(stopped) => {}
                () = sweep(engine, journal) => {}
            }
        })
    };
    let app = Router::new().fallback(handle).with_state(Arc::new(Server {
        engine,
        stream,
        journal,
        access_key,
    }));
    let served = tokio::spawn(serve(listener, app, Limits::default(), stopped));
    Ok((url, vec![served, swept]))
}

struct Server {
    engine: Engine,
    stream: Stream,
    /// The queues' journal; a purge also compacts it.
    journal: Arc<Option<Mutex<Journal>>>,
    access_key: AccessKey,
}

async fn handle(State(state): State<Arc<Server>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if let Some(refused) = state.access_key.refusal(&parts.headers) {
        return refused;
    }
    let body = match read(body, MAX_REQUEST_BYTES, Limits::default().body).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let operation = parts
        .headers
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok())
        .and_then(|target| target.split_once('.'))
        .unwrap_or_default();
    if operation == (access_key::OWN_OPERATIONS, access_key::PURGE) {
        return match purge(&state).await {
            Ok(purged) => {
                (StatusCode::OK, serde_json::to_string(&purged).unwrap_or_default()).into_response()
            }
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "deleted content could not be purged"
                );
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        };
    }
    let (engine, operation) = (state.engine.clone(), operation.1.to_owned());
    let answer = tokio::task::spawn_blocking(move || {
        let body = String::from_utf8_lossy(&body);
        engine.call(&operation, &body)
    })
    .await;
    let Ok((status, answer)) = answer else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(CONTENT_TYPE, "application/x-amz-json-1.0")], answer).into_response()
}

/// See [`super::RunningInstance::purge`].
async fn purge(state: &Server) -> anyhow::Result<Purged> {
    /// Up to 10 seconds; the stream poller reads several times a second.
    const CHECKS: u32 = 100;
    const PAUSE: Duration = Duration::from_millis(100);
    let mut stream_drained = false;
    for _ in 0..CHECKS {
        let stream = state.stream.clone();
        stream_drained = tokio::task::spawn_blocking(move || stream.purge()).await??;
        if stream_drained {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let engine = state.engine.clone();
    tokio::task::spawn_blocking(move || engine.with_exclusive(|storage| layout::purge(storage.conn())))
        .await??;
    if let Some(journal) = state.journal.as_ref() {
        journal.lock().await.compact()?;
    }
    Ok(Purged { stream_drained })
}

async fn sweep(engine: Engine, journal: Arc<Option<Mutex<Journal>>>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        if let Some(journal) = journal.as_ref()
            && let Err(error) = journal.lock().await.compact_if_long()
        {
            tracing::warn!(
                error = format!("{error:#}"),
                "the queues' journal could not be compacted"
            );
        }
        // Short steps: requests are served between them.
        loop {
            let engine = engine.clone();
            let swept = tokio::task::spawn_blocking(move || engine.with(step)).await;
            match swept {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) | Err(_) => break,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "expired items could not be removed");
                    break;
                }
            }
        }
    }
}

/// Removes some expired items. Returns whether more may follow.
pub(super) fn step(storage: &Storage) -> anyhow::Result<bool> {
    let mut more = false;
    for (table, attribute) in [
        (EVENTS_TABLE, item::EXPIRES_AT),
        (ROLLUPS_TABLE, counters::EXPIRES_AT),
    ] {
        more |= remove_expired(storage, table, attribute, time::now() / 1000)?;
    }
    more |= stream::expire(storage.conn())?;
    layout::release_free_pages(storage.conn(), FREE_PAGES)?;
    Ok(more)
}

fn remove_expired(storage: &Storage, table: &str, attribute: &str, now: i64) -> anyhow::Result<bool> {
    let expired: Vec<String> = storage
        .conn()
        .prepare_cached(&format!(
            "SELECT item_json FROM {} WHERE {} <= ?1 LIMIT {ITEMS_PER_SWEEP}",
            quoted(table),
            layout::expiry(attribute)
        ))?
        .query_map([now], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let keys = keys_of(table).context("the table has no known keys")?;
    for item in &expired {
        let item: Value = serde_json::from_str(item)?;
        let key: serde_json::Map<String, Value> = keys
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), item.get(*name)?.clone())))
            .collect();
        let request = serde_json::from_value(json!({"TableName": table, "Key": key}))?;
        finished(actions::delete_item::execute(storage, request))?;
    }
    Ok(!expired.is_empty())
}

fn create(storage: &Storage, table: Value, expires: &str) -> anyhow::Result<()> {
    let name = table.get("TableName").cloned();
    finished(actions::create_table::execute(
        storage,
        serde_json::from_value(table)?,
    ))
    .context("a table could not be created")?;
    let expires = json!({
        "TableName": name,
        "TimeToLiveSpecification": {"AttributeName": expires, "Enabled": true},
    });
    finished(actions::update_time_to_live::execute(
        storage,
        serde_json::from_value(expires)?,
    ))
    .context("time to live could not be enabled")?;
    Ok(())
}

/// See [`super::Local::create_restored_table`].
pub(super) fn create_restored(storage: &Storage, name: &str) -> anyhow::Result<()> {
    let mut table = events(Indexes::Missing);
    if let Some(table) = table.as_object_mut() {
        table.insert("TableName".to_owned(), name.into());
        table.remove("StreamSpecification");
    }
    create(storage, table, item::EXPIRES_AT)
}

/// As `template.yaml` has it.
fn events(indexes: Indexes) -> Value {
    let index = |name: &str, partition: &str, lean: Value| {
        let whole = json!({"ProjectionType": "ALL"});
        json!({
            "IndexName": name,
            "KeySchema": keys(partition, item::EVENT_TIME),
            "Projection": if indexes == Indexes::Whole { whole } else { lean },
        })
    };
    let keys_only = json!({"ProjectionType": "KEYS_ONLY"});
    let filters = json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": index::DAY_INDEX_ATTRIBUTES});
    let mut table = json!({
        "TableName": EVENTS_TABLE,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": item::MESSAGE_ID, "AttributeType": "S"},
            {"AttributeName": item::STATUS_KEY, "AttributeType": "S"},
            {"AttributeName": item::RECIPIENT, "AttributeType": "S"},
            {"AttributeName": item::DAY_SHARD, "AttributeType": "S"},
            {"AttributeName": item::EVENT_TIME, "AttributeType": "N"},
        ],
        "KeySchema": keys(item::MESSAGE_ID, item::STATUS_KEY),
        "GlobalSecondaryIndexes": [
            index(index::RECIPIENT_INDEX, item::RECIPIENT, keys_only),
            index(index::DAY_INDEX, item::DAY_SHARD, filters),
        ],
        "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"},
    });
    if indexes == Indexes::Missing
        && let Some(table) = table.as_object_mut()
    {
        table.remove("GlobalSecondaryIndexes");
        // DynamoDB refuses definitions of attributes that are in no key.
        let attributes = [item::MESSAGE_ID, item::STATUS_KEY]
            .map(|name| json!({"AttributeName": name, "AttributeType": "S"}));
        table.insert("AttributeDefinitions".to_owned(), json!(attributes));
    }
    table
}

/// As `template.yaml` has it.
fn rollups() -> Value {
    json!({
        "TableName": ROLLUPS_TABLE,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": counters::SERIES, "AttributeType": "S"},
            {"AttributeName": counters::PERIOD, "AttributeType": "S"},
        ],
        "KeySchema": keys(counters::SERIES, counters::PERIOD),
    })
}

fn keys(partition: &str, sort: &str) -> Value {
    json!([
        {"AttributeName": partition, "KeyType": "HASH"},
        {"AttributeName": sort, "KeyType": "RANGE"},
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEMS: usize = 200;

    fn event(number: usize) -> Value {
        json!({
            "message_id": {"S": format!("m-{number}")},
            "status_key": {"S": "RCS#sent"},
            "recipient": {"S": "919812345678"},
            "day_shard": {"S": "2026-11-21#00"},
            "event_time": {"N": (1_795_181_400_000_u64 + number as u64).to_string()},
            "remarks": {"S": "x".repeat(700)},
        })
    }

    /// A folder of an earlier version: SQLite's default page size, a copy of the items for every index,
    /// and all stream records.
    fn earlier_version(folder: &Path) {
        let storage = Storage::new(folder.join(FILE).to_str().unwrap()).unwrap();
        create(&storage, rollups(), counters::EXPIRES_AT).unwrap();
        create(&storage, events(Indexes::Whole), item::EXPIRES_AT).unwrap();
        for number in 0..ITEMS {
            let put = json!({"TableName": EVENTS_TABLE, "Item": event(number)});
            let put = serde_json::from_value(put).unwrap();
            finished(actions::put_item::execute(&storage, put)).unwrap();
        }
        let aged = format!(
            "UPDATE _stream_records SET created_at = created_at - 200000 WHERE id <= {}",
            ITEMS / 2
        );
        assert_eq!(storage.conn().execute(&aged, []).unwrap(), ITEMS / 2);
    }

    fn ask(engine: &Engine, operation: &str, request: &Value) -> Value {
        let (status, answer) = engine.call(operation, &request.to_string());
        assert_eq!(status, 200, "{answer}");
        serde_json::from_str(&answer).unwrap()
    }

    #[test]
    fn a_folder_of_an_earlier_version_is_converted_completely() {
        let folder = tempfile::tempdir().unwrap();
        earlier_version(folder.path());
        let bytes = || std::fs::metadata(folder.path().join(FILE)).unwrap().len();
        let before = bytes();
        for opened in ["at first", "and again"] {
            let (engine, uncounted) = open(Some(folder.path()), Indexes::Lean).unwrap();
            assert!(!uncounted, "{opened}");
            for (index, key, value) in [
                ("recipient-index", "recipient", "919812345678"),
                ("day-index", "day_shard", "2026-11-21#00"),
            ] {
                let request = json!({
                    "TableName": EVENTS_TABLE, "IndexName": index, "ScanIndexForward": false,
                    "KeyConditionExpression": "#key = :value",
                    "ExpressionAttributeNames": {"#key": key},
                    "ExpressionAttributeValues": {":value": {"S": value}},
                });
                let found = ask(&engine, "Query", &request);
                assert_eq!(found["Count"], ITEMS, "{opened}");
                assert_eq!(found["Items"][0], event(ITEMS - 1), "{opened}");
            }
            // Records that were not read within a day are missing; all others are present.
            let (records, _) = engine
                .with(|storage| stream::after(storage, stream::BEGINNING, 500))
                .unwrap();
            assert_eq!(records.len(), ITEMS / 2, "{opened}");
        }
        let (engine, _) = open(Some(folder.path()), Indexes::Lean).unwrap();
        let put = json!({"TableName": EVENTS_TABLE, "Item": event(ITEMS)});
        ask(&engine, "PutItem", &put);
        let scanned = ask(&engine, "Scan", &json!({"TableName": EVENTS_TABLE}));
        assert_eq!(scanned["Count"], ITEMS + 1);
        assert!(bytes() * 2 < before, "{} of {before} bytes", bytes());
    }
}
