//! The dead-letter queue for a person: dead letters are held, sent back, saved and deleted. A dead letter
//! is deleted only after it is stored elsewhere. For the command and for the dashboard.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use aws_sdk_sqs::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::{ChangeMessageVisibilityBatchRequestEntry, Message, MessageSystemAttributeName},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::StreamExt as _;
use serde_json::json;
use tokio::time::Instant;

use crate::{
    event::{EpochMillis, time},
    operations::{clients, config::StorageConfig},
    pipeline::batch::Batch,
    provider,
    queue::{
        SqsQueue,
        message::{QueueMessage, QueueMessageError, Reason},
    },
};

/// Visibility timeout of messages that are worked on, in seconds.
const HIDDEN_SECONDS: i32 = 600;
/// Visibility timeout of messages that a search receives, in seconds; they are put back before it ends.
const SEARCHED_SECONDS: i32 = 45;
/// The longest search for one dead letter.
const SEARCH: Duration = Duration::from_secs(15);
/// The most messages that a search for one dead letter receives.
const SEARCHED: usize = 2_000;
/// The most entries of a `ChangeMessageVisibilityBatch`.
const BATCH: usize = 10;
/// The longest that one dead letter is sent to the retry queue.
const SENDING: Duration = Duration::from_secs(30);

/// Selects dead letters; every condition that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only these ids (a prefix suffices).
    pub ids: Vec<String>,
    /// Only dead letters of this reason.
    pub reason: Option<Reason>,
    /// Only dead letters of this function.
    pub function: Option<String>,
    /// Only dead letters whose body arrived at least this many hours ago.
    pub older_than: Option<u32>,
    /// Receive no more than this many SQS messages.
    pub limit: usize,
}

/// One dead letter, and the SQS messages that hold it.
pub struct DeadLetter {
    /// The id of its SQS message, or of the parts it is cut into.
    pub id: String,
    /// What the SQS messages hold.
    pub content: Content,
    /// When it was put into the queue, epoch milliseconds.
    pub sent_at: EpochMillis,
    handles: Vec<String>,
}

/// What one dead letter's SQS messages hold.
pub enum Content {
    /// A message of this program, whole.
    Message(QueueMessage),
    /// Anything else.
    Unreadable {
        /// Why it is no message of this program, or not a whole one.
        why: String,
        /// Whether parts are missing: another consumer may hold them just now.
        is_partial: bool,
        /// The SQS messages' bodies.
        bodies: Vec<String>,
    },
}

/// Result of sending dead letters back.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Redriven {
    /// How many are in the retry queue now.
    pub sent: usize,
    /// Why each of the others stays in the dead-letter queue.
    pub refused: Vec<String>,
}

/// Why an operation on the dead-letter queue failed.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// Nothing was received, or nothing was hidden.
    #[error("the dead-letter queue does not answer: {0}")]
    Unavailable(String),
    /// It stays in the queue.
    #[error("a dead letter could not be deleted; it stays in the queue: {0}")]
    NotDeleted(String),
    /// An empty prefix would select everything.
    #[error("the id of a dead letter is empty")]
    EmptyId,
}

impl DeadLetterError {
    fn unavailable<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Self {
        Self::Unavailable(clients::failure(error).to_owned())
    }
}

impl DeadLetter {
    /// Whether parts of it are missing.
    pub fn is_partial(&self) -> bool {
        matches!(self.content, Content::Unreadable { is_partial: true, .. })
    }

    /// The message, if the SQS messages hold a whole one.
    pub fn message(&self) -> Option<&QueueMessage> {
        match &self.content {
            Content::Message(message) => Some(message),
            Content::Unreadable { .. } => None,
        }
    }

