//! Operations of the DynamoDB API, executed by `dynoxide` on SQLite: one connection writes, several read.

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use dynoxide::{
    AttributeValue, DynoxideError, actions,
    storage::{Storage, compute_hash_prefix},
};
use futures::FutureExt as _;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::names::{keys_of, quoted};

/// As in AWS, a transaction with the same client token is executed once within this time.
const TOKEN_LIFETIME: Duration = Duration::from_mins(10);

/// Maximum of rows in a page of a scan. A page ends at 1 MB, but `dynoxide` reads all candidate rows
/// before it checks the size: for a scan, the whole table. With this limit, other requests do not
/// wait long. Pages of small items contain less than 1 MB, which DynamoDB also allows.
const ROWS_OF_A_SCAN: u64 = 500;
/// The same for a query, which reads one partition.
const ROWS_OF_A_QUERY: u64 = 2500;

/// Operations that only read. With SQLite's write-ahead log, each of their statements sees all data
/// that was committed before it, and does not wait for writes in progress.
const READS: [&str; 4] = ["BatchGetItem", "GetItem", "Query", "Scan"];

/// The embedded DynamoDB. Clones are cheap and share the same data.
#[derive(Clone)]
pub(crate) struct Engine(Arc<Connections>);

struct Connections {
    writer: Mutex<Writer>,
    /// Connections to the same file for [`READS`]; if empty, the writer also reads.
    readers: Vec<Mutex<Storage>>,
    /// Index of the reader to wait for if none is free.
    next: AtomicUsize,
}

struct Writer {
    storage: Storage,
    /// Transactions by client token: digest of the request, time, and response.
    tokens: HashMap<String, (Vec<u8>, Instant, String)>,
}

impl Engine {
    pub(super) fn new(storage: Storage, readers: Vec<Storage>) -> Self {
        let writer = Writer {
            storage,
            tokens: HashMap::new(),
        };
        Self(Arc::new(Connections {
            writer: Mutex::new(writer),
            readers: readers.into_iter().map(Mutex::new).collect(),
            next: AtomicUsize::new(0),
        }))
    }

    /// Runs a closure on the writing connection. Blocks; other writes wait.
    pub(super) fn with<T>(&self, run: impl FnOnce(&Storage) -> T) -> T {
        run(&lock(&self.0.writer).storage)
    }

    /// The same, but reads also wait.
    pub(super) fn with_exclusive<T>(&self, run: impl FnOnce(&Storage) -> T) -> T {
        let _readers: Vec<_> = self.0.readers.iter().map(lock).collect();
        self.with(run)
    }

    /// A reading connection, preferably a free one.
    fn reader(&self) -> Option<MutexGuard<'_, Storage>> {
        let readers = &self.0.readers;
        let free = readers.iter().find_map(|reader| reader.try_lock().ok());
        free.or_else(|| {
            let turn = self.0.next.fetch_add(1, Ordering::Relaxed);
            readers.get(turn % readers.len().max(1)).map(lock)
        })
    }

    /// Executes a request. Returns status and JSON body.
    pub(super) fn call(&self, operation: &str, body: &str) -> (u16, String) {
        let answer = match operation {
            "TransactWriteItems" => lock(&self.0.writer).transact(body),
            "Query" | "Scan" | "ExecuteStatement" => {
                limited(operation, body).and_then(|request| self.run(operation, &request.to_string()))
            }
            _ => self.run(operation, body),
        };
        match answer {
            Ok(answer) => (200, answer),
            Err(error) => (error.status_code(), error.to_json()),
        }
    }

    fn run(&self, operation: &str, body: &str) -> dynoxide::Result<String> {
        let reader = READS.contains(&operation).then(|| self.reader()).flatten();
        match reader {
            Some(reader) => run(&reader, operation, body),
            None => self.with(|storage| run(storage, operation, body)),
        }
    }
}

/// Ignores poisoning: SQLite rolls back a transaction that a panic left open.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Writer {
    fn transact(&mut self, body: &str) -> dynoxide::Result<String> {
        let request: Value = read(body)?;
        let Some(token) = request.get("ClientRequestToken").and_then(Value::as_str) else {
            return run(&self.storage, "TransactWriteItems", body);
        };
        self.tokens
            .retain(|_, (_, made, _)| made.elapsed() < TOKEN_LIFETIME);
        // `Value` sorts the names of an object, so the digest does not depend on their order in the request.
        let digest = Sha256::digest(request.to_string()).to_vec();
        if let Some((known, _, answer)) = self.tokens.get(token) {
            return if *known == digest {
                Ok(answer.clone())
            } else {
                Err(DynoxideError::IdempotentParameterMismatchException(
                    "the token was used for another transaction".to_owned(),
                ))
            };
        }
        let answer = run(&self.storage, "TransactWriteItems", body)?;
        let made = (digest, Instant::now(), answer.clone());
        self.tokens.insert(token.to_owned(), made);
        Ok(answer)
    }
}

