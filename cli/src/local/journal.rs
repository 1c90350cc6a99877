//! The journal of the queues: a file with one line for each sent and each deleted message. The
//! embedded SQS loses its messages at a restart; the journal restores them, also after a crash. A
//! crash or a full disk can truncate one line; other lines stay readable.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File},
    io::{
        self, BufRead as _, BufReader, BufWriter, IntoInnerError, Read as _, Seek as _, SeekFrom, Write as _,
    },
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use aws_sdk_sqs::types::MessageAttributeValue;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::private;

/// File with the lines of this run.
const CURRENT: &str = "queues.jsonl";
/// File with the lines of previous runs, until their messages are in the queues again.
const BEFORE: &str = "queues.before.jsonl";
/// Compacted file before it replaces the current one.
const NEXT: &str = "queues.next.jsonl";
/// Minimum length for a compaction. The file is compacted every minute if it is longer than this
/// and has doubled since the last compaction. Its size stays proportional to the content of the
/// queues and the messages of one minute.
const COMPACTED_FROM: u64 = 16 * 1024 * 1024;

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
    /// In the format of the SQS API: name → `{"DataType","StringValue"}`.
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
    folder: PathBuf,
    file: File,
    /// Whether the last line may be truncated, because a write failed.
    torn: bool,
    /// Length of the file in bytes.
    length: u64,
    /// The length at which the file is compacted.
    compacted_at: u64,
    /// Receipt handle → message id, to find the message of a delete.
    receipts: HashMap<String, String>,
}

