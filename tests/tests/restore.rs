//! The command `restore`: it copies what is missing and nothing else, whatever fails meanwhile.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use integration_tests::{
    command::{Output, TIMEOUT, Workdir},
    function,
    proxy::Treatment,
    simulated,
    stack::Stack,
    storage::{Key, key, number, text},
};
use serde_json::{Value, json};
use webhook_ingest::{
    event::time,
    events_table::item::{EXPIRES_AT, Item, MESSAGE_ID, RECEIVED_AT, RECIPIENT, STATUS_KEY},
};

/// The table that DynamoDB restored.
const RESTORED: &str = "restored";

fn environment(stack: &Stack) -> Vec<(&'static str, String)> {
    stack.instance.environment()
}

/// Runs `restore` on a stack's tables.
async fn restore(workdir: &Workdir, stack: &Stack, arguments: &[&str]) -> Output {
    let environment = environment(stack);
    let command = ["restore", "--from", RESTORED, "--write-units", "1000000"];
    workdir
        .run_with(&[&command, arguments].concat(), &environment)
        .await
}

/// The report of a run that succeeded.
async fn report(workdir: &Workdir, stack: &Stack, arguments: &[&str]) -> Value {
    let output = restore(workdir, stack, &[arguments, &["--json"]].concat())
        .await
        .ok();
    serde_json::from_str(&output).unwrap()
}

/// Simulated events that do not expire.
fn events(messages: &str) -> Vec<Item> {
    let mut items = simulated::items(&["--messages", messages], 4);
    for item in &mut items {
        item.remove(EXPIRES_AT);
    }
    items
}

fn by_key(items: &[Item]) -> BTreeMap<Key, Item> {
    items.iter().map(|item| (key(item), item.clone())).collect()
}

