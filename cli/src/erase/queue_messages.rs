//! Removes a person's records from the queues. A message is replaced by one without these records,
//! or deleted if it contains no others.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context as _, anyhow, ensure};
use aws_sdk_sqs::types::{Message, QueueAttributeName};
use tokio::time::Instant;
use webhook_ingest::{
    events_table::rejected::RejectedBody,
    operations::clients,
    phone::redact,
    pipeline::{Positions, batch::Batch},
    queue::{
        SqsQueue,
        message::{QueueMessage, QueueMessageError},
    },
};

use super::person::Person;
use crate::target::Target;

/// Maximum of messages that one run reads from a queue. SQS allows 120,000 in flight.
const MAX_MESSAGES: usize = 100_000;
/// Maximum bytes of message parts that are held until the missing parts are received.
const MAX_PART_BYTES: usize = 256 * 1024 * 1024;
/// Visibility timeout while the rest of the queue is read, in seconds.
const HIDDEN_SECONDS: i32 = 600;
/// Messages that are made visible again concurrently.
const IN_FLIGHT: usize = 8;

/// Result for one queue.
#[derive(Debug, Default)]
pub struct FoundMessages {
    /// Ids of messages that name the person.
    pub ids: Vec<String>,
    /// Number of these messages that were deleted, or replaced by one without the person's records.
    pub deleted: usize,
    /// Records of other people that stay in the queue.
    pub kept: usize,
    /// Whether every message of the queue was read. `false` if there are too many, if another process
    /// holds some, or if parts of a message are missing.
    pub all: bool,
}

/// A queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queue {
    /// The dead-letter queue.
    DeadLetters,
    /// The retry queue.
    Retry,
}

impl Queue {
    fn url(self, target: &Target) -> &str {
        match self {
            Self::DeadLetters => &target.storage.dead_letter_queue_url,
            Self::Retry => &target.storage.retry_queue_url,
        }
    }
}

/// Reads a queue, and with `remove` deletes the person's records from it.
///
/// Updates `found` continuously, so that the caller has the counts even after an error.
pub(super) async fn find(
    target: &Target,
    person: &Person,
    queue: Queue,
    remove: bool,
    found: &mut FoundMessages,
) -> anyhow::Result<()> {
    let mut scan = Scan {
        target,
        person,
        queue,
        remove,
        seen: BTreeSet::new(),
        hidden: Vec::new(),
        parts: BTreeMap::new(),
        bytes: 0,
    };
    let searched = scan.run(found).await;
    scan.release().await;
    searched
}

struct Scan<'w> {
    target: &'w Target,
    person: &'w Person,
    queue: Queue,
    remove: bool,
    /// Ids of the messages received so far.
    seen: BTreeSet<String>,
    /// Receipt handles of messages to make visible again.
    hidden: Vec<String>,
    /// Parts of incomplete messages: receipt handle and text of each.
    parts: BTreeMap<String, BTreeMap<usize, (String, String)>>,
    /// Total bytes of these texts.
    bytes: usize,
}

