//! Operations on the dead-letter queue for the command and the dashboard: dead letters are held, sent back,
//! saved and deleted. A dead letter is deleted only after it is stored elsewhere.

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
    events_table::{EventsTable, rejected::RejectedBody},
    operations::{clients, config::StorageConfig},
    pipeline::batch::Batch,
    provider,
    queue::{
        MAX_ENTRIES, SqsQueue,
        message::{QueueMessage, QueueMessageError, Reason},
    },
};

/// Visibility timeout of held messages, in seconds.
const HIDDEN_SECONDS: i32 = 600;
/// Visibility timeout of messages that a search receives, in seconds. They are made visible again before it
/// ends.
const SEARCHED_SECONDS: i32 = 45;
/// The longest search for one dead letter.
const SEARCH: Duration = Duration::from_secs(15);
/// The most messages that a search for one dead letter receives.
const SEARCHED: usize = 2_000;
/// The longest time to send one dead letter to the retry queue.
const SENDING: Duration = Duration::from_secs(30);

/// Selects dead letters. All conditions that are set must match.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only dead letters with these ids (a prefix is enough).
    pub ids: Vec<String>,
    /// Only dead letters with this reason.
    pub reason: Option<Reason>,
    /// Only dead letters of this function.
    pub function: Option<String>,
    /// Only dead letters whose body arrived at least this many hours ago.
    pub older_than: Option<u32>,
    /// The most SQS messages to receive.
    pub limit: usize,
}

/// One dead letter, and the SQS messages that contain it.
pub struct DeadLetter {
    /// The id of its SQS message, or of its parts.
    pub id: String,
    /// The content of the SQS messages.
    pub content: Content,
    /// When it was put into the queue, epoch milliseconds.
    pub sent_at: EpochMillis,
    handles: Vec<String>,
}

/// The content of a dead letter's SQS messages.
pub enum Content {
    /// A whole message of this program.
    Message(QueueMessage),
    /// Any other content.
    Unreadable {
        /// Why it is not a whole message of this program.
        why: String,
        /// Whether parts are missing: another consumer may have received them.
        is_partial: bool,
        /// The SQS messages' bodies.
        bodies: Vec<String>,
    },
}

/// Result of sending dead letters back.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Redriven {
    /// How many were sent to the retry queue.
    pub sent: usize,
    /// Why each of the others stays in the dead-letter queue.
    pub refused: Vec<String>,
}

/// Why an operation on the dead-letter queue failed.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// Messages could not be received or hidden.
    #[error("the dead-letter queue does not answer: {0}")]
    Unavailable(String),
    /// The dead letter stays in the queue.
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

    /// The dead letter with its body as JSON, for display or for a file.
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
                    "bot": message.body.bot(),
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

/// The dead-letter queue of a stack, and the messages that a command holds.
pub struct DeadLetters {
    client: Client,
    dead: String,
    retry: SqsQueue,
    /// The table with the markers of rejected bodies.
    table: Option<EventsTable>,
}

impl DeadLetters {
    /// The dead-letter queue of a stack.
    pub fn new(client: Client, config: &StorageConfig) -> Self {
        Self {
            dead: config.dead_letter_queue_url.clone(),
            retry: SqsQueue::new(client.clone(), config.retry_queue_url.clone()),
            client,
            table: None,
        }
    }

    /// The same; when a dead letter is deleted, the marker of its body is removed from this table. Without it,
    /// the same body does not become a dead letter again until the marker expires.
    #[must_use]
    pub fn with_table(self, table: Option<EventsTable>) -> Self {
        Self { table, ..self }
    }

    /// The dead letter with this id, if a search of 15 seconds and 2,000 messages finds it. It stays hidden
    /// until it is released or deleted. All others are made visible again at once; if that fails, they
    /// reappear within 45 seconds.
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
            // Nothing was received, or nothing new: the first messages are visible again.
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
            // Long polling queries all of SQS's servers. Short polling may miss messages.
            .wait_time_seconds(1)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .send()
            .await
            .map_err(|e| DeadLetterError::unavailable(&e))?;
        Ok(received.messages.unwrap_or_default())
    }

    /// Sets the visibility timeout of held messages.
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

    /// Receives the messages in the queue and returns those that the filter selects, the oldest first. The
    /// others are made visible again at once. The returned dead letters stay hidden until they are released
    /// or deleted.
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
            // Nothing was received, or nothing new: the first messages are visible again.
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

    /// Makes dead letters visible again. If that fails, they reappear when their visibility timeout ends.
    pub async fn release(&self, dead_letters: &[DeadLetter]) {
        self.show(dead_letters.iter().flat_map(|one| one.handles.clone()).collect())
            .await;
    }

    /// Makes messages visible again, ten with one call, in several concurrent calls.
    async fn show(&self, handles: Vec<String>) {
        let batches: Vec<Vec<String>> = handles.chunks(MAX_ENTRIES).map(<[String]>::to_vec).collect();
        futures::stream::iter(batches)
            .map(|batch| self.show_batch(batch))
            .buffer_unordered(MAX_ENTRIES)
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
            "dead letters could not be made visible again; they reappear within ten minutes"
        );
    }

    /// Deletes a dead letter that is stored elsewhere.
    ///
    /// # Errors
    /// If the queue does not answer. The dead letter then stays in the queue.
    pub async fn delete(&self, dead_letter: &DeadLetter) -> Result<(), DeadLetterError> {
        // Before the message: a marker must not stand for a body that is not kept.
        self.forget(dead_letter).await;
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

    /// Removes the marker of a rejected body.
    async fn forget(&self, dead_letter: &DeadLetter) {
        let (Some(table), Some(message)) = (&self.table, dead_letter.message()) else {
            return;
        };
        if !matches!(message.reason, Reason::Malformed | Reason::Unreadable) {
            return;
        }
        let body = RejectedBody::new(&message.function, message.body.bytes());
        if let Err(why) = table.forget_rejected(&body).await {
            tracing::warn!(
                id = dead_letter.id,
                why,
                "a marker stays: the same body does not become a dead letter again within 13 days"
            );
        }
    }

    /// Sends dead letters to the retry queue. Deletes each one after the retry queue accepted it.
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

    /// Sends one dead letter to the retry queue. Returns the reason if it stays.
    async fn send_back(&self, dead_letter: &DeadLetter) -> Result<(), String> {
        let messages = match &dead_letter.content {
            Content::Message(message) => for_redrive(message)?,
            Content::Unreadable { why, .. } => {
                return Err(format!("{why}; export it with `dead-letters export`"));
            }
        };
        let sent = self.retry.send(messages.iter(), Instant::now() + SENDING).await;
        if sent.contains(&false) {
            return Err("the retry queue did not accept it; try again".to_owned());
        }
        Ok(())
    }
}

/// Converts SQS messages to dead letters and joins parts.
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

/// The messages to send to the retry queue for a dead letter, or the reason why it cannot go back. `redrive`
/// reads one SQS message at a time, so a dead letter in parts becomes several messages with fewer records.
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
    // The envelope of any format is enough to find the records. `redrive` reads them with its receiver's
    // formats.
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
