//! An SQS queue. Sends messages in full batches, as many as the time allows.

pub mod message;

use std::{borrow::Borrow, time::Duration};

use aws_sdk_sqs::{
    Client,
    types::{ChangeMessageVisibilityBatchRequestEntry, MessageAttributeValue, SendMessageBatchRequestEntry},
};
use futures::{StreamExt as _, stream};
use tokio::time::Instant;

use crate::queue::message::{MAX_MESSAGE_BYTES, QueueMessage, Reason};

/// How many times SQS delivers a message of the retry queue before it moves the message to the dead-letter
/// queue: the maximum of a redrive policy. With [`VISIBILITY_TIMEOUT`] between two receives this takes four
/// days. With the delays that `redrive` sets it takes 13.8 days; SQS keeps a message for 14 days.
/// template.yaml and the local queue have the same value.
pub const MAX_RECEIVE_COUNT: u32 = 1_000;

/// Visibility timeout of the retry queue: six times the timeout of `redrive`, as Lambda recommends for an
/// event source. It applies if `redrive` could not set a delay. template.yaml and the local queue have the
/// same value.
pub const VISIBILITY_TIMEOUT: Duration = Duration::from_mins(6);

/// SQS's limit for the messages that one call receives, sends, changes or deletes:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub const MAX_ENTRIES: usize = 10;
/// The most concurrent batches.
const IN_FLIGHT: usize = 2;
/// Attempts for an entry that failed because of an internal error of SQS.
const TRIES: usize = 3;

/// One queue.
#[derive(Clone)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

/// One SQS message to send, and the index of the message that it belongs to.
#[derive(Clone)]
struct Outgoing {
    position: usize,
    reason: Reason,
    function: String,
    body: String,
}

impl Outgoing {
    fn size(&self) -> usize {
        // The names and types of the attributes count, too.
        const ATTRIBUTES: usize = "reasonStringfunctionString".len();
        self.body.len() + ATTRIBUTES + self.reason.as_str().len() + self.function.len()
    }
}

impl SqsQueue {
    /// Wraps a queue's URL.
    pub fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// Sends messages until the deadline. Encodes each message just before it is sent, so that only a few
    /// batches are in memory. Returns for each message, in order, whether the queue has all of it.
    pub fn send<'s, M>(
        &'s self,
        messages: impl Iterator<Item = M> + Send + 's,
        deadline: Instant,
    ) -> impl Future<Output = Vec<bool>> + Send + 's
    where
        M: Borrow<QueueMessage> + 's,
    {
        // A message's index and its parts. Parts that cannot be sent in time are not encoded.
        let written = messages.enumerate().flat_map(move |(position, message)| {
            let message = message.borrow();
            let parts = if Instant::now() < deadline {
                message.write()
            } else {
                vec![String::new()]
            };
            let (reason, function) = (message.reason, message.function.clone());
            parts.into_iter().map(move |body| Outgoing {
                position,
                reason,
                function: function.clone(),
                body,
            })
        });
        // Boxed, since the caller's future is `Send` only if it does not contain the closures' types.
        let batches: Box<dyn Iterator<Item = Vec<Outgoing>> + Send + 's> = Box::new(batches(written));
        async move {
            let mut sent = Vec::new();
            let mut results = stream::iter(batches)
                .map(|batch| self.send_until(batch, deadline))
                .buffer_unordered(IN_FLIGHT);
            while let Some(batch) = results.next().await {
                for (position, is_sent) in batch {
                    if sent.len() <= position {
                        sent.resize(position + 1, true);
                    }
                    if let Some(all_of_it) = sent.get_mut(position) {
                        *all_of_it &= is_sent;
                    }
                }
            }
            sent
        }
    }

    /// Forwards a message unchanged, with its text attributes. Returns whether the queue accepted it.
    pub async fn forward(&self, body: &str, attributes: &[(&str, &str)], deadline: Instant) -> bool {
        let mut send = self.client.send_message().queue_url(&self.url).message_body(body);
        for (name, value) in attributes {
            if let Some(value) = text(value) {
                send = send.message_attributes(*name, value);
            }
        }
        match tokio::time::timeout_at(deadline, send.send()).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => {
                let error = crate::operations::clients::failure(&error);
                tracing::error!(error, "the queue did not accept a message");
                false
            }
            Err(_) => false,
        }
    }

    /// Sets the visibility timeout of received messages, counted from now. If that fails for a message, the
    /// queue's own visibility timeout applies to it.
    pub async fn delay(&self, messages: &[(&str, Duration)], deadline: Instant) {
        for batch in messages.chunks(MAX_ENTRIES) {
            let entries = batch.iter().enumerate().filter_map(|(i, (receipt, delay))| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(i.to_string())
                    .receipt_handle(*receipt)
                    .visibility_timeout(i32::try_from(delay.as_secs()).ok()?)
                    .build()
                    .ok()
            });
            let call = self
                .client
                .change_message_visibility_batch()
                .queue_url(&self.url)
                .set_entries(Some(entries.collect()))
                .send();
            let failure = match tokio::time::timeout_at(deadline, call).await {
                Ok(Ok(answer)) if answer.failed().is_empty() => continue,
                Ok(Ok(_)) => "an entry was refused",
                Ok(Err(error)) => {
                    let error = crate::operations::clients::failure(&error);
                    tracing::warn!(error, "the delay of a batch of retries could not be set");
                    continue;
                }
                Err(_) => "no answer in time",
            };
            tracing::warn!(
                error = failure,
                "the delay of a batch of retries could not be set"
            );
        }
    }

    /// Sends one batch until the deadline. Returns each SQS message's index and whether SQS accepted it.
    async fn send_until(&self, batch: Vec<Outgoing>, deadline: Instant) -> Vec<(usize, bool)> {
        let positions: Vec<usize> = batch.iter().map(|outgoing| outgoing.position).collect();
        let taken = if Instant::now() < deadline {
            tokio::time::timeout_at(deadline, self.send_batch(&batch))
                .await
                .ok()
        } else {
            None
        };
        let taken = taken.unwrap_or_else(|| vec![false; positions.len()]);
        positions.into_iter().zip(taken).collect()
    }

    /// Sends one batch and retries the entries that SQS did not accept. Returns for each SQS message whether
    /// SQS accepted it. An entry that SQS neither confirms nor refuses counts as not accepted.
    async fn send_batch(&self, batch: &[Outgoing]) -> Vec<bool> {
        let mut taken = vec![false; batch.len()];
        for _ in 0..TRIES {
            let entries: Vec<_> = batch
                .iter()
                .enumerate()
                .zip(&taken)
                .filter(|(_, taken)| !**taken)
                .filter_map(|((id, outgoing), _)| entry(id, outgoing))
                .collect();
            if entries.is_empty() {
                break;
            }
            let result = self
                .client
                .send_message_batch()
                .queue_url(&self.url)
                .set_entries(Some(entries))
                .send()
                .await;
            let answer = match result {
                Ok(answer) => answer,
                Err(error) => {
                    let error = crate::operations::clients::failure(&error);
                    tracing::error!(error, "the queue did not accept a batch");
                    break;
                }
            };
            for confirmed in answer.successful() {
                let id: Option<usize> = confirmed.id().parse().ok();
                if let Some(taken) = id.and_then(|id| taken.get_mut(id)) {
                    *taken = true;
                }
            }
        }
        taken
    }
}

