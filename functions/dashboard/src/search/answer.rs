//! The response of a search.

use schemars::JsonSchema;
use serde::Serialize;

/// The kind of what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FoundKind {
    /// A message with this id.
    #[default]
    Message,
    /// A person with this id, or with a number that ends with these digits.
    Recipient,
    /// A message with this request id.
    Request,
    /// A message with this callback data.
    Callback,
    /// A campaign with these words in its name.
    Campaign,
    /// A tag with these words in its name.
    Tag,
}

/// What a text finds.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct SearchResult {
    /// By kind: messages by their id, request and callback data, then people, campaigns and tags. A message is listed
    /// once. Of many messages of a request or callback data, those of the latest days come first.
    pub(crate) found: Vec<Found>,
    /// Number of entries that were also found and are not in `found`.
    pub(crate) left_out: usize,
    /// Whether there can be more entries than `found` and `left_out`: a search reads at most 200 numbers, 64 items of a
    /// request id or callback data, and 1 MB of names, and not every message of a value that many messages of a day
    /// share has a lookup.
    pub(crate) truncated: bool,
    /// The kinds that were searched: people only for roles that see numbers, `request` and `callback` only with the
    /// search index.
    pub(crate) searched: Vec<FoundKind>,
}

/// A message, a person, a campaign or a tag.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Found {
    pub(crate) kind: FoundKind,
    /// Null for people and names.
    pub(crate) message_id: Option<String>,
    /// Can be used instead of the id. Only for roles that see no numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    /// Null for names, and for messages whose events name nobody.
    pub(crate) recipient: Option<String>,
    /// State of the message, from its first 200 events by key; null for people and names.
    pub(crate) state: Option<String>,
    /// Time of the latest of these events, or of the person's latest event, epoch milliseconds. Null for names, and for
    /// people if the table has no recipient index.
    pub(crate) event_time: Option<i64>,
    /// Name of the campaign or the tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
}

impl Found {
    /// An entry without further data.
    pub(super) fn of(kind: FoundKind) -> Self {
        Self {
            kind,
            ..Self::default()
        }
    }
}
