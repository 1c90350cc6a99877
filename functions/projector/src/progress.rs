//! The counts of messages: how far they got, how long that took, and what they may cost. They are a function of a
//! *set* of events, those of a message and of the messages that continued it. An event adds the difference between
//! the set with it and what the events before it have counted. The sum over all events does not depend on the order of
//! their delivery.
//!
//! Reading the messages that belong to another one costs reads, so an event sees them only if there may be some
//! ([`related`](crate::related)); otherwise it counts its own message as if it were alone. An event that sees them
//! knows what the events before it have counted without seeing them, and corrects it.
//!
//! The order of the events of a set is that of their arrival. An event must be in the table before an event that
//! arrived later is counted, so events are counted some seconds after their arrival. An event that is stored later than
//! that, and not by `redrive`, can make the counts of its message wrong by one until the next rebuild.

use std::collections::{BTreeMap, BTreeSet};

use webhook_ingest::{
    counters::{
        self, Charged, Counter, Interval, NO_CATEGORY, NO_COUNTRY, OTHER_CHANNEL, Progress, QUARTER_MS,
        Quantity, is_listed_channel, latency,
    },
    event::{EpochMillis, Status, journey::Step, state},
    events_table::item::{self, Item},
    facets::Price,
};

use crate::{
    counter_delta::Subject,
    dimensions::Dimensions,
    related::{self, Order, Related},
};

/// One event of a message.
pub(crate) struct MessageEvent<'i> {
    pub(crate) step: Step<'i>,
    pub(crate) dimensions: Dimensions,
    pub(crate) price: Option<Price>,
    last_channel: Option<&'i str>,
    order: Order<'i>,
}

impl<'i> MessageEvent<'i> {
    /// `None` if the item is not an event.
    pub(crate) fn of(item: &'i Item) -> Option<Self> {
        Some(Self {
            order: related::order(item)?,
            step: item::step(item)?,
            last_channel: related::last_channel(item),
            dimensions: Dimensions::of(item),
            price: Price::of(item),
        })
    }

    fn has(&self, status: &Status) -> bool {
        self.step.update.status == *status
    }

    fn is_before(&self, other: &Self) -> bool {
        self.order < other.order
    }
}

/// What is counted for a quarter of an hour (epoch milliseconds of its beginning) and these values.
type Counted = (EpochMillis, Dimensions, Count);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Count {
    In(Counter),
    League(Progress),
}

/// The counts that an event adds to those of the events before it. `events` are those of its message and of messages
/// that belong to it, in any order, with or without the event itself.
pub(crate) fn added(event: &MessageEvent<'_>, events: &[&MessageEvent<'_>]) -> Vec<(Subject, i64)> {
    let earlier = events.iter().copied().filter(|other| other.is_before(event));
    let mut before: Vec<&MessageEvent<'_>> = earlier.collect();
    before.sort_by_key(|event| event.order);
    let mut with_it = before.clone();
    with_it.push(event);
    let mut changes = Changes::default();
    if seen(&with_it) == with_it.len() {
        changes.add(&with_it, 1);
        let (whole, alone) = before.split_at(seen(&before));
        changes.add(whole, -1);
        // Messages that were counted alone since then.
        let ids: BTreeSet<&str> = alone.iter().map(|event| event.step.message_id).collect();
        for id in ids {
            changes.add(&of_message(id, &before), -1);
            changes.add(&of_message(id, whole), 1);
        }
    } else {
        let id = event.step.message_id;
        changes.add(&of_message(id, &with_it), 1);
        changes.add(&of_message(id, &before), -1);
    }
    changes.subjects()
}

fn of_message<'e, 'i>(id: &str, events: &[&'e MessageEvent<'i>]) -> Vec<&'e MessageEvent<'i>> {
    let of = events.iter().copied().filter(|event| event.step.message_id == id);
    of.collect()
}

