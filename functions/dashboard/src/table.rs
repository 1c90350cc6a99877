//! Queries of the events table. All use keys; none is a scan.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::{Client, operation::query::builders::QueryFluentBuilder, types::AttributeValue};
use webhook_ingest::{
    event::{
        Attribute, MessageId,
        journey::{self, LINK_WINDOW_MS, Step},
        person::MAX_IDS,
        state,
    },
    events_table::{
        index::RECIPIENT_INDEX,
        item::{
            CHANNEL, EVENT_TIME, FORMAT, Item, MESSAGE_ID, RECIPIENT, STATUS, STATUS_KEY, number_at, size,
            step, text_at,
        },
        read::{EventKey, event_key, key_attributes},
    },
    operations::dynamodb,
};

use crate::{
    cursor,
    days::{self, EventList, KnownDays, Tables},
    entries,
    merge::{Merge, Order, Position, Source, Span, with_keys},
    pages::{MessageEvents, Page, PageRequest, RelatedEvents},
    reader::PageReader,
    refusal::{self, Refusal},
    sizes::{MAX_RESPONSE_BYTES, SizeBudget},
    timeline,
};

/// Maximum events of a message that one request reads; the cursor returns the rest.
const MAX_EVENTS: usize = 2_000;
/// Maximum calls to DynamoDB for it. Each returns at most 1 MB.
const MAX_CALLS: usize = 20;
/// Bytes of a message's response for its own events. An item of 400 KB with only escaped characters takes
/// nearly as much.
const OWN_EVENTS: usize = 3_100_000;
/// Attributes that determine the state of a message.
const FOLDED: [&str; 8] = [
    MESSAGE_ID,
    CHANNEL,
    STATUS,
    EVENT_TIME,
    RECIPIENT,
    FORMAT,
    Attribute::InReplyTo.name(),
    Attribute::OpenedBy.name(),
];
/// Maximum events of a person within [`LINK_WINDOW_MS`] that are read.
const MAX_LINKED: i32 = 200;
/// Limit for reading these events.
const NEARBY: SizeBudget = SizeBudget {
    entries: usize::MAX,
    bytes: MAX_RESPONSE_BYTES,
};
/// Attributes that determine a journey, and the key of an event.
const JOURNEY: [&str; 11] = [
    MESSAGE_ID,
    STATUS_KEY,
    CHANNEL,
    STATUS,
    EVENT_TIME,
    FORMAT,
    Attribute::RequestId.name(),
    Attribute::CallbackData.name(),
    Attribute::InReplyTo.name(),
    Attribute::Remarks.name(),
    Attribute::OpenedBy.name(),
];

/// The list of a person is not limited in time.
const ALL_TIMES: Span = Span {
    from: i64::MIN,
    to: i64::MAX,
};
/// Position in the list of a person: the ids, and the position in their entries.
type PersonPosition = (Vec<String>, Option<Position>);

/// Reads the events table.
pub(crate) struct EventsTable {
    client: Client,
    name: String,
    /// The counters' table; empty if it is not named, as in a terminal.
    counters: String,
    known_days: KnownDays,
}

impl EventsTable {
    pub(crate) fn new(client: Client, name: String, counters: String) -> Self {
        let known_days = KnownDays::default();
        Self {
            client,
            name,
            counters,
            known_days,
        }
    }

