//! Reads the events of messages from the events table, for the counts of messages.
//!
//! A message with events in a batch costs one query, whatever the number of its events: one read unit if they have
//! less than 4 KB. A message that failed, that is a fallback or that was not delivered promptly
//! (module `related`) costs a query of `recipient-index` and one for each message of the same person on another channel
//! within 72 hours; if one of them shares a reference with it, also one for each on the same channel. Without that index, a fallback with its own message id is counted as a separate message.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use aws_sdk_dynamodb::{
    Client,
    operation::query::builders::QueryFluentBuilder,
    types::{AttributeValue, ReturnConsumedCapacity},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::{Instant, timeout_at};
use webhook_ingest::{
    event::{
        Attribute, Status,
        journey::{self, LINK_WINDOW_MS, Step},
    },
    events_table::{
        index::RECIPIENT_INDEX,
        item::{
            self, CHANNEL, EVENT_TIME, FORMAT, Item, MESSAGE_ID, RECEIVED_AT, RECIPIENT, STATUS, STATUS_KEY,
            STORED_AT, number_at, text_at,
        },
    },
    operations::{backoff::Backoff, clients, dynamodb},
};

use crate::{progress::MessageEvent, related::may_have_others};

/// The attributes that the counts of messages need.
pub(crate) const ATTRIBUTES: [&str; 19] = [
    MESSAGE_ID,
    STATUS_KEY,
    CHANNEL,
    STATUS,
    EVENT_TIME,
    RECEIVED_AT,
    STORED_AT,
    RECIPIENT,
    FORMAT,
    Attribute::BotId.name(),
    Attribute::Tags.name(),
    Attribute::Campaign.name(),
    Attribute::RequestId.name(),
    Attribute::CallbackData.name(),
    Attribute::InReplyTo.name(),
    Attribute::LastChannel.name(),
    Attribute::Pricing.name(),
    Attribute::OpenedBy.name(),
    // It names the template.
    Attribute::Click.name(),
];

/// The most events of a message that are read, in the order of their keys. The counts of a message with more events
/// are those of these events.
const MAX_EVENTS: usize = 100;
/// The most entries of a person that are read to find the other messages of a journey.
const MAX_ENTRIES: i32 = 200;
/// The most other messages of a person that are read, those with the nearest entries.
const MAX_OTHERS: usize = 20;
/// The most concurrent queries.
const IN_FLIGHT: usize = 32;

/// Reads messages. Cheap to clone.
#[derive(Clone)]
pub struct Messages {
    client: Client,
    table: String,
    lacks_index: Arc<AtomicBool>,
}

/// Events of messages.
#[derive(Default)]
pub struct KnownMessages {
    events: HashMap<String, Vec<Item>>,
    /// The other messages of a message's journey.
    others: HashMap<String, BTreeSet<String>>,
    /// Read units that the table reported.
    pub(crate) read_units: f64,
}

impl KnownMessages {
    /// The messages whose events are all among these, without those of their journeys.
    pub fn among(items: &[Item]) -> Self {
        let mut events: HashMap<String, Vec<Item>> = HashMap::new();
        for item in items {
            if let Some(id) = text_at(item, MESSAGE_ID) {
                events.entry(id.to_owned()).or_default().push(item.clone());
            }
        }
        for of_message in events.values_mut() {
            // As a query returns them.
            of_message.sort_by(|one, other| text_at(one, STATUS_KEY).cmp(&text_at(other, STATUS_KEY)));
            of_message.truncate(MAX_EVENTS);
        }
        Self {
            events,
            ..Self::default()
        }
    }

    /// The same messages, with each event parsed once.
    pub fn parsed(&self) -> ParsedMessages<'_> {
        let events = self.events.iter();
        let events =
            events.map(|(id, items)| (id.as_str(), items.iter().filter_map(MessageEvent::of).collect()));
        ParsedMessages {
            events: events.collect(),
            others: Some(&self.others),
        }
    }

    /// The events of a message.
    fn message(&self, id: &str) -> &[Item] {
        self.events.get(id).map_or(&[], Vec::as_slice)
    }
}

/// Parsed events of messages.
#[derive(Default)]
pub struct ParsedMessages<'k> {
    events: HashMap<&'k str, Vec<MessageEvent<'k>>>,
    others: Option<&'k HashMap<String, BTreeSet<String>>>,
}

impl<'k> ParsedMessages<'k> {
    /// The events of a message and of the messages of its journey.
    pub(crate) fn journey(&self, id: &str) -> Vec<&MessageEvent<'k>> {
        let others = self.others.and_then(|others| others.get(id));
        let others = others.into_iter().flatten().map(String::as_str);
        others.chain([id]).flat_map(|id| self.message(id)).collect()
    }

    /// The events of a message.
    pub(crate) fn message(&self, id: &str) -> &[MessageEvent<'k>] {
        self.events.get(id).map_or(&[], Vec::as_slice)
    }
}