fn run(storage: &Storage, operation: &str, body: &str) -> dynoxide::Result<String> {
    macro_rules! answer {
        ($action:ident) => {
            write(&finished(actions::$action::execute(storage, read(body)?))?)
        };
    }
    match operation {
        "BatchExecuteStatement" => answer!(batch_execute_statement),
        "BatchGetItem" => answer!(batch_get_item),
        "BatchWriteItem" => answer!(batch_write_item),
        "DeleteItem" => answer!(delete_item),
        "DescribeStream" => answer!(describe_stream),
        "DescribeTable" => describe(storage, body),
        "DescribeTimeToLive" => answer!(describe_time_to_live),
        "ExecuteStatement" => answer!(execute_statement),
        "ExecuteTransaction" => answer!(execute_transaction),
        "GetItem" => answer!(get_item),
        "GetRecords" => answer!(get_records),
        "GetShardIterator" => answer!(get_shard_iterator),
        "ListStreams" => answer!(list_streams),
        "ListTables" => answer!(list_tables),
        "ListTagsOfResource" => answer!(list_tags_of_resource),
        "PutItem" => answer!(put_item),
        "Query" => answer!(query),
        "Scan" => answer!(scan),
        "TransactGetItems" => answer!(transact_get_items),
        "TransactWriteItems" => answer!(transact_write_items),
        "UpdateItem" => answer!(update_item),
        other => Err(DynoxideError::ValidationException(format!(
            "{other} is not available: serve creates the tables of a local instance"
        ))),
    }
}

/// The request with a limit on the rows that it reads.
fn limited(operation: &str, body: &str) -> dynoxide::Result<Value> {
    let most = match operation {
        "Scan" => ROWS_OF_A_SCAN,
        _ => ROWS_OF_A_QUERY,
    };
    let mut request: Value = read(body)?;
    if let Some(members) = request.as_object_mut() {
        match members.get("Limit").map(Value::as_u64) {
            // The action rejects a limit that is not a number.
            Some(None) => {}
            Some(Some(limit)) if limit <= most => {}
            _ => {
                members.insert("Limit".to_owned(), most.into());
            }
        }
        if let Some(key) = before_segment(members) {
            members.insert("ExclusiveStartKey".to_owned(), key);
        }
    }
    Ok(request)
}

/// A key shortly before a segment of a scan, as the start of its first page: without it, `dynoxide`
/// searches for the segment from the beginning of the table. `None` if the request has a start key,
/// reads an index, or names a table that this crate does not create.
fn before_segment(request: &Map<String, Value>) -> Option<Value> {
    /// `dynoxide` divides a table into this many buckets by the hash of the key; a segment is a
    /// range of buckets.
    const BUCKETS: u64 = 4096;
    /// One key in 4,096 has the wanted hash, so this many tries always find one.
    const TRIES: u32 = 1_000_000;
    if request.contains_key("ExclusiveStartKey") || request.contains_key("IndexName") {
        return None;
    }
    let number = |name: &str| request.get(name).and_then(Value::as_u64);
    let (segment, segments) = (number("Segment")?, number("TotalSegments")?);
    let first = BUCKETS
        .checked_mul(segment)?
        .checked_add(segments)?
        .checked_sub(1)?
        / segments.max(1);
    let wanted = format!("{:03x}", first.checked_sub(1)?);
    let [partition, sort] = keys_of(request.get("TableName")?.as_str()?)?;
    (0..TRIES)
        .map(|number| number.to_string())
        .find(|key| compute_hash_prefix(&AttributeValue::S(key.clone())).starts_with(&wanted))
        .map(|key| json!({partition: {"S": key}, sort: {"S": "-"}}))
}

/// The result of an action. On SQLite an action never waits, so its first poll completes it.
pub(super) fn finished<T>(action: impl Future<Output = dynoxide::Result<T>>) -> dynoxide::Result<T> {
    action.now_or_never().unwrap_or_else(|| {
        Err(DynoxideError::InternalServerError(
            "the storage did not answer immediately".to_owned(),
        ))
    })
}

