//! An SQS queue: sends letters in full batches, as many as the time allows.

use std::{borrow::Cow, collections::BTreeSet};

use aws_sdk_sqs::{
    Client,
    types::{MessageAttributeValue, SendMessageBatchRequestEntry},
};
use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::Instant;

use crate::letter::{Letter, MAX_MESSAGE_BYTES, Reason};

/// SQS's limit for entries in a batch.
const MAX_ENTRIES: usize = 10;
/// Batches under way at once.
const IN_FLIGHT: usize = 2;
/// An entry that SQS failed for a reason of its own is sent again this often.
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
            // What cannot be sent any more is not written either: that takes time nobody has.
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
                    let error = crate::aws::failure(&error);
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
