//! Local event source mapping of the events table's stream: passes the records to `projector` in
//! order, and repeats them until they are counted.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_runtime::{Context, LambdaEvent};
use projector::{Projector, StreamEvent, rebuild::rebuild, rollups::Rollups};
use serde_json::{Value, json};
use tokio::{sync::watch, task::spawn_blocking, time::sleep};
use webhook_ingest::operations::clients::Timeouts;

use crate::local::{
    RunningInstance,
    stream::{BEGINNING, Position, Stream},
};

/// Batch size of the template.
const BATCH: usize = 500;
/// Shorter than the template's batching window of five seconds, so that the page shows events sooner.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);
const FUNCTION_TIMEOUT: Duration = Duration::from_mins(1);

/// Polls until a stop. First counts the events of a folder from a version without counters.
pub(crate) async fn run(
    instance: RunningInstance,
    stream: Stream,
    uncounted: bool,
    mut stopped: watch::Receiver<bool>,
) {
    let aws = instance.aws(Timeouts::background()).await;
    if uncounted {
        let rollups = Rollups::new(aws.dynamodb.clone(), instance.rollups_table.clone());
        if let Err(error) = rebuild(&rollups, &instance.events_table, |_| ()).await {
            tracing::warn!(
                error = format!("{error:#}"),
                "the events of this folder are not counted; run `rollups rebuild`"
            );
        }
    }
    let projector = Projector::start(
        instance.events_table.clone(),
        instance.rollups_table.clone(),
        instance.dead_letter_queue_url.clone(),
        &aws,
    );
    // After a stop, the stream contains only records that are not counted. After a crash, `projector` reads the newest
    // counted ones again and finds their dedup markers.
    let mut position = BEGINNING;
    loop {
        let pause = match poll(&projector, &stream, &mut position).await {
            Ok(BATCH..) => Duration::ZERO,
            Ok(_) => PAUSE,
            Err(error) => {
                tracing::warn!(%error, "the stream could not be read");
                PAUSE_AFTER_FAILURE
            }
        };
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => break,
            () = sleep(pause) => {}
        }
    }
    if let Ok(Err(error)) = spawn_blocking(move || stream.purge()).await {
        tracing::warn!(%error, "counted records stay in the stream");
    }
}

/// Passes one batch to `projector`. After it is counted, advances the position. Returns the number of records.
async fn poll(projector: &Projector, stream: &Stream, position: &mut Position) -> anyhow::Result<usize> {
    let (read, at) = (stream.clone(), *position);
    let (records, next) = spawn_blocking(move || read.after(at, BATCH)).await??;
    if next == at {
        return Ok(0);
    }
    if !records.is_empty() {
        let response = projector.clone().handle(event(&records)?).await;
        let counted = response.batch_item_failures.is_empty();
        anyhow::ensure!(counted, "a batch was not counted; it will be repeated");
    }
    *position = next;
    let counted = stream.clone();
    spawn_blocking(move || counted.counted(next)).await??;
    Ok(records.len())
}

fn event(records: &[Value]) -> anyhow::Result<LambdaEvent<StreamEvent>> {
    let mut context = Context::default();
    let deadline = SystemTime::now() + FUNCTION_TIMEOUT;
    context.deadline = u64::try_from(deadline.duration_since(UNIX_EPOCH)?.as_millis())?;
    Ok(LambdaEvent::new(
        serde_json::from_value(json!({ "Records": records }))?,
        context,
    ))
}