fn read<T: DeserializeOwned>(body: &str) -> dynoxide::Result<T> {
    serde_json::from_str(body).map_err(|error| {
        let text = error.to_string();
        // `dynoxide` marks well-formed JSON with invalid content.
        match text
            .split_once("VALIDATION:")
            .or_else(|| text.split_once("VALIDATION_REQUEST:"))
        {
            Some(("", message)) => {
                let message = message
                    .rsplit_once(" at line ")
                    .map_or(message, |(message, _)| message);
                DynoxideError::ValidationException(message.to_owned())
            }
            _ => DynoxideError::SerializationException(text),
        }
    })
}

fn write<T: Serialize>(answer: &T) -> dynoxide::Result<String> {
    serde_json::to_string(answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// `DescribeTable` without reading the items: `dynoxide` would sum their sizes, once for the table
/// and once for each index. The response has no sizes, and SQLite counts the items.
fn describe(storage: &Storage, body: &str) -> dynoxide::Result<String> {
    let request: Value = read(body)?;
    let name = request
        .get("TableName")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let Some(table) = storage.get_table_metadata(name)? else {
        return Err(DynoxideError::ResourceNotFoundException(format!(
            "Requested resource not found: Table: {name} not found"
        )));
    };
    // SQLite counts with the smallest index, which has a few bytes per item.
    let count: i64 =
        storage
            .conn()
            .query_row(&format!("SELECT COUNT(*) FROM {}", quoted(name)), [], |row| {
                row.get(0)
            })?;
    let parsed = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
    let indexes = table.gsi_definitions.as_deref().map(|indexes| {
        let mut indexes: Vec<Value> = serde_json::from_str(indexes).unwrap_or_default();
        for index in indexes.iter_mut().filter_map(Value::as_object_mut) {
            index.insert("IndexStatus".to_owned(), "ACTIVE".into());
            index.insert("ItemCount".to_owned(), count.into());
        }
        indexes
    });
    let stream = table.stream_label.as_deref().filter(|_| table.stream_enabled);
    let mut described = json!({
        "TableName": name,
        "TableStatus": "ACTIVE",
        "TableArn": dynoxide::streams::table_arn(name),
        "TableId": table.table_id,
        "CreationDateTime": table.created_at,
        "KeySchema": parsed(&table.key_schema),
        "AttributeDefinitions": parsed(&table.attribute_definitions),
        "BillingModeSummary": {"BillingMode": table.billing_mode},
        "ItemCount": count,
    });
    if let Some(described) = described.as_object_mut() {
        if let Some(indexes) = indexes {
            described.insert("GlobalSecondaryIndexes".to_owned(), indexes.into());
        }
        if let Some(label) = stream {
            described.insert("LatestStreamLabel".to_owned(), label.into());
            described.insert(
                "LatestStreamArn".to_owned(),
                dynoxide::streams::stream_arn(name, label).into(),
            );
            described.insert(
                "StreamSpecification".to_owned(),
                json!({"StreamEnabled": true, "StreamViewType": table.stream_view_type}),
            );
        }
    }
    write(&json!({ "Table": described }))
}

#[cfg(test)]
mod tests {
    use super::{super::tables, *};
    use crate::local::{EVENTS_TABLE, Indexes};

    fn ok(engine: &Engine, operation: &str, body: &Value) -> Value {
        let (status, answer) = engine.call(operation, &body.to_string());
        assert_eq!(status, 200, "{answer}");
        serde_json::from_str(&answer).unwrap()
    }

    fn key(index: usize) -> Value {
        json!({"message_id": {"S": format!("m-{index}")}, "status_key": {"S": "RCS#sent"}})
    }

    #[test]
    fn a_scan_reads_only_its_page() {
        const ITEMS: usize = 3000;
        let (engine, _) = tables::open(None, Indexes::Lean).unwrap();
        for first in (0..ITEMS).step_by(25) {
            let puts: Vec<Value> = (first..first + 25)
                .map(|index| json!({"PutRequest": {"Item": key(index)}}))
                .collect();
            ok(
                &engine,
                "BatchWriteItem",
                &json!({"RequestItems": {EVENTS_TABLE: puts}}),
            );
        }
        for segments in [None, Some(4)] {
            let mut found = std::collections::BTreeSet::new();
            for segment in 0..segments.unwrap_or(1) {
                let mut request = json!({"TableName": EVENTS_TABLE});
                if let Some(segments) = segments {
                    request["Segment"] = segment.into();
                    request["TotalSegments"] = segments.into();
                }
                loop {
                    let page = ok(&engine, "Scan", &request);
                    assert!(page["ScannedCount"].as_u64().unwrap() <= ROWS_OF_A_SCAN);
                    for item in page["Items"].as_array().unwrap() {
                        assert!(found.insert(item["message_id"]["S"].as_str().unwrap().to_owned()));
                    }
                    match page.get("LastEvaluatedKey") {
                        Some(last) => request["ExclusiveStartKey"] = last.clone(),
                        None => break,
                    }
                }
            }
            assert_eq!(found.len(), ITEMS, "{segments:?} segments");
        }
        let described = ok(&engine, "DescribeTable", &json!({"TableName": EVENTS_TABLE}));
        assert_eq!(described["Table"]["ItemCount"], ITEMS);
        assert_eq!(
            described["Table"]["GlobalSecondaryIndexes"][1]["IndexName"],
            "day-index"
        );
    }

    #[test]
    fn every_query_uses_an_index() {
        let (engine, _) = tables::open(None, Indexes::Lean).unwrap();
        let plan = |query: &str| -> String {
            engine.with(|storage| {
                let mut rows = storage
                    .conn()
                    .prepare(&format!("EXPLAIN QUERY PLAN {query}"))
                    .unwrap();
                let steps = rows.query_map([], |row| row.get(3)).unwrap();
                steps.collect::<Result<Vec<String>, _>>().unwrap().join("\n")
            })
        };
        let items = quoted(EVENTS_TABLE);
        // Queries of `dynoxide` and of this crate.
        for (query, expected) in [
            (
                format!(
                    "SELECT gsi_pk, gsi_sk, item_json FROM \"{EVENTS_TABLE}::gsi::recipient-index\" WHERE gsi_pk = 'S:1' \
                     AND (gsi_sk, table_pk, table_sk) < ('N:1', 'S:a', 'S:b') \
                     ORDER BY gsi_sk DESC, table_pk DESC, table_sk DESC LIMIT 50"
                ),
                "recipient-index::keys",
            ),
            (
                format!(
                    "SELECT item_json FROM {items} WHERE {} <= 5 LIMIT 25",
                    crate::local::layout::expiry("expires_at")
                ),
                "::expires",
            ),
            (format!("SELECT COUNT(*) FROM {items}"), "COVERING INDEX"),
            (
                format!(
                    "SELECT pk, sk, item_json FROM {items} WHERE (hash_prefix, pk, sk) > ('1', 'a', 'b') \
                     AND substr(hash_prefix, 1, 3) >= '000' ORDER BY hash_prefix ASC, pk ASC, sk ASC LIMIT 9"
                ),
                "::segments",
            ),
            (
                "SELECT MAX(CAST(sequence_number AS INTEGER)) FROM _stream_records WHERE table_name = 'x'"
                    .to_owned(),
                "stream_records_by_number",
            ),
        ] {
            let plan = plan(&query);
            assert!(plan.contains(expected), "{query}\n{plan}");
        }
    }

    #[test]
    fn a_transaction_with_a_token_is_applied_once() {
        let (engine, _) = tables::open(None, Indexes::Lean).unwrap();
        let add = |amount: &str| {
            json!({
                "ClientRequestToken": "t-1",
                "TransactItems": [{"Update": {
                    "TableName": EVENTS_TABLE, "Key": key(1), "UpdateExpression": "ADD hits :n",
                    "ExpressionAttributeValues": {":n": {"N": amount}},
                }}],
            })
        };
        ok(&engine, "TransactWriteItems", &add("1"));
        ok(&engine, "TransactWriteItems", &add("1"));
        let (status, answer) = engine.call("TransactWriteItems", &add("2").to_string());
        assert_eq!(status, 400);
        assert!(
            answer.contains("IdempotentParameterMismatchException"),
            "{answer}"
        );
        let item = ok(
            &engine,
            "GetItem",
            &json!({"TableName": EVENTS_TABLE, "Key": key(1)}),
        );
        assert_eq!(item["Item"]["hits"]["N"], "1");
    }

    #[test]
    fn only_expired_items_are_removed() {
        let (engine, _) = tables::open(None, Indexes::Lean).unwrap();
        for (index, expires) in [(1, "5"), (2, "1895000000"), (3, "6")] {
            let mut item = key(index);
            item["expires_at"] = json!({"N": expires});
            ok(
                &engine,
                "PutItem",
                &json!({"TableName": EVENTS_TABLE, "Item": item}),
            );
        }
        while engine.with(tables::step).unwrap() {}
        let left = ok(&engine, "Scan", &json!({"TableName": EVENTS_TABLE}));
        assert_eq!(left["Count"], 1);
        assert_eq!(left["Items"][0]["message_id"]["S"], "m-2");
    }
}
