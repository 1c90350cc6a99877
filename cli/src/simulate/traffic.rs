//! Groups the events into bodies: out of order, some events twice, and some bodies broken.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    chance::Chance,
    happening::{Form, Happening},
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
    /// 400: no record is readable.
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
pub(super) struct Manner {
    pub(super) batch: usize,
    pub(super) window: usize,
    pub(super) duplicates: f64,
    pub(super) malformed: f64,
}

/// All requests in the order of sending. `happenings` are sorted by time.
pub(super) fn posts(happenings: &[Happening], manner: &Manner, chance: &mut Chance) -> Vec<Post> {
    let order = order(happenings.len(), manner, chance);
    let mut posts = Vec::new();
    let mut collected: BTreeMap<(&str, Form), Vec<&Value>> = BTreeMap::new();
    for happening in order.into_iter().filter_map(|place| happenings.get(place)) {
        let form = happening.form;
        let full = if form.takes_batches() {
            manner.batch.max(1)
        } else {
            1
        };
        let records = collected.entry((happening.function, form)).or_default();
        records.push(&happening.record);
        if records.len() >= full {
            posts.push(good(happening.function, form, &std::mem::take(records)));
        }
    }
    for ((function, form), records) in collected {
        if !records.is_empty() {
            posts.push(good(function, form, &records));
        }
    }
    add_broken(&mut posts, happenings, manner.malformed, chance);
    posts
}

/// Indexes of the events in order of arrival: each is delayed by up to a window, and some are repeated.
fn order(count: usize, manner: &Manner, chance: &mut Chance) -> Vec<usize> {
    let mut arrivals = Vec::with_capacity(count + count / 10);
    for place in 0..count {
        let first = place + chance.place(manner.window);
        arrivals.push((first, place));
        if chance.is(manner.duplicates) {
            let later = chance.place(REPEATED_WITHIN * manner.window.max(2));
            arrivals.push((first + later, place));
        }
    }
    // A stable sort: without a window, the events stay sorted by time.
    arrivals.sort_by_key(|(arrival, _)| *arrival);
    arrivals.into_iter().map(|(_, place)| place).collect()
}

fn good(function: &'static str, form: Form, records: &[&Value]) -> Post {
    Post {
        function,
        body: form.body(records),
        records: records.len(),
        expected: Expected::Accepted { broken: 0 },
    }
}

/// Inserts broken bodies at random positions; `share` is relative to the valid ones.
fn add_broken(posts: &mut Vec<Post>, happenings: &[Happening], share: f64, chance: &mut Chance) {
    let wanted = (0..posts.len()).filter(|_| chance.is(share)).count();
    // At least one, so that a small simulation also has one.
    let wanted = if share > 0.0 { wanted.max(1) } else { wanted };
    for _ in 0..wanted {
        let Some(like) = happenings.get(chance.place(happenings.len())) else {
            return;
        };
        let broken = broken(like, chance);
        let place = chance.place(posts.len() + 1);
        posts.insert(place, broken);
    }
}

fn broken(like: &Happening, chance: &mut Chance) -> Post {
    let (function, form) = (like.function, like.form);
    let rejected = |body: Vec<u8>| Post {
        function,
        body,
        records: 0,
        expected: Expected::Rejected,
    };
    match chance.weighed(&[(1, 0), (1, 1), (2, 2)]) {
        // A truncated body.
        0 => {
            let mut body = form.body(&[&like.record]);
            body.truncate(body.len() * 2 / 3);
            rejected(body)
        }
        // A foreign body at the wrong address.
        1 => rejected(json!({"event": "ping", "at": like.at}).to_string().into_bytes()),
        // A record without an id, next to a valid record that is also sent in another body.
        _ if form.takes_batches() => {
            let nameless = json!({"note": "a record that is no event", "at": like.at});
            Post {
                function,
                body: form.body(&[&like.record, &nameless]),
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

    fn manner(window: usize, duplicates: f64) -> Manner {
        Manner {
            batch: 10,
            window,
            duplicates,
            malformed: 0.0,
        }
    }

    #[test]
    fn without_a_window_time_is_the_order() {
        let order = order(500, &manner(0, 0.0), &mut Chance::new(1, 0));
        assert_eq!(order, (0..500).collect::<Vec<_>>());
    }

    #[test]
    fn every_event_comes_and_only_repeated_ones_twice() {
        let order = order(2_000, &manner(50, 0.1), &mut Chance::new(1, 0));
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
