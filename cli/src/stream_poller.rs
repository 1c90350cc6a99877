//! What Lambda's event source mapping does in AWS: hands the records of the events table's stream to
//! `projector`, in order, and hands them again until they are counted.

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

/// The batch that the template configures.
const BATCH: usize = 500;
/// The template waits five seconds for a batch to fill; here a person looks at the page.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);
const FUNCTION_TIMEOUT: Duration = Duration::from_mins(1);

/// Polls until told to stop; before, counts what a folder of an earlier version never counted.
pub(crate) async fn run(
    place: RunningInstance,
    stream: Stream,
    uncounted: bool,
    mut stopped: watch::Receiver<bool>,
) {
    let aws = place.aws(Timeouts::unhurried()).await;
    if uncounted {
        let rollups = Rollups::new(aws.dynamodb.clone(), place.rollups_table.clone());
        if let Err(error) = rebuild(&rollups, &place.events_table, |_| ()).await {
            tracing::warn!(
                error = format!("{error:#}"),
                "run `rollups rebuild`: the events of this folder are not counted"
            );
        }
    }
    let projector = Projector::start(
        place.rollups_table.clone(),
        place.dead_letter_queue_url.clone(),
        &aws,
    );
    // What was counted in an earlier run is not in the stream any more.
    let mut position = BEGINNING;
    loop {
        let pause = match poll(&projector, &stream, &mut position).await {
            Ok(BATCH..) => Duration::ZERO,
            Ok(_) => PAUSE,
            Err(error) => {
                tracing::warn!(%error, "the stream could not be read on");
                PAUSE_AFTER_FAILURE
            }
        };
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => break,
            () = sleep(pause) => {}
        }
    }
}

/// Hands one batch over. If it was counted, moves on and removes it from the stream. Returns how many
/// records it had.
async fn poll(projector: &Projector, stream: &Stream, position: &mut Position) -> anyhow::Result<usize> {
    let (read, at) = (stream.clone(), *position);
    let (records, next) = spawn_blocking(move || read.after(at, BATCH)).await??;
    if next == at {
        return Ok(0);
    }
    if !records.is_empty() {
        let response = projector.clone().handle(event(&records)?).await;
        let counted = response.batch_item_failures.is_empty();
        anyhow::ensure!(counted, "a batch was not counted; it comes again");
    }
    *position = next;
    let trimmed = stream.clone();
    spawn_blocking(move || trimmed.trim(next)).await??;
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
