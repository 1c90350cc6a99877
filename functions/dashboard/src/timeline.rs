//! What items mean to a reader: a message's events in order, its state, and its way over channels.

use webhook_ingest::{
    event::{
        Channel, Status,
        state::{self, Sighting},
    },
    events_table::item::{
        CHANNEL, EVENT_TIME, Item, MESSAGE_ID, PROVIDER, RECIPIENT, STATUS, number_at, to_json,
    },
};

use crate::{
    answers::{Event, Leg, Message},
    sizes::{self, LARGEST_ANSWER, Room},
    table::{Around, OfMessage},
};

/// Legs of a journey beyond these are left out.
const MOST_LEGS: usize = 100;
/// Events of other messages that an answer about a message holds at most.
const MOST_OTHERS: usize = 200;
/// What an answer holds beside events and legs.
const REST: usize = 50_000;

/// One event as the API shows it: every stored attribute under its name.
pub(crate) fn event(item: &Item) -> Event {
    Event(to_json(item))
}

/// The bytes of an answer that an event takes.
pub(crate) fn size(item: &Item) -> usize {
    // An event is plain data, which always is JSON; a comma follows it.
    serde_json::to_string(&event(item)).map_or(usize::MAX, |text| sizes::delivered(&text) + 1)
}

/// A message with its events in order of time and rank, its present state, and its journey.
pub(crate) fn message(id: &str, read: &OfMessage, around: &Around) -> Message {
    let items = &read.items;
    let all: Vec<&Item> = items.iter().chain(&read.others).collect();
    let legs = legs(&all);
    let present = state::present(&legs);
    let events = ordered(items);
    let mut journey = journey(id, &legs, &around.linked);
    let legs_left_out = journey.len() > MOST_LEGS;
    journey.truncate(MOST_LEGS);
    let legs_bytes: usize = journey
        .iter()
        .map(|leg| serde_json::to_string(leg).map_or(0, |text| sizes::delivered(&text) + 1))
        .sum();
    let used = items.iter().map(size).sum::<usize>() + legs_bytes + REST;
    let mut room = Room {
        entries: MOST_OTHERS,
        bytes: LARGEST_ANSWER.saturating_sub(used),
    };
    let linked = fitting(&around.linked, &mut room);
    let answers = fitting(&around.answers, &mut room);
    let others_left_out = linked.len() < around.linked.len() || answers.len() < around.answers.len();
    let first = |name: &str| {
        events
            .iter()
            .find_map(|e| e.0.get(name)?.as_str().map(str::to_owned))
    };
    Message {
        message_id: id.to_owned(),
        token: None,
        recipient: first(RECIPIENT),
        provider: first(PROVIDER),
        channel: present.map(|leg| leg.channel.as_str().to_owned()),
        state: present.map(|leg| leg.state.clone()),
        state_time: present.map(|leg| leg.at),
        events,
        journey,
        linked: ordered(linked),
        answers: ordered(answers),
        truncated: read.cursor.is_some() || legs_left_out || others_left_out,
        cursor: read.cursor.clone(),
    }
}

/// Those that there is room for.
fn fitting<'i>(items: &'i [Item], room: &mut Room) -> Vec<&'i Item> {
    items.iter().filter(|item| room.take(size(item))).collect()
}

fn ordered<'i>(items: impl IntoIterator<Item = &'i Item>) -> Vec<Event> {
    let mut items: Vec<&Item> = items.into_iter().collect();
    items.sort_by_key(|item| {
        (
            number_at(item, EVENT_TIME),
            sighting(item).map(|s| state::order(&s.status)),
        )
    });
    items.into_iter().map(event).collect()
}

/// The legs of a message and of those linked to it, in the order in which they began.
fn journey(id: &str, own: &[state::Leg], linked: &[Item]) -> Vec<Leg> {
    let mut others: Vec<&str> = linked.iter().filter_map(message_id).collect();
    others.sort_unstable();
    others.dedup();
    let mut all: Vec<(&str, state::Leg)> = own.iter().map(|leg| (id, leg.clone())).collect();
    for other in others {
        let items: Vec<&Item> = linked.iter().filter(|i| message_id(i) == Some(other)).collect();
        all.extend(legs(&items).into_iter().map(|leg| (other, leg)));
    }
    all.sort_by_key(|(id, leg)| (leg.began, leg.channel.as_str() == Channel::SMS, *id));
    all.into_iter()
        .map(|(id, leg)| Leg {
            message_id: id.to_owned(),
            token: None,
            channel: leg.channel.as_str().to_owned(),
            state: leg.state,
            state_time: leg.at,
        })
        .collect()
}

fn legs(items: &[&Item]) -> Vec<state::Leg> {
    let sightings: Vec<Sighting> = items.iter().filter_map(|item| sighting(item)).collect();
    state::legs(&sightings)
}

fn message_id(item: &Item) -> Option<&str> {
    item.get(MESSAGE_ID)?.as_s().ok().map(String::as_str)
}

fn sighting(item: &Item) -> Option<Sighting> {
    Some(Sighting {
        channel: Channel::from_word(item.get(CHANNEL)?.as_s().ok()?),
        status: Status::from_word(item.get(STATUS)?.as_s().ok()?).ok()?,
        at: number_at(item, EVENT_TIME)?,
    })
}