    /// The events of a message after a cursor.
    pub(crate) async fn message(&self, id: &str, cursor: Option<&str>) -> Result<MessageEvents, Refusal> {
        let mut read = MessageEvents {
            items: Vec::new(),
            others: Vec::new(),
            cursor: None,
        };
        if id.is_empty() || id.len() > MessageId::MAX_BYTES {
            return Ok(read);
        }
        let mut start = match cursor {
            None => None,
            Some(cursor) => Some(key_attributes(&(id.to_owned(), cursor::read::<String>(cursor)?))),
        };
        let mut budget = SizeBudget {
            entries: MAX_EVENTS,
            bytes: OWN_EVENTS,
        };
        let mut is_full = false;
        for _ in 0..MAX_CALLS {
            let query = self.of_message(id).set_exclusive_start_key(start);
            let page = query.send().await.map_err(|e| refusal::of_query(&e))?;
            for mut item in page.items.unwrap_or_default() {
                is_full = is_full || !budget.take(timeline::size(&item));
                if is_full {
                    reduce(&mut item);
                    read.others.push(item);
                } else {
                    read.items.push(item);
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() || read.items.len() + read.others.len() >= MAX_EVENTS {
                break;
            }
        }
        if is_full || start.is_some() {
            let last = read.items.last().and_then(|item| text_at(item, STATUS_KEY));
            read.cursor = last.map(|key| cursor::write(&key));
        }
        Ok(read)
    }

    fn of_message(&self, id: &str) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.name)
            .key_condition_expression("#key = :id")
            // Not the markers of rejected bodies.
            .filter_expression("attribute_exists(#channel)")
            .expression_attribute_names("#key", MESSAGE_ID)
            .expression_attribute_names("#channel", CHANNEL)
            .expression_attribute_values(":id", AttributeValue::S(id.to_owned()))
            .consistent_read(true)
    }

    /// The events of a person with these ids, newest first. The cursor contains the ids, so that later links do not
    /// change a list.
    pub(crate) async fn person(&self, ids: &[String], page: PageRequest) -> Result<Page, Refusal> {
        let start: PersonPosition = match page.cursor.as_deref() {
            Some(cursor) => cursor::read(cursor)?,
            None => (ids.to_vec(), None),
        };
        let (ids_of_list, position) = start;
        let is_of_person = ids.first().is_some_and(|first| ids_of_list.contains(first));
        if ids_of_list.len() > MAX_IDS || !is_of_person {
            return Err(refusal::foreign_cursor());
        }
        let source = Source {
            query: || {
                with_keys(
                    self.client
                        .query()
                        .table_name(&self.name)
                        .index_name(RECIPIENT_INDEX),
                )
            },
            key: RECIPIENT,
            order: Order::Newest,
            span: ALL_TIMES,
        };
        let partitions = ids_of_list.iter().cloned().enumerate().collect();
        let mut reader = PageReader::new(&self.client, &self.name, &page);
        let mut merge = Merge::new(source, partitions, position.as_ref(), reader.room());
        reader.read(&mut merge).await?;
        let next = merge.position();
        Ok(Page {
            items: reader.items,
            searched_to: next.as_ref().map(|next| next.at),
            skipped_hours: 0,
            cursor: next.map(|next| cursor::write(&(ids_of_list, Some(next)) as &PersonPosition)),
        })
    }

    /// The query for a person's entries in `recipient-index`.
    fn of_person(&self, number: &str) -> QueryFluentBuilder {
        let query = self.client.query().table_name(&self.name);
        with_keys(query.index_name(RECIPIENT_INDEX))
            .key_condition_expression("#key = :number")
            .expression_attribute_names("#key", RECIPIENT)
            .expression_attribute_values(":number", AttributeValue::S(number.to_owned()))
    }

    /// The items of entries until one does not fit, see [`entries::items`].
    async fn items(
        &self,
        entries: &[Item],
        attributes: Option<&[&str]>,
        budget: &mut SizeBudget,
    ) -> Result<Vec<Item>, Refusal> {
        let keys: Vec<EventKey> = entries.iter().filter_map(event_key).collect();
        let taken = entries::items(&self.client, &self.name, &keys, attributes, None, budget, size).await?;
        Ok(taken.items)
    }