impl Journal {
    /// Starts a new file. The messages of the old file stay in [`BEFORE`] until they are restored.
    pub(super) fn start(folder: &Path) -> anyhow::Result<Self> {
        let (current, before) = (folder.join(CURRENT), folder.join(BEFORE));
        if current.exists() {
            // Appended, because the previous run may have ended before it restored its messages.
            let mut old = File::open(&current)?;
            let mut all = append(&before)?;
            io::copy(&mut old, &mut all)?;
            fs::remove_file(&current)?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            file: append(&current)?,
            torn: false,
            length: 0,
            compacted_at: COMPACTED_FROM,
            receipts: HashMap::new(),
        })
    }

    /// Messages that were sent and not deleted in previous runs.
    pub(super) fn left_over(folder: &Path) -> anyhow::Result<Vec<Message>> {
        let path = folder.join(BEFORE);
        if !path.exists() {
            return Ok(Vec::new());
        }
        Ok(remaining(&path)?.0.into_values().collect())
    }

    /// Rewrites the file with the messages that are still in the queues, so that it contains nothing
    /// of a deleted message.
    pub(super) fn compact(&mut self) -> anyhow::Result<()> {
        let (current, next) = (self.folder.join(CURRENT), self.folder.join(NEXT));
        let mut file = BufWriter::new(private::create(&next)?);
        let (messages, deleted) = remaining(&current)?;
        let sent = messages
            .into_iter()
            .map(|(id, message)| Line::Sent { id, message });
        let deleted = deleted.into_iter().map(|id| Line::Deleted { id });
        for line in sent.chain(deleted) {
            file.write_all(text_of(&line)?.as_bytes())?;
        }
        let file = file.into_inner().map_err(IntoInnerError::into_error)?;
        file.sync_all()?;
        self.length = file.metadata()?.len();
        self.compacted_at = COMPACTED_FROM.max(self.length * 2);
        fs::rename(&next, &current).context("the compacted journal cannot replace the current one")?;
        self.file = append(&current)?;
        self.torn = false;
        Ok(())
    }

    /// Compacts the file if it is long and has doubled since the last compaction.
    pub(super) fn compact_if_long(&mut self) -> anyhow::Result<()> {
        if self.length < self.compacted_at {
            return Ok(());
        }
        self.compact()
    }

    /// Removes the lines of previous runs, after their messages are in the queues again.
    pub(super) fn remove_left_over(folder: &Path) -> anyhow::Result<()> {
        match fs::remove_file(folder.join(BEFORE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Records the change of a successful call.
    pub(super) fn record(&mut self, action: &str, request: &[u8], answer: &[u8]) -> anyhow::Result<()> {
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
        let mut text = text_of(line)?;
        if self.torn {
            text.insert(0, '\n');
        }
        let written = self.file.write_all(text.as_bytes());
        self.torn = written.is_err();
        written.context("the journal cannot be written")?;
        self.length += u64::try_from(text.len())?;
        Ok(())
    }
}

/// Messages of a file that were sent and not deleted, by id; and the ids of deleted messages
/// without a `Sent` line.
fn remaining(path: &Path) -> anyhow::Result<(BTreeMap<String, Message>, BTreeSet<String>)> {
    let mut messages = BTreeMap::new();
    // A delete may be recorded before its send: they arrive on different connections.
    let mut deleted = BTreeSet::new();
    // Bytes, not text: a line can be truncated within a character.
    for (number, line) in BufReader::new(File::open(path)?).split(b'\n').enumerate() {
        let line = line?;
        if line.is_empty() {
            continue;
        }
        // A truncated line belongs to a message whose sender got no response.
        match serde_json::from_slice(&line) {
            Ok(Line::Sent { id, message }) => {
                messages.insert(id, message);
            }
            Ok(Line::Deleted { id }) => {
                deleted.insert(id);
            }
            Err(error) => {
                tracing::warn!(line = number + 1, kind = ?error.classify(), "a line of the journal is not readable");
            }
        }
    }
    let early = deleted
        .iter()
        .filter(|id| !messages.contains_key(*id))
        .cloned()
        .collect();
    messages.retain(|id, _| !deleted.contains(id));
    Ok((messages, early))
}

fn text_of(line: &Line) -> anyhow::Result<String> {
    Ok(serde_json::to_string(line)? + "\n")
}

/// Opens a file for appending and terminates its last line.
fn append(path: &Path) -> anyhow::Result<File> {
    let ended = || {
        let mut file = private::append(path)?;
        if file.metadata()?.len() > 0 && last_byte(path)? != b'\n' {
            file.write_all(b"\n")?;
        }
        io::Result::Ok(file)
    };
    ended().with_context(|| format!("{} cannot be written", path.display()))
}

fn last_byte(path: &Path) -> io::Result<u8> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    let [byte] = byte;
    Ok(byte)
}

fn json(bytes: &[u8]) -> anyhow::Result<Value> {
    serde_json::from_slice(bytes).context("the request or response of SQS is not JSON")
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn list<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn send(journal: &mut Journal, id: &str, body: &str) {
        let request = json!({"QueueUrl": "http://x/1/retry", "MessageBody": body});
        let answer = json!({"MessageId": id});
        journal
            .record(
                "SendMessage",
                request.to_string().as_bytes(),
                answer.to_string().as_bytes(),
            )
            .unwrap();
    }

    fn delete(journal: &mut Journal, id: &str) {
        let received = json!({"Messages": [{"ReceiptHandle": format!("r-{id}"), "MessageId": id}]});
        journal
            .record("ReceiveMessage", b"{}", received.to_string().as_bytes())
            .unwrap();
        let request = json!({"ReceiptHandle": format!("r-{id}")});
        journal
            .record("DeleteMessage", request.to_string().as_bytes(), b"{}")
            .unwrap();
    }

    fn bodies(folder: &Path) -> Vec<String> {
        let messages = Journal::left_over(folder).unwrap();
        messages.into_iter().map(|message| message.body).collect()
    }

    #[test]
    fn a_journal_truncated_at_any_byte_loses_only_that_line() {
        let made = tempfile::tempdir().unwrap();
        let mut journal = Journal::start(made.path()).unwrap();
        for id in ["1", "2", "3"] {
            send(&mut journal, id, &format!("नमस्ते 😀 {id}"));
        }
        let whole = fs::read(made.path().join(CURRENT)).unwrap();
        for cut in 0..=whole.len() {
            let kept = whole.get(..cut).unwrap();
            // A line is complete with its last brace, even without the line feed.
            let lines = kept.split(|byte| *byte == b'\n');
            let complete = lines.filter(|line| line.ends_with(b"}}}}")).count();
            for file in [CURRENT, BEFORE] {
                let folder = tempfile::tempdir().unwrap();
                fs::write(folder.path().join(file), kept).unwrap();
                // The next run appends to the truncated file.
                let mut journal = Journal::start(folder.path()).unwrap();
                send(&mut journal, "4", "after the crash");
                drop(journal);
                drop(Journal::start(folder.path()).unwrap());
                let found = bodies(folder.path());
                assert_eq!(found.len(), complete + 1, "{file} cut at {cut}");
                assert_eq!(found.last().unwrap(), "after the crash");
            }
        }
    }

    #[test]
    fn a_compacted_journal_contains_no_deleted_message() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::start(folder.path()).unwrap();
        send(&mut journal, "1", "stays");
        send(&mut journal, "2", "goes 919812345678");
        delete(&mut journal, "2");
        journal.compact().unwrap();
        let text = fs::read_to_string(folder.path().join(CURRENT)).unwrap();
        assert!(text.contains("stays") && !text.contains("919812345678"), "{text}");
        send(&mut journal, "3", "is added");
        drop(journal);
        drop(Journal::start(folder.path()).unwrap());
        assert_eq!(bodies(folder.path()), ["stays", "is added"]);
    }

    #[test]
    fn deleted_messages_do_not_grow_the_journal() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::start(folder.path()).unwrap();
        send(&mut journal, "1", "stays");
        let body = "x".repeat(1024 * 1024);
        for _ in 0..40 {
            send(&mut journal, "2", &body);
            delete(&mut journal, "2");
            journal.compact_if_long().unwrap();
        }
        let length = fs::metadata(folder.path().join(CURRENT)).unwrap().len();
        assert!(length <= COMPACTED_FROM + 1_100_000, "{length} bytes");
        drop(journal);
        drop(Journal::start(folder.path()).unwrap());
        assert_eq!(bodies(folder.path()), ["stays"]);
    }
}