impl Messages {
    /// Wraps the events table with this name.
    pub fn new(client: Client, table: String) -> Self {
        Self {
            client,
            table,
            lacks_index: Arc::default(),
        }
    }

    /// Reads the messages of these events, the messages that belong to their journeys, and the messages that replies
    /// answer.
    ///
    /// # Errors
    /// Why the table did not answer in time.
    pub(crate) async fn read(&self, events: &[&Item], until: Instant) -> Result<KnownMessages, String> {
        let steps: Vec<Step<'_>> = events.iter().filter_map(|event| item::step(event)).collect();
        let own: BTreeSet<String> = steps
            .iter()
            .filter(|step| !step.is_incoming())
            .map(|step| step.message_id.to_owned())
            .collect();
        let mut known = KnownMessages::default();
        self.add(&mut known, own.iter().cloned().collect(), until).await?;
        self.complete(&mut known, &steps, own, until).await?;
        Ok(known)
    }

    /// Reads what belongs to events whose own messages are known: the other messages of their journeys, and the messages
    /// that replies answer.
    pub(crate) async fn complete(
        &self,
        known: &mut KnownMessages,
        steps: &[Step<'_>],
        own: BTreeSet<String>,
        until: Instant,
    ) -> Result<(), String> {
        let answered = steps.iter().filter_map(|step| step.in_reply_to);
        let unread = answered.filter(|id| !id.is_empty() && !known.events.contains_key(*id));
        let unread = unread.map(str::to_owned).collect();
        self.add(known, unread, until).await?;
        self.join(known, own, until).await
    }

    async fn join(
        &self,
        known: &mut KnownMessages,
        own: BTreeSet<String>,
        until: Instant,
    ) -> Result<(), String> {
        if self.lacks_index.load(Ordering::Relaxed) {
            return Ok(());
        }
        let related = own.into_iter().filter(|id| may_have_others(known.message(id)));
        let related: Vec<(String, Person)> = related
            .filter_map(|id| Some((id.clone(), Person::of(known.message(&id))?)))
            .collect();
        let units = Mutex::new(0.0);
        let mut candidates: Vec<(String, Nearby)> = stream::iter(related)
            .map(|(id, person)| {
                let units = &units;
                async move {
                    let nearby = self.nearby(&id, &person, units, until).await?;
                    Ok::<_, String>((id, nearby))
                }
            })
            .buffer_unordered(IN_FLIGHT)
            .try_collect()
            .await?;
        known.read_units += units.into_inner().unwrap_or_else(PoisonError::into_inner);
        let unread = |known: &KnownMessages, ids: &[&String]| {
            let unread = ids.iter().filter(|id| !known.events.contains_key(**id));
            unread.map(|id| (*id).clone()).collect()
        };
        // The messages of a journey have different channels, and each shares a reference with another one. So a message
        // that shares none with those of other channels is alone, and the rest need not be read.
        let of_other_channels = candidates
            .iter()
            .flat_map(|(_, nearby)| nearby.of_other_channels());
        let ids = unread(known, &of_other_channels.collect::<Vec<_>>());
        self.add(known, ids, until).await?;
        candidates.retain(|(id, nearby)| {
            let own: Vec<Step<'_>> = known.message(id).iter().filter_map(item::step).collect();
            nearby.of_other_channels().any(|other| {
                let mut steps = known.message(other).iter().filter_map(item::step);
                steps.any(|step| journey::share_a_reference(&own, &step))
            })
        });
        let all = candidates.iter().flat_map(|(_, nearby)| nearby.all());
        let ids = unread(known, &all.collect::<Vec<_>>());
        self.add(known, ids, until).await?;
        for (id, nearby) in candidates {
            let others: Vec<String> = nearby.all().cloned().collect();
            let others = of_one_journey(known, &id, &others);
            known.others.insert(id, others);
        }
        Ok(())
    }

    async fn add(
        &self,
        known: &mut KnownMessages,
        ids: HashSet<String>,
        until: Instant,
    ) -> Result<(), String> {
        let (projection, names) = dynamodb::projection(ATTRIBUTES);
        let query = self
            .query()
            .consistent_read(true)
            .projection_expression(projection)
            .set_expression_attribute_names(Some(names))
            .key_condition_expression(format!("#{MESSAGE_ID} = :id"))
            .limit(i32::try_from(MAX_EVENTS).unwrap_or(i32::MAX));
        let mut calls = stream::iter(ids)
            .map(|id| {
                let query = query.clone();
                async move {
                    let query = query.expression_attribute_values(":id", AttributeValue::S(id.clone()));
                    let (items, units) = self.send(query, until).await?;
                    Ok::<_, String>((id, items, units))
                }
            })
            .buffer_unordered(IN_FLIGHT);
        while let Some((id, items, units)) = calls.try_next().await? {
            known.read_units += units;
            known.events.insert(id, items);
        }
        Ok(())
    }

    /// Other messages of a person.
    async fn nearby(
        &self,
        id: &str,
        person: &Person,
        all_units: &Mutex<f64>,
        until: Instant,
    ) -> Result<Nearby, String> {
        let time = |at: i64| AttributeValue::N(at.to_string());
        let query = self
            .query()
            .index_name(RECIPIENT_INDEX)
            .key_condition_expression("#key = :key AND #time BETWEEN :from AND :to")
            .expression_attribute_names("#key", RECIPIENT)
            .expression_attribute_names("#time", EVENT_TIME)
            .expression_attribute_values(":key", AttributeValue::S(person.id.clone()))
            .expression_attribute_values(":from", time(person.first.saturating_sub(LINK_WINDOW_MS)))
            .expression_attribute_values(":to", time(person.last.saturating_add(LINK_WINDOW_MS)))
            .projection_expression("message_id, status_key, #time")
            .limit(MAX_ENTRIES);
        let (mut entries, units) = self.send(query, until).await?;
        *all_units.lock().unwrap_or_else(PoisonError::into_inner) += units;
        let distance = |entry: &Item| {
            let at = number_at(entry, EVENT_TIME).unwrap_or_default();
            (at - person.first).abs().min((at - person.last).abs())
        };
        entries.sort_by_key(distance);
        let mut nearby = Nearby::default();
        for entry in &entries {
            let Some(other) = text_at(entry, MESSAGE_ID).filter(|other| *other != id) else {
                continue;
            };
            let is_of_other_channel = person.channels.len() != 1
                || channel(entry).is_none_or(|channel| !person.channels.contains(channel));
            if let Some((_, is_other)) = nearby.0.iter_mut().find(|(id, _)| id == other) {
                *is_other |= is_of_other_channel;
            } else if nearby.0.len() < MAX_OTHERS {
                nearby.0.push((other.to_owned(), is_of_other_channel));
            }
        }
        Ok(nearby)
    }

    fn query(&self) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
    }

