//! Minimal receivers, to which the receivers are compared: the SDK with its documented setup and one thread.
//! They have no authentication and no checks, and lose failed records.

use std::collections::HashMap;

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use lambda_http::{Body, Error, Request, Response, service_fn};
use serde_json::Value;

/// A table item.
pub type Item = HashMap<String, AttributeValue>;

/// Serves requests with a client and the table's name: `store` gets the items of a body.
pub async fn serve<F>(store: impl Fn(Client, String, Vec<Item>) -> F + Sync) -> Result<(), Error>
where
    F: Future<Output = ()> + Send,
{
    let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let client = Client::new(&config);
    let table = std::env::var("EVENTS_TABLE")?;
    lambda_http::run(service_fn(|request: Request| {
        let (client, table, store) = (client.clone(), table.clone(), &store);
        async move {
            let records: Vec<Value> = serde_json::from_slice(request.body())?;
            let count = records.len();
            store(client, table, records.iter().map(item).collect()).await;
            Ok::<_, Error>(Response::new(Body::Text(format!("{{\"received\":{count}}}"))))
        }
    }))
    .await
}

fn item(record: &Value) -> Item {
    let mut item = Item::new();
    let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    item.insert("status_key".into(), AttributeValue::S(format!("{}#{}", text("channel"), text("status"))));
    for name in ["message_id", "mobile", "status", "channel", "requestid", "callbackdata", "type"] {
        item.insert(name.into(), AttributeValue::S(text(name)));
    }
    item
}
