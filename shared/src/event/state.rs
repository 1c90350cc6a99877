//! A message's present state, folded from its events: never stored, so never wrong.
//!
//! The fold is a pure function of the *set* of events: order and duplicates do not matter.

use crate::event::{Channel, EpochMillis, Status};

/// What the fold needs to know of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// What carried the message.
    pub channel: Channel,
    /// What happened.
    pub status: Status,
    /// When, in epoch milliseconds (arrival where the record gave no time).
    pub at: EpochMillis,
}

/// The state of one message on one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// What carried the message.
    pub channel: Channel,
    /// The state, as the word of a status: a click proves a read and so gives `read`.
    pub state: String,
    /// When that state was reached, in epoch milliseconds.
    pub at: EpochMillis,
    /// When the first event of this leg happened, in epoch milliseconds.
    pub began: EpochMillis,
}

/// How far a status proves that a message came; failure is overruled by proof of delivery only.
fn rank(status: &Status) -> u8 {
    match status {
        Status::Other(_) => 0,
        Status::Received => 1,
        Status::Sent => 2,
        Status::NotSent => 3,
        Status::Blocked => 4,
        Status::Failed => 5,
        Status::Delivered => 6,
        Status::Read | Status::Clicked => 7,
    }
}

/// In which order events of one instant are told.
pub fn order(status: &Status) -> u8 {
    match status {
        Status::Sent => 0,
        Status::NotSent | Status::Blocked => 1,
        Status::Failed => 2,
        Status::Delivered => 3,
        Status::Read => 4,
        Status::Clicked => 5,
        Status::Received => 6,
        Status::Other(_) => 7,
    }
}

/// One leg per channel, in the order in which they began; within one instant, fallback last.
pub fn legs(sightings: &[Sighting]) -> Vec<Leg> {
    let mut channels: Vec<&Channel> = sightings.iter().map(|s| &s.channel).collect();
    channels.sort();
    channels.dedup();
    let mut legs: Vec<Leg> = channels
        .into_iter()
        .filter_map(|channel| fold(sightings.iter().filter(|s| &s.channel == channel)))
        .collect();
    legs.sort_by_key(|leg| (leg.began, leg.channel.as_str() == Channel::SMS));
    legs
}

/// The leg that speaks for the whole message: the one that got furthest if any was delivered,
/// else the one tried last.
pub fn present(legs: &[Leg]) -> Option<&Leg> {
    speaks(legs, |leg| leg)
}

/// The same of whatever has a leg, in the order in which they began.
pub(super) fn speaks<L>(legs: &[L], leg_of: impl Fn(&L) -> &Leg) -> Option<&L> {
    let delivered = |of: &&L| matches!(leg_of(of).state.as_str(), "delivered" | "read");
    legs.iter()
        .filter(delivered)
        .max_by_key(|of| (leg_of(of).state == "read", leg_of(of).began))
        .or_else(|| legs.last())
}

/// Whether the word of a state or status says that a message did not arrive.
pub fn is_failure(word: &str) -> bool {
    matches!(word, "failed" | "not_sent" | "blocked")
}

fn fold<'a>(sightings: impl Iterator<Item = &'a Sighting> + Clone) -> Option<Leg> {
    let top = sightings.clone().map(|s| rank(&s.status)).max()?;
    let began = sightings.clone().map(|s| s.at).min()?;
    let best = sightings.filter(|s| rank(&s.status) == top);
    // An unlisted word says nothing of progress: the latest speaks. A listed one was reached first
    // at its earliest sighting. Ties are broken by the word, so that order cannot matter.
    let reached = if top == 0 {
        best.max_by_key(|s| (s.at, s.status.as_str()))?
    } else {
        // `read` and `clicked` share a rank: the direct one speaks before the implied one.
        best.min_by_key(|s| (s.at, s.status == Status::Clicked))?
    };
    let state = match reached.status {
        Status::Clicked => Status::Read.as_str(),
        ref status => status.as_str(),
    };
    Some(Leg {
        channel: reached.channel.clone(),
        state: state.to_owned(),
        at: reached.at,
        began,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seen(channel: &str, word: &str, at: EpochMillis) -> Sighting {
        Sighting {
            channel: Channel::from_word(channel),
            status: Status::from_word(word).unwrap(),
            at,
        }
    }

    fn state(sightings: &[Sighting]) -> String {
        let legs = legs(sightings);
        let leg = present(&legs).unwrap();
        format!("{} {} {}", leg.channel.as_str(), leg.state, leg.at)
    }

    #[test]
    fn the_furthest_proof_wins() {
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
    fn a_fallback_speaks_for_the_message_unless_rcs_was_delivered_after_all() {
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
    fn one_second_for_everything_still_has_an_order() {
        // Netcore's own samples: Sent, Delivered and Failed of one SMS carry one id and one second.
        let all = [
            seen("SMS", "failed", 7),
            seen("SMS", "sent", 7),
            seen("SMS", "delivered", 7),
        ];
        assert_eq!(state(&all), "SMS delivered 7");
    }

    fn any_sighting() -> impl Strategy<Value = Sighting> {
        let words = [
            "sent",
            "not_sent",
            "delivered",
            "read",
            "clicked",
            "failed",
            "blocked",
            "received",
            "odd",
            "odder",
        ];
        (0..3_usize, 0..words.len(), 0..5_i64)
            .prop_map(move |(channel, word, at)| seen(["RCS", "SMS", "WHATSAPP"][channel], words[word], at))
    }

    proptest! {
        #[test]
        fn order_and_duplicates_do_not_matter(
            events in prop::collection::vec(any_sighting(), 1..12),
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