    /// Returns the items of one page and the read units.
    async fn send(&self, query: QueryFluentBuilder, until: Instant) -> Result<(Vec<Item>, f64), String> {
        let mut backoff = Backoff::until(until);
        loop {
            let why = match timeout_at(until, query.clone().send()).await {
                Ok(Ok(answer)) => {
                    let units = answer.consumed_capacity.and_then(|units| units.capacity_units);
                    return Ok((answer.items.unwrap_or_default(), units.unwrap_or_default()));
                }
                Ok(Err(error)) if dynamodb::lacks_index(&error) => {
                    self.lacks_index.store(true, Ordering::Relaxed);
                    return Ok((Vec::new(), 0.0));
                }
                Ok(Err(error)) => clients::failure(&error).to_owned(),
                Err(_) => return Err("there was no time left".to_owned()),
            };
            backoff.pause(why).await?;
        }
    }
}

/// The ids of other messages of a person, those with the nearest entries first, and whether another channel may have
/// carried them.
#[derive(Default)]
struct Nearby(Vec<(String, bool)>);

impl Nearby {
    fn all(&self) -> impl Iterator<Item = &String> {
        self.0.iter().map(|(id, _)| id)
    }

    fn of_other_channels(&self) -> impl Iterator<Item = &String> {
        self.0.iter().filter(|(_, is_other)| *is_other).map(|(id, _)| id)
    }
}

/// The channel that carried a message, from the sort key of an event; `None` for a tap, which can have another channel.
fn channel(entry: &Item) -> Option<&str> {
    let mut parts = text_at(entry, STATUS_KEY)?.split('#');
    let channel = parts.next()?;
    (parts.next()? != Status::Clicked.as_str()).then_some(channel)
}

/// The person of a message, its channels, and the time of its events.
struct Person {
    id: String,
    channels: BTreeSet<String>,
    first: i64,
    last: i64,
}

impl Person {
    fn of(events: &[Item]) -> Option<Self> {
        let times = || events.iter().filter_map(|event| number_at(event, EVENT_TIME));
        let person = |event: &Item| event.get(RECIPIENT)?.as_s().ok().cloned();
        Some(Self {
            id: events.iter().find_map(person)?,
            channels: events.iter().filter_map(channel).map(str::to_owned).collect(),
            first: times().min()?,
            last: times().max()?,
        })
    }
}

/// Those of the messages that belong to the journey of a message.
fn of_one_journey(known: &KnownMessages, id: &str, others: &[String]) -> BTreeSet<String> {
    let ids = others.iter().map(String::as_str).chain([id]);
    let mut steps: Vec<Step<'_>> = ids
        .flat_map(|id| known.message(id))
        .filter_map(item::step)
        .filter(|step| !step.is_incoming())
        .collect();
    steps.sort_by_key(|step| step.update.at);
    let journeys = journey::journeys(&steps);
    let own = journeys
        .into_iter()
        .find(|journey| journey.legs.iter().any(|leg| leg.message_id == id));
    let legs = own.into_iter().flat_map(|journey| journey.legs);
    legs.map(|leg| leg.message_id)
        .filter(|other| other != id)
        .collect()
}
