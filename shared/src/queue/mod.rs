//! An SQS queue: sends letters in full batches, as many as the time allows.

pub mod message;

use std::{borrow::Cow, collections::BTreeSet, time::Duration};

use aws_sdk_sqs::{
    Client,
    types::{ChangeMessageVisibilityBatchRequestEntry, MessageAttributeValue, SendMessageBatchRequestEntry},
};
use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::Instant;

use crate::queue::message::{Letter, MAX_MESSAGE_BYTES, Reason};

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

/// Letters to send, each made when its turn comes.
pub type Letters<'l> = Box<dyn Iterator<Item = Cow<'l, Letter>> + Send + 'l>;

/// Letters that exist already.
pub fn all(letters: &[Letter]) -> Letters<'_> {
    Box::new(letters.iter().map(Cow::Borrowed))
}

/// A message to send, and the letter it belongs to.
#[derive(Clone)]
struct Outgoing {
    letter: usize,
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

    /// Sends letters until the deadline. Letters are written one after the other as they are sent,
    /// so that no more than a few batches are in memory. Returns the places of those that are not,
    /// or not wholly, in the queue.
    pub async fn send(&self, letters: Letters<'_>, deadline: Instant) -> BTreeSet<usize> {
        let messages = letters.enumerate().flat_map(|(place, letter)| {
            let (reason, function) = (letter.reason, letter.function.clone());
            // Messages that cannot be sent in time are not built either.
            let messages = if Instant::now() < deadline {
                letter.write()
            } else {
                vec![String::new()]
            };
            messages.into_iter().map(move |body| Outgoing {
                letter: place,
                reason,
                function: function.clone(),
                body,
            })
        });
        let mut batches: Box<dyn Iterator<Item = Vec<Outgoing>> + Send + '_> = Box::new(batches(messages));
        let mut under_way = FuturesUnordered::new();
        let mut failed = BTreeSet::new();
        loop {
            while under_way.len() < IN_FLIGHT
                && let Some(batch) = batches.next()
            {
                under_way.push(self.send_until(batch, deadline));
            }
            match under_way.next().await {
                Some(places) => failed.extend(places),
                None => return failed,
            }
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

    /// Hides received messages for a time each, from now on. A message for which that fails shows
    /// again after the queue's own visibility timeout.
    pub async fn hide(&self, messages: &[(&str, Duration)], deadline: Instant) {
        for batch in messages.chunks(MAX_ENTRIES) {
            let entries = batch.iter().enumerate().filter_map(|(i, (receipt, hidden))| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(i.to_string())
                    .receipt_handle(*receipt)
                    .visibility_timeout(i32::try_from(hidden.as_secs()).ok()?)
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

    async fn send_until(&self, batch: Vec<Outgoing>, deadline: Instant) -> Vec<usize> {
        let all: Vec<usize> = batch.iter().map(|o| o.letter).collect();
        if Instant::now() >= deadline {
            return all;
        }
        tokio::time::timeout_at(deadline, self.send_batch(batch))
            .await
            .unwrap_or(all)
    }

    /// Sends one batch and what SQS failed of it again. Returns the letters that did not get through.
    async fn send_batch(&self, mut batch: Vec<Outgoing>) -> Vec<usize> {
        for _ in 0..TRIES {
            let entries: Vec<_> = batch
                .iter()
                .enumerate()
                .filter_map(|(i, o)| entry(i, o))
                .collect();
            let result = self
                .client
                .send_message_batch()
                .queue_url(&self.url)
                .set_entries(Some(entries))
                .send()
                .await;
            let taken: Vec<usize> = match result {
                Ok(answer) => answer
                    .successful()
                    .iter()
                    .filter_map(|s| s.id().parse().ok())
                    .collect(),
                Err(error) => {
                    let error = crate::operations::clients::failure(&error);
                    tracing::error!(error, "the queue did not take a batch");
                    break;
                }
            };
            // What is neither confirmed nor refused counts as not taken.
            let mut i = 0;
            batch.retain(|_| {
                i += 1;
                !taken.contains(&(i - 1))
            });
            if batch.is_empty() {
                break;
            }
        }
        batch.into_iter().map(|o| o.letter).collect()
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
            letter: 0,
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