fn text(value: &str) -> Option<MessageAttributeValue> {
    MessageAttributeValue::builder()
        .data_type("String")
        .string_value(value)
        .build()
        .ok()
}

fn entry(id: usize, outgoing: &Outgoing) -> Option<SendMessageBatchRequestEntry> {
    SendMessageBatchRequestEntry::builder()
        .id(id.to_string())
        .message_body(&outgoing.body)
        .message_attributes("reason", text(outgoing.reason.as_str())?)
        .message_attributes("function", text(&outgoing.function)?)
        .build()
        .ok()
}

/// Full batches: ten entries or one mebibyte, whichever limit is reached first.
fn batches(messages: impl Iterator<Item = Outgoing>) -> impl Iterator<Item = Vec<Outgoing>> {
    let mut messages = messages.peekable();
    std::iter::from_fn(move || {
        let mut batch = vec![messages.next()?];
        let mut bytes = batch.iter().map(Outgoing::size).sum::<usize>();
        while batch.len() < MAX_ENTRIES
            && let Some(message) = messages.next_if(|next| bytes + next.size() <= MAX_MESSAGE_BYTES)
        {
            bytes += message.size();
            batch.push(message);
        }
        Some(batch)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: usize) -> Outgoing {
        Outgoing {
            position: 0,
            reason: Reason::Exhausted,
            function: "event-webhook".into(),
            body: "x".repeat(bytes),
        }
    }

    #[test]
    fn batches_are_full_and_never_too_large() {
        let sizes = |outgoing: Vec<Outgoing>| -> Vec<usize> {
            batches(outgoing.into_iter()).map(|batch| batch.len()).collect()
        };
        assert_eq!(sizes(vec![message(10); 25]), [10, 10, 5]);
        assert_eq!(sizes(vec![message(300_000); 7]), [3, 3, 1]);
        assert_eq!(
            sizes(vec![message(1_000_000), message(49_000), message(20_000)]),
            [1, 2]
        );
        assert_eq!(sizes(vec![]), [0; 0]);
        for batch in batches(vec![message(200_000); 30].into_iter()) {
            assert!(batch.iter().map(Outgoing::size).sum::<usize>() <= MAX_MESSAGE_BYTES);
        }
    }
}