/// The number of events, in their order, up to the last one that saw the other messages. Together they have counted
/// their set.
fn seen(events: &[&MessageEvent<'_>]) -> usize {
    let mut messages: BTreeMap<&str, Related<'_>> = BTreeMap::new();
    let mut seen = 0;
    for (index, event) in events.iter().enumerate() {
        let related = messages.entry(event.step.message_id).or_default();
        let sees_others = related.add(&event.step, event.order.0, event.last_channel);
        // An incoming event counts no message.
        if sees_others && !event.step.is_incoming() {
            seen = index + 1;
        }
    }
    seen
}

/// Changes of counts.
#[derive(Default)]
struct Changes(BTreeMap<Counted, i64>);

impl Changes {
    /// Adds the counts of a set of events so many times.
    fn add(&mut self, events: &[&MessageEvent<'_>], times: i64) {
        for counted in counted(events) {
            *self.0.entry(counted).or_default() += times;
        }
    }

    fn subjects(self) -> Vec<(Subject, i64)> {
        let mut subjects: BTreeMap<(EpochMillis, Dimensions, i64), Subject> = BTreeMap::new();
        for ((at, dimensions, count), change) in self.0 {
            if change == 0 {
                continue;
            }
            let subject = subjects
                .entry((at, dimensions.clone(), change))
                .or_insert_with(|| Subject::at(at, dimensions));
            match count {
                Count::In(counter) => subject.counters.push(counter),
                Count::League(progress) => subject.league.push(progress),
            }
        }
        let subjects = subjects.into_iter();
        subjects
            .map(|((_, _, change), subject)| (subject, change))
            .collect()
    }
}

/// The counts of a set of events. Each is 1.
fn counted(events: &[&MessageEvent<'_>]) -> Vec<Counted> {
    let mut events: Vec<&MessageEvent<'_>> = events
        .iter()
        .copied()
        .filter(|event| !event.step.is_incoming())
        .collect();
    // The values of the earliest event apply, whatever arrived first.
    events.sort_by_key(|event| (event.step.update.at, event.order.1, event.order.2));
    let is_message = |event: &&MessageEvent<'_>| state::is_progress(&event.step.update.status);
    if !events.iter().any(is_message) {
        return Vec::new();
    }
    let updates: Vec<_> = events.iter().map(|event| event.step.update.clone()).collect();
    let legs = state::legs(&updates);
    let (Some(first), Some(present), Some(last)) = (legs.first(), state::present(&legs), legs.last()) else {
        return Vec::new();
    };
    let mut dimensions = Dimensions::default();
    for event in &events {
        dimensions.inherit(&event.dimensions);
    }
    let clicked = |channel: Option<&str>| {
        let mut taps = events.iter().filter(|event| event.has(&Status::Clicked));
        taps.any(|tap| channel.is_none_or(|channel| tap.step.update.channel.as_str() == channel))
    };
    let mut counts = Counts {
        dimensions: &dimensions,
        all: Vec::new(),
    };
    let whole = progress(&present.state, clicked(None));
    for progress in whole {
        let leg = match progress {
            Progress::Messages => first,
            Progress::Failed => last,
            Progress::Reached | Progress::Read | Progress::Clicked => present,
        };
        let channel = counters::word(leg.channel.as_str());
        counts.add(first.began, Quantity::Journey(progress).on(channel));
        counts
            .all
            .push((quarter(first.began), dimensions.clone(), Count::League(progress)));
    }
    for leg in &legs {
        let channel = leg.channel.as_str();
        for progress in progress(&leg.state, clicked(Some(channel))) {
            let channel = counters::word(channel);
            counts.add(first.began, Quantity::Leg(progress).on(channel));
        }
        let of_leg: Vec<&MessageEvent<'_>> = events
            .iter()
            .copied()
            .filter(|event| event.step.update.channel == leg.channel)
            .collect();
        charges(&of_leg, &leg.state, first.began, &mut counts);
        latencies(&of_leg, &mut counts);
    }
    fallback(&events, first.channel.as_str(), &mut counts);
    counts.all.sort_unstable();
    counts.all.dedup();
    counts.all
}

struct Counts<'d> {
    dimensions: &'d Dimensions,
    all: Vec<Counted>,
}

impl Counts<'_> {
    fn add(&mut self, at: EpochMillis, counter: Counter) {
        self.all
            .push((quarter(at), self.dimensions.clone(), Count::In(counter)));
    }

    fn add_latency(&mut self, channel: &str, interval: Interval, from: EpochMillis, to: EpochMillis) {
        // Latencies have some hundred counters for each channel, so only listed channels have their own.
        let channel = if is_listed_channel(channel) {
            channel
        } else {
            OTHER_CHANNEL
        };
        let latency = Quantity::Latency {
            interval,
            bucket: latency::bucket(to.saturating_sub(from)),
        };
        self.add(from.max(to), latency.on(channel));
    }
}

fn quarter(at: EpochMillis) -> EpochMillis {
    at.div_euclid(QUARTER_MS).saturating_mul(QUARTER_MS)
}

/// The steps that a message or a leg in this state reached.
fn progress(reached: &str, clicked: bool) -> Vec<Progress> {
    let mut steps = vec![Progress::Messages];
    match reached {
        "read" => steps.extend([Progress::Reached, Progress::Read]),
        "delivered" => steps.push(Progress::Reached),
        failed if state::is_failure(failed) => steps.push(Progress::Failed),
        _ => {}
    }
    if clicked {
        steps.push(Progress::Clicked);
    }
    steps
}

/// What a provider may charge for a message on one channel.
fn charges(leg: &[&MessageEvent<'_>], reached: &str, at: EpochMillis, counts: &mut Counts<'_>) {
    let prices = || leg.iter().filter_map(|event| event.price.as_ref());
    // Providers repeat the price in each event. One event that says so is enough for a free message.
    if prices().any(|price| !price.billable) {
        return;
    }
    let Some(event) = leg.first() else { return };
    let has_arrived = matches!(reached, "delivered" | "read");
    let was_sent = has_arrived || leg.iter().any(|event| event.has(&Status::Sent));
    let category = prices().find_map(|price| price.category.clone());
    let country = counts.dimensions.country.clone();
    let charge = |charged| {
        let charge = Quantity::Charge {
            country: country.clone().unwrap_or_else(|| NO_COUNTRY.to_owned()),
            category: category.clone().unwrap_or_else(|| NO_CATEGORY.to_owned()),
            charged,
        };
        charge.on(counters::word(event.step.update.channel.as_str()))
    };
    if was_sent {
        counts.add(at, charge(Charged::Sent));
    }
    if has_arrived {
        counts.add(at, charge(Charged::Delivered));
    }
}

/// The times between the events of one channel.
fn latencies(leg: &[&MessageEvent<'_>], counts: &mut Counts<'_>) {
    let first = |statuses: &[Status]| {
        let of = leg
            .iter()
            .filter(|event| statuses.contains(&event.step.update.status));
        of.map(|event| event.step.update.at).min()
    };
    let Some(channel) = leg.first().map(|event| event.step.update.channel.as_str()) else {
        return;
    };
    let Some(delivered) = first(&[Status::Delivered]) else {
        return;
    };
    if let Some(sent) = first(&[Status::Sent]) {
        counts.add_latency(channel, Interval::SentDelivered, sent, delivered);
    }
    if let Some(read) = first(&[Status::Read, Status::Opened]) {
        counts.add_latency(channel, Interval::DeliveredRead, delivered, read);
    }
}

/// The time from the failure on the first channel to the message on the next one.
fn fallback(events: &[&MessageEvent<'_>], first: &str, counts: &mut Counts<'_>) {
    let is_first = |event: &MessageEvent<'_>| event.step.update.channel.as_str() == first;
    let failures = events
        .iter()
        .filter(|event| is_first(event) && state::is_failure(event.step.update.status.as_str()));
    let sent = events
        .iter()
        .filter(|event| !is_first(event) && event.has(&Status::Sent));
    let failed = failures.map(|event| event.step.update.at).min();
    if let (Some(failed), Some(next)) = (
        failed,
        sent.min_by_key(|event| (event.step.update.at, event.order)),
    ) {
        let (channel, at) = (next.step.update.channel.as_str(), next.step.update.at);
        counts.add_latency(channel, Interval::FailedFallback, failed, at);
    }
}

#[cfg(test)]
mod tests;
