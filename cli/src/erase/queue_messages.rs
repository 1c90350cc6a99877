//! What the queues hold of a person. A message is written anew without the person's records, or
//! deleted if no other record is in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use aws_sdk_sqs::types::{Message, QueueAttributeName};
use tokio::time::Instant;
use webhook_ingest::{
    operations::clients,
    phone::redact,
    pipeline::{Positions, batch::Batch},
    queue::{
        SqsQueue,
        message::{QueueMessage, QueueMessageError},
    },
};

use super::person::Person;
use crate::place::Target;

/// Messages of one queue that are looked at in one run. SQS hides at most 120,000 at once.
const MOST: usize = 100_000;
/// Bytes of messages in parts that are kept until the missing parts come.
const MOST_BYTES: usize = 256 * 1024 * 1024;
/// How long a message stays hidden while the others are looked at, in seconds.
const HIDDEN_SECONDS: i32 = 600;
/// Messages that are put back at once.
const IN_FLIGHT: usize = 8;

/// What was found in one queue.
#[derive(Debug, Default)]
pub struct FoundMessages {
    /// Ids of messages that name the person.
    pub ids: Vec<String>,
    /// How many of them were deleted, or replaced by one without the person's records.
    pub deleted: usize,
    /// Records of others that were kept from them.
    pub kept: usize,
    /// Whether every message of the queue was looked at: not if there are too many of them, if
    /// another process holds some, or if parts of a message are missing.
    pub all: bool,
}

/// Which queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// What needs a person.
    DeadLetters,
    /// What waits to be stored.
    Retry,
}

impl Which {
    fn url(self, target: &Target) -> &str {
        match self {
            Self::DeadLetters => &target.storage.dead_letter_queue_url,
            Self::Retry => &target.storage.retry_queue_url,
        }
    }
}

/// Looks through a queue, and removes the person's records from it if `remove`.
///
/// Adds to `letters` as it goes, so that the caller knows what was done if it fails.
pub(super) async fn look(
    target: &Target,
    person: &Person,
    which: Which,
    remove: bool,
    found: &mut FoundMessages,
) -> anyhow::Result<()> {
    let mut walk = Walk {
        target,
        person,
        which,
        remove,
        seen: BTreeSet::new(),
        hidden: Vec::new(),
        parts: BTreeMap::new(),
        bytes: 0,
    };
    let looked = walk.all(found).await;
    walk.put_back().await;
    looked
}

struct Walk<'w> {
    target: &'w Target,
    person: &'w Person,
    which: Which,
    remove: bool,
    /// Ids of messages.
    seen: BTreeSet<String>,
    /// Handles of messages to put back.
    hidden: Vec<String>,
    /// Parts of messages that are not complete yet: handle and text of each.
    parts: BTreeMap<String, BTreeMap<usize, (String, String)>>,
    /// The bytes of those texts.
    bytes: usize,
}

impl Walk<'_> {
    async fn all(&mut self, found: &mut FoundMessages) -> anyhow::Result<()> {
        // Messages that are invisible before this starts belong to another process. Afterwards the queue's own figure
        // lags behind what was put back.
        found.all = self.remove || depth(self.target, self.which).await?.hidden == 0;
        loop {
            let messages = self.receive().await?;
            let known = self.seen.len();
            for message in messages {
                // Shown again, because the first ones are not hidden any more.
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
            if self.seen.len() >= MOST {
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
            .queue_url(self.which.url(self.target))
            .max_number_of_messages(10)
            .visibility_timeout(HIDDEN_SECONDS)
            // Long polling asks all of SQS's servers; short polling may miss messages.
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
            Ok(read) => self.judge(id, &[handle], Some(&read), found).await,
            Err(QueueMessageError::Foreign(_)) if self.person.is_named_in(text) => {
                self.judge(id, &[handle], None, found).await
            }
            Err(QueueMessageError::Foreign(_)) => {
                self.hidden.push(handle);
                Ok(())
            }
            Err(QueueMessageError::Partial(part)) => {
                self.hidden.push(handle.clone());
                if self.bytes + text.len() > MOST_BYTES {
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
                    return self.judge(&part.id, &handles, Some(&joined), found).await;
                }
                // Parts that make no message cannot be read.
                found.all = false;
                Ok(())
            }
        }
    }

    /// Removes a message that names the person, if it is to be removed. `None` is a foreign message
    /// that does.
    async fn judge(
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
            Some(message) => without(self.person, message),
            None => (Vec::new(), 0),
        };
        found.ids.push(id.to_owned());
        // Put back if something fails, so that the next run sees it.
        self.hidden.extend_from_slice(handles);
        if !self.remove {
            return Ok(());
        }
        // First the new one: what fails in between leaves a record twice, not lost.
        self.send(&rest).await?;
        for handle in handles {
            self.delete(handle).await?;
        }
        self.hidden.retain(|hidden| !handles.contains(hidden));
        found.deleted += 1;
        found.kept += kept;
        Ok(())
    }

    async fn send(&self, messages: &[QueueMessage]) -> anyhow::Result<()> {
        const TIMEOUT: Duration = Duration::from_mins(1);
        let queue = SqsQueue::new(
            self.target.aws.sqs.clone(),
            self.which.url(self.target).to_owned(),
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
            .queue_url(self.which.url(self.target))
            .receipt_handle(handle)
            .send()
            .await
            .context("a message could not be deleted; it stays in the queue")?;
        Ok(())
    }

    /// Makes what stays visible to others again. What cannot be put back shows again by itself.
    async fn put_back(&mut self) {
        use futures::StreamExt as _;
        let url = self.which.url(self.target);
        let client = &self.target.aws.sqs;
        futures::stream::iter(self.hidden.drain(..))
            .for_each_concurrent(IN_FLIGHT, |handle| async move {
                let put_back = client
                    .change_message_visibility()
                    .queue_url(url)
                    .receipt_handle(handle)
                    .visibility_timeout(0)
                    .send()
                    .await;
                if let Err(error) = put_back {
                    let why = clients::failure(&error);
                    tracing::warn!(
                        why,
                        "a message could not be put back; it shows again within ten minutes"
                    );
                }
            })
            .await;
    }
}

fn names(person: &Person, message: &QueueMessage) -> bool {
    person.is_named_in(&message.detail) || person.is_named_in_bytes(message.body.bytes())
}

/// The records of a message that do not name the person, in new messages, and how many records they are. None are
/// left if the body has no records that this program can read, or its envelope names the person.
fn without(person: &Person, message: &QueueMessage) -> (Vec<QueueMessage>, usize) {
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

/// About how many messages are in a queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Depth {
    /// Messages that can be received.
    pub(super) visible: u64,
    /// Messages that were received and may come again.
    pub(super) hidden: u64,
}

pub(super) async fn depth(target: &Target, which: Which) -> anyhow::Result<Depth> {
    let visible = QueueAttributeName::ApproximateNumberOfMessages;
    let hidden = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
    let answer = target
        .aws
        .sqs
        .get_queue_attributes()
        .queue_url(which.url(target))
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
