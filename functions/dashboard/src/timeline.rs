//! What items mean to a reader: a message's events in order, its state, and its journey over channels.

use webhook_ingest::{
    event::{
        Attribute, Channel, Status,
        journey::{self, Journey, MessageLeg, Step},
        state::{self, Sighting},
    },
    events_table::item::{
        CHANNEL, EVENT_TIME, FORMAT, Item, MESSAGE_ID, PROVIDER, RECIPIENT, STATUS, number_at, to_json,
    },
};

use crate::{
    answers::{Event, JourneyLeg, Message, Outcome, PersonEvents, PersonJourney},
    parts::{Around, OfMessage, Part},
    sizes::{self, LARGEST_ANSWER, Room},
};

/// Legs of a journey beyond these are left out.
const MAX_LEGS: usize = 100;
/// Events of other messages that an answer about a message holds at most.
const MAX_OTHERS: usize = 200;
/// What an answer holds beside events and legs.
const REST: usize = 50_000;
/// What an outcome takes beside its words.
const OUTCOME: usize = 300;
/// The legs of all journeys of a person's events: with the largest list of events, they fit what Lambda delivers.
const ROOM_OF_LEGS: Room = Room {
    entries: 1_000,
    bytes: 1_000_000,
};

/// One event as the API shows it: every stored attribute under its name.
pub(crate) fn event(item: &Item) -> Event {
    Event(to_json(item))
}

/// The bytes of an answer that an event takes.
pub(crate) fn size(item: &Item) -> usize {
    // An event is plain data, which always is JSON; a comma follows it.
    serde_json::to_string(&event(item)).map_or(usize::MAX, |text| sizes::delivered(&text) + 1)
}

/// The same where the answer also says how the journey of the event ended.
pub(crate) fn size_with_outcome(item: &Item) -> usize {
    let named = [MESSAGE_ID, CHANNEL, STATUS]
        .iter()
        .filter_map(|name| text(item, name));
    let words: usize = named
        .map(|text| sizes::delivered(&serde_json::Value::from(text).to_string()))
        .sum();
    size(item) + words + OUTCOME
}

/// What a journey needs to know of an event; nothing for an item that is no event.
pub(crate) fn step(item: &Item) -> Option<Step<'_>> {
    let attribute = |attribute: Attribute| text(item, attribute.name());
    Some(Step {
        message_id: text(item, MESSAGE_ID)?,
        sighting: sighting(item)?,
        request_id: attribute(Attribute::RequestId),
        callback_data: attribute(Attribute::CallbackData),
        in_reply_to: attribute(Attribute::InReplyTo),
        remarks: attribute(Attribute::Remarks),
        format: text(item, FORMAT),
    })
}

/// A message with its events in order of time and rank, its present state, and its journey.
pub(crate) fn message(id: &str, read: &OfMessage, around: &Around) -> Message {
    let items = &read.items;
    let all: Vec<&Item> = items.iter().chain(&read.others).collect();
    let sightings: Vec<Sighting> = all.iter().filter_map(|item| sighting(item)).collect();
    let own_legs = state::legs(&sightings);
    let present = state::present(&own_legs);
    let steps: Vec<Step<'_>> = all.into_iter().chain(&around.linked).filter_map(step).collect();
    let mut legs = journey::legs(&steps.iter().collect::<Vec<&Step<'_>>>());
    let outcome = journey::outcome(&legs).map(outcome);
    let legs_left_out = legs.len() > MAX_LEGS;
    legs.truncate(MAX_LEGS);
    let journey: Vec<JourneyLeg> = legs.into_iter().map(leg).collect();
    let used = items.iter().map(size).sum::<usize>() + journey.iter().map(size_of_leg).sum::<usize>() + REST;
    let mut room = Room {
        entries: MAX_OTHERS,
        bytes: LARGEST_ANSWER.saturating_sub(used),
    };
    let linked = fitting(&around.linked, &mut room);
    let answers = fitting(&around.answers, &mut room);
    let others_left_out = linked.len() < around.linked.len() || answers.len() < around.answers.len();
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

/// A part of a person's events with what they belong to. `beside` are events before and after the part.
pub(crate) fn person(part: Part, beside: &[Item]) -> PersonEvents {
    let steps: Vec<(Option<usize>, Step<'_>)> = part
        .items
        .iter()
        .enumerate()
        .filter_map(|(position, item)| Some((Some(position), step(item)?)))
        .chain(beside.iter().filter_map(|item| Some((None, step(item)?))))
        .collect();
    let (positions, steps): (Vec<Option<usize>>, Vec<Step<'_>>) = steps.into_iter().unzip();
    let mut room = ROOM_OF_LEGS;
    let journeys = journey::journeys(&steps);
    let journeys = journeys
        .into_iter()
        .filter_map(|journey| person_journey(journey, &positions, &mut room))
        .collect();
    PersonEvents {
        events: part.items.iter().map(event).collect(),
        cursor: part.cursor,
        journeys,
    }
}

/// A journey, unless none of its events is in the part.
fn person_journey(journey: Journey, positions: &[Option<usize>], room: &mut Room) -> Option<PersonJourney> {
    let steps = journey.steps.into_iter();
    let events: Vec<usize> = steps.filter_map(|step| *positions.get(step)?).collect();
    if events.is_empty() {
        return None;
    }
    let outcome = outcome(journey::outcome(&journey.legs)?);
    let legs = journey.legs.into_iter().take(MAX_LEGS).map(leg);
    Some(PersonJourney {
        journey: legs.take_while(|leg| room.take(size_of_leg(leg))).collect(),
        outcome,
        events,
    })
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

fn text<'i>(item: &'i Item, name: &str) -> Option<&'i str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

fn sighting(item: &Item) -> Option<Sighting> {
    Some(Sighting {
        channel: Channel::from_word(text(item, CHANNEL)?),
        status: Status::from_word(text(item, STATUS)?).ok()?,
        at: number_at(item, EVENT_TIME)?,
    })
}