impl Scan<'_> {
    async fn run(&mut self, found: &mut FoundMessages) -> anyhow::Result<()> {
        // Before the first pass, messages in flight belong to another process. In the second pass the
        // approximate count may still include messages of the first.
        found.all = self.remove || depth(self.target, self.queue).await?.hidden == 0;
        loop {
            let messages = self.receive().await?;
            let known = self.seen.len();
            for message in messages {
                // A message is received again after its visibility timeout.
                if self
                    .seen
                    .insert(message.message_id().unwrap_or_default().to_owned())
                {
                    self.take(&message, found).await?;
                }
            }
            if self.seen.len() == known {
                break;
            }
            if self.seen.len() >= MAX_MESSAGES {
                found.all = false;
                break;
            }
        }
        found.all &= self.parts.is_empty();
        Ok(())
    }

    async fn receive(&self) -> anyhow::Result<Vec<Message>> {
        let received = self
            .target
            .aws
            .sqs
            .receive_message()
            .queue_url(self.queue.url(self.target))
            .max_number_of_messages(10)
            .visibility_timeout(HIDDEN_SECONDS)
            // Long polling queries all SQS servers; short polling may miss messages.
            .wait_time_seconds(1)
            .send()
            .await
            .context("the queue does not answer")?;
        Ok(received.messages.unwrap_or_default())
    }

    async fn take(&mut self, message: &Message, found: &mut FoundMessages) -> anyhow::Result<()> {
        let id = message.message_id().unwrap_or_default();
        let handle = message.receipt_handle().unwrap_or_default().to_owned();
        let text = message.body().unwrap_or_default();
        match QueueMessage::read(text) {
            Ok(read) => self.process(id, &[handle], Some(&read), found).await,
            Err(QueueMessageError::Foreign(_)) if self.person.is_named_in(text) => {
                self.process(id, &[handle], None, found).await
            }
            Err(QueueMessageError::Foreign(_)) => {
                self.hidden.push(handle);
                Ok(())
            }
            Err(QueueMessageError::Partial(part)) => {
                self.hidden.push(handle.clone());
                if self.bytes + text.len() > MAX_PART_BYTES {
                    found.all = false;
                    return Ok(());
                }
                self.bytes += text.len();
                let parts = self.parts.entry(part.id.clone()).or_default();
                parts.insert(part.part, (handle, text.to_owned()));
                let joined = QueueMessage::join(parts.values().map(|(_, text)| text.as_str()));
                if matches!(joined, Err(QueueMessageError::Partial(_))) {
                    return Ok(());
                }
                let parts = self.parts.remove(&part.id).unwrap_or_default();
                let (handles, texts): (Vec<String>, Vec<String>) = parts.into_values().unzip();
                self.bytes -= texts.iter().map(String::len).sum::<usize>();
                drop(texts);
                if let Ok(joined) = joined {
                    return self.process(&part.id, &handles, Some(&joined), found).await;
                }
                // The joined parts are not a valid message.
                found.all = false;
                Ok(())
            }
        }
    }

    /// Counts a message that names the person, and with `remove` removes it. `None` is a message in a
    /// foreign format that names the person.
    async fn process(
        &mut self,
        id: &str,
        handles: &[String],
        message: Option<&QueueMessage>,
        found: &mut FoundMessages,
    ) -> anyhow::Result<()> {
        let (rest, kept) = match message {
            Some(message) if !names(self.person, message) => {
                self.hidden.extend_from_slice(handles);
                return Ok(());
            }
            Some(message) => without_person(self.person, message),
            None => (Vec::new(), 0),
        };
        found.ids.push(id.to_owned());
        // Made visible again after an error, so that the next run finds it.
        self.hidden.extend_from_slice(handles);
        if !self.remove {
            return Ok(());
        }
        // Send before delete: an error in between duplicates records and loses none.
        self.send(&rest).await?;
        self.forget(message).await?;
        for handle in handles {
            self.delete(handle).await?;
        }
        self.hidden.retain(|hidden| !handles.contains(hidden));
        found.deleted += 1;
        found.kept += kept;
        Ok(())
    }

    /// Removes the marker of a rejected body, which contains a digest of it.
    async fn forget(&self, message: Option<&QueueMessage>) -> anyhow::Result<()> {
        let (Some(message), Some(table)) = (message, self.target.events_table()) else {
            return Ok(());
        };
        let body = RejectedBody::new(&message.function, message.body.bytes());
        let forgotten = table.forget_rejected(&body).await;
        forgotten.map_err(|why| anyhow!("the marker of a message could not be removed: {why}"))
    }

    async fn send(&self, messages: &[QueueMessage]) -> anyhow::Result<()> {
        const TIMEOUT: Duration = Duration::from_mins(1);
        let queue = SqsQueue::new(
            self.target.aws.sqs.clone(),
            self.queue.url(self.target).to_owned(),
        );
        let sent = queue.send(messages.iter(), Instant::now() + TIMEOUT).await;
        ensure!(
            !sent.contains(&false),
            "a message without the person's records could not be written; the old one stays in the queue"
        );
        Ok(())
    }

    async fn delete(&self, handle: &str) -> anyhow::Result<()> {
        self.target
            .aws
            .sqs
            .delete_message()
            .queue_url(self.queue.url(self.target))
            .receipt_handle(handle)
            .send()
            .await
            .context("a message could not be deleted; it stays in the queue")?;
        Ok(())
    }

    /// Makes the remaining messages visible again. If a call fails, the visibility timeout does it.
    async fn release(&mut self) {
        use futures::StreamExt as _;
        let url = self.queue.url(self.target);
        let client = &self.target.aws.sqs;
        futures::stream::iter(self.hidden.drain(..))
            .for_each_concurrent(IN_FLIGHT, |handle| async move {
                let released = client
                    .change_message_visibility()
                    .queue_url(url)
                    .receipt_handle(handle)
                    .visibility_timeout(0)
                    .send()
                    .await;
                if let Err(error) = released {
                    let why = clients::failure(&error);
                    tracing::warn!(
                        why,
                        "a message could not be made visible again; it becomes visible within ten minutes"
                    );
                }
            })
            .await;
    }
}

fn names(person: &Person, message: &QueueMessage) -> bool {
    person.is_named_in(&message.detail) || person.is_named_in_bytes(message.body.bytes())
}

/// New messages with the records that do not name the person, and the number of these records.
/// Empty if the body cannot be split into records, or its envelope names the person.
fn without_person(person: &Person, message: &QueueMessage) -> (Vec<QueueMessage>, usize) {
    let receiver = receivers::receiver(&message.function);
    let (Some(receiver), Some(verified)) = (receiver, message.verified()) else {
        return (Vec::new(), 0);
    };
    let Ok(batch) = Batch::parse(verified, receiver.formats) else {
        return (Vec::new(), 0);
    };
    let others: Positions = batch
        .positions()
        .filter(|position| !person.is_named_in(batch.record(*position)))
        .collect();
    let body = batch.body_of(&others);
    let rest = QueueMessage {
        body: body.clone().into(),
        detail: redact(&message.detail).into_owned(),
        ..message.clone()
    };
    match Batch::parse(body.verified(), receiver.formats) {
        Ok(batch) if !others.is_empty() && !names(person, &rest) => (batch.split(&rest), others.len()),
        _ => (Vec::new(), 0),
    }
}

/// Approximate numbers of messages in a queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Depth {
    /// Visible messages.
    pub(super) visible: u64,
    /// Messages in flight: received and not deleted.
    pub(super) hidden: u64,
}

pub(super) async fn depth(target: &Target, queue: Queue) -> anyhow::Result<Depth> {
    let visible = QueueAttributeName::ApproximateNumberOfMessages;
    let hidden = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
    let answer = target
        .aws
        .sqs
        .get_queue_attributes()
        .queue_url(queue.url(target))
        .attribute_names(visible.clone())
        .attribute_names(hidden.clone())
        .send()
        .await
        .context("the queue does not answer")?;
    let number = |name| -> Option<u64> { answer.attributes()?.get(name)?.parse().ok() };
    Ok(Depth {
        visible: number(&visible).unwrap_or_default(),
        hidden: number(&hidden).unwrap_or_default(),
    })
}