/// An event of a message, with further attributes.
fn item(message_id: &str, more: &[(&str, AttributeValue)]) -> Item {
    let mut item = Item::from([
        (MESSAGE_ID.to_owned(), text(message_id)),
        (STATUS_KEY.to_owned(), text("RCS#sent")),
        ("channel".to_owned(), text("RCS")),
        ("status".to_owned(), text("sent")),
        ("event_time".to_owned(), number(1_795_000_000_000)),
        (RECEIVED_AT.to_owned(), number(1_795_000_000_000)),
    ]);
    for (name, value) in more {
        item.insert((*name).to_owned(), value.clone());
    }
    item
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_missing_events_are_written_and_a_second_run_writes_none() {
    let stack = Stack::start().await;
    let snapshot = events("200");
    let number_of = snapshot.len();
    stack.restored_table(RESTORED, snapshot.clone()).await;
    // A third was deleted, one event was changed, and new ones arrived since.
    let mut current: Vec<Item> = snapshot.iter().skip(number_of / 3).cloned().collect();
    current[0].insert("remarks".to_owned(), text("changed by hand"));
    current.push(item("later", &[]));
    stack.storage.put_all(current.clone()).await;
    // Neither a marker of a rejected body nor an expired event comes back.
    let marker = Item::from([
        (MESSAGE_ID.to_owned(), text("rejected#event-webhook")),
        (STATUS_KEY.to_owned(), text("Ah-1ltuB5tAr89JYbuOYHw")),
        ("copies".to_owned(), number(1)),
    ]);
    let expired = item("expired", &[(EXPIRES_AT, number(1_700_000_000))]);
    stack.storage.put_all_into(RESTORED, vec![marker, expired]).await;

    let workdir = Workdir::new();
    let first = report(&workdir, &stack, &["--nobody-erased"]).await;
    let deleted = number_of / 3;
    let kept = number_of - deleted;
    assert_eq!(
        [
            &first["read"],
            &first["written"],
            &first["already_there"],
            &first["different"],
            &first["expired"],
            &first["markers"],
            &first["refused"],
            &first["resumed"],
        ],
        [
            &json!(number_of + 2),
            &json!(deleted),
            &json!(kept),
            &json!(1),
            &json!(1),
            &json!(1),
            &json!({}),
            &json!(false)
        ],
        "{first}"
    );
    assert_eq!(first["counters"], "rebuilt");
    let mut expected = by_key(&snapshot);
    expected.extend(by_key(&current));
    assert_eq!(by_key(&stack.storage.items().await), expected);
    let (message_id, status_key) = key(&current[0]);
    let line: Value = serde_json::from_str(&workdir.read(".local/restore-not-copied.jsonl")).unwrap();
    assert_eq!(
        line,
        json!({"message_id": message_id, "status_key": status_key, "why": "the table has this event with other content"})
    );

    let second = report(&workdir, &stack, &["--nobody-erased"]).await;
    assert_eq!(
        [&second["written"], &second["already_there"], &second["counters"]],
        [&json!(0), &json!(number_of), &json!("unchanged")]
    );
    assert_eq!(by_key(&stack.storage.items().await), expected);
    assert!(!workdir.path().join(".local/restore.json").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throttles_and_lost_answers_are_repeated_and_counted() {
    let stack = Stack::start().await;
    let snapshot = events("60");
    stack.restored_table(RESTORED, snapshot.clone()).await;
    stack
        .table
        .decide(|call| match (call.operation, call.number % 7) {
            ("PutItem", 0) => Treatment::Throttle,
            ("PutItem", 1) => Treatment::CutAfter,
            ("PutItem", 2) => Treatment::ServerError,
            ("Scan", 3) if !call.mentions("rollups") => Treatment::Throttle,
            ("BatchGetItem", _) if call.mentions("status_key") && call.number == 1 => Treatment::Unprocessed,
            _ => Treatment::Pass,
        });
    let workdir = Workdir::new();
    let report = report(&workdir, &stack, &["--nobody-erased"]).await;
    assert_eq!(by_key(&stack.storage.items().await), by_key(&snapshot));
    // A put whose answer was lost is not reported as an event that was there.
    assert_eq!(
        [&report["written"], &report["already_there"]],
        [&json!(snapshot.len()), &json!(0)],
        "{report}"
    );
    let puts = stack.table.calls("PutItem");
    let of_rest = |rest: usize| (1..=puts).filter(|number| number % 7 == rest).count();
    // Every seventh put, and the one read.
    assert_eq!(report["throttled_writes"], json!(of_rest(0) + 1));
    assert_eq!(report["unanswered"], json!(of_rest(1) + of_rest(2)));
    assert!(report["throttled_reads"].as_u64().unwrap() > 0, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_run_is_continued_and_loses_nothing() {
    let stack = Stack::start().await;
    // More than a page for each of the 16 segments.
    let snapshot = events("1000");
    assert!(snapshot.len() > 16 * 150, "{}", snapshot.len());
    stack.restored_table(RESTORED, snapshot.clone()).await;
    let workdir = Workdir::new();
    // Killed while most segments are at their second page.
    let first = snapshot.len() * 4 / 5;
    stack.table.decide(move |call| match call.operation {
        "PutItem" if call.number > first => Treatment::Hang,
        _ => Treatment::Pass,
    });
    let mut command = workdir.command(&function::command());
    command
        .args(["restore", "--from", RESTORED, "--nobody-erased"])
        .envs(environment(&stack));
    let mut child = command.spawn().unwrap();
    let hangs = async {
        while stack.table.calls("PutItem") < first + 5 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, hangs).await.unwrap();
    child.kill().await.unwrap();
    let written = stack.storage.items().await.len();
    assert_eq!(written, first);
    let state: Value = serde_json::from_str(&workdir.read(".local/restore.json")).unwrap();
    assert!(state["counts"]["written"].as_u64().unwrap() > 0, "{state}");
    stack.table.recover().await;
    // Another restore would mix the positions of two tables.
    let other = ["restore", "--from", "netcore-webhooks-rollups", "--nobody-erased"];
    let environment = environment(&stack);
    let refused = workdir.run_with(&other, &environment).await.error();
    assert!(
        refused.contains("is not an events table: its keys are series and period"),
        "{refused}"
    );

    let report = report(&workdir, &stack, &["--nobody-erased"]).await;
    assert_eq!(report["resumed"], true);
    assert_eq!(report["read"], json!(snapshot.len()));
    let of = |name: &str| report[name].as_u64().unwrap();
    // Only the pages in progress were repeated: what they had written was there.
    assert_eq!(of("written") + of("already_there"), snapshot.len() as u64);
    assert!(of("already_there") < written as u64, "{report}");
    assert_eq!(report["counters"], "rebuilt");
    assert_eq!(by_key(&stack.storage.items().await), by_key(&snapshot));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_of_the_table_stops_and_one_of_an_item_does_not() {
    let stack = Stack::start().await;
    let snapshot = events("10");
    stack.restored_table(RESTORED, snapshot.clone()).await;
    let workdir = Workdir::new();
    stack.table.decide(|call| match call.operation {
        "PutItem" => Treatment::Refuse("AccessDeniedException", "no"),
        _ => Treatment::Pass,
    });
    let error = restore(&workdir, &stack, &["--nobody-erased"]).await.error();
    assert!(
        error.contains("the table netcore-webhooks-events refused a call: AccessDeniedException"),
        "{error}"
    );
    stack.table.decide(|call| match call.operation {
        "PutItem" => Treatment::Refuse("ValidationException", "Missing the key order_id in the item"),
        _ => Treatment::Pass,
    });
    let error = restore(&workdir, &stack, &["--nobody-erased"]).await.error();
    assert!(error.contains("rejects items: ValidationException"), "{error}");
    // Without an item, the first calls have written nothing, and the first item is refused for its own sake.
    stack.table.decide(|call| match (call.operation, call.number) {
        ("PutItem", ..=2) => Treatment::Refuse(
            "ValidationException",
            "Nesting Levels have exceeded supported limits",
        ),
        _ => Treatment::Pass,
    });
    stack.table.reset_counts();
    let output = restore(&workdir, &stack, &["--nobody-erased"]).await;
    assert_eq!(output.code, Some(1));
    assert!(
        output.stdout.contains("refused     2: it is nested too deeply"),
        "{}",
        output.stdout
    );
    assert!(output.stderr.contains("refused 2 items"), "{}", output.stderr);
    assert_eq!(stack.storage.items().await.len(), snapshot.len() - 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn erased_people_do_not_return() {
    let stack = Stack::start().await;
    let workdir = Workdir::new();
    let person = "919812345678";
    let of = |id: &str, recipient: &str| item(id, &[(RECIPIENT, text(recipient))]);
    // What `erase` deletes: events of both of the person's ids, and events that mention the person or a message.
    let gone = [
        of("m-of-person-1", person),
        of("m-of-person-2", "whatsapp:IN.13491208"),
        item("m-mention", &[("remarks", text("call +91 98123-45678 back"))]),
        item("m-answer", &[("in_reply_to", text("m-of-person-1"))]),
    ];
    let linked = item(
        "m-linked",
        &[
            (RECIPIENT, text(person)),
            (
                "identities",
                AttributeValue::L(vec![text("whatsapp:IN.13491208")]),
            ),
        ],
    );
    let others = vec![of("m-other", "918000000001"), of("m-longer", "9198123456781")];
    let snapshot = [&gone[..], &[linked][..], &others[..]].concat();
    stack.storage.put_all(snapshot.clone()).await;
    stack.restored_table(RESTORED, snapshot.clone()).await;

    let command = environment(&stack);
    let silent = restore(&workdir, &stack, &[]).await.error();
    assert!(silent.contains("nothing says who was erased"), "{silent}");
    let erase = ["erase", "--recipient", person, "--yes"];
    workdir.run_with(&erase, &command).await.ok();
    assert_eq!(by_key(&stack.storage.items().await), by_key(&others));
    // After the erasure, the person writes again. This event is lost, and not erased.
    let again = item(
        "m-again",
        &[
            (RECIPIENT, text(person)),
            (RECEIVED_AT, number(time::now() + 60_000)),
        ],
    );
    stack.storage.put_all_into(RESTORED, vec![again.clone()]).await;

    let report = report(&workdir, &stack, &[]).await;
    let kept = [&others[..], &[again.clone()][..]].concat();
    assert_eq!(by_key(&stack.storage.items().await), by_key(&kept));
    assert_eq!([&report["erased"], &report["written"]], [&json!(5), &json!(1)]);
    assert_eq!(report["erasures"], json!([".local/erasures.jsonl"]));

    // Without the record: from a list, which has no times.
    stack.storage.clear().await;
    let elsewhere = Workdir::new();
    elsewhere.write("people.txt", "+91 98123 45678\n\nwhatsapp:IN.13491208\n");
    let listed = ["--except-people", "people.txt"];
    let output = restore(&elsewhere, &stack, &listed).await.ok();
    assert!(output.contains("left out    6 of erased people"), "{output}");
    assert_eq!(by_key(&stack.storage.items().await), by_key(&others));

    // A record is useless without its key.
    let record = workdir.read(".local/erasures.jsonl");
    elsewhere.write("record.jsonl", &record);
    let error = restore(&elsewhere, &stack, &["--record", "record.jsonl"])
        .await
        .error();
    assert!(error.contains("their key is missing"), "{error}");
    elsewhere.write(".local/erasure-key", &workdir.read(".local/erasure-key"));
    let with_record = restore(&elsewhere, &stack, &["--record", "record.jsonl"])
        .await
        .ok();
    assert_eq!(
        with_record,
        "\
restore     restored to netcore-webhooks-events
read        8 items
written     1 (1 write units)
there       2
left out    5 of erased people, 0 expired, 0 markers of rejected bodies
repeated    0 throttled reads, 0 throttled calls to the target, 0 calls without an answer
counters    counted again: 3 events
erased      as in record.jsonl; `erase` for the same people finds what is left
"
    );
    assert_eq!(by_key(&stack.storage.items().await), by_key(&kept));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_target_is_copied_without_counting() {
    let stack = Stack::start().await;
    let snapshot = events("20");
    stack.restored_table(RESTORED, snapshot.clone()).await;
    stack.restored_table("second", Vec::new()).await;
    let workdir = Workdir::new();
    let output = restore(&workdir, &stack, &["--to", "second", "--nobody-erased"])
        .await
        .ok();
    assert!(
        output.contains("second is not the stack's events table"),
        "{output}"
    );
    assert_eq!(stack.storage.items_in("second").await, by_key(&snapshot));
    assert_eq!(stack.storage.items().await, Vec::<Item>::new());
    assert_eq!(stack.storage.rollup_items().await, Vec::<Item>::new());
    let same = restore(&workdir, &stack, &["--to", RESTORED, "--nobody-erased"])
        .await
        .error();
    assert!(same.contains("are the same: restored"), "{same}");
}
