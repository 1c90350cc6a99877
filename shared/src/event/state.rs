//! A message's current state. It is computed from the message's events and never stored, so it cannot become
//! outdated.
//!
//! The result is a pure function of the *set* of events: order and duplicates do not matter.

use crate::event::{Channel, EpochMillis, Status};

/// The part of an event that the state needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusUpdate {
    /// The channel.
    pub channel: Channel,
    /// The status.
    pub status: Status,
    /// The time in epoch milliseconds (the arrival if the record has no time).
    pub at: EpochMillis,
}

/// The state of one message on one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// The channel.
    pub channel: Channel,
    /// The state, as a status word. A click or an open proves a read, so the state after it is `read`; after
    /// `unsubscribed` or `spam` it is `delivered`.
    pub state: String,
    /// When the leg reached this state, in epoch milliseconds.
    pub at: EpochMillis,
    /// The time of the leg's first event, in epoch milliseconds.
    pub began: EpochMillis,
}

/// How far a status proves the progress of a message. Only proof of delivery overrules a failure: `expired` and
/// `revoked` race with the receipt of the device, and a mail server may return a copy of what it delivered.
fn rank(status: &Status) -> u8 {
    match status {
        Status::Other(_) => 0,
        Status::Received => 1,
        Status::Sent => 2,
        Status::NotSent => 3,
        Status::Blocked => 4,
        Status::Dropped => 5,
        Status::Invalid => 6,
        Status::Expired => 7,
        Status::Revoked => 8,
        Status::Failed => 9,
        Status::Bounced => 10,
        // A person can unsubscribe from or report only what arrived, and may do both without reading it.
        Status::Delivered | Status::Unsubscribed | Status::Spam | Status::Abuse => 11,
        Status::Read | Status::Opened | Status::Clicked => 12,
    }
}

/// Whether a status says how far a message to a person got: all listed ones except `received`.
pub fn is_progress(status: &Status) -> bool {
    rank(status) > rank(&Status::Received)
}

/// The state that a status of the highest rank proves, as a status word.
fn proven(status: &Status) -> &str {
    match status {
        Status::Opened | Status::Clicked => Status::Read.as_str(),
        Status::Unsubscribed | Status::Spam | Status::Abuse => Status::Delivered.as_str(),
        status => status.as_str(),
    }
}

/// What an event with this status proves if a machine opened the message (`opened_by`): only that it arrived.
#[must_use]
pub fn proved_by_machine(status: Status) -> Status {
    if status == Status::Opened {
        Status::Delivered
    } else {
        status
    }
}

/// The display order of events at the same instant.
pub fn order(status: &Status) -> u8 {
    match status {
        Status::Sent => 0,
        Status::NotSent | Status::Blocked | Status::Dropped | Status::Invalid => 1,
        Status::Failed | Status::Bounced | Status::Expired | Status::Revoked => 2,
        Status::Delivered => 3,
        Status::Read | Status::Opened => 4,
        Status::Clicked => 5,
        Status::Unsubscribed | Status::Spam | Status::Abuse => 6,
        Status::Received => 7,
        Status::Other(_) => 8,
    }
}

/// One leg per channel, ordered by their start. At the same instant, the fallback is last.
pub fn legs(updates: &[StatusUpdate]) -> Vec<Leg> {
    let mut channels: Vec<&Channel> = updates.iter().map(|s| &s.channel).collect();
    channels.sort();
    channels.dedup();
    let mut legs: Vec<Leg> = channels
        .into_iter()
        .filter_map(|channel| fold(updates.iter().filter(|s| &s.channel == channel)))
        .collect();
    legs.sort_by_key(|leg| (leg.began, leg.channel.as_str() == Channel::SMS));
    legs
}

/// The leg that gives the state of the whole message: of the delivered legs the one that got furthest,
/// otherwise the last one that was tried.
pub fn present(legs: &[Leg]) -> Option<&Leg> {
    speaks(legs, |leg| leg)
}

/// [`present`] for any list of values with legs, ordered by their start.
pub(super) fn speaks<L>(legs: &[L], leg_of: impl Fn(&L) -> &Leg) -> Option<&L> {
    let delivered = |of: &&L| matches!(leg_of(of).state.as_str(), "delivered" | "read");
    legs.iter()
        .filter(delivered)
        .max_by_key(|of| (leg_of(of).state == "read", leg_of(of).began))
        .or_else(|| legs.last())
}

/// Whether a state or status word means that a message did not arrive.
pub fn is_failure(word: &str) -> bool {
    matches!(
        word,
        "failed" | "not_sent" | "blocked" | "bounced" | "dropped" | "invalid" | "expired" | "revoked"
    )
}

