//! Operations on the dead-letter queue: hold letters, send them back, delete them. A letter is deleted
//! only after it is stored elsewhere. For the command and for the dashboard.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context as _, bail};
use aws_sdk_sqs::{
    Client,
    types::{ChangeMessageVisibilityBatchRequestEntry, Message, MessageSystemAttributeName},
};
use futures::StreamExt as _;
use serde_json::json;
use tokio::time::Instant;
use webhook_ingest::{
    event::{EpochMillis, time},
    operations::{clients, config::StorageConfig},
    pipeline::batch::Batch,
    queue::{
        self, SqsQueue,
        message::{Letter, LetterError, Reason},
    },
};

use crate::receiver;

/// Visibility timeout of messages that are worked on, in seconds.
const HIDDEN_SECONDS: i32 = 600;
/// Visibility timeout of messages that a search receives, in seconds; they are put back before it ends.
const SEARCHED_SECONDS: i32 = 45;
/// For how long one letter is searched.
const SEARCH: Duration = Duration::from_secs(15);
/// How many messages are looked through for one letter.
const SEARCHED: usize = 2_000;
/// `ChangeMessageVisibilityBatch` takes at most this many.
const BATCH: usize = 10;

/// Which letters; every condition that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only these ids (a beginning suffices).
    pub ids: Vec<String>,
    /// Only letters of this reason.
    pub reason: Option<Reason>,
    /// Only letters of this function.
    pub function: Option<String>,
    /// Only letters that arrived at least this many hours ago.
    pub older_than: Option<u32>,
    /// Look at no more than this many messages.
    pub limit: usize,
}

/// One letter and the messages it lies in.
pub struct Found {
    /// The id of its first message, or of the parts it is cut into.
    pub id: String,
    /// The letter, or why it is none, and then the messages' texts.
    pub letter: Result<Letter, NoLetter>,
    /// When it was put into the queue, epoch milliseconds.
    pub sent_at: EpochMillis,
    handles: Vec<String>,
}

/// Result of sending letters back.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Redriven {
    /// Letters that are in the retry queue now.
    pub sent: usize,
    /// Why each of the others stays in the dead-letter queue.
    pub refused: Vec<String>,
}

/// Messages that are no letter.
pub struct NoLetter {
    /// Why they are none.
    pub why: String,
    /// Whether some parts of a letter are missing: they may be hidden just now.
    is_partial: bool,
    /// The messages' texts.
    pub messages: Vec<String>,
}

impl Found {
    /// Whether parts of it are missing.
    pub fn is_partial(&self) -> bool {
        matches!(&self.letter, Err(none) if none.is_partial)
    }

