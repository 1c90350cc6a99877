//! Computes a message's sorted events, its state and its journey over channels from items.

use webhook_ingest::{
    event::{
        journey::{self, Journey, MessageLeg, Step},
        state::{self, StatusUpdate},
    },
    events_table::item::{
        CHANNEL, EVENT_TIME, Item, MESSAGE_ID, PROVIDER, RECIPIENT, STATUS, number_at, status_update, step,
        text_at, to_json,
    },
};

use crate::{
    answers::{Event, JourneyLeg, Message, Outcome, PersonEvents, PersonJourney},
    pages::{MessageEvents, Page, RelatedEvents},
    sizes::{self, MAX_RESPONSE_BYTES, SizeBudget},
};

/// Maximum legs of a journey in a response.
const MAX_LEGS: usize = 100;
/// Maximum events of other messages in a message's response.
const MAX_OTHERS: usize = 200;
/// Bytes of a response for everything except events and legs.
const OTHER_BYTES: usize = 50_000;
/// Bytes of an outcome without its words.
const OUTCOME: usize = 300;
/// Limit for the legs of all journeys of a person's events. Together with the largest list of events, they fit
/// Lambda's limit.
const LEGS_BUDGET: SizeBudget = SizeBudget {
    entries: 1_000,
    bytes: 1_000_000,
};

/// An event of the API: every stored attribute with its name.
pub(crate) fn event(item: &Item) -> Event {
    Event(to_json(item))
}

/// Bytes of an event in a response.
pub(crate) fn size(item: &Item) -> usize {
    // One more for the comma.
    serde_json::to_string(&event(item)).map_or(usize::MAX, |text| sizes::delivered(&text) + 1)
}

/// The same for a response that also contains the outcome of the event's journey.
pub(crate) fn size_with_outcome(item: &Item) -> usize {
    let named = [MESSAGE_ID, CHANNEL, STATUS]
        .iter()
        .filter_map(|name| text_at(item, name));
    let words: usize = named
        .map(|text| sizes::delivered(&serde_json::Value::from(text).to_string()))
        .sum();
    size(item) + words + OUTCOME
}

/// A message with its events sorted by time and rank, its current state, and its journey.
pub(crate) fn message(id: &str, read: &MessageEvents, related: &RelatedEvents) -> Message {
    let items = &read.items;
    let all: Vec<&Item> = items.iter().chain(&read.others).collect();
    let updates: Vec<StatusUpdate> = all.iter().filter_map(|item| status_update(item)).collect();
    let own_legs = state::legs(&updates);
    let present = state::present(&own_legs);
    let steps: Vec<Step<'_>> = all.into_iter().chain(&related.linked).filter_map(step).collect();
    let mut legs = journey::legs(&steps.iter().collect::<Vec<&Step<'_>>>());
    let outcome = journey::outcome(&legs).map(outcome);
    let legs_left_out = legs.len() > MAX_LEGS;
    legs.truncate(MAX_LEGS);
    let journey: Vec<JourneyLeg> = legs.into_iter().map(leg).collect();
    let used =
        items.iter().map(size).sum::<usize>() + journey.iter().map(size_of_leg).sum::<usize>() + OTHER_BYTES;
    let mut budget = SizeBudget {
        entries: MAX_OTHERS,
        bytes: MAX_RESPONSE_BYTES.saturating_sub(used),
    };
    let linked = fitting(&related.linked, &mut budget);
    let answers = fitting(&related.answers, &mut budget);
    let others_left_out = linked.len() < related.linked.len() || answers.len() < related.answers.len();
    let events = ordered(items);
    let first = |name: &str| {
        events
            .iter()
            .find_map(|event| event.0.get(name)?.as_str().map(str::to_owned))
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
        outcome,
        linked: ordered(linked),
        answers: ordered(answers),
        truncated: read.cursor.is_some() || legs_left_out || others_left_out,
        cursor: read.cursor.clone(),
    }
}

/// A page of a person's events with their journeys. `neighbors` are events before and after the page.
pub(crate) fn person(ids: Vec<String>, page: Page, neighbors: &[Item]) -> PersonEvents {
    let steps: Vec<(Option<usize>, Step<'_>)> = page
        .items
        .iter()
        .enumerate()
        .filter_map(|(position, item)| Some((Some(position), step(item)?)))
        .chain(neighbors.iter().filter_map(|item| Some((None, step(item)?))))
        .collect();
    let (positions, steps): (Vec<Option<usize>>, Vec<Step<'_>>) = steps.into_iter().unzip();
    let mut budget = LEGS_BUDGET;
    let journeys = journey::journeys(&steps);
    let journeys = journeys
        .into_iter()
        .filter_map(|journey| person_journey(journey, &positions, &mut budget))
        .collect();
    PersonEvents {
        ids,
        events: page.items.iter().map(event).collect(),
        cursor: page.cursor,
        journeys,
    }
}

/// A journey; `None` if none of its events is on the page.
fn person_journey(
    journey: Journey,
    positions: &[Option<usize>],
    budget: &mut SizeBudget,
) -> Option<PersonJourney> {
    let steps = journey.steps.into_iter();
    let events: Vec<usize> = steps.filter_map(|step| *positions.get(step)?).collect();
    if events.is_empty() {
        return None;
    }
    let outcome = outcome(journey::outcome(&journey.legs)?);
    let legs = journey.legs.into_iter().take(MAX_LEGS).map(leg);
    Some(PersonJourney {
        journey: legs.take_while(|leg| budget.take(size_of_leg(leg))).collect(),
        outcome,
        events,
    })
}

/// The items that fit.
fn fitting<'i>(items: &'i [Item], budget: &mut SizeBudget) -> Vec<&'i Item> {
    items.iter().filter(|item| budget.take(size(item))).collect()
}

fn ordered<'i>(items: impl IntoIterator<Item = &'i Item>) -> Vec<Event> {
    let mut items: Vec<&Item> = items.into_iter().collect();
    items.sort_by_key(|item| {
        (
            number_at(item, EVENT_TIME),
            status_update(item).map(|s| state::order(&s.status)),
        )
    });
    items.into_iter().map(event).collect()
}

fn leg(leg: MessageLeg) -> JourneyLeg {
    JourneyLeg {
        message_id: leg.message_id,
        token: None,
        channel: leg.leg.channel.as_str().to_owned(),
        state: leg.leg.state,
        state_time: leg.leg.at,
        reason: leg.reason,
    }
}

fn outcome(leg: &MessageLeg) -> Outcome {
    Outcome {
        message_id: leg.message_id.clone(),
        token: None,
        channel: leg.leg.channel.as_str().to_owned(),
        state: leg.leg.state.clone(),
        state_time: leg.leg.at,
        sent_time: leg.sent_at,
        clicked: leg.clicked,
        incoming: leg.incoming,
    }
}

/// The bytes of an answer that a leg takes.
fn size_of_leg(leg: &JourneyLeg) -> usize {
    serde_json::to_string(leg).map_or(usize::MAX, |text| sizes::delivered(&text) + 1)
}
