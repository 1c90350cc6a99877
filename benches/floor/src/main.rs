//! One conditional put per record, 32 at once.

use futures::{StreamExt as _, stream};
use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    floor::serve(|client, table, items| async move {
        stream::iter(items)
            .map(|item| {
                client
                    .put_item()
                    .table_name(&table)
                    .set_item(Some(item))
                    .condition_expression("attribute_not_exists(message_id)")
                    .send()
            })
            .buffer_unordered(32)
            .for_each(|_| async {})
            .await;
    })
    .await
}
