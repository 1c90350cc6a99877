//! The counters against a plain recount of the events: whatever is delivered again, split, shuffled,
//! at once or through faults, every event is counted once.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected is to fail"
)]

mod deliveries;
mod rebuild;
mod uncountable;

use std::collections::{BTreeMap, BTreeSet};

use integration_tests::{
    binary::Function,
    fixtures::{body, events, post, receiver_names},
    samples::samples,
    scene::Scene,
};
use serde_json::{Value, json};
use webhook_ingest::events_table::item;

/// `series` without its generation, day or hour, counter → count.
type Counts = BTreeMap<(String, String, String), u64>;

/// A counter's name as docs/query.md describes it.
fn named(kind: &str, parts: &[&str]) -> String {
    let escaped = parts.iter().map(|part| {
        let bytes = part.bytes().map(|byte| match byte {
            b'%' | b'#' | b'|' | b'&' | b'=' | 0..=31 | 127.. => format!("%{byte:02X}"),
            byte => char::from(byte).to_string(),
        });
        bytes.collect::<String>()
    });
    std::iter::once(kind.to_owned())
        .chain(escaped)
        .collect::<Vec<_>>()
        .join("|")
}

/// Fails with what differs, and nothing else.
fn assert_same(counted: &Counts, expected: &Counts) {
    let without = |one: &Counts, other: &Counts| -> Counts {
        let differs = one.iter().filter(|(key, count)| other.get(*key) != Some(count));
        differs.map(|(key, count)| (key.clone(), *count)).collect()
    };
    assert_eq!(without(counted, expected), without(expected, counted));
}

/// An event's first so many different tags count.
const TAGS_OF_AN_EVENT: usize = 20;
/// So many characters of a failure's reason count.
const LONGEST_REASON: usize = 160;

/// A text as the counters may hold it: of seven digits or more in a row, spaces and hyphens between them
/// included, only the last three are left.
fn masked(text: &str) -> String {
    let mut characters: Vec<char> = text.trim().chars().collect();
    let mut row: Vec<usize> = Vec::new();
    for place in 0..=characters.len() {
        match characters.get(place) {
            Some(digit) if digit.is_ascii_digit() => row.push(place),
            Some(' ' | '-') if !row.is_empty() => {}
            _ => {
                if row.len() >= 7 {
                    for digit in &row[..row.len() - 3] {
                        characters[*digit] = '*';
                    }
                }
                row.clear();
            }
        }
    }
    characters.into_iter().collect()
}

