//! Records that cannot be counted: they go to the dead-letter queue, or wait where no queue takes them.

use aws_sdk_dynamodb::types::AttributeValue;
use integration_tests::{ledger::letters, proxy::Treatment::ServerError, scene::Scene};
use projector::{rebuild::rebuild, rollups::Rollups};
use serde_json::{Value, json};
use webhook_ingest::{event::time, operations::clients::Timeouts};

use crate::{Counts, assert_same, counted, deliver, recount, store};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_cannot_be_counted_goes_aside_and_blocks_nothing() {
    let scene = Scene::set().await;
    store(&scene).await;
    let expected = recount(&scene).await;
    let events = scene.stream();
    let projector = scene.function("projector", &[]).await;
    // Somebody wrote a text where a bot's count belongs: an update that adds to it is always refused.
    let client = scene.place.aws(Timeouts::unhurried()).await.dynamodb;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let day = events.iter().find_map(|record| {
        let image = &record["dynamodb"]["NewImage"];
        let second = image["event_time"]["N"].as_str()?.parse::<i64>().ok()?;
        (image["bot_id"]["S"] == "1" && image["status"]["S"] == "read").then(|| time::utc_day(second))
    });
    let broken = format!("day#{}#0", day.unwrap());
    let key = [("series", text("0#bot=1")), ("period", text(&broken))];
    let put = client.put_item().table_name(&scene.place.rollups_table);
    let put = put.set_item(Some(
        key.clone().map(|(name, value)| (name.to_owned(), value)).into(),
    ));
    put.item("s|RCS|read", text("many")).send().await.unwrap();
    // And records that are no events, in front of all the others.
    let odd = [
        json!({"eventName": "INSERT", "dynamodb": {"SequenceNumber": "1", "NewImage": {"series": {"S": "x"}}}}),
        json!({"eventName": 7, "dynamodb": "nonsense"}),
        json!("text"),
    ];
    let records = [odd.to_vec(), events.clone()].concat();
    for batch in records.chunks(100) {
        assert_eq!(deliver(&projector, batch).await, Vec::<Value>::new());
    }
    let letters = letters(&scene.ledger.take_dead().await);
    assert!(letters.len() > 3, "{}", letters.len());
    for letter in &letters {
        assert_eq!(
            (letter.reason.as_str(), letter.function.as_str()),
            ("uncountable", "projector")
        );
        let record: Value = serde_json::from_slice(letter.body.bytes()).unwrap();
        assert!(records.contains(&record), "{record}");
    }
    let metrics = projector.line(|line| line.get("Unprojectable").is_some()).await;
    assert!(metrics["Unprojectable"].as_u64().unwrap() >= 3, "{metrics}");
    // All that is missing is what lies in the queue.
    let total = |counts: &Counts| -> u64 {
        let of_all = counts.iter().filter(|((series, period, counter), _)| {
            series == "all" && period.starts_with("day#") && counter.starts_with("s|")
        });
        of_all.map(|(_, count)| count).sum()
    };
    let now = counted(&scene, "0").await;
    assert_eq!(total(&now) + letters.len() as u64 - 3, total(&expected));
    // A rebuild finds it again.
    let aws = scene.place.aws(Timeouts::unhurried()).await;
    let rollups = Rollups::new(aws.dynamodb, scene.place.rollups_table.clone());
    rebuild(&rollups, &scene.place.events_table, |_| ())
        .await
        .unwrap();
    let current = rollups.generations().await.unwrap().current;
    assert_same(&counted(&scene, &current).await, &expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_waits_where_neither_the_table_nor_the_queue_takes_it() {
    let scene = Scene::set().await;
    store(&scene).await;
    let records = scene.stream();
    // A table that is away is no event's fault.
    let away = scene.function("projector", &[("ROLLUPS_TABLE", "nowhere")]).await;
    let first = records[..20]
        .iter()
        .chain([&json!({"eventName": "INSERT"})])
        .cloned()
        .collect::<Vec<_>>();
    let within = std::time::Duration::from_secs(20);
    let reply = away.invoke_within(&json!({ "Records": first }), within).await;
    let failures = reply.payload["batchItemFailures"].clone();
    assert_eq!(
        failures[0]["itemIdentifier"], records[0]["dynamodb"]["SequenceNumber"],
        "{failures}"
    );
    assert_eq!(letters(&scene.ledger.take_dead().await), vec![]);
    // A queue that is away: the record comes again.
    let projector = scene.function("projector", &[]).await;
    scene.queues.always(ServerError);
    let odd = json!({"eventName": "INSERT", "dynamodb": {"SequenceNumber": "77"}});
    let reply = projector
        .invoke_within(&json!({ "Records": [odd] }), within)
        .await;
    assert_eq!(
        reply.payload["batchItemFailures"],
        json!([{"itemIdentifier": "77"}])
    );
    scene.queues.recover().await;
    assert_eq!(deliver(&projector, &[odd]).await, Vec::<Value>::new());
    assert_eq!(letters(&scene.ledger.take_dead().await).len(), 1);
}
