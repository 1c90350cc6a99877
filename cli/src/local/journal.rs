//! What the queues hold, as lines in a file: one for each message sent, one for each deleted. The
//! embedded SQS keeps nothing over a restart; this does, also over a crash.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use aws_sdk_sqs::types::MessageAttributeValue;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The lines of this run.
const CURRENT: &str = "queues.jsonl";
/// The lines of runs before, until their messages are back in the queues.
const BEFORE: &str = "queues.before.jsonl";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Sent { id: String, message: Message },
    Deleted { id: String },
}

/// A message as it was sent.
#[derive(Serialize, Deserialize)]
pub(super) struct Message {
    queue: String,
    pub(super) body: String,
    /// In the form of the SQS API: name → `{"DataType","StringValue"}`.
    #[serde(default)]
    attributes: BTreeMap<String, Value>,
}

impl Message {
    /// The queue's name.
    pub(super) fn queue(&self) -> &str {
        &self.queue
    }

    pub(super) fn is_of(&self, queue_url: &str) -> bool {
        queue_url.rsplit('/').next() == Some(self.queue.as_str())
    }

    pub(super) fn attributes(&self) -> anyhow::Result<Vec<(String, MessageAttributeValue)>> {
        self.attributes
            .iter()
            .map(|(name, value)| {
                let value = MessageAttributeValue::builder()
                    .data_type("String")
                    .string_value(
                        value
                            .get("StringValue")
                            .and_then(Value::as_str)
                            .unwrap_or_default(),
                    )
                    .build()?;
                Ok((name.clone(), value))
            })
            .collect()
    }
}

pub(super) struct Journal {
    file: File,
    /// Receipt handle → message id, to know what a delete deletes.
    receipts: HashMap<String, String>,
}

impl Journal {
    /// Begins a new file; the old one's messages are left over until they are put back.
    pub(super) fn begin(folder: &Path) -> anyhow::Result<Self> {
        let (current, before) = (folder.join(CURRENT), folder.join(BEFORE));
        if current.exists() {
            // Appended, because the run before may have ended before it put its own back.
            let mut old = File::open(&current)?;
            let mut all = append(&before)?;
            std::io::copy(&mut old, &mut all)?;
            std::fs::remove_file(&current)?;
        }
        Ok(Self {
            file: append(&current)?,
            receipts: HashMap::new(),
        })
    }

    /// The messages that were sent and not deleted in the runs before.
    pub(super) fn left_over(folder: &Path) -> anyhow::Result<Vec<Message>> {
        let path = folder.join(BEFORE);
        if !path.exists() {
            return Ok(Vec::new());
        }
        let mut messages = BTreeMap::new();
        // A delete may be noted before the send it belongs to: they come on different connections.
        let mut deleted = BTreeSet::new();
        for (number, line) in BufReader::new(File::open(&path)?).lines().enumerate() {
            // The last line may be cut off by a crash; then its message was never acknowledged.
            match serde_json::from_str(&line?) {
                Ok(Line::Sent { id, message }) => {
                    messages.insert(id, message);
                }
                Ok(Line::Deleted { id }) => {
                    deleted.insert(id);
                }
                Err(error) => {
                    tracing::warn!(line = number + 1, %error, "a line of the journal is not readable");
                }
            }
        }
        messages.retain(|id, _| !deleted.contains(id));
        Ok(messages.into_values().collect())
    }

    /// Says that the messages of the runs before are in the queues again.
    pub(super) fn forget_left_over(folder: &Path) -> anyhow::Result<()> {
        match std::fs::remove_file(folder.join(BEFORE)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Notes what a successful call changed.
    pub(super) fn note(&mut self, action: &str, request: &[u8], answer: &[u8]) -> anyhow::Result<()> {
        match action {
            "SendMessage" => {
                let (request, answer) = (json(request)?, json(answer)?);
                self.sent(&request, &request, &answer)
            }
            "SendMessageBatch" => {
                let (request, answer) = (json(request)?, json(answer)?);
                for sent in list(&answer, "Successful") {
                    let entry = list(&request, "Entries").find(|entry| entry.get("Id") == sent.get("Id"));
                    self.sent(&request, entry.context("an unknown entry was sent")?, sent)?;
                }
                Ok(())
            }
            "ReceiveMessage" => {
                for message in list(&json(answer)?, "Messages") {
                    self.receipts.insert(
                        text(message, "ReceiptHandle").to_owned(),
                        text(message, "MessageId").to_owned(),
                    );
                }
                Ok(())
            }
            "DeleteMessage" => self.deleted(&json(request)?),
            "DeleteMessageBatch" => {
                let (request, answer) = (json(request)?, json(answer)?);
                for deleted in list(&answer, "Successful") {
                    if let Some(entry) =
                        list(&request, "Entries").find(|entry| entry.get("Id") == deleted.get("Id"))
                    {
                        self.deleted(entry)?;
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn sent(&mut self, request: &Value, entry: &Value, answer: &Value) -> anyhow::Result<()> {
        let queue = text(request, "QueueUrl").rsplit('/').next().unwrap_or_default();
        let attributes = entry
            .get("MessageAttributes")
            .and_then(Value::as_object)
            .map(|all| {
                all.iter()
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect()
            })
            .unwrap_or_default();
        self.line(&Line::Sent {
            id: text(answer, "MessageId").to_owned(),
            message: Message {
                queue: queue.to_owned(),
                body: text(entry, "MessageBody").to_owned(),
                attributes,
            },
        })
    }

    fn deleted(&mut self, entry: &Value) -> anyhow::Result<()> {
        match self.receipts.remove(text(entry, "ReceiptHandle")) {
            Some(id) => self.line(&Line::Deleted { id }),
            None => Ok(()),
        }
    }

    fn line(&mut self, line: &Line) -> anyhow::Result<()> {
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        self.file
            .write_all(text.as_bytes())
            .context("the journal cannot be written")
    }
}

fn append(path: &PathBuf) -> anyhow::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("{} cannot be written", path.display()))
}

fn json(bytes: &[u8]) -> anyhow::Result<Value> {
    serde_json::from_slice(bytes).context("SQS spoke no JSON")
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn list<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}
