//! Depths of the queues and the newest dead letters. If the function may change the queues, it also redrives
//! and discards dead letters.

use aws_sdk_sqs::{
    Client,
    types::{Message, MessageSystemAttributeName, QueueAttributeName},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use webhook_ingest::dead_letters::{self, DeadLetterError};
use webhook_ingest::{
    events_table::EventsTable,
    operations::{clients, config::StorageConfig},
    queue::message::{QueueMessage, QueueMessageError},
};

use crate::{
    answers::{DeadLetter, DeadLetters, Depth, Depths},
    redaction,
    refusal::Refusal,
    sizes::{self, MAX_RESPONSE_BYTES},
};

/// Maximum of messages that SQS returns at once.
const MAX_RECEIVED: i32 = 10;
/// Maximum bytes of a payload in a response; `dead-letters show` prints all of it.
const SHOWN_BYTES: usize = 20_000;
/// Maximum bytes of other texts of a dead letter in a response.
const SHOWN_TEXT: usize = 2_000;

/// Both queues.
pub(crate) struct Queues {
    client: Client,
    retry: String,
    dead: String,
    dead_letters: dead_letters::DeadLetters,
}

impl Queues {
    pub(crate) fn new(client: Client, config: &StorageConfig, table: EventsTable) -> Self {
        let dead_letters = dead_letters::DeadLetters::new(client.clone(), config);
        Self {
            dead_letters: dead_letters.with_table(Some(table)),
            client,
            retry: config.retry_queue_url.clone(),
            dead: config.dead_letter_queue_url.clone(),
        }
    }

    /// Depths of both queues, and up to ten dead letters, newest first. SQS is not ordered, so in a long
    /// queue this is a sample.
    pub(crate) async fn look(&self, redacted: bool) -> Result<DeadLetters, Refusal> {
        // Received before the depths are read: after a visibility timeout, the embedded SQS counts a message
        // again only when messages are received.
        let newest = self.newest(redacted).await?;
        let (retry, dead_letter) = tokio::try_join!(self.depth(&self.retry), self.depth(&self.dead))?;
        Ok(DeadLetters {
            depths: Depths { retry, dead_letter },
            newest,
        })
    }

    /// Sends a dead letter to the retry queue.
    pub(crate) async fn redrive(&self, id: &str) -> Result<(), Refusal> {
        let dead_letter = self.hold(id).await?;
        let done = self
            .dead_letters
            .redrive(vec![dead_letter])
            .await
            .map_err(|e| broken(&e))?;
        match done.refused.into_iter().next() {
            None => Ok(()),
            Some(why) => Err(Refusal::Conflict(format!(
                "it stays in the dead-letter queue: {why}"
            ))),
        }
    }

    /// Deletes a dead letter and returns all of it, so that it is not lost. Does not delete one that is too
    /// large for a response.
    pub(crate) async fn discard(&self, id: &str) -> Result<Value, Refusal> {
        let dead_letter = self.hold(id).await?;
        if dead_letter.is_partial() {
            self.dead_letters.release(&[dead_letter]).await;
            return Err(Refusal::Conflict(
                "parts of this dead letter are currently missing; try again later".into(),
            ));
        }
        let described = dead_letter.to_json();
        if sizes::delivered(&described.to_string()) > MAX_RESPONSE_BYTES {
            self.dead_letters.release(&[dead_letter]).await;
            return Err(Refusal::Conflict(
                "this dead letter is too large for a response, so it was not deleted; use the \
                 command `netcore-webhooks dead-letters discard`, which saves it to a file first"
                    .into(),
            ));
        }
        self.dead_letters
            .delete(&dead_letter)
            .await
            .map_err(|e| broken(&e))?;
        Ok(described)
    }

    /// The dead letter with this message id. It is invisible to other consumers until its visibility timeout ends.
    async fn hold(&self, id: &str) -> Result<dead_letters::DeadLetter, Refusal> {
        if id.is_empty() {
            return Err(Refusal::BadRequest("the id of the dead letter is empty".into()));
        }
        let found = self.dead_letters.find(id).await.map_err(|e| broken(&e))?;
        found.ok_or_else(|| {
            Refusal::NotFound(
                "this dead letter was not found: it left the queue, another consumer holds it, or the queue is too \
                 long; the command `netcore-webhooks dead-letters` searches all of it"
                    .into(),
            )
        })
    }

    async fn depth(&self, url: &str) -> Result<Depth, Refusal> {
        let answer = self
            .client
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(QueueAttributeName::ApproximateNumberOfMessages)
            .attribute_names(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)
            .send()
            .await
            .map_err(|e| unavailable(clients::failure(&e)))?;
        let number =
            |name: QueueAttributeName| -> Option<u64> { answer.attributes()?.get(&name)?.parse().ok() };
        Ok(Depth {
            visible: number(QueueAttributeName::ApproximateNumberOfMessages),
            in_flight: number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
        })
    }

    async fn newest(&self, redacted: bool) -> Result<Vec<DeadLetter>, Refusal> {
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.dead)
            .max_number_of_messages(MAX_RECEIVED)
            // One second is the shortest visibility timeout that every implementation supports.
            .visibility_timeout(1)
            // Long polling queries all SQS servers. The queue's own wait time could be too long for the caller.
            .wait_time_seconds(1)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .send()
            .await
            .map_err(|e| unavailable(clients::failure(&e)))?;
        let mut newest: Vec<DeadLetter> = answer.messages().iter().map(|m| described(m, redacted)).collect();
        newest.sort_by_key(|dead_letter| std::cmp::Reverse(dead_letter.sent_at));
        Ok(newest)
    }
}