    /// The dead letter with its body, as JSON: for a person's eyes or a file.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.content {
            Content::Message(message) => {
                let (encoding, body) = match std::str::from_utf8(message.body.bytes()) {
                    Ok(text) => (None, text.to_owned()),
                    Err(_) => (Some("base64"), STANDARD.encode(message.body.bytes())),
                };
                json!({
                    "id": self.id,
                    "reason": message.reason.as_str(),
                    "detail": message.detail,
                    "function": message.function,
                    "received_at": message.received_at,
                    "encoding": encoding,
                    "body": body,
                })
            }
            Content::Unreadable { why, bodies, .. } => {
                json!({"id": self.id, "detail": why, "messages": bodies})
            }
        }
    }

    fn is_wanted(&self, filter: &Filter, now: EpochMillis) -> bool {
        let message = self.message();
        let since = message.map_or(self.sent_at, |message| message.received_at);
        (filter.ids.is_empty() || filter.ids.iter().any(|id| self.id.starts_with(id.as_str())))
            && filter
                .reason
                .is_none_or(|reason| message.is_some_and(|m| m.reason == reason))
            && filter
                .function
                .as_deref()
                .is_none_or(|function| message.is_some_and(|m| m.function == function))
            && filter
                .older_than
                .is_none_or(|hours| now.saturating_sub(since) >= i64::from(hours) * 3_600_000)
    }
}

/// The dead-letter queue, held while a command works on it.
pub struct DeadLetters {
    client: Client,
    dead: String,
    retry: SqsQueue,
}

impl DeadLetters {
    /// The dead-letter queue of a stack.
    pub fn new(client: Client, config: &StorageConfig) -> Self {
        Self {
            dead: config.dead_letter_queue_url.clone(),
            retry: SqsQueue::new(client.clone(), config.retry_queue_url.clone()),
            client,
        }
    }

    /// The dead letter with this id, if a search of 15 seconds and 2,000 messages finds it. It stays hidden until
    /// it is released or deleted; all others are put back at once, and if that fails show again within 45
    /// seconds.
    ///
    /// # Errors
    /// If the queue does not answer.
    pub async fn find(&self, id: &str) -> Result<Option<DeadLetter>, DeadLetterError> {
        let began = Instant::now();
        let mut seen = BTreeSet::new();
        let mut others = Vec::new();
        let mut wanted: BTreeMap<String, Message> = BTreeMap::new();
        let mut is_complete = false;
        while !is_complete && seen.len() < SEARCHED && began.elapsed() < SEARCH {
            let received = self.receive(SEARCHED_SECONDS).await;
            let received = match received {
                Ok(received) => received,
                Err(error) => {
                    others.extend(
                        wanted
                            .values()
                            .filter_map(|m| m.receipt_handle().map(str::to_owned)),
                    );
                    self.show(others).await;
                    return Err(error);
                }
            };
            let before = seen.len();
            for message in received {
                let message_id = message.message_id().unwrap_or_default().to_owned();
                seen.insert(message_id.clone());
                let read = QueueMessage::read(message.body().unwrap_or_default());
                let part = match &read {
                    Err(QueueMessageError::Partial(part)) => Some(part),
                    _ => None,
                };
                if part.map_or(message_id.as_str(), |part| part.id.as_str()) != id {
                    others.extend(message.receipt_handle().map(str::to_owned));
                    continue;
                }
                let parts = part.map_or(1, |part| part.parts);
                wanted.insert(message_id, message);
                is_complete = wanted.len() >= parts;
            }
            // Nothing, or nothing new: the first ones are showing again.
            if seen.len() == before {
                break;
            }
        }
        let ((), hidden) = tokio::join!(self.show(others), self.hide(wanted.values()));
        hidden?;
        Ok(assembled(wanted.into_values()).pop())
    }

    async fn receive(&self, hidden_seconds: i32) -> Result<Vec<Message>, DeadLetterError> {
        let received = self
            .client
            .receive_message()
            .queue_url(&self.dead)
            .max_number_of_messages(10)
            .visibility_timeout(hidden_seconds)
            // Long polling asks all of SQS's servers; short polling may miss messages.
            .wait_time_seconds(1)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .send()
            .await
            .map_err(|e| DeadLetterError::unavailable(&e))?;
        Ok(received.messages.unwrap_or_default())
    }

