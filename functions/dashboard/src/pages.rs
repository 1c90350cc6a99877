//! Pages of lists: requests to the events table, and their results.

use webhook_ingest::events_table::item::Item;

use crate::{merge::ReadLimits, sizes::SizeBudget};

/// Request for a page of a list, with limits for reading.
pub(crate) struct PageRequest {
    /// Maximum number and size of the events.
    pub(crate) budget: SizeBudget,
    /// Size of an event in the response.
    pub(crate) size: fn(&Item) -> usize,
    /// End of the previous page.
    pub(crate) cursor: Option<String>,
    pub(crate) limits: ReadLimits,
    /// The attributes to read; `None` reads all.
    pub(crate) attributes: Option<&'static [&'static str]>,
}

/// Events of a message.
pub(crate) struct MessageEvents {
    /// Events that fit the response, sorted by key.
    pub(crate) items: Vec<Item>,
    /// Events that do not fit, with only the attributes that determine the state.
    pub(crate) others: Vec<Item>,
    /// Cursor for the events after `items`, if there are more.
    pub(crate) cursor: Option<String>,
}

/// A page of a list.
pub(crate) struct Page {
    pub(crate) items: Vec<Item>,
    /// Cursor for the next page, if there is one.
    pub(crate) cursor: Option<String>,
    /// The time up to which all events are read, if there is a next page. Epoch milliseconds.
    pub(crate) searched_to: Option<i64>,
    /// Hours that are not read, because the counters know no matching event in them.
    pub(crate) skipped_hours: u32,
}

/// Events of the same person that are related to a message.
#[derive(Default)]
pub(crate) struct RelatedEvents {
    /// Events of messages that continue it on another channel, with the same request or callback data.
    pub(crate) linked: Vec<Item>,
    /// Replies to one of these messages.
    pub(crate) answers: Vec<Item>,
}
