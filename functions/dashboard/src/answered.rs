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
    filter::{EventFilter, Inherited, Verdict},
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
        let filter = self.filter;
        // Replies that match only with the values of their message: their places, and the ids of these messages.
        let mut replies: Vec<(usize, String)> = Vec::new();
        for (index, place) in items.iter_mut().enumerate() {
            match place.as_ref().map(|item| filter.verdict(item)) {
                None | Some(Verdict::Matches) => {}
                Some(Verdict::Fails) => *place = None,
                Some(Verdict::DependsOn(id)) => replies.push((index, id.to_owned())),
            }
        }
        let ids = replies.iter().map(|(_, id)| id);
        let unread = ids.filter(|id| !self.messages.contains_key(*id)).cloned();
        self.read(unread.collect()).await?;
        for (index, id) in replies {
            let inherited = self.messages.get(&id);
            if let Some(place) = items.get_mut(index) {
                let matches = |item: &Item| inherited.is_some_and(|from| filter.matches_with(item, from));
                *place = place.take().filter(matches);
            }
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
