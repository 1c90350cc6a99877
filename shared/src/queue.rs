//! An SQS queue: sends letters in full batches, as many as the time allows.

use aws_sdk_sqs::{
    Client,
    error::ProvideErrorMetadata as _,
    types::{MessageAttributeValue, SendMessageBatchRequestEntry},
};
use futures::{StreamExt as _, stream};
use tokio::time::Instant;

use crate::letter::{Letter, MAX_MESSAGE_BYTES, Reason};

/// SQS's limit for entries in a batch.
const MAX_ENTRIES: usize = 10;
/// Batches under way at once.
const IN_FLIGHT: usize = 4;
/// An entry that SQS failed for a reason of its own is sent again this often.
const TRIES: usize = 3;

/// One queue.
#[derive(Clone)]
pub struct SqsQueue {
    client: Client,
    url: String,
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

    /// Sends letters until the deadline. For each letter, in order: whether all of it is in the queue.
    pub async fn send(&self, letters: &[Letter], deadline: Instant) -> Vec<bool> {
        let outgoing: Vec<Outgoing> = letters
            .iter()
            .enumerate()
            .flat_map(|(i, letter)| {
                letter.write().into_iter().map(move |body| Outgoing {
                    letter: i,
                    reason: letter.reason,
                    function: letter.function.clone(),
                    body,
                })
            })
            .collect();
        let mut sent = vec![true; letters.len()];
        let batches: Vec<Vec<Outgoing>> = batches(outgoing);
        let failed: Vec<Vec<usize>> = stream::iter(batches)
            .map(|batch| async move {
                let all: Vec<usize> = batch.iter().map(|o| o.letter).collect();
                tokio::time::timeout_at(deadline, self.send_batch(batch))
                    .await
                    .unwrap_or(all)
            })
            .buffer_unordered(IN_FLIGHT)
            .collect()
            .await;
        for letter in failed.into_iter().flatten() {
            if let Some(whole) = sent.get_mut(letter) {
                *whole = false;
            }
        }
        sent
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
                    let error = error.code().unwrap_or_else(|| crate::aws::failure(&error));
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

fn entry(id: usize, outgoing: &Outgoing) -> Option<SendMessageBatchRequestEntry> {
    let text = |value: &str| {
        MessageAttributeValue::builder()
            .data_type("String")
            .string_value(value)
            .build()
            .ok()
    };
    SendMessageBatchRequestEntry::builder()
        .id(id.to_string())
        .message_body(&outgoing.body)
        .message_attributes("reason", text(outgoing.reason.as_str())?)
        .message_attributes("function", text(&outgoing.function)?)
        .build()
        .ok()
}

/// Full batches: ten entries or one mebibyte, whichever comes first.
fn batches(outgoing: Vec<Outgoing>) -> Vec<Vec<Outgoing>> {
    let mut batches: Vec<Vec<Outgoing>> = Vec::new();
    let mut bytes = 0;
    for message in outgoing {
        let size = message.size();
        match batches.last_mut() {
            Some(batch) if batch.len() < MAX_ENTRIES && bytes + size <= MAX_MESSAGE_BYTES => {
                bytes += size;
                batch.push(message);
            }
            _ => {
                bytes = size;
                batches.push(vec![message]);
            }
        }
    }
    batches
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
        let sizes =
            |outgoing: Vec<Outgoing>| -> Vec<usize> { batches(outgoing).iter().map(Vec::len).collect() };
        assert_eq!(sizes(vec![message(10); 25]), [10, 10, 5]);
        assert_eq!(sizes(vec![message(300_000); 7]), [3, 3, 1]);
        assert_eq!(
            sizes(vec![message(1_000_000), message(40_000), message(20_000)]),
            [1, 2]
        );
        assert_eq!(sizes(vec![]), [0; 0]);
        for batch in batches(vec![message(200_000); 30]) {
            assert!(batch.iter().map(Outgoing::size).sum::<usize>() <= MAX_MESSAGE_BYTES);
        }
    }
}
