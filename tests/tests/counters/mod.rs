//! The counters, compared with an independent recount of the events. Repeated, split, shuffled, concurrent or
//! failed deliveries count every event once.

mod deliveries;
mod merge;
mod rebuild;
mod restore;
mod uncountable;

use std::collections::{BTreeMap, BTreeSet};

use integration_tests::{
    fixtures::{LONG_BUDGET, body, events, receiver_names},
    function::Function,
    samples::samples,
    stack::Stack,
};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};
use webhook_ingest::events_table::item;

/// Series without its generation, day or hour, and counter → count.
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

/// Fails and shows only the differences.
fn assert_same(counted: &Counts, expected: &Counts) {
    let without = |one: &Counts, other: &Counts| -> Counts {
        let differs = one.iter().filter(|(key, count)| other.get(*key) != Some(count));
        differs.map(|(key, count)| (key.clone(), *count)).collect()
    };
    assert_eq!(without(counted, expected), without(expected, counted));
}

/// Most distinct tags of one event that are counted.
const TAGS_OF_AN_EVENT: usize = 15;
/// Most characters of a failure reason that are counted.
const LONGEST_REASON: usize = 160;

/// A text as the counters store it: of seven or more digits in a row, separated at most by spaces and
/// hyphens, only the last three remain, and nothing of an address.
fn masked(text: &str) -> String {
    let words = text.trim().split(' ');
    let without = |word| if str::contains(word, '@') { "***" } else { word };
    let text = words.map(without).collect::<Vec<_>>().join(" ");
    let mut characters: Vec<char> = text.chars().collect();
    let mut row: Vec<usize> = Vec::new();
    for index in 0..=characters.len() {
        match characters.get(index) {
            Some(digit) if digit.is_ascii_digit() => row.push(index),
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

/// Words for a status that some gateways write into the field of the type.
const STATUS_WORDS: [&str; 6] = ["delivered", "read", "click", "sent", "failed", "received"];

/// Countries of the samples' numbers, by calling code.
const COUNTRIES: [(&str, &str); 4] = [("91", "IN"), ("55", "BR"), ("49", "DE"), ("1", "US")];

/// Day and quarter of an hour of a time in seconds: `2024-01-10` and `2024-01-10T08:45`.
fn day_and_quarter(second: i64) -> (String, String) {
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
    let quarter = format!("{day}T{:02}:{:02}", second / 3600 % 24, second / 900 % 4 * 15);
    (day, quarter)
}

/// Recounts the stored events, one at a time and without code of the counters.
async fn recount(stack: &Stack) -> Counts {
    let mut counts = Counts::new();
    let events: Vec<Value> = stack
        .storage
        .items()
        .await
        .iter()
        .map(|event| Value::Object(item::to_json(event)))
        .collect();
    for event in &events {
        // A reply has the values of the message that it answers, where it has none.
        let answered = event["in_reply_to"].as_str().unwrap_or("none");
        let answered: Vec<&Value> = events
            .iter()
            .filter(|other| other["message_id"] == answered)
            .collect();
        let own_or_answered = |name: &str| {
            let mut all = [event].into_iter().chain(answered.iter().copied());
            let value = all.find_map(|event| event[name].as_str().filter(|text| !text.is_empty()));
            masked(value.unwrap_or_default())
        };
        let text = |name: &str| masked(event[name].as_str().unwrap_or_default());
        let (channel, mut status) = (text("channel"), text("status"));
        if status == "opened" && event.get("opened_by").is_some() {
            "opened_by_machine".clone_into(&mut status);
        }
        let (day, quarter) = day_and_quarter(event["event_time"].as_i64().unwrap() / 1000);
        let mut series = vec!["all".to_owned()];
        let tags: BTreeSet<String> = [event]
            .into_iter()
            .chain(answered.iter().copied())
            .filter_map(|event| event["tags"].as_array())
            .flatten()
            .filter_map(Value::as_str)
            .map(masked)
            .filter(|tag| !tag.is_empty())
            .collect();
        let tags: Vec<String> = tags.into_iter().take(TAGS_OF_AN_EVENT).collect();
        series.extend(tags.iter().map(|tag| format!("tag={tag}")));
        let bot = own_or_answered("bot_id");
        if !bot.is_empty() {
            series.push(format!("bot={bot}"));
            series.extend(tags.iter().map(|tag| format!("bot={bot}&tag={tag}")));
        }
        let campaign = own_or_answered("campaign");
        if !campaign.is_empty() {
            series.push(format!("campaign={campaign}"));
        }
        let metadata = event["click"]["metadata"].as_str().unwrap_or("null");
        let metadata: Value = serde_json::from_str(metadata).unwrap();
        if let Some(code) = metadata["templateCode"].as_str() {
            series.push(format!("template={code}"));
        }
        let people = [event].into_iter().chain(answered.iter().copied());
        let country = people
            .filter_map(|event| event["recipient"].as_str())
            .find_map(|person| COUNTRIES.iter().find(|(code, _)| person.starts_with(code)));
        if let Some((_, country)) = country {
            series.push(format!("country={country}"));
        }
        let mut counters = vec![named("s", &[&channel, &status])];
        let message_type = text("message_type").to_lowercase();
        if !message_type.is_empty() && !STATUS_WORDS.contains(&message_type.as_str()) {
            counters.push(named("t", &[&channel, &message_type]));
        }
        if [
            "failed", "not_sent", "blocked", "bounced", "dropped", "invalid", "expired", "revoked",
        ]
        .contains(&status.as_str())
        {
            let reason = match text("remarks") {
                none if none.is_empty() => "no reason given".to_owned(),
                remarks => remarks.chars().take(LONGEST_REASON).collect(),
            };
            counters.push(named("f", &[&channel, &reason]));
        }
        if let Some(billable) = event["pricing"]["billable"].as_bool() {
            let category = masked(event["pricing"]["category"].as_str().unwrap());
            let billable = if billable { "1" } else { "0" };
            counters.push(named("b", &[&channel, &category, billable, &status]));
        }
        for series in series {
            for counter in &counters {
                for period in [format!("day#{day}"), format!("hour#{quarter}")] {
                    *counts
                        .entry((series.clone(), period, counter.clone()))
                        .or_default() += 1;
                }
            }
        }
    }
    counts
}

/// The masking and the dates of the recount itself.
#[test]
fn the_recount_masks_numbers_and_formats_times() {
    assert_eq!(masked("+91 98123-45678 is off"), "+** *****-**678 is off");
    assert_eq!(masked("48213 and campaign-2024-01"), "48213 and campaign-2024-01");
    assert_eq!(masked("no mailbox anna@b.example"), "no mailbox ***");
    assert_eq!(
        day_and_quarter(1_709_251_199),
        ("2024-02-29".to_owned(), "2024-02-29T23:45".to_owned())
    );
}

/// The counters of a generation, summed over all slots, after the pending counts are merged.
async fn counted(stack: &Stack, generation: &str) -> Counts {
    merge(stack, generation).await;
    let mut counts = Counts::new();
    for row in stack.storage.rollup_items().await {
        let row = item::to_json(&row);
        let Some((of, series)) = row["series"].as_str().unwrap().split_once('#') else {
            continue;
        };
        let period = row["period"].as_str().unwrap();
        let moment: Vec<&str> = period.split('#').take(2).collect();
        for (name, count) in &row {
            let is_counter = ["s|", "f|", "b|", "t|"].iter().any(|kind| name.starts_with(kind));
            // One test writes a text into a counter.
            if let Some(count) = count.as_u64().filter(|_| of == generation && is_counter) {
                let key = (series.to_owned(), moment.join("#"), name.clone());
                *counts.entry(key).or_default() += count;
            }
        }
    }
    counts
}

async fn merge(stack: &Stack, generation: &str) {
    let until = Instant::now() + Duration::from_mins(1);
    stack.rollups().await.merge(generation, until).await.unwrap();
}

/// The record of an event that arrived at another time (epoch milliseconds).
fn arrived_at(record: &Value, at: i64) -> Value {
    let mut record = record.clone();
    record["dynamodb"]["NewImage"]["received_at"] = json!({"N": at.to_string()});
    record
}

/// Stores every sample of every receiver and 300 more events through the real binaries.
async fn store(stack: &Stack) {
    for function in receiver_names() {
        let receiver = stack.function(function, &[LONG_BUDGET]).await;
        for sample in samples(function) {
            let answer = receiver.post(&sample.body).await;
            assert_eq!(answer.status, 200, "{}: {}", sample.name, answer.body);
        }
        if function == "event-webhook" {
            assert_eq!(receiver.post(&body(&more())).await.status, 200);
        }
    }
}

/// 300 events over two days. Some contain phone numbers, which the counters must mask, and one has more tags
/// than are counted.
fn more() -> Vec<Value> {
    let mut more = events(0, 300);
    for (index, event) in more.iter_mut().enumerate() {
        event["nc_bot_id"] = json!((index % 3).to_string());
        event["event_time"] = json!(1_704_876_833 + index * 600);
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

/// The list in another order, the same in every run.
fn shuffled<T>(mut list: Vec<T>) -> Vec<T> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for index in (1..list.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        list.swap(index, usize::try_from(state % (index as u64 + 1)).unwrap());
    }
    list
}