/// `2024-01-10` and `2024-01-10T08` of a time in seconds.
fn day_and_hour(second: i64) -> (String, String) {
    let (mut year, mut days) = (1970, second / 86_400);
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    while days >= 365 + i64::from(is_leap(year)) {
        days -= 365 + i64::from(is_leap(year));
        year += 1;
    }
    let lengths = [
        31,
        28 + i64::from(is_leap(year)),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    let day = format!("{year}-{:02}-{:02}", month + 1, days + 1);
    let hour = format!("{day}T{:02}", second / 3600 % 24);
    (day, hour)
}

/// Counts again from the events' items, one at a time and without any code of the counters.
async fn recount(scene: &Scene) -> Counts {
    let mut counts = Counts::new();
    for event in scene.ledger.items().await {
        let event = Value::Object(item::to_json(&event));
        let text = |name: &str| masked(event[name].as_str().unwrap_or_default());
        let (channel, status) = (text("channel"), text("status"));
        let (day, hour) = day_and_hour(event["event_time"].as_i64().unwrap() / 1000);
        let mut series = vec!["all".to_owned()];
        let tags: BTreeSet<String> = event["tags"].as_array().map_or(BTreeSet::new(), |tags| {
            tags.iter()
                .filter_map(Value::as_str)
                .map(masked)
                .filter(|tag| !tag.is_empty())
                .collect()
        });
        let tags: Vec<String> = tags.into_iter().take(TAGS_OF_AN_EVENT).collect();
        series.extend(tags.iter().map(|tag| format!("tag={tag}")));
        let bot = text("bot_id");
        if !bot.is_empty() {
            series.push(format!("bot={bot}"));
            series.extend(tags.iter().map(|tag| format!("bot={bot}&tag={tag}")));
        }
        let of_status = named("s", &[&channel, &status]);
        let mut of_day = vec![of_status.clone()];
        if !text("message_type").is_empty() {
            of_day.push(named("t", &[&channel, &text("message_type")]));
        }
        if ["failed", "not_sent", "blocked"].contains(&status.as_str()) {
            let reason = match text("remarks") {
                none if none.is_empty() => "no reason given".to_owned(),
                remarks => remarks.chars().take(LONGEST_REASON).collect(),
            };
            of_day.push(named("f", &[&channel, &reason]));
        }
        if let Some(billable) = event["pricing"]["billable"].as_bool() {
            let category = masked(event["pricing"]["category"].as_str().unwrap());
            let billable = if billable { "1" } else { "0" };
            of_day.push(named("b", &[&channel, &category, billable, &status]));
        }
        for series in series {
            for counter in &of_day {
                *counts
                    .entry((series.clone(), format!("day#{day}"), counter.clone()))
                    .or_default() += 1;
            }
            *counts
                .entry((series, format!("hour#{hour}"), of_status.clone()))
                .or_default() += 1;
        }
    }
    counts
}

/// What a person's number looks like to a reader of the counters.
#[test]
fn the_recount_masks_numbers_and_dates_a_time() {
    assert_eq!(masked("+91 98123-45678 is off"), "+** *****-**678 is off");
    assert_eq!(masked("48213 and campaign-2024-01"), "48213 and campaign-2024-01");
    assert_eq!(
        day_and_hour(1_709_251_199),
        ("2024-02-29".to_owned(), "2024-02-29T23".to_owned())
    );
}

/// What the counters' table holds for a generation, all slots added up.
async fn counted(scene: &Scene, generation: &str) -> Counts {
    let mut counts = Counts::new();
    for row in scene.ledger.rollups().await {
        let row = item::to_json(&row);
        let Some((of, series)) = row["series"].as_str().unwrap().split_once('#') else {
            continue;
        };
        let period = row["period"].as_str().unwrap();
        let moment: Vec<&str> = period.split('#').take(2).collect();
        for (name, count) in &row {
            let is_counter = ["s|", "f|", "b|", "t|"].iter().any(|kind| name.starts_with(kind));
            // A test breaks one by writing a text into it.
            if let Some(count) = count.as_u64().filter(|_| of == generation && is_counter) {
                let key = (series.to_owned(), moment.join("#"), name.clone());
                *counts.entry(key).or_default() += count;
            }
        }
    }
    counts
}

/// Every sample of every receiver and some hundred more events, stored by the real binaries.
async fn store(scene: &Scene) {
    for function in receiver_names() {
        // Nothing goes to the queue because a busy machine was slow.
        let receiver = scene.function(function, &[("ACK_BUDGET_MS", "60000")]).await;
        for sample in samples(function) {
            let answer = receiver.request(&post(&sample.body)).await;
            assert_eq!(answer.status, 200, "{}: {}", sample.name, answer.body);
        }
        if function == "event-webhook" {
            assert_eq!(receiver.request(&post(&body(&more()))).await.status, 200);
        }
    }
}

/// Three hundred events over two days. Some name a person where the counters must not, and one has more
/// tags than count.
fn more() -> Vec<Value> {
    let mut more = events(0, 300);
    for (place, event) in more.iter_mut().enumerate() {
        event["nc_bot_id"] = json!((place % 3).to_string());
        event["event_time"] = json!(1_704_876_833 + place * 600);
    }
    more[4]["tags"] = (0..25).rev().map(|tag| json!(format!("tag-{tag:02}"))).collect();
    more[7]["remarks"] = json!("+91 98123 45678 is switched off");
    more[11]["remarks"] = json!("The operator gives a reason that does not end. ".repeat(6));
    more[13]["tags"] = json!(["vip 919812345678", "vip 919800005678", " ", "12"]);
    more[17]["type"] = json!("919812345678");
    more[19]["nc_bot_id"] = json!("919812345678");
    more
}

async fn deliver(projector: &Function, records: &[Value]) -> Vec<Value> {
    let reply = projector.invoke(&json!({ "Records": records })).await;
    reply.payload["batchItemFailures"].as_array().unwrap().clone()
}

/// The same disorder in every run.
fn shuffled<T>(mut list: Vec<T>) -> Vec<T> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for place in (1..list.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        list.swap(place, usize::try_from(state % (place as u64 + 1)).unwrap());
    }
    list
}
