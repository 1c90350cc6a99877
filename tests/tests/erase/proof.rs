//! The record of erasures. It contains no phone number, it is on disk before the first deletion, and it
//! states the result when a table or a queue fails.

use std::{fs, os::unix::fs::PermissionsExt as _};

use aws_sdk_dynamodb::types::AttributeValue;
use integration_tests::proxy::Treatment;
use netcore_webhooks::erase::{KEY, RECORD};
use serde_json::Value;
use webhook_ingest::events_table::item;

use super::{Setup, a_person, formatted, other, record, text};

#[tokio::test(flavor = "multi_thread")]
async fn the_record_proves_the_erasure_without_phone_numbers() {
    let setup = Setup::start().await;
    let items = setup.items().await;
    let number = a_person(&items);
    let report = setup.erase(&["--recipient", &number, "--yes"]).await.unwrap();
    setup
        .erase(&["--recipient", &formatted(&number), "--yes"])
        .await
        .unwrap();
    setup
        .erase(&["--recipient", "919999999990", "--yes"])
        .await
        .unwrap();
    let record = setup.record();
    assert_eq!(record.len(), 6, "two lines for each run");
    for lines in record.chunks(2) {
        assert_eq!(
            (&lines[0]["step"], &lines[1]["step"]),
            (&"begun".into(), &"ended".into())
        );
        assert_eq!(lines[0]["run"], lines[1]["run"]);
        assert_eq!(lines[0]["complete"], false);
    }
    assert_eq!(record[0]["events"], report.traces.len());
    assert_eq!(record[1]["events"], report.traces.len());
    assert_eq!(record[1]["messages"], report.messages().len());
    assert_eq!(record[1]["complete"], true, "{}", record[1]);
    assert_eq!(record[3]["events"], 0);
    assert_ne!(record[0]["run"], record[2]["run"]);
    // The first run also erased ids that events linked to the number.
    assert_eq!(
        record[1]["recipients"][0], record[3]["recipients"][0],
        "the same person"
    );
    assert_ne!(record[0]["recipients"], record[4]["recipients"]);
    for name in [RECORD, KEY] {
        let file = setup.data().join(name);
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        assert!(
            !fs::read_to_string(&file).unwrap().contains(&number[2..]),
            "{name}"
        );
    }
    let elsewhere = setup.data().join("kept/elsewhere.jsonl");
    let path = elsewhere.to_str().unwrap();
    setup
        .erase(&["--recipient", &number, "--yes", "--record", path])
        .await
        .unwrap();
    assert_eq!(fs::read_to_string(&elsewhere).unwrap().lines().count(), 2);
    assert_eq!(setup.record().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_erasure_is_recorded_and_can_be_repeated() {
    let setup = Setup::start().await;
    let items = setup.items().await;
    let number = a_person(&items);
    // More than one batch of 25.
    for index in 0..80 {
        let mut item = other(&items, &number, &format!("many-{index}"), "remarks", "x");
        item.insert(item::RECIPIENT.into(), AttributeValue::S(number.clone()));
        setup.put(item).await;
    }
    let before = setup.items().await.len();
    setup.stack.table.decide(|call| {
        if call.operation == "BatchWriteItem" && call.number > 1 {
            Treatment::Throttle
        } else {
            Treatment::Pass
        }
    });
    let error = setup.erase(&["--recipient", &number, "--yes"]).await.unwrap_err();
    assert!(
        format!("{error:#}").contains("run the same command again"),
        "{error:#}"
    );
    let record = setup.record();
    assert_eq!(record.len(), 2);
    assert_eq!(
        (&record[0]["step"], &record[1]["step"]),
        (&"begun".into(), &"ended".into())
    );
    assert_eq!(record[1]["complete"], false);
    assert_eq!(record[1]["failed"], "the events");
    assert_eq!(record[1]["events"], before - setup.items().await.len());

    setup.stack.table.recover().await;
    setup.erase(&["--recipient", &number, "--yes"]).await.unwrap();
    assert!(
        setup
            .items()
            .await
            .values()
            .all(|item| text(item, item::RECIPIENT) != number)
    );
    assert_eq!(setup.record().pop().unwrap()["complete"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_states_the_result_when_a_queue_fails() {
    let setup = Setup::start().await;
    let items = setup.items().await;
    let number = a_person(&items);
    setup.put_dead(&format!("[{}]", record("his", &number))).await;
    let words = ["--recipient", number.as_str(), "--yes", "--queues"];

    // The queue cannot be searched: nothing is deleted.
    setup.stack.queues.decide(|call| match call.operation {
        "ReceiveMessage" => Treatment::ServerError,
        _ => Treatment::Pass,
    });
    let error = setup.erase(&words).await.unwrap_err();
    assert!(
        format!("{error:#}").contains("the dead-letter queue"),
        "{error:#}"
    );
    assert_eq!(setup.items().await, items);
    assert_eq!(setup.record(), [Value::Null; 0]);

    // The record is on disk before the first deletion.
    let file = setup.data().join(RECORD);
    setup.stack.queues.decide(move |call| match call.operation {
        "DeleteMessage" => {
            let begun = fs::read_to_string(&file).unwrap();
            assert!(begun.contains("\"begun\"") && begun.ends_with('\n'), "{begun}");
            Treatment::ServerError
        }
        _ => Treatment::Pass,
    });
    let error = setup.erase(&words).await.unwrap_err();
    assert!(
        format!("{error:#}").contains("run the same command again"),
        "{error:#}"
    );
    let record = setup.record();
    assert_eq!(record.len(), 2);
    assert_eq!(
        (&record[0]["letters"], &record[1]["letters"]),
        (&1.into(), &0.into())
    );
    assert_eq!(record[1]["failed"], "the dead-letter queue");
    assert_eq!(record[1]["complete"], false);

    // Without --queues, a failing queue is reported and stops nothing.
    setup.stack.queues.always(Treatment::ServerError);
    let (preview, report) = setup.erase_with_preview(&["--recipient", &number, "--yes"]).await;
    assert!(preview.contains("the queues were not looked at"), "{preview}");
    assert!(report.done.unwrap().events > 0);

    setup.stack.queues.recover().await;
    // A dead letter in use by another consumer cannot be searched.
    let dead = &setup.stack.instance.dead_letter_queue_url;
    let held = setup
        .stack
        .storage
        .aws()
        .sqs
        .receive_message()
        .queue_url(dead)
        .send()
        .await
        .unwrap();
    let (preview, report) = setup.erase_with_preview(&["--recipient", &number, "--yes"]).await;
    assert!(!report.dead.unwrap().all);
    assert!(
        preview.contains("not every message could be looked at"),
        "{preview}"
    );
    assert_eq!(setup.record().pop().unwrap()["complete"], false);
    let handle = held.messages()[0].receipt_handle().unwrap();
    let release = setup
        .stack
        .storage
        .aws()
        .sqs
        .change_message_visibility()
        .queue_url(dead);
    release
        .receipt_handle(handle)
        .visibility_timeout(0)
        .send()
        .await
        .unwrap();

    setup.erase(&words).await.unwrap();
    let ended = setup.record().pop().unwrap();
    assert_eq!((&ended["letters"], &ended["complete"]), (&1.into(), &true.into()));
}
