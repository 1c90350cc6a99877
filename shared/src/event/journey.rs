//! Journeys: groups of one person's messages that belong together, and their result. Computed from events
//! like a [`state`] and never stored. The order and duplicates of the events do not matter.
//!
//! A message continues another one (mostly SMS after RCS) if it used another channel and has the same API
//! request or the same callback data. Both are within [`LINK_WINDOW_MS`].

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Channel, EpochMillis, Status,
    state::{self, Leg, StatusUpdate},
};

/// The longest time between a message's own events and a continuation of it, in milliseconds.
pub const LINK_WINDOW_MS: i64 = 72 * 3_600_000;
/// The most characters of a [`MessageLeg::reason`].
pub const MAX_REASON_CHARS: usize = 300;

/// The part of an event that a journey needs.
#[derive(Debug, Clone)]
pub struct Step<'e> {
    /// The event's message.
    pub message_id: &'e str,
    /// The channel, status and time.
    pub update: StatusUpdate,
    /// The id of the API request that sent the message.
    pub request_id: Option<&'e str>,
    /// The sender's callback data.
    pub callback_data: Option<&'e str>,
    /// The message that this one answers.
    pub in_reply_to: Option<&'e str>,
    /// The reason of a failure, or the carrier's text.
    pub remarks: Option<&'e str>,
    /// The format of the record.
    pub format: Option<&'e str>,
}

impl Step<'_> {
    /// Whether a person sent it (a message or a tap), rather than receiving it.
    pub fn is_incoming(&self) -> bool {
        match self.update.status {
            Status::Received => true,
            Status::Clicked => {
                self.in_reply_to.is_some() || self.format.is_some_and(|format| format.contains("incoming"))
            }
            _ => false,
        }
    }

    /// The channel that carried the message; `None` for a tap. Netcore reports a tap on a fallback SMS under the id of
    /// the RCS message, so the channel of a tap can be another one.
    fn carried_by(&self) -> Option<&Channel> {
        (self.update.status != Status::Clicked).then_some(&self.update.channel)
    }

    /// The references that related messages share.
    fn references(&self) -> impl Iterator<Item = (bool, &str)> {
        let pairs = [(true, self.request_id), (false, self.callback_data)];
        pairs
            .into_iter()
            .filter_map(|(is_request, text)| Some((is_request, text.filter(|text| !text.is_empty())?)))
    }
}

/// One message on one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageLeg {
    /// The message id.
    pub message_id: String,
    /// Its state on the channel.
    pub leg: Leg,
    /// The reason of a failure in the provider's words; `None` for other states. At most [`MAX_REASON_CHARS`]
    /// characters.
    pub reason: Option<String>,
    /// When the message was sent, in epoch milliseconds.
    pub sent_at: Option<EpochMillis>,
    /// Whether the person tapped something in the message.
    pub clicked: bool,
    /// Whether it is a message or tap by the person.
    pub incoming: bool,
}

/// Messages that belong together, and the answers to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journey {
    /// Ordered by their start. At the same instant, the fallback is last.
    pub legs: Vec<MessageLeg>,
    /// The indices of its steps, ascending.
    pub steps: Vec<usize>,
}

