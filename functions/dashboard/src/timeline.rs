//! What items mean to a reader: a message's events in order, its state, and its way over channels.

use serde_json::{Map, Value, json};
use webhook_ingest::{
    event::{Channel, Status},
    item::{CHANNEL, EVENT_TIME, Item, MESSAGE_ID, RECIPIENT, STATUS, number_at, to_json},
    state::{self, Leg, Sighting},
};

/// One event as the API tells it: every stored attribute under its name.
pub(crate) fn event(item: &Item) -> Map<String, Value> {
    to_json(item)
}

/// A message with its events in order of time and rank, its present state, and its journey.
pub(crate) fn message(id: &str, items: &[Item], linked: &[Item]) -> Value {
    let legs = legs(items);
    let present = state::present(&legs);
    let mut ordered: Vec<&Item> = items.iter().collect();
    ordered.sort_by_key(|item| {
        (
            number_at(item, EVENT_TIME),
            sighting(item).map(|s| state::order(&s.status)),
        )
    });
    let first = |name: &str| {
        ordered
            .iter()
            .find_map(|item| item.get(name).and_then(|v| v.as_s().ok()))
    };
    json!({
        "message_id": id,
        "recipient": first(RECIPIENT),
        "provider": first(webhook_ingest::item::PROVIDER),
        "channel": present.map(|leg| leg.channel.as_str()),
        "state": present.map(|leg| leg.state.as_str()),
        "state_time": present.map(|leg| leg.at),
        "events": ordered.into_iter().map(event).collect::<Vec<_>>(),
        "journey": journey(id, &legs, linked),
    })
}

/// The legs of a message and of those linked to it, in the order in which they began.
fn journey(id: &str, own: &[Leg], linked: &[Item]) -> Vec<Value> {
    let mut others: Vec<&str> = linked.iter().filter_map(message_id).collect();
    others.sort_unstable();
    others.dedup();
    let mut all: Vec<(&str, Leg)> = own.iter().map(|leg| (id, leg.clone())).collect();
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
        .map(|(id, leg)| json!({"message_id": id, "channel": leg.channel.as_str(), "state": leg.state, "state_time": leg.at}))
        .collect()
}

fn legs(items: &[Item]) -> Vec<Leg> {
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