    fn is_wanted(&self, filter: &Filter, now: EpochMillis) -> bool {
        let letter = self.letter.as_ref().ok();
        let since = letter.map_or(self.sent_at, |letter| letter.received_at);
        (filter.ids.is_empty() || filter.ids.iter().any(|id| self.id.starts_with(id.as_str())))
            && filter
                .reason
                .is_none_or(|reason| letter.is_some_and(|l| l.reason == reason))
            && filter
                .function
                .as_deref()
                .is_none_or(|f| letter.is_some_and(|l| l.function == f))
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

    /// The letter with this id, if a search of 15 seconds and 2,000 messages finds it. It stays hidden until
    /// it is released or deleted; all others are put back at once, and if that fails show again within 45
    /// seconds.
    ///
    /// # Errors
    /// If the queue does not answer.
    pub async fn find(&self, id: &str) -> anyhow::Result<Option<Found>> {
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
                let letter = Letter::read(message.body().unwrap_or_default());
                let part = match &letter {
                    Err(LetterError::Partial(part)) => Some(part),
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

    async fn receive(&self, hidden_seconds: i32) -> anyhow::Result<Vec<Message>> {
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
            .context("the dead-letter queue does not answer")?;
        Ok(received.messages.unwrap_or_default())
    }

    /// Sets the visibility timeout of messages that are worked on.
    async fn hide(&self, messages: impl Iterator<Item = &Message>) -> anyhow::Result<()> {
        for handle in messages.filter_map(Message::receipt_handle) {
            self.client
                .change_message_visibility()
                .queue_url(&self.dead)
                .receipt_handle(handle)
                .visibility_timeout(HIDDEN_SECONDS)
                .send()
                .await
                .context("the dead-letter queue does not answer")?;
        }
        Ok(())
    }

    /// Receives what is in the queue and returns what the filter wants, the oldest first; the rest
    /// is put back at once. What is returned stays hidden until it is released or deleted.
    ///
    /// # Errors
    /// If the queue does not answer.
    pub async fn hold(&self, filter: &Filter) -> anyhow::Result<Vec<Found>> {
        let mut messages: BTreeMap<String, Message> = BTreeMap::new();
        if filter.ids.iter().any(String::is_empty) {
            bail!("the id of a letter is empty");
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
        let (wanted, unwanted): (Vec<Found>, Vec<Found>) = assembled(messages.into_values())
            .into_iter()
            .partition(|found| found.is_wanted(filter, now));
        self.release(&unwanted).await;
        let mut wanted = wanted;
        wanted.sort_by_key(|found| found.sent_at);
        Ok(wanted)
    }

    /// Makes letters visible to others again. One that cannot be put back becomes visible by itself.
    pub async fn release(&self, letters: &[Found]) {
        self.show(letters.iter().flat_map(|found| found.handles.clone()).collect())
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
        let (letters, why) = match &answer {
            Ok(answer) if answer.failed().is_empty() => return,
            Ok(answer) => (answer.failed().len(), "refused"),
            Err(error) => (handles.len(), clients::failure(error)),
        };
        tracing::warn!(
            letters,
            why,
            "letters could not be put back; they show again by themselves within ten minutes"
        );
    }

    /// Deletes a letter that is safe elsewhere.
    ///
    /// # Errors
    /// If the queue does not answer; the letter stays then.
    pub async fn delete(&self, found: &Found) -> anyhow::Result<()> {
        for handle in &found.handles {
            self.client
                .delete_message()
                .queue_url(&self.dead)
                .receipt_handle(handle)
                .send()
                .await
                .context("a letter could not be deleted; it stays in the queue")?;
        }
        Ok(())
    }

    /// Sends letters to the retry queue, and deletes each once it is there.
    ///
    /// # Errors
    /// If a queue does not answer.
    pub async fn redrive(&self, letters: Vec<Found>) -> anyhow::Result<Redriven> {
        let mut done = Redriven::default();
        let mut stay = Vec::new();
        for found in letters {
            let again = match &found.letter {
                Ok(letter) => for_redrive(letter),
                Err(none) => Err(anyhow::anyhow!(
                    "{}; export it with `dead-letters export`",
                    none.why
                )),
            };
            let refused = match again {
                Ok(letters) => {
                    let deadline = Instant::now() + Duration::from_secs(30);
                    let is_sent = self.retry.send(queue::all(&letters), deadline).await.is_empty();
                    (!is_sent).then(|| "the retry queue did not take it; try again".to_owned())
                }
                Err(error) => Some(error.to_string()),
            };
            match refused {
                None => {
                    self.delete(&found).await?;
                    done.sent += 1;
                }
                Some(why) => {
                    tracing::warn!(id = found.id, why, "a letter was not sent back");
                    done.refused.push(why);
                    stay.push(found);
                }
            }
        }
        self.release(&stay).await;
        Ok(done)
    }
}

/// A letter with its body, as JSON: for a person's eyes or a file.
pub fn described(found: &Found) -> serde_json::Value {
    match &found.letter {
        Ok(letter) => {
            let (encoding, body) = match String::from_utf8(letter.body.clone()) {
                Ok(text) => (None, text),
                Err(bytes) => {
                    use base64::Engine as _;
                    let engine = base64::engine::general_purpose::STANDARD;
                    (Some("base64"), engine.encode(bytes.as_bytes()))
                }
            };
            json!({
                "id": found.id,
                "reason": letter.reason.as_str(),
                "detail": letter.detail,
                "function": letter.function,
                "received_at": letter.received_at,
                "encoding": encoding,
                "body": body,
            })
        }
        Err(none) => json!({"id": found.id, "detail": none.why, "messages": none.messages}),
    }
}

/// Messages as letters; the parts of one are put together.
fn assembled(messages: impl Iterator<Item = Message>) -> Vec<Found> {
    let mut found = Vec::new();
    let mut parts: BTreeMap<String, Vec<Message>> = BTreeMap::new();
    for message in messages {
        let id = message.message_id().unwrap_or_default().to_owned();
        match Letter::read(message.body().unwrap_or_default()) {
            Err(LetterError::Partial(part)) => parts.entry(part.id).or_default().push(message),
            letter => found.push(one(&id, letter, &[message])),
        }
    }
    found.extend(parts.into_iter().map(|(id, messages)| {
        let letter = Letter::join(messages.iter().filter_map(Message::body));
        one(&id, letter, &messages)
    }));
    found
}

fn one(id: &str, letter: Result<Letter, LetterError>, messages: &[Message]) -> Found {
    let sent = |message: &Message| -> Option<EpochMillis> {
        let sent = message
            .attributes()?
            .get(&MessageSystemAttributeName::SentTimestamp)?;
        sent.parse().ok()
    };
    let none = |error: LetterError| NoLetter {
        why: error.to_string(),
        is_partial: matches!(error, LetterError::Partial(_)),
        messages: messages
            .iter()
            .filter_map(|m| m.body().map(str::to_owned))
            .collect(),
    };
    Found {
        id: id.to_owned(),
        letter: letter.map_err(none),
        sent_at: messages.iter().filter_map(sent).min().unwrap_or_default(),
        handles: messages
            .iter()
            .filter_map(|m| m.receipt_handle().map(str::to_owned))
            .collect(),
    }
}

/// The letter as the retry queue takes it. `redrive` reads one message at a time, so one that is
/// cut into parts is made into several of fewer records.
fn for_redrive(letter: &Letter) -> anyhow::Result<Vec<Letter>> {
    if letter.reason == Reason::Uncountable {
        bail!("its event is stored and only not counted; run `rollups rebuild`, then discard it");
    }
    let again = Letter {
        reason: Reason::Exhausted,
        detail: format!(
            "sent back by hand; was {}: {}",
            letter.reason.as_str(),
            letter.detail
        ),
        ..letter.clone()
    };
    if again.write().len() == 1 {
        return Ok(vec![again]);
    }
    let receiver =
        receiver(&letter.function).with_context(|| format!("no function is called {}", letter.function))?;
    let batch = Batch::parse(letter.verified(), receiver.formats)?;
    let letters = batch.split(&again);
    if letters.iter().any(|letter| letter.write().len() > 1) {
        bail!("one of its records is larger than a queue message; export it with `dead-letters export`");
    }
    Ok(letters)
}