    /// Sets the visibility timeout of messages that are worked on.
    async fn hide(&self, messages: impl Iterator<Item = &Message>) -> Result<(), DeadLetterError> {
        for handle in messages.filter_map(Message::receipt_handle) {
            self.client
                .change_message_visibility()
                .queue_url(&self.dead)
                .receipt_handle(handle)
                .visibility_timeout(HIDDEN_SECONDS)
                .send()
                .await
                .map_err(|e| DeadLetterError::unavailable(&e))?;
        }
        Ok(())
    }

    /// Receives what is in the queue and returns what the filter selects, the oldest first; the rest
    /// is put back at once. What is returned stays hidden until it is released or deleted.
    ///
    /// # Errors
    /// If the queue does not answer.
    pub async fn hold(&self, filter: &Filter) -> Result<Vec<DeadLetter>, DeadLetterError> {
        let mut messages: BTreeMap<String, Message> = BTreeMap::new();
        if filter.ids.iter().any(String::is_empty) {
            return Err(DeadLetterError::EmptyId);
        }
        while messages.len() < filter.limit {
            let received = self.receive(HIDDEN_SECONDS).await?;
            let before = messages.len();
            for message in received {
                messages.insert(message.message_id().unwrap_or_default().to_owned(), message);
            }
            // Nothing, or nothing new: the first ones are showing again.
            if messages.len() == before {
                break;
            }
        }
        let now = time::now();
        let (wanted, unwanted): (Vec<DeadLetter>, Vec<DeadLetter>) = assembled(messages.into_values())
            .into_iter()
            .partition(|one| one.is_wanted(filter, now));
        self.release(&unwanted).await;
        let mut wanted = wanted;
        wanted.sort_by_key(|one| one.sent_at);
        Ok(wanted)
    }

    /// Makes dead letters visible to others again. One that cannot be put back becomes visible by itself.
    pub async fn release(&self, dead_letters: &[DeadLetter]) {
        self.show(dead_letters.iter().flat_map(|one| one.handles.clone()).collect())
            .await;
    }

    /// Makes messages visible again, ten with one call and several calls at once.
    async fn show(&self, handles: Vec<String>) {
        let batches: Vec<Vec<String>> = handles.chunks(BATCH).map(<[String]>::to_vec).collect();
        futures::stream::iter(batches)
            .map(|batch| self.show_batch(batch))
            .buffer_unordered(BATCH)
            .collect::<()>()
            .await;
    }

    async fn show_batch(&self, handles: Vec<String>) {
        let entries = handles.iter().enumerate().filter_map(|(place, handle)| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(place.to_string())
                .receipt_handle(handle)
                .visibility_timeout(0)
                .build()
                .ok()
        });
        let answer = self
            .client
            .change_message_visibility_batch()
            .queue_url(&self.dead)
            .set_entries(Some(entries.collect()))
            .send()
            .await;
        let (messages, why) = match &answer {
            Ok(answer) if answer.failed().is_empty() => return,
            Ok(answer) => (answer.failed().len(), "refused"),
            Err(error) => (handles.len(), clients::failure(error)),
        };
        tracing::warn!(
            messages,
            why,
            "dead letters could not be put back; they show again by themselves within ten minutes"
        );
    }

    /// Deletes a dead letter that is safe elsewhere.
    ///
    /// # Errors
    /// If the queue does not answer; the dead letter stays then.
    pub async fn delete(&self, dead_letter: &DeadLetter) -> Result<(), DeadLetterError> {
        for handle in &dead_letter.handles {
            self.client
                .delete_message()
                .queue_url(&self.dead)
                .receipt_handle(handle)
                .send()
                .await
                .map_err(|e| DeadLetterError::NotDeleted(clients::failure(&e).to_owned()))?;
        }
        Ok(())
    }

    /// Sends dead letters to the retry queue, and deletes each once it is there.
    ///
    /// # Errors
    /// If the dead-letter queue does not answer.
    pub async fn redrive(&self, dead_letters: Vec<DeadLetter>) -> Result<Redriven, DeadLetterError> {
        let mut done = Redriven::default();
        let mut stay = Vec::new();
        for dead_letter in dead_letters {
            match self.send_back(&dead_letter).await {
                Ok(()) => {
                    self.delete(&dead_letter).await?;
                    done.sent += 1;
                }
                Err(why) => {
                    tracing::warn!(id = dead_letter.id, why, "a dead letter was not sent back");
                    done.refused.push(why);
                    stay.push(dead_letter);
                }
            }
        }
        self.release(&stay).await;
        Ok(done)
    }

    /// Sends one to the retry queue, or says why it stays.
    async fn send_back(&self, dead_letter: &DeadLetter) -> Result<(), String> {
        let messages = match &dead_letter.content {
            Content::Message(message) => for_redrive(message)?,
            Content::Unreadable { why, .. } => {
                return Err(format!("{why}; export it with `dead-letters export`"));
            }
        };
        let sent = self.retry.send(messages.iter(), Instant::now() + SENDING).await;
        if sent.contains(&false) {
            return Err("the retry queue did not take it; try again".to_owned());
        }
        Ok(())
    }
}

