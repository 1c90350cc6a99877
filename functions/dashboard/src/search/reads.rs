//! Queries of the search.

use aws_sdk_dynamodb::{operation::query::builders::QueryFluentBuilder, types::AttributeValue};
use webhook_ingest::{
    counters::{self, Generations, PERIOD, SERIES},
    event::{
        Attribute,
        state::{self, StatusUpdate},
        time,
    },
    events_table::{
        index::RECIPIENT_INDEX,
        item::{self, CHANNEL, EVENT_TIME, Item, MESSAGE_ID, RECIPIENT, STATUS, number_at},
    },
    links::{
        self, LinkKey, Linked,
        lookups::{self, Searched},
    },
    operations::dynamodb,
};

use super::{
    Search,
    answer::{Found, FoundKind},
    asked::MIN_LOCAL_DIGITS,
};
use crate::refusal::{self, Refusal};

/// Events of a message that determine its state in a list: one query.
const EVENTS: i32 = 200;
/// Numbers that are read: some 14 KB.
const NUMBERS: i32 = 200;
/// Items of a request id or callback data that are read: at most 64 KB, of eight days or more.
const ITEMS: i32 = 64;
const COUNTERS: &str = "the counters' table";

/// Ids that a search knows.
#[derive(Default)]
pub(super) struct Known {
    pub(super) ids: Vec<String>,
    /// Whether there can be more.
    pub(super) has_more: bool,
}

impl Known {
    pub(super) fn add(&mut self, other: Self) {
        self.has_more |= other.has_more;
        for id in other.ids {
            if !self.ids.contains(&id) {
                self.ids.push(id);
            }
        }
    }
}

/// Items of one query.
pub(super) struct Items {
    pub(super) items: Vec<Item>,
    pub(super) has_more: bool,
}

impl Search {
    /// The ids of messages with this request id or callback data, latest days first.
    pub(super) async fn linked_messages(&self, searched: Searched, value: &str) -> Result<Known, Refusal> {
        let Some(series) = searched.series(value) else {
            return Ok(Known::default());
        };
        let query = self.of_series(&series).scan_index_forward(false).limit(ITEMS);
        let read = links_in(query).await?;
        let mut known = Known {
            ids: Vec::new(),
            has_more: read.has_more
                || read
                    .links
                    .iter()
                    .any(|(_, linked)| lookups::may_be_full(&linked.ids)),
        };
        for id in read.links.into_iter().flat_map(|(_, linked)| linked.ids) {
            let (_, message_id) = lookups::parts(&id);
            if !known.ids.iter().any(|known| known == message_id) {
                known.ids.push(message_id.to_owned());
            }
        }
        Ok(known)
    }

    /// Numbers that end with these digits, and numbers without country code with which these digits end.
    pub(super) async fn numbers(&self, digits: &str) -> Result<Known, Refusal> {
        let Some((series, beginning)) = lookups::of_digits(digits) else {
            return Ok(Known::default());
        };
        let longer = self
            .of_series(&series)
            .key_condition_expression("#series = :series AND begins_with(#period, :beginning)")
            .expression_attribute_names("#period", PERIOD)
            .expression_attribute_values(":beginning", AttributeValue::S(beginning.clone()))
            .limit(NUMBERS);
        let shorter = async {
            let keys: Vec<Item> = (MIN_LOCAL_DIGITS..beginning.len())
                .filter_map(|digits| {
                    let period = beginning.get(..digits)?.to_owned();
                    let series = series.clone();
                    Some(LinkKey { series, period }.attributes())
                })
                .collect();
            if keys.is_empty() {
                return Ok(Vec::new());
            }
            let read = dynamodb::batch_look(&self.client, &self.rollups, keys).await;
            let read = read.map_err(|error| refusal::unavailable(COUNTERS, &error))?;
            Ok(live(&read.items))
        };
        let (longer, shorter) = tokio::try_join!(links_in(longer), shorter)?;
        let links = longer.links.into_iter().chain(shorter);
        Ok(Known {
            ids: links.flat_map(|(_, linked)| linked.ids).collect(),
            has_more: longer.has_more,
        })
    }

