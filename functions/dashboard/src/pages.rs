//! Parts of lists: what is asked of the events table, and what it returned.

use webhook_ingest::events_table::item::Item;

use crate::sizes::Room;

/// Which part of a list is wanted, and how much may be read for it.
pub(crate) struct Page {
    /// How many events of which size.
    pub(crate) room: Room,
    /// The room that an event takes.
    pub(crate) size: fn(&Item) -> usize,
    /// Where the last part ended.
    pub(crate) cursor: Option<String>,
    /// Of a day: how many events of each shard one round reads.
    pub(crate) per_shard: usize,
    /// How many rounds there may be.
    pub(crate) rounds: usize,
    /// Only these attributes are wanted; all if nothing is said.
    pub(crate) attributes: Option<&'static [&'static str]>,
}

/// Events of a message.
pub(crate) struct OfMessage {
    /// Those that the answer has room for, in the order of their keys.
    pub(crate) items: Vec<Item>,
    /// Those that were read and found no room, with nothing but what a state is folded from.
    pub(crate) others: Vec<Item>,
    /// Where the part after `items` begins, if there is one.
    pub(crate) cursor: Option<String>,
}

/// A part of a list.
pub(crate) struct Part {
    pub(crate) items: Vec<Item>,
    /// Where the next part begins, if there is one.
    pub(crate) cursor: Option<String>,
}

/// A person's other events near a message's own.
#[derive(Default)]
pub(crate) struct Around {
    /// Of messages of the same sending: on another channel, with the same request or callback data.
    pub(crate) linked: Vec<Item>,
    /// Incoming, in answer to one of those messages.
    pub(crate) answers: Vec<Item>,
}