/// SQS messages as dead letters; the parts of one are put together.
fn assembled(messages: impl Iterator<Item = Message>) -> Vec<DeadLetter> {
    let mut dead_letters = Vec::new();
    let mut parts: BTreeMap<String, Vec<Message>> = BTreeMap::new();
    for message in messages {
        let id = message.message_id().unwrap_or_default().to_owned();
        match QueueMessage::read(message.body().unwrap_or_default()) {
            Err(QueueMessageError::Partial(part)) => parts.entry(part.id).or_default().push(message),
            read => dead_letters.push(dead_letter(&id, read, &[message])),
        }
    }
    dead_letters.extend(parts.into_iter().map(|(id, messages)| {
        let joined = QueueMessage::join(messages.iter().filter_map(Message::body));
        dead_letter(&id, joined, &messages)
    }));
    dead_letters
}

fn dead_letter(id: &str, read: Result<QueueMessage, QueueMessageError>, messages: &[Message]) -> DeadLetter {
    let sent = |message: &Message| -> Option<EpochMillis> {
        let sent = message
            .attributes()?
            .get(&MessageSystemAttributeName::SentTimestamp)?;
        sent.parse().ok()
    };
    let owned = |text: &str| text.to_owned();
    DeadLetter {
        id: id.to_owned(),
        content: match read {
            Ok(message) => Content::Message(message),
            Err(error) => Content::Unreadable {
                why: error.to_string(),
                is_partial: matches!(error, QueueMessageError::Partial(_)),
                bodies: messages.iter().filter_map(Message::body).map(owned).collect(),
            },
        },
        sent_at: messages.iter().filter_map(sent).min().unwrap_or_default(),
        handles: messages
            .iter()
            .filter_map(Message::receipt_handle)
            .map(owned)
            .collect(),
    }
}

/// A dead letter as the retry queue takes it, or why it cannot go back. `redrive` reads one SQS message
/// at a time, so a dead letter that is cut into parts becomes several messages of fewer records.
fn for_redrive(message: &QueueMessage) -> Result<Vec<QueueMessage>, String> {
    let Some(verified) = message.verified() else {
        return Err(
            "its event is stored and only not counted; run `rollups rebuild`, then discard it".to_owned(),
        );
    };
    let again = QueueMessage {
        reason: Reason::Exhausted,
        detail: format!(
            "sent back by hand; was {}: {}",
            message.reason.as_str(),
            message.detail
        ),
        ..message.clone()
    };
    if again.write().len() == 1 {
        return Ok(vec![again]);
    }
    // Any format's envelope will do to find the records; `redrive` reads them by its receiver's formats.
    let batch = Batch::parse(verified, &provider::ALL).map_err(|e| e.to_string())?;
    let messages = batch.split(&again);
    if messages.iter().any(|message| message.write().len() > 1) {
        return Err(
            "one of its records is larger than a queue message; export it with `dead-letters export`"
                .to_owned(),
        );
    }
    Ok(messages)
}