    fn of_series(&self, series: &str) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.rollups)
            .key_condition_expression("#series = :series")
            .expression_attribute_names("#series", SERIES)
            .expression_attribute_values(":series", AttributeValue::S(series.to_owned()))
    }

    /// The pages of names, latest day first; only the first page of the query, at most 1 MB.
    pub(super) async fn pages_of_names(&self) -> Result<Items, Refusal> {
        let generations = Generations::read(&self.client, &self.rollups, false)
            .await
            .map_err(|error| refusal::unavailable(COUNTERS, &error))?;
        let query = self.of_series(&counters::names(&generations.current));
        let answer = query.scan_index_forward(false).send().await;
        let answer = answer.map_err(|error| refusal::unavailable(COUNTERS, &error))?;
        Ok(Items {
            has_more: answer.last_evaluated_key.is_some(),
            items: answer.items.unwrap_or_default(),
        })
    }

    /// A message's recipient, state and latest time; `None` if it has no events: an id that was only a guess, or that is
    /// erased or expired.
    pub(super) async fn head(&self, id: String) -> Result<Option<Found>, Refusal> {
        let answer = self
            .client
            .query()
            .table_name(&self.events)
            .key_condition_expression("#key = :id")
            // Not the markers of rejected bodies.
            .filter_expression("attribute_exists(#channel)")
            .projection_expression("#recipient, #channel, #status, #time, #opened")
            .expression_attribute_names("#key", MESSAGE_ID)
            .expression_attribute_names("#recipient", RECIPIENT)
            .expression_attribute_names("#channel", CHANNEL)
            .expression_attribute_names("#status", STATUS)
            .expression_attribute_names("#time", EVENT_TIME)
            .expression_attribute_names("#opened", Attribute::OpenedBy.name())
            .expression_attribute_values(":id", AttributeValue::S(id.clone()))
            .limit(EVENTS)
            .send()
            .await
            .map_err(|error| refusal::of_query(&error))?;
        let items = answer.items.unwrap_or_default();
        if items.is_empty() {
            return Ok(None);
        }
        let updates: Vec<StatusUpdate> = items.iter().filter_map(item::status_update).collect();
        let legs = state::legs(&updates);
        let times = items.iter().filter_map(|item| number_at(item, EVENT_TIME));
        let recipient = items.iter().find_map(|item| item.get(RECIPIENT)?.as_s().ok());
        Ok(Some(Found {
            message_id: Some(id),
            recipient: recipient.cloned(),
            state: state::present(&legs).map(|leg| leg.state.clone()),
            event_time: times.max(),
            ..Found::default()
        }))
    }

    /// A person's latest time; `None` if the person has no events. Without a recipient index, this is unknown for a
    /// person that `is_known`.
    pub(super) async fn latest(&self, id: String, is_known: bool) -> Result<Option<Found>, Refusal> {
        let answer = self
            .client
            .query()
            .table_name(&self.events)
            .index_name(RECIPIENT_INDEX)
            .key_condition_expression("#key = :id")
            .projection_expression("#time")
            .expression_attribute_names("#key", RECIPIENT)
            .expression_attribute_names("#time", EVENT_TIME)
            .expression_attribute_values(":id", AttributeValue::S(id.clone()))
            .scan_index_forward(false)
            .limit(1)
            .send()
            .await;
        let event_time = match answer {
            Ok(answer) => {
                let items = answer.items.unwrap_or_default();
                let Some(latest) = items.first() else {
                    return Ok(None);
                };
                number_at(latest, EVENT_TIME)
            }
            Err(error) if dynamodb::lacks_index(&error) && is_known => None,
            Err(error) if dynamodb::lacks_index(&error) => return Ok(None),
            Err(error) => return Err(refusal::of_query(&error)),
        };
        Ok(Some(Found {
            recipient: Some(id),
            event_time,
            ..Found::of(FoundKind::Recipient)
        }))
    }
}

/// Links of one query.
struct LinksRead {
    links: Vec<(LinkKey, Linked)>,
    has_more: bool,
}

async fn links_in(query: QueryFluentBuilder) -> Result<LinksRead, Refusal> {
    let answer = query.send().await;
    let answer = answer.map_err(|error| refusal::unavailable(COUNTERS, &error))?;
    Ok(LinksRead {
        has_more: answer.last_evaluated_key.is_some(),
        links: live(&answer.items.unwrap_or_default()),
    })
}

/// The links that have not expired: `DynamoDB` deletes expired items some days later.
fn live(items: &[Item]) -> Vec<(LinkKey, Linked)> {
    let now = time::now() / 1000;
    let links = items.iter().filter_map(links::of_item);
    links.filter(|(_, linked)| linked.expires_at > now).collect()
}
