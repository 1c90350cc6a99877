//! Selects the items of a list that match a filter. A reply is counted under the bot, the tags, the campaign and the
//! template of the message that it answers, so it is also listed under them: the events of that message are read.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use webhook_ingest::{
    event::Attribute,
    events_table::item::{Item, MESSAGE_ID, RECIPIENT},
    operations::dynamodb,
};

use crate::{
    filter::{EventFilter, Inherited},
    refusal::{self, Refusal},
};

/// The most events of a message that are read, in the order of their keys: as many as are counted.
const MAX_EVENTS: i32 = 100;
/// Concurrent queries.
const QUERIES: usize = 16;
/// The values that a reply inherits.
const ATTRIBUTES: [&str; 5] = [
    RECIPIENT,
    Attribute::BotId.name(),
    Attribute::Tags.name(),
    Attribute::Campaign.name(),
    Attribute::Click.name(),
];

/// A filter, and the answered messages that it needs.
pub(crate) struct Selection<'a> {
    client: &'a Client,
    table: &'a str,
    filter: &'a EventFilter,
    /// At most one for each item that was read for the page.
    messages: HashMap<String, Inherited>,
    queries: usize,
}

impl<'a> Selection<'a> {
    pub(crate) fn new(client: &'a Client, table: &'a str, filter: &'a EventFilter) -> Self {
        Self {
            client,
            table,
            filter,
            messages: HashMap::new(),
            queries: 0,
        }
    }

    /// The number of queries since the last call.
    pub(crate) fn take_queries(&mut self) -> usize {
        std::mem::take(&mut self.queries)
    }

    /// Removes the items that do not match.
    pub(crate) async fn keep(&mut self, items: &mut [Option<Item>]) -> Result<(), Refusal> {
        let (filter, messages) = (self.filter, &self.messages);
        let answered = items.iter().flatten().filter_map(|item| filter.answered(item));
        let unread: BTreeSet<String> = answered
            .filter(|id| !messages.contains_key(*id))
            .map(str::to_owned)
            .collect();
        self.read(unread).await?;
        for place in items {
            *place = place.take().filter(|item| {
                let inherited = filter.answered(item).and_then(|id| self.messages.get(id));
                filter.matches(item, inherited)
            });
        }
        Ok(())
    }

    async fn read(&mut self, ids: BTreeSet<String>) -> Result<(), Refusal> {
        self.queries += ids.len();
        let (client, table) = (self.client, self.table);
        let mut read = stream::iter(ids)
            .map(|id| async move {
                let (projection, names) = dynamodb::projection(ATTRIBUTES);
                let query = client
                    .query()
                    .table_name(table)
                    .key_condition_expression("#id = :id")
                    .projection_expression(projection)
                    .set_expression_attribute_names(Some(names))
                    .expression_attribute_names("#id", MESSAGE_ID)
                    .expression_attribute_values(":id", AttributeValue::S(id.clone()))
                    .limit(MAX_EVENTS);
                let answer = query.send().await.map_err(|error| refusal::of_query(&error))?;
                Ok::<_, Refusal>((id, answer.items.unwrap_or_default()))
            })
            .buffer_unordered(QUERIES);
        while let Some((id, events)) = read.try_next().await? {
            self.messages.insert(id, self.filter.inherited(&events));
        }
        Ok(())
    }
}
