//! What items mean to a reader: a message's events in order, its state, and its way over channels.

use webhook_ingest::{
    event::{Channel, Status},
    item::{CHANNEL, EVENT_TIME, Item, MESSAGE_ID, PROVIDER, RECIPIENT, STATUS, number_at, to_json},
    state::{self, Sighting},
};

use crate::{
    answers::{Event, Leg, Message},
    table::Around,
};

/// One event as the API tells it: every stored attribute under its name.
pub(crate) fn event(item: &Item) -> Event {
    Event(to_json(item))
}

/// A message with its events in order of time and rank, its present state, and its journey.
pub(crate) fn message(id: &str, items: &[Item], around: &Around) -> Message {
    let legs = legs(items);
    let present = state::present(&legs);
    let events = ordered(items);
    let first = |name: &str| {
        events
            .iter()
            .find_map(|e| e.0.get(name)?.as_str().map(str::to_owned))
    };
    Message {
        message_id: id.to_owned(),
        recipient: first(RECIPIENT),
        provider: first(PROVIDER),
        channel: present.map(|leg| leg.channel.as_str().to_owned()),
        state: present.map(|leg| leg.state.clone()),
        state_time: present.map(|leg| leg.at),
        events,
        journey: journey(id, &legs, &around.linked),
        linked: ordered(&around.linked),
        answers: ordered(&around.answers),
    }
}

fn ordered(items: &[Item]) -> Vec<Event> {
    let mut items: Vec<&Item> = items.iter().collect();
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
        let items: Vec<Item> = linked
            .iter()
            .filter(|i| message_id(i) == Some(other))
            .cloned()
            .collect();
        all.extend(legs(&items).into_iter().map(|leg| (other, leg)));
    }
    all.sort_by_key(|(id, leg)| (leg.began, leg.channel.as_str() == Channel::SMS, *id));
    all.into_iter()
        .map(|(id, leg)| Leg {
            message_id: id.to_owned(),
            channel: leg.channel.as_str().to_owned(),
            state: leg.state,
            state_time: leg.at,
        })
        .collect()
}

fn legs(items: &[Item]) -> Vec<state::Leg> {
    let sightings: Vec<Sighting> = items.iter().filter_map(sighting).collect();
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