fn described(message: &Message, redacted: bool) -> DeadLetter {
    let sent = message
        .attributes()
        .and_then(|a| a.get(&MessageSystemAttributeName::SentTimestamp)?.parse().ok());
    let base = DeadLetter {
        id: message.message_id().unwrap_or_default().to_owned(),
        sent_at: sent.unwrap_or_default(),
        ..DeadLetter::default()
    };
    match QueueMessage::read(message.body().unwrap_or_default()) {
        Ok(read) => {
            let (encoding, body) = shown(read.body.bytes(), redacted);
            DeadLetter {
                reason: Some(read.reason.as_str().to_owned()),
                detail: Some(redaction::text(beginning(&read.detail))),
                received_at: Some(read.received_at),
                body_bytes: Some(read.body.bytes().len()),
                function: Some(redaction::text(beginning(&read.function))),
                body: Some(body),
                encoding,
                truncated: read.body.bytes().len() > SHOWN_BYTES,
                ..base
            }
        }
        Err(QueueMessageError::Partial(part)) => DeadLetter {
            part: Some(part.part),
            parts: Some(part.parts),
            letter: Some(beginning(&part.id).to_owned()),
            ..base
        },
        Err(QueueMessageError::Foreign(why)) => DeadLetter {
            detail: Some(beginning(&why).to_owned()),
            ..base
        },
    }
}

fn beginning(text: &str) -> &str {
    text.get(..text.floor_char_boundary(SHOWN_TEXT)).unwrap_or(text)
}

/// The beginning of a payload as text, or in base64 if it is not text.
fn shown(body: &[u8], redacted: bool) -> (Option<String>, String) {
    let beginning = body.get(..SHOWN_BYTES).unwrap_or(body);
    let text = match std::str::from_utf8(beginning) {
        Ok(text) => text,
        // Cut within a character: everything before it is text.
        Err(cut) if cut.error_len().is_none() && body.len() > SHOWN_BYTES => {
            std::str::from_utf8(beginning.get(..cut.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
        // Binary data cannot be redacted, so a redacted response has none.
        Err(_) if redacted => return (Some("base64".into()), String::new()),
        Err(_) => return (Some("base64".into()), STANDARD.encode(beginning)),
    };
    let text = if redacted {
        redaction::text(text)
    } else {
        text.to_owned()
    };
    (None, text)
}

fn broken(error: &DeadLetterError) -> Refusal {
    unavailable(&error.to_string())
}

fn unavailable(why: &str) -> Refusal {
    tracing::error!(why, "a queue did not answer");
    Refusal::Unavailable("a queue does not answer; try again".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_redacts_numbers_and_is_limited() {
        assert_eq!(
            shown(b"{\"mobile\":\"919876543210\"}", true).1,
            "{\"mobile\":\"*********210\"}"
        );
        assert_eq!(shown(b"919876543210", false), (None, "919876543210".to_owned()));
        assert_eq!(shown(&[0xff, 0x00], true), (Some("base64".into()), String::new()));
        assert_eq!(
            shown(&[0xff, 0x00], false),
            (Some("base64".into()), "/wA=".into())
        );
        let long = "é".repeat(SHOWN_BYTES);
        let (encoding, text) = shown(long.as_bytes(), false);
        assert_eq!((encoding, text.len()), (None, SHOWN_BYTES));
        let odd = format!("a{long}");
        assert_eq!(shown(odd.as_bytes(), false).1.len(), SHOWN_BYTES - 1);
    }
}