fn fold<'a>(updates: impl Iterator<Item = &'a StatusUpdate> + Clone) -> Option<Leg> {
    let top = updates.clone().map(|s| rank(&s.status)).max()?;
    let began = updates.clone().map(|s| s.at).min()?;
    let best = updates.filter(|s| rank(&s.status) == top);
    // Unlisted words have no rank, so the latest one is the state. A listed status counts from its earliest
    // update. The word breaks ties, so that the order does not matter.
    let reached = if top == 0 {
        best.max_by_key(|s| (s.at, s.status.as_str()))?
    } else {
        // Statuses with the same rank prove the same state.
        best.min_by_key(|s| s.at)?
    };
    Some(Leg {
        channel: reached.channel.clone(),
        state: proven(&reached.status).to_owned(),
        at: reached.at,
        began,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seen(channel: &str, word: &str, at: EpochMillis) -> StatusUpdate {
        StatusUpdate {
            channel: Channel::from_word(channel),
            status: Status::from_word(word).unwrap(),
            at,
        }
    }

    fn state(updates: &[StatusUpdate]) -> String {
        let legs = legs(updates);
        let leg = present(&legs).unwrap();
        format!("{} {} {}", leg.channel.as_str(), leg.state, leg.at)
    }

    #[test]
    fn the_state_is_the_furthest_proven_status() {
        assert_eq!(state(&[seen("RCS", "sent", 5)]), "RCS sent 5");
        assert_eq!(
            state(&[seen("RCS", "delivered", 3), seen("RCS", "sent", 5)]),
            "RCS delivered 3"
        );
        assert_eq!(
            state(&[seen("RCS", "clicked", 9), seen("RCS", "sent", 5)]),
            "RCS read 9"
        );
        assert_eq!(
            state(&[seen("RCS", "failed", 4), seen("RCS", "sent", 5)]),
            "RCS failed 4"
        );
        assert_eq!(
            state(&[seen("RCS", "failed", 9), seen("RCS", "delivered", 5)]),
            "RCS delivered 5"
        );
        assert_eq!(state(&[seen("RCS", "not sent", 9)]), "RCS not_sent 9");
        assert_eq!(
            state(&[seen("RCS", "paused", 1), seen("RCS", "waiting", 2)]),
            "RCS waiting 2"
        );
    }

    #[test]
    fn only_proof_of_delivery_overrules_a_failure() {
        for failure in [
            "bounced", "dropped", "invalid", "expired", "revoked", "failed", "not_sent", "blocked",
        ] {
            assert!(is_failure(failure), "{failure}");
            let failed = [
                seen("EMAIL", "sent", 3),
                seen("EMAIL", failure, 5),
                seen("EMAIL", "deferred", 9),
            ];
            assert_eq!(state(&failed), format!("EMAIL {failure} 5"));
            for (proof, proven) in [
                ("delivered", "delivered"),
                ("unsubscribed", "delivered"),
                ("spam", "delivered"),
                ("abuse", "delivered"),
                ("opened", "read"),
                ("read", "read"),
                ("clicked", "read"),
            ] {
                assert!(!is_failure(proof), "{proof}");
                for at in [1, 8] {
                    let mut later = failed.to_vec();
                    later.push(seen("EMAIL", proof, at));
                    assert_eq!(state(&later), format!("EMAIL {proven} {at}"), "{failure} {proof}");
                }
            }
        }
    }

    #[test]
    fn an_open_by_a_machine_proves_only_that_the_message_arrived() {
        let mut opened = seen("EMAIL", "opened", 4);
        opened.status = proved_by_machine(opened.status);
        let mut all = vec![seen("EMAIL", "sent", 1), opened];
        assert_eq!(state(&all), "EMAIL delivered 4");
        all.push(seen("EMAIL", "opened", 6));
        assert_eq!(state(&all), "EMAIL read 6");
        assert_eq!(proved_by_machine(Status::Clicked), Status::Clicked);
    }

    #[test]
    fn a_fallback_gives_the_state_unless_rcs_was_delivered() {
        let failed = [
            seen("RCS", "sent", 1),
            seen("RCS", "failed", 2),
            seen("SMS", "sent", 3),
        ];
        assert_eq!(state(&failed), "SMS sent 3");
        let mut late = failed.to_vec();
        late.push(seen("RCS", "delivered", 4));
        assert_eq!(state(&late), "RCS delivered 4");
        late.push(seen("SMS", "delivered", 5));
        assert_eq!(state(&late), "SMS delivered 5");
        late.push(seen("RCS", "read", 6));
        assert_eq!(state(&late), "RCS read 6");
    }

    #[test]
    fn events_at_the_same_second_have_an_order() {
        // In Netcore's samples, Sent, Delivered and Failed of one SMS have the same id and second.
        let all = [
            seen("SMS", "failed", 7),
            seen("SMS", "sent", 7),
            seen("SMS", "delivered", 7),
        ];
        assert_eq!(state(&all), "SMS delivered 7");
    }

    fn any_update() -> impl Strategy<Value = StatusUpdate> {
        let words = [
            "sent",
            "not_sent",
            "delivered",
            "read",
            "clicked",
            "failed",
            "blocked",
            "received",
            "opened",
            "bounced",
            "dropped",
            "invalid",
            "expired",
            "revoked",
            "unsubscribed",
            "spam",
            "abuse",
            "odd",
            "odder",
        ];
        (0..3_usize, 0..words.len(), 0..5_i64)
            .prop_map(move |(channel, word, at)| seen(["RCS", "SMS", "EMAIL"][channel], words[word], at))
    }

    proptest! {
        #[test]
        fn the_state_does_not_depend_on_order_or_duplicates(
            events in prop::collection::vec(any_update(), 1..12),
            seed in any::<u64>(),
        ) {
            let mut shuffled: Vec<_> = events.iter().cycle().take(events.len() * 2).cloned().collect();
            let n = shuffled.len() as u64;
            for i in 0..shuffled.len() {
                let j = usize::try_from(seed.rotate_left(u32::try_from(i).unwrap()) % n).unwrap();
                shuffled.swap(i, j);
            }
            prop_assert_eq!(legs(&events), legs(&shuffled));
            prop_assert_eq!(state(&events), state(&shuffled));
        }
    }
}
