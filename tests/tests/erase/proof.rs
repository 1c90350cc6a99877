//! The record of erasures: it holds no number, it is on disk before the first deletion, and it says what
//! was done when a table or a queue fails.

use std::{fs, os::unix::fs::PermissionsExt as _};

use aws_sdk_dynamodb::types::AttributeValue;
use integration_tests::proxy::Treatment;
use netcore_webhooks::erase::{KEY, RECORD};
use serde_json::Value;
use webhook_ingest::events_table::item;

use crate::{Stage, other, record, somebody, spelt, text};

#[tokio::test(flavor = "multi_thread")]
async fn the_record_proves_it_and_holds_no_number() {
    let stage = Stage::set().await;
    let items = stage.items().await;
    let number = somebody(&items);
    let report = stage.erase(&["--recipient", &number, "--yes"]).await.unwrap();
    stage
        .erase(&["--recipient", &spelt(&number), "--yes"])
        .await
        .unwrap();
    stage
        .erase(&["--recipient", "919999999990", "--yes"])
        .await
        .unwrap();
    let record = stage.record();
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
    assert_eq!(
        record[1]["recipients"], record[3]["recipients"],
        "the same person"
    );
    assert_ne!(record[0]["recipients"], record[4]["recipients"]);
    for name in [RECORD, KEY] {
        let file = stage.data().join(name);
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        assert!(
            !fs::read_to_string(&file).unwrap().contains(&number[2..]),
            "{name}"
        );
    }
    let elsewhere = stage.data().join("kept/elsewhere.jsonl");
    let path = elsewhere.to_str().unwrap();
    stage
        .erase(&["--recipient", &number, "--yes", "--record", path])
        .await
        .unwrap();
    assert_eq!(fs::read_to_string(&elsewhere).unwrap().lines().count(), 2);
    assert_eq!(stage.record().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_off_is_recorded_and_goes_on_when_run_again() {
    let stage = Stage::set().await;
    let items = stage.items().await;
    let number = somebody(&items);
    // More than one batch of 25.
    for place in 0..80 {
        let mut item = other(&items, &number, &format!("many-{place}"), "remarks", "x");
        item.insert(item::RECIPIENT.into(), AttributeValue::S(number.clone()));
        stage.put(item).await;
    }
    let before = stage.items().await.len();
    stage.scene.table.decide(|call| {
        if call.operation == "BatchWriteItem" && call.number > 1 {
            Treatment::Throttle
        } else {
            Treatment::Pass
        }
    });
    let error = stage.erase(&["--recipient", &number, "--yes"]).await.unwrap_err();
    assert!(
        format!("{error:#}").contains("run the same command again"),
        "{error:#}"
    );
    let record = stage.record();
    assert_eq!(record.len(), 2);
    assert_eq!(
        (&record[0]["step"], &record[1]["step"]),
        (&"begun".into(), &"ended".into())
    );
    assert_eq!(record[1]["complete"], false);
    assert_eq!(record[1]["failed"], "the events");
    assert_eq!(record[1]["events"], before - stage.items().await.len());

    stage.scene.table.recover().await;
    stage.erase(&["--recipient", &number, "--yes"]).await.unwrap();
    assert!(
        stage
            .items()
            .await
            .values()
            .all(|item| text(item, item::RECIPIENT) != number)
    );
    assert_eq!(stage.record().pop().unwrap()["complete"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_says_what_was_done_when_a_queue_fails() {
    let stage = Stage::set().await;
    let items = stage.items().await;
    let number = somebody(&items);
    stage.put_dead(&format!("[{}]", record("his", &number))).await;
    let words = ["--recipient", number.as_str(), "--yes", "--queues"];

    // What is to be cleaned cannot be seen: nothing is deleted.
    stage.scene.queues.decide(|call| match call.operation {
        "ReceiveMessage" => Treatment::ServerError,
        _ => Treatment::Pass,
    });
    let error = stage.erase(&words).await.unwrap_err();
    assert!(
        format!("{error:#}").contains("the dead-letter queue"),
        "{error:#}"
    );
    assert_eq!(stage.items().await, items);
    assert_eq!(stage.record(), [Value::Null; 0]);

    // The record is on disk before the first deletion.
    let file = stage.data().join(RECORD);
    stage.scene.queues.decide(move |call| match call.operation {
        "DeleteMessage" => {
            let begun = fs::read_to_string(&file).unwrap();
            assert!(begun.contains("\"begun\"") && begun.ends_with('\n'), "{begun}");
            Treatment::ServerError
        }
        _ => Treatment::Pass,
    });
    let error = stage.erase(&words).await.unwrap_err();
    assert!(
        format!("{error:#}").contains("run the same command again"),
        "{error:#}"
    );
    let record = stage.record();
    assert_eq!(record.len(), 2);
    assert_eq!(
        (&record[0]["letters"], &record[1]["letters"]),
        (&1.into(), &0.into())
    );
    assert_eq!(record[1]["failed"], "the dead-letter queue");
    assert_eq!(record[1]["complete"], false);

    // Without --queues a queue that fails stops nothing, and the report says so.
    stage.scene.queues.always(Treatment::ServerError);
    let (told, report) = stage.told(&["--recipient", &number, "--yes"]).await;
    assert!(told.contains("the queues were not looked at"), "{told}");
    assert!(report.done.unwrap().events > 0);

    stage.scene.queues.recover().await;
    // A letter that somebody else holds cannot be looked at.
    let dead = &stage.scene.place.dead_letter_queue_url;
    let held = stage
        .aws
        .sqs
        .receive_message()
        .queue_url(dead)
        .send()
        .await
        .unwrap();
    let (told, report) = stage.told(&["--recipient", &number, "--yes"]).await;
    assert!(!report.dead.unwrap().all);
    assert!(told.contains("not every message could be looked at"), "{told}");
    assert_eq!(stage.record().pop().unwrap()["complete"], false);
    let handle = held.messages()[0].receipt_handle().unwrap();
    let release = stage.aws.sqs.change_message_visibility().queue_url(dead);
    release
        .receipt_handle(handle)
        .visibility_timeout(0)
        .send()
        .await
        .unwrap();

    stage.erase(&words).await.unwrap();
    let ended = stage.record().pop().unwrap();
    assert_eq!((&ended["letters"], &ended["complete"]), (&1.into(), &true.into()));
}
