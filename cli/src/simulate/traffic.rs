//! Groups the events into bodies: out of order, some events twice, and some bodies broken.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    event::{PostFormat, SimulatedEvent},
    random::Random,
};

/// A repeated event follows within this many windows.
const REPEATED_WITHIN: usize = 3;

/// Expected response to a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// 200, with `broken` records dead-lettered.
    Accepted {
        /// Number of unreadable records.
        broken: usize,
    },
    /// No record is readable: 400, or the status of the function's sender.
    Rejected,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// The function that receives it.
    pub function: &'static str,
    /// The body.
    pub body: Vec<u8>,
    /// Number of records in the body.
    pub records: usize,
    /// Expected response.
    pub expected: Expected,
}

/// Options for grouping events into bodies.
pub(super) struct TrafficOptions {
    pub(super) batch: usize,
    pub(super) window: usize,
    pub(super) duplicates: f64,
    pub(super) malformed: f64,
}

/// All requests in the order of sending. `events` are sorted by time.
pub(super) fn posts(events: &[SimulatedEvent], options: &TrafficOptions, random: &mut Random) -> Vec<Post> {
    let order = order(events.len(), options, random);
    let mut posts = Vec::new();
    let mut collected: BTreeMap<(&str, PostFormat), Vec<&Value>> = BTreeMap::new();
    for event in order.into_iter().filter_map(|index| events.get(index)) {
        let format = event.format;
        let full = if format.takes_batches() {
            options.batch.max(1)
        } else {
            1
        };
        let records = collected.entry((event.function, format)).or_default();
        records.push(&event.record);
        if records.len() >= full {
            posts.push(good(event.function, format, &std::mem::take(records)));
        }
    }
    for ((function, format), records) in collected {
        if !records.is_empty() {
            posts.push(good(function, format, &records));
        }
    }
    add_broken(&mut posts, events, options.malformed, random);
    posts
}

/// Indexes of the events in order of arrival: each is delayed by up to a window, and some are repeated.
fn order(count: usize, options: &TrafficOptions, random: &mut Random) -> Vec<usize> {
    let mut arrivals = Vec::with_capacity(count + count / 10);
    for index in 0..count {
        let first = index + random.index(options.window);
        arrivals.push((first, index));
        if random.bool(options.duplicates) {
            let later = random.index(REPEATED_WITHIN * options.window.max(2));
            arrivals.push((first + later, index));
        }
    }
    // A stable sort: without a window, the events stay sorted by time.
    arrivals.sort_by_key(|(arrival, _)| *arrival);
    arrivals.into_iter().map(|(_, index)| index).collect()
}

fn good(function: &'static str, format: PostFormat, records: &[&Value]) -> Post {
    Post {
        function,
        body: format.body(records),
        records: records.len(),
        expected: Expected::Accepted { broken: 0 },
    }
}

/// Inserts broken bodies at random positions; `share` is relative to the valid ones.
fn add_broken(posts: &mut Vec<Post>, events: &[SimulatedEvent], share: f64, random: &mut Random) {
    let wanted = (0..posts.len()).filter(|_| random.bool(share)).count();
    // At least one, so that a small simulation also has one.
    let wanted = if share > 0.0 { wanted.max(1) } else { wanted };
    for _ in 0..wanted {
        let Some(like) = events.get(random.index(events.len())) else {
            return;
        };
        let broken = broken(like, random);
        let index = random.index(posts.len() + 1);
        posts.insert(index, broken);
    }
}

fn broken(like: &SimulatedEvent, random: &mut Random) -> Post {
    let (function, format) = (like.function, like.format);
    let rejected = |body: Vec<u8>| Post {
        function,
        body,
        records: 0,
        expected: Expected::Rejected,
    };
    match random.weighted(&[(1, 0), (1, 1), (2, 2)]) {
        // A truncated body.
        0 => {
            let mut body = format.body(&[&like.record]);
            body.truncate(body.len() * 2 / 3);
            rejected(body)
        }
        // A foreign body at the wrong address.
        1 => rejected(json!({"event": "ping", "at": like.at}).to_string().into_bytes()),
        // A record without an id, next to a valid record that is also sent in another body.
        _ if format.takes_batches() => {
            let nameless = json!({"note": "a record that is no event", "at": like.at});
            Post {
                function,
                body: format.body(&[&like.record, &nameless]),
                records: 2,
                expected: Expected::Accepted { broken: 1 },
            }
        }
        _ => rejected(b"null".to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(window: usize, duplicates: f64) -> TrafficOptions {
        TrafficOptions {
            batch: 10,
            window,
            duplicates,
            malformed: 0.0,
        }
    }

    #[test]
    fn without_a_window_events_are_in_order_of_time() {
        let order = order(500, &options(0, 0.0), &mut Random::new(1, 0));
        assert_eq!(order, (0..500).collect::<Vec<_>>());
    }

    #[test]
    fn every_event_is_sent_and_only_duplicates_twice() {
        let order = order(2_000, &options(50, 0.1), &mut Random::new(1, 0));
        let mut sorted = order.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted, (0..2_000).collect::<Vec<_>>());
        let repeated = order.len() - 2_000;
        assert!((140..=260).contains(&repeated), "{repeated}");
        let moved = order.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert!(moved > 500, "{moved}");
    }
}
