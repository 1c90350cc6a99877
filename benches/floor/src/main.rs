//! A minimal receiver, to which the receivers are compared: the SDK with its documented setup, one
//! thread, 32 concurrent conditional puts. It has no authentication and no checks, and loses failed
//! records.

use std::collections::HashMap;

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use futures::{StreamExt as _, stream};
use lambda_http::{Body, Error, Request, Response, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let client = Client::new(&config);
    let table = std::env::var("EVENTS_TABLE")?;
    lambda_http::run(service_fn(|request: Request| {
        let (client, table) = (client.clone(), table.clone());
        async move {
            let records: Vec<Value> = serde_json::from_slice(request.body())?;
            let count = records.len();
            stream::iter(records)
                .map(|record| put(&client, &table, record))
                .buffer_unordered(32)
                .for_each(|_| async {})
                .await;
            Ok::<_, Error>(Response::new(Body::Text(format!("{{\"received\":{count}}}"))))
        }
    }))
    .await
}

async fn put(client: &Client, table: &str, record: Value) -> bool {
    let mut item: HashMap<String, AttributeValue> = HashMap::new();
    let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    item.insert("status_key".into(), AttributeValue::S(format!("{}#{}", text("channel"), text("status"))));
    for name in ["message_id", "mobile", "status", "channel", "requestid", "callbackdata", "type"] {
        item.insert(name.into(), AttributeValue::S(text(name)));
    }
    client
        .put_item()
        .table_name(table)
        .set_item(Some(item))
        .condition_expression("attribute_not_exists(message_id)")
        .send()
        .await
        .is_ok()
}