    /// Events that are related to a message. Empty if the table has no recipient index.
    pub(crate) async fn related(&self, id: &str, events: &[Item]) -> Result<RelatedEvents, Refusal> {
        let Some(number) = events.iter().find_map(|item| text_at(item, RECIPIENT)) else {
            return Ok(RelatedEvents::default());
        };
        let times = || events.iter().filter_map(|item| number_at(item, EVENT_TIME));
        let (Some(first), Some(last)) = (times().min(), times().max()) else {
            return Ok(RelatedEvents::default());
        };
        let (from, to) = (
            first.saturating_sub(LINK_WINDOW_MS),
            last.saturating_add(LINK_WINDOW_MS),
        );
        let answer = self.near(number, from, to).send().await;
        match answer {
            Ok(answer) => {
                let mut entries = answer.items.unwrap_or_default();
                entries.retain(|entry| text_at(entry, MESSAGE_ID) != Some(id));
                let mut budget = NEARBY;
                let items = self.items(&entries, None, &mut budget).await?;
                Ok(related(id, events, items))
            }
            Err(error) if dynamodb::lacks_index(&error) => Ok(RelatedEvents::default()),
            Err(error) => Err(refusal::of_query(&error)),
        }
    }

    /// A person's events shortly before and after a page, with the attributes that determine journeys. Newer
    /// events are read only if there is a previous page, older events only if there is a next page.
    pub(crate) async fn neighbors(
        &self,
        ids: &[String],
        part: &Page,
        has_before: bool,
    ) -> Result<Vec<Item>, Refusal> {
        let times = || part.items.iter().filter_map(|item| number_at(item, EVENT_TIME));
        let (Some(first), Some(last)) = (times().min(), times().max()) else {
            return Ok(Vec::new());
        };
        let newer = ids
            .iter()
            .filter(|_| has_before)
            .map(|id| self.near(id, last, last.saturating_add(LINK_WINDOW_MS)));
        let older = ids.iter().filter(|_| part.cursor.is_some()).map(|id| {
            let query = self.near(id, first.saturating_sub(LINK_WINDOW_MS), first);
            query.scan_index_forward(false)
        });
        let of_part: BTreeSet<_> = part.items.iter().map(event_key).collect();
        let mut neighbors = Vec::new();
        // One budget for all ids.
        let mut budget = NEARBY;
        for query in newer.chain(older) {
            let answer = query.send().await.map_err(|e| refusal::of_query(&e))?;
            let mut entries = answer.items.unwrap_or_default();
            entries.retain(|entry| !of_part.contains(&event_key(entry)));
            neighbors.extend(self.items(&entries, Some(&JOURNEY), &mut budget).await?);
        }
        Ok(neighbors)
    }

    /// The query for up to [`MAX_LINKED`] entries of a person in a time range, oldest first.
    fn near(&self, number: &str, from: i64, to: i64) -> QueryFluentBuilder {
        self.of_person(number)
            .key_condition_expression(format!("#key = :number AND #{EVENT_TIME} BETWEEN :from AND :to"))
            .expression_attribute_values(":from", AttributeValue::N(from.to_string()))
            .expression_attribute_values(":to", AttributeValue::N(to.to_string()))
            .limit(MAX_LINKED)
    }

    /// The events of a range.
    pub(crate) async fn events(&self, list: &EventList, page: PageRequest) -> Result<Page, Refusal> {
        let tables = Tables {
            client: &self.client,
            events: &self.name,
            counters: &self.counters,
            known_days: &self.known_days,
        };
        days::page(tables, list, page).await
    }
}

/// The events of a person that are related to a message.
fn related(id: &str, own: &[Item], candidates: Vec<Item>) -> RelatedEvents {
    let own: Vec<Step<'_>> = own.iter().filter_map(step).collect();
    let (linked, others): (Vec<Item>, Vec<Item>) = candidates
        .into_iter()
        .partition(|item| step(item).is_some_and(|step| journey::continues(&own, &step)));
    let ids: BTreeSet<&str> = linked
        .iter()
        .filter_map(|item| text_at(item, MESSAGE_ID))
        .chain([id])
        .collect();
    let answers = others
        .into_iter()
        .filter(|item| text_at(item, Attribute::InReplyTo.name()).is_some_and(|to| ids.contains(to)))
        .collect();
    RelatedEvents { linked, answers }
}

/// Removes all attributes except those that determine the state, and the reason of a failure.
fn reduce(item: &mut Item) {
    let is_failure = text_at(item, STATUS).is_some_and(state::is_failure);
    item.retain(|name, _| FOLDED.contains(&name.as_str()) || is_failure && name == Attribute::Remarks.name());
}