/// Whether the event `other` belongs to a message that continues the message with the events `own`.
pub fn continues(own: &[Step<'_>], other: &Step<'_>) -> bool {
    let same_channel =
        |step: &Step<'_>| step.carried_by().is_some() && step.carried_by() == other.carried_by();
    !own.iter().any(same_channel) && share_a_reference(own, other)
}

/// Whether the event `other` has the API request or the callback data of one of the events `own`.
pub fn share_a_reference(own: &[Step<'_>], other: &Step<'_>) -> bool {
    let shares = |reference: (bool, &str)| {
        own.iter()
            .any(|step| step.references().any(|own| own == reference))
    };
    other.references().any(shares)
}

/// The legs of some messages, ordered by their start. At the same instant, the fallback is last.
pub fn legs(steps: &[&Step<'_>]) -> Vec<MessageLeg> {
    let mut messages: BTreeMap<&str, Vec<&Step<'_>>> = BTreeMap::new();
    for step in steps {
        messages.entry(step.message_id).or_default().push(step);
    }
    let mut legs: Vec<MessageLeg> = messages
        .into_iter()
        .flat_map(|(id, steps)| of_message(id, &steps))
        .collect();
    legs.sort_by_key(|leg| (leg.leg.began, leg.leg.channel.as_str() == Channel::SMS));
    legs
}

/// The leg that gives the final result: of the delivered legs the one that got furthest, otherwise the last
/// one that was tried.
pub fn outcome(legs: &[MessageLeg]) -> Option<&MessageLeg> {
    state::speaks(legs, |leg| &leg.leg)
}

/// Groups the events of one person into journeys. Journeys have the order of their first steps.
///
/// An answer belongs to the journey of the message that it answers, if that message is among the steps. A
/// message that could continue several others continues the one that began last.
pub fn journeys(steps: &[Step<'_>]) -> Vec<Journey> {
    let mut messages: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (position, step) in steps.iter().enumerate() {
        messages.entry(step.message_id).or_default().push(position);
    }
    let answered = answered(steps, &messages);
    let mut groups: Vec<MessageGroup<'_>> = messages
        .iter()
        .filter(|(id, _)| !answered.contains_key(*id))
        .map(|(id, positions)| MessageGroup::new(id, positions.iter().filter_map(|at| steps.get(*at))))
        .collect();
    groups.sort_by_key(|group| (group.first, group.is_fallback(), group.ids.first().copied()));
    let mut grouped: Vec<MessageGroup<'_>> = Vec::new();
    for group in groups {
        let continued = grouped.iter_mut().filter(|before| before.is_continued_by(&group));
        match continued.max_by_key(|before| before.began_last) {
            Some(before) => before.add(group),
            None => grouped.push(group),
        }
    }
    let mut journeys: Vec<Journey> = grouped
        .into_iter()
        .map(|group| journey(steps, &messages, &answered, &group.ids))
        .collect();
    journeys.sort_by_key(|journey| journey.steps.first().copied());
    journeys
}

/// Maps each answer among the messages to the first message of its chain of answers.
fn answered<'s>(
    steps: &'s [Step<'_>],
    messages: &BTreeMap<&'s str, Vec<usize>>,
) -> BTreeMap<&'s str, &'s str> {
    let mut direct: BTreeMap<&str, &str> = BTreeMap::new();
    for step in steps {
        let known = step.in_reply_to.and_then(|to| messages.get_key_value(to));
        if let Some((to, _)) = known
            && *to != step.message_id
        {
            let kept = direct.entry(step.message_id).or_insert(to);
            *kept = (*kept).min(to);
        }
    }
    let root = |id: &&'s str| {
        let mut at: &'s str = id;
        let mut seen = BTreeSet::new();
        while let Some(to) = direct.get(at) {
            // A cycle of answers has no first message: each message stands alone.
            if !seen.insert(at) {
                return None;
            }
            at = to;
        }
        Some(at)
    };
    let pairs = direct.keys().filter_map(|id| Some((*id, root(id)?)));
    pairs.collect()
}

fn journey(
    steps: &[Step<'_>],
    messages: &BTreeMap<&str, Vec<usize>>,
    answered: &BTreeMap<&str, &str>,
    ids: &[&str],
) -> Journey {
    let positions = |id: &&str| messages.get(id).cloned().unwrap_or_default();
    let own: Vec<usize> = ids.iter().flat_map(positions).collect();
    let answers = answered.iter().filter(|(_, to)| ids.contains(to));
    let mut all: Vec<usize> = answers
        .flat_map(|(id, _)| positions(id))
        .chain(own.iter().copied())
        .collect();
    all.sort_unstable();
    let own: Vec<&Step<'_>> = own.into_iter().filter_map(|at| steps.get(at)).collect();
    Journey {
        legs: legs(&own),
        steps: all,
    }
}

/// Messages that belong together, and the references that a further message must share.
struct MessageGroup<'e> {
    ids: Vec<&'e str>,
    channels: BTreeSet<&'e Channel>,
    references: BTreeSet<(bool, &'e str)>,
    first: EpochMillis,
    last: EpochMillis,
    /// When the latest message began.
    began_last: EpochMillis,
}

impl<'e> MessageGroup<'e> {
    fn new(id: &'e str, steps: impl Iterator<Item = &'e Step<'e>>) -> Self {
        let mut group = Self {
            ids: vec![id],
            channels: BTreeSet::new(),
            references: BTreeSet::new(),
            first: EpochMillis::MAX,
            last: EpochMillis::MIN,
            began_last: EpochMillis::MAX,
        };
        for step in steps {
            group.channels.extend(step.carried_by());
            group.references.extend(step.references());
            group.first = group.first.min(step.update.at);
            group.last = group.last.max(step.update.at);
        }
        group.began_last = group.first;
        group
    }

    fn is_fallback(&self) -> bool {
        !self.channels.is_empty()
            && self
                .channels
                .iter()
                .all(|channel| channel.as_str() == Channel::SMS)
    }

    fn is_continued_by(&self, other: &Self) -> bool {
        self.channels.is_disjoint(&other.channels)
            && !self.references.is_disjoint(&other.references)
            && other.first <= self.last.saturating_add(LINK_WINDOW_MS)
    }

    fn add(&mut self, other: Self) {
        self.ids.extend(other.ids);
        self.channels.extend(other.channels);
        self.references.extend(other.references);
        self.last = self.last.max(other.last);
        self.began_last = self.began_last.max(other.first);
    }
}

fn of_message(id: &str, steps: &[&Step<'_>]) -> Vec<MessageLeg> {
    let updates: Vec<StatusUpdate> = steps.iter().map(|step| step.update.clone()).collect();
    let legs = state::legs(&updates).into_iter();
    legs.map(|leg| {
        let own = || steps.iter().filter(|step| step.update.channel == leg.channel);
        let at = |status: Status| {
            own()
                .filter(move |step| step.update.status == status)
                .map(|s| s.update.at)
        };
        MessageLeg {
            message_id: id.to_owned(),
            reason: state::is_failure(&leg.state)
                .then(|| reason(own().copied()))
                .flatten(),
            sent_at: at(Status::Sent).min(),
            clicked: at(Status::Clicked).next().is_some(),
            incoming: own().all(|step| step.is_incoming()),
            leg: leg.clone(),
        }
    })
    .collect()
}

/// The remarks of the last failure that has remarks.
fn reason<'e>(steps: impl Iterator<Item = &'e Step<'e>>) -> Option<String> {
    let failures = steps.filter(|step| state::is_failure(step.update.status.as_str()));
    let said =
        failures.filter_map(|step| Some((step.update.at, step.remarks.filter(|text| !text.is_empty())?)));
    said.max()
        .map(|(_, text)| text.chars().take(MAX_REASON_CHARS).collect())
}

#[cfg(test)]
mod tests;
