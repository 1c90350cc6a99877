//! How deep the queues are, and a look at what lies in the dead-letter queue. Nothing is taken out.

use aws_sdk_sqs::{
    Client,
    error::ProvideErrorMetadata as _,
    types::{MessageSystemAttributeName, QueueAttributeName},
};
use serde_json::{Value, json};
use webhook_ingest::{
    aws,
    config::StorageConfig,
    letter::{Letter, LetterError},
    mask,
};

use crate::Refusal;

/// SQS gives at most this many messages at once.
const LOOK: i32 = 10;

/// Both queues, looked at.
pub(crate) struct Queues {
    client: Client,
    retry: String,
    dead: String,
}

impl Queues {
    pub(crate) fn new(client: Client, config: &StorageConfig) -> Self {
        Self {
            client,
            retry: config.retry_queue_url.clone(),
            dead: config.dead_letter_queue_url.clone(),
        }
    }

    /// Depths of both queues, and up to ten dead letters, the newest of them first. SQS offers no
    /// order, so of a deep queue this is a sample.
    pub(crate) async fn look(&self) -> Result<Value, Refusal> {
        // Looked at first: the embedded SQS counts a message that was received before only while it
        // is hidden.
        let newest = self.newest().await?;
        let (retry, dead) = tokio::try_join!(self.depth(&self.retry), self.depth(&self.dead))?;
        Ok(json!({"depths": {"retry": retry, "dead_letter": dead}, "newest": newest}))
    }

    async fn depth(&self, url: &str) -> Result<Value, Refusal> {
        let answer = self
            .client
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(QueueAttributeName::ApproximateNumberOfMessages)
            .attribute_names(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)
            .send()
            .await
            .map_err(|e| refusal(e.code().unwrap_or_else(|| aws::failure(&e))))?;
        let number =
            |name: QueueAttributeName| -> Option<u64> { answer.attributes()?.get(&name)?.parse().ok() };
        Ok(json!({
            "visible": number(QueueAttributeName::ApproximateNumberOfMessages),
            "in_flight": number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
        }))
    }

    async fn newest(&self) -> Result<Vec<Value>, Refusal> {
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.dead)
            .max_number_of_messages(LOOK)
            // One second, the shortest that every implementation takes: a look hides nothing for long.
            .visibility_timeout(1)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .send()
            .await
            .map_err(|e| refusal(e.code().unwrap_or_else(|| aws::failure(&e))))?;
        let mut letters: Vec<(i64, Value)> = answer
            .messages()
            .iter()
            .map(|message| {
                let sent: i64 = message
                    .attributes()
                    .and_then(|a| a.get(&MessageSystemAttributeName::SentTimestamp)?.parse().ok())
                    .unwrap_or_default();
                (
                    sent,
                    described(
                        message.message_id().unwrap_or_default(),
                        sent,
                        message.body().unwrap_or_default(),
                    ),
                )
            })
            .collect();
        letters.sort_by_key(|(sent, _)| std::cmp::Reverse(*sent));
        Ok(letters.into_iter().map(|(_, letter)| letter).collect())
    }
}

/// A letter without its body, which holds personal data.
fn described(id: &str, sent: i64, message: &str) -> Value {
    match Letter::read(message) {
        Ok(letter) => json!({
            "id": id,
            "sent_at": sent,
            "reason": letter.reason.as_str(),
            "detail": mask::digits(&letter.detail),
            "function": letter.function,
            "received_at": letter.received_at,
            "body_bytes": letter.body.len(),
        }),
        Err(LetterError::Partial(part)) => json!({
            "id": id, "sent_at": sent, "part": part.part, "parts": part.parts, "letter": part.id,
        }),
        Err(LetterError::Foreign(why)) => json!({"id": id, "sent_at": sent, "detail": why}),
    }
}

fn refusal(why: &str) -> Refusal {
    tracing::error!(why, "a queue did not answer");
    Refusal::Unavailable("a queue does not answer just now; try again".into())
}
