//! An SQS queue: sends messages in full batches, as many as the time allows.

pub mod message;

use std::{borrow::Borrow, time::Duration};

use aws_sdk_sqs::{
    Client,
    types::{ChangeMessageVisibilityBatchRequestEntry, MessageAttributeValue, SendMessageBatchRequestEntry},
};
use futures::{StreamExt as _, stream};
use tokio::time::Instant;

use crate::queue::message::{MAX_MESSAGE_BYTES, QueueMessage, Reason};

/// How often SQS hands out a message of the retry queue before it moves it to the dead-letter queue:
/// the most that a redrive policy takes. With [`VISIBILITY_TIMEOUT`] between two receives that is
/// four days; with the delays that `redrive` sets, 13.8 days, near the 14 days that SQS keeps a
/// message. template.yaml and the local queue have the same value.
pub const MAX_RECEIVE_COUNT: u32 = 1_000;

/// How long a message of the retry queue is hidden after a receive: six times the timeout of
/// `redrive`, as Lambda asks of an event source. Counts where `redrive` could not set a delay.
/// template.yaml and the local queue have the same value.
pub const VISIBILITY_TIMEOUT: Duration = Duration::from_mins(6);

/// SQS's limit for entries in a batch.
const MAX_ENTRIES: usize = 10;
/// Batches under way at once.
const IN_FLIGHT: usize = 2;
/// Attempts for an entry that SQS failed for an internal reason.
const TRIES: usize = 3;

/// One queue.
#[derive(Clone)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

/// One SQS message to send, and the position of the message it belongs to.
#[derive(Clone)]
struct Outgoing {
    position: usize,
    reason: Reason,
    function: String,
    body: String,
}

impl Outgoing {
    fn size(&self) -> usize {
        // The attributes count with their names and types.
        const ATTRIBUTES: usize = "reasonStringfunctionString".len();
        self.body.len() + ATTRIBUTES + self.reason.as_str().len() + self.function.len()
    }
}

impl SqsQueue {
    /// A queue by its URL.
    pub fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// Sends messages until the deadline. Each is written when its turn comes, so that only a few batches
    /// are in memory. Returns for each, in order, whether all of it is in the queue.
    pub fn send<'s, M>(
        &'s self,
        messages: impl Iterator<Item = M> + Send + 's,
        deadline: Instant,
    ) -> impl Future<Output = Vec<bool>> + Send + 's
    where
        M: Borrow<QueueMessage> + 's,
    {
        // A message's position and its parts. Parts that cannot be sent in time are not written either.
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
        // Boxed, since the future of a caller is `Send` only if it does not name the closures' types.
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

    /// Sends a message on as it is, with its text attributes. Returns whether the queue took it.
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
                tracing::error!(error, "the queue did not take a message");
                false
            }
            Err(_) => false,
        }
    }

    /// Sets the visibility timeout of received messages, from now on. A message for which that fails keeps
    /// the queue's own visibility timeout.
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

    /// Sends one batch until the deadline. Returns each SQS message's position and whether SQS took it.
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

    /// Sends one batch, and again what SQS did not take of it. Returns for each SQS message whether SQS
    /// took it; what SQS neither confirms nor refuses counts as not taken.
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
                    tracing::error!(error, "the queue did not take a batch");
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

/// Full batches: ten entries or one mebibyte, whichever comes first.
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
    fn batches_are_full_but_never_too_large() {
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
