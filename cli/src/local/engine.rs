//! The operations of the DynamoDB API, run by `dynoxide` on one SQLite connection.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use dynoxide::{DynoxideError, actions, storage::Storage};
use futures::FutureExt as _;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::layout::quoted;

/// As in AWS, a transaction with the same token is made once within this time.
const TOKENS_KEPT: Duration = Duration::from_mins(10);

/// The embedded DynamoDB. Cloning it is cheap, and all clones are the same one.
#[derive(Clone)]
pub(crate) struct Engine(Arc<Mutex<Inner>>);

struct Inner {
    storage: Storage,
    /// Transactions by their token: a digest of the request, when it was made, and the answer.
    tokens: HashMap<String, (Vec<u8>, Instant, String)>,
}

impl Engine {
    pub(super) fn new(storage: Storage) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            storage,
            tokens: HashMap::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // SQLite rolls a transaction back that a panic left open.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs something on the one connection. It blocks, and everything else waits.
    pub(super) fn with<T>(&self, run: impl FnOnce(&Storage) -> T) -> T {
        run(&self.lock().storage)
    }

    /// Answers a request: status and JSON body.
    pub(super) fn call(&self, operation: &str, body: &str) -> (u16, String) {
        let mut inner = self.lock();
        let answer = match operation {
            "TransactWriteItems" => inner.transact(body),
            _ => run(&inner.storage, operation, body),
        };
        match answer {
            Ok(answer) => (200, answer),
            Err(error) => (error.status_code(), error.to_json()),
        }
    }
}

impl Inner {
    fn transact(&mut self, body: &str) -> dynoxide::Result<String> {
        let request: Value = read(body)?;
        let Some(token) = request.get("ClientRequestToken").and_then(Value::as_str) else {
            return run(&self.storage, "TransactWriteItems", body);
        };
        self.tokens.retain(|_, (_, made, _)| made.elapsed() < TOKENS_KEPT);
        // Objects are sorted by name, so that the order in which a client writes them does not count.
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
            "{other} is not available: the tables of a local instance are made by serve"
        ))),
    }
}

/// The result of an action. On SQLite an action never waits, so it is finished at its first poll.
pub(super) fn finished<T>(action: impl Future<Output = dynoxide::Result<T>>) -> dynoxide::Result<T> {
    action.now_or_never().unwrap_or_else(|| {
        Err(DynoxideError::InternalServerError(
            "the storage did not answer at once".to_owned(),
        ))
    })
}

fn read<T: DeserializeOwned>(body: &str) -> dynoxide::Result<T> {
    serde_json::from_str(body).map_err(|error| {
        let text = error.to_string();
        // `dynoxide` marks what is well-formed JSON of a wrong content.
        match text
            .split_once("VALIDATION:")
            .or_else(|| text.split_once("VALIDATION_REQUEST:"))
        {
            Some(("", told)) => {
                let told = told.rsplit_once(" at line ").map_or(told, |(told, _)| told);
                DynoxideError::ValidationException(told.to_owned())
            }
            _ => DynoxideError::SerializationException(text),
        }
    })
}

fn write<T: Serialize>(answer: &T) -> dynoxide::Result<String> {
    serde_json::to_string(answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// `DescribeTable` from what is known without reading the items; `dynoxide` adds their sizes up,
/// once for the table and once for each index. Sizes are left out, and the count is SQLite's.
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
    // By the smallest index, which holds a few bytes of each item.
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
