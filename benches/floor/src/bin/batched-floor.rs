//! 25 inserts per call, 8 calls at once.

use aws_sdk_dynamodb::types::BatchStatementRequest;
use floor::Item;
use futures::{StreamExt as _, stream};
use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    floor::serve(|client, table, items| async move {
        let mut items = items.into_iter().peekable();
        let batches = std::iter::from_fn(|| {
            items.peek()?;
            Some(items.by_ref().take(25).map(|item| statement(&table, item)).collect())
        });
        stream::iter(batches)
            .map(|statements: Vec<_>| client.batch_execute_statement().set_statements(Some(statements)).send())
            .buffer_unordered(8)
            .for_each(|_| async {})
            .await;
    })
    .await
}

fn statement(table: &str, item: Item) -> BatchStatementRequest {
    let (names, values): (Vec<String>, Vec<_>) = item.into_iter().unzip();
    let fields: Vec<String> = names.iter().map(|name| format!("'{name}':?")).collect();
    BatchStatementRequest::builder()
        .statement(format!("INSERT INTO \"{table}\" VALUE {{{}}}", fields.join(",")))
        .set_parameters(Some(values))
        .build()
        .expect("a statement")
}
