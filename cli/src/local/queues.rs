//! SQS in this process, served over HTTP. A journal preserves the messages at a restart.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use aws_sdk_sqs::{Client, types::QueueAttributeName};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use http::StatusCode;
use tokio::{
    sync::{Mutex, watch},
    task::JoinHandle,
};
use winterbaume_core::{MockRequest, MockService as _};
use winterbaume_sqs::SqsService;

use super::{LocalOptions, RunningInstance, access_key::AccessKey, journal::Journal, listen};
use crate::listener::{Limits, read, serve};

/// Larger than the largest batch of messages with its JSON.
const MAX_REQUEST_BYTES: usize = 4 * 1024 * 1024;

struct Server {
    service: SqsService,
    journal: Arc<Option<Mutex<Journal>>>,
    access_key: AccessKey,
}

pub(super) async fn start(
    journal: Arc<Option<Mutex<Journal>>>,
    access_key: AccessKey,
    stopped: watch::Receiver<bool>,
) -> anyhow::Result<(String, JoinHandle<()>)> {
    let state = Arc::new(Server {
        service: SqsService::new(),
        journal,
        access_key,
    });
    let (listener, url) = listen().await?;
    let app = Router::new().fallback(handle).with_state(state);
    Ok((
        url,
        tokio::spawn(serve(listener, app, Limits::default(), stopped)),
    ))
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
    let action = parts
        .headers
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok())
        .and_then(|target| target.split_once('.'))
        .map(|(_, action)| action.to_owned())
        .unwrap_or_default();
    let answer = state
        .service
        .handle(MockRequest {
            method: parts.method.to_string(),
            uri: "https://sqs.local.amazonaws.com/".into(),
            headers: parts.headers,
            body: body.clone(),
        })
        .await;
    if let Some(journal) = state.journal.as_ref()
        && answer.status == 200
    {
        // Written before the response: an acknowledged message is in the journal.
        if let Err(error) = journal.lock().await.record(&action, &body, &answer.body) {
            tracing::error!(%error, "the journal of the queues could not be written");
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            return response;
        }
    }
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = answer.headers;
    response
}

/// Creates the retry queue and its dead-letter queue. Returns their URLs.
pub(super) async fn create(client: &Client, options: LocalOptions) -> anyhow::Result<(String, String)> {
    let dead = queue(client, "netcore-webhooks-dead-letters", options, None).await?;
    let attributes = client
        .get_queue_attributes()
        .queue_url(&dead)
        .attribute_names(QueueAttributeName::QueueArn)
        .send()
        .await?;
    let arn = attributes
        .attributes()
        .and_then(|all| all.get(&QueueAttributeName::QueueArn))
        .context("the dead-letter queue has no ARN")?;
    let policy = serde_json::json!({
        "deadLetterTargetArn": arn,
        "maxReceiveCount": options.max_receive_count.to_string(),
    });
    let retry = queue(
        client,
        "netcore-webhooks-retry",
        options,
        Some(policy.to_string()),
    )
    .await?;
    Ok((retry, dead))
}

async fn queue(
    client: &Client,
    name: &str,
    options: LocalOptions,
    redrive: Option<String>,
) -> anyhow::Result<String> {
    let created = client
        .create_queue()
        .queue_name(name)
        .attributes(
            QueueAttributeName::VisibilityTimeout,
            options.visibility_timeout_seconds.to_string(),
        )
        .attributes(QueueAttributeName::MaximumMessageSize, "1048576")
        .attributes(QueueAttributeName::MessageRetentionPeriod, "1209600");
    let created = match redrive {
        Some(policy) => created.attributes(QueueAttributeName::RedrivePolicy, policy),
        None => created,
    };
    let created = created
        .send()
        .await
        .with_context(|| format!("queue {name} could not be created"))?;
    created
        .queue_url
        .with_context(|| format!("queue {name} has no URL"))
}

/// Sends the messages of previous runs to their queues again.
pub(super) async fn restore(
    data: Option<&Path>,
    instance: &RunningInstance,
    client: &Client,
) -> anyhow::Result<()> {
    let Some(folder) = data else { return Ok(()) };
    for message in Journal::left_over(folder)? {
        let url = [&instance.retry_queue_url, &instance.dead_letter_queue_url]
            .into_iter()
            .find(|url| message.is_of(url));
        let Some(url) = url else {
            tracing::warn!(
                queue = message.queue(),
                "dropped a message of a queue that serve does not create"
            );
            continue;
        };
        let mut send = client.send_message().queue_url(url).message_body(&message.body);
        for (name, value) in message.attributes()? {
            send = send.message_attributes(name, value);
        }
        send.send()
            .await
            .context("a message of the last run could not be restored")?;
    }
    Journal::remove_left_over(folder)
}
