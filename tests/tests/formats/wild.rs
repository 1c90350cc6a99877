//! Bodies found in public documentation and code, which differ from the samples of the providers' main pages.
//! `tests/fixtures/wild/SOURCES.md` names the source of each. A file with `COMPOSED` in its name was put together from
//! documented names.
//!
//! One table for each folder of `tests/fixtures/wild`, checked by [`check`].

use std::{collections::BTreeMap, path::Path};

use integration_tests::{fixtures::percent_encoded, server::Server, storage::rebuilt};
use serde_json::Value;
use webhook_ingest::events_table::item::{self, Item};

use super::record_in;

/// The events of a folder's files, one line each, blanks between the words: function, file, message id, status,
/// recipient, channel, event time in milliseconds. `-` stands for a recipient or time that the record does not
/// have. A file with several records has several lines.
///
/// Each file is posted to its function. Its events must be stored with these values, be found by message and by
/// person, and give the provider's records; `records` takes them out of the body. The same body again must be
/// duplicates only.
pub(crate) async fn check(folder: &str, table: &str, aside: &[&str], records: fn(&Value) -> Vec<Value>) {
    let server = Server::start().await;
    let mut files: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for line in table.trim().lines() {
        let mut words = line.split_whitespace();
        let (function, file) = (words.next().unwrap(), words.next().unwrap());
        files.entry((function, file)).or_default().push(line);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/wild")
        .join(folder);
    for entry in std::fs::read_dir(&root).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_listed = aside.contains(&name.as_str()) || files.keys().any(|(_, file)| *file == name);
        assert!(is_listed, "{folder}/{name} is in no table");
    }
    for ((function, file), lines) in files {
        let body = std::fs::read(root.join(file)).unwrap();
        let expected = records(&serde_json::from_slice(&body).unwrap());
        assert_eq!(expected.len(), lines.len(), "{file}: its records and its lines");
        let answer = server.post(function, body.clone()).await;
        assert_eq!(
            answer.counts(),
            [lines.len(), lines.len(), 0, 0, 0],
            "{file}: {}",
            answer.body
        );
        let mut actual = Vec::new();
        let mut given: Vec<Value> = Vec::new();
        for stored in server.storage().items().await {
            actual.push(line(function, file, &stored));
            given.push(Value::Object(rebuilt(&stored)));
            found(&server, file, &stored).await;
        }
        let mut wanted: Vec<String> = lines.iter().map(|line| one_blank(line)).collect();
        actual.sort();
        wanted.sort();
        assert_eq!(actual, wanted);
        for record in expected {
            let at = given.iter().position(|given| *given == record);
            let at = at.unwrap_or_else(|| panic!("{file}: not rebuilt: {record}\nbut: {given:?}"));
            given.swap_remove(at);
        }
        let again = server.post(function, body).await;
        assert_eq!(
            again.counts(),
            [lines.len(), 0, lines.len(), 0, 0],
            "{file} again: {}",
            again.body
        );
        server.storage().clear().await;
    }
}

fn one_blank(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The line of a stored event.
fn line(function: &str, file: &str, stored: &Item) -> String {
    let text = |name: &str| {
        stored
            .get(name)
            .map_or("-", |value| value.as_s().unwrap())
            .to_owned()
    };
    // An event without a time is stored under its arrival.
    let time = match item::number_at(stored, item::EVENT_TIME) {
        Some(time) if !stored.contains_key(item::UNDATED) => time.to_string(),
        _ => "-".to_owned(),
    };
    [
        function.to_owned(),
        file.to_owned(),
        text(item::MESSAGE_ID),
        text("status"),
        text("recipient"),
        text("channel"),
        time,
    ]
    .join(" ")
}

/// Whether the dashboard's API finds an event by its message and by its person.
async fn found(server: &Server, file: &str, stored: &Item) {
    let text = |name: &str| stored.get(name).map(|value| value.as_s().unwrap().as_str());
    let (id, status) = (text(item::MESSAGE_ID).unwrap(), text("status").unwrap());
    let is_here = |answer: &Value| {
        let events = answer["events"].as_array().unwrap();
        events.iter().any(|event| event["status"] == status)
    };
    let message = server
        .json(&format!("/api/messages/{}", percent_encoded(id)))
        .await;
    assert!(is_here(&message), "{file}: not found by message: {message}");
    if let Some(person) = text("recipient") {
        let answer = server
            .json(&format!("/api/recipients/{}", percent_encoded(person)))
            .await;
        assert!(is_here(&answer), "{file}: not found by person: {answer}");
    }
}

/// The records of a list, of a documented envelope with one record, or of a body that is one record.
pub(crate) fn plain(body: &Value) -> Vec<Value> {
    match body {
        Value::Array(records) => records.clone(),
        one => vec![record_in(one)],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn netcores_newer_rcs_page() {
    let table = "
event-webhook sent-nc_bot_id.json      api-337-919999999999-3c9094b5cd72fdcaafbb633502afa672-1704876827 sent      919999999999 RCS 1704876828000
event-webhook delivered-nc_bot_id.json api-337-919999999999-3c9094b5cd72fdcaafbb633502afa672-1704876827 delivered 919999999999 RCS 1704876833000
event-webhook read-nc_bot_id.json      api-337-918989898989-4f3406fc8aede5feef7801bfb75cfb97-1704877442 read      918989898989 RCS 1704877597000
";
    check("netcore-rcs", table, &[], plain).await;
}
