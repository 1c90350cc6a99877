//! The events of a person: which of them `erase` finds, what it shows before it deletes them, and that
//! it deletes nobody else's.

use std::{collections::BTreeSet, process::Command};

use integration_tests::{
    binary,
    ledger::{Key, key},
};
use netcore_webhooks::erase::MatchReason;
use serde_json::Value;
use webhook_ingest::events_table::item;

use crate::{Stage, other, somebody, spelt, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_person_disappears_in_both_directions_and_nobody_else() {
    let stage = Stage::set().await;
    let simulated = stage.items().await;
    let number = somebody(&simulated);
    let (id, _) = simulated
        .iter()
        .find(|(_, item)| text(item, item::RECIPIENT) == number)
        .map(|(key, _)| key.clone())
        .unwrap();
    // No recipient, but the number in its id; others that name the number and a message of the person.
    let mut unaddressed = other(
        &simulated,
        &number,
        &format!("api-337-{number}-0a1b-1795000000"),
        "remarks",
        "x",
    );
    unaddressed.remove(item::RECIPIENT);
    let named = other(
        &simulated,
        &number,
        "Mx-vcard",
        "content",
        &format!("[Mobile] {}", spelt(&number)),
    );
    let answers = other(&simulated, &number, "Mx-answer", "in_reply_to", &id);
    let like = other(
        &simulated,
        &number,
        "Mx-like-it",
        "content",
        &format!("{number}0"),
    );
    for item in [&unaddressed, &named, &answers, &like] {
        stage.put(item.clone()).await;
    }

    let before = stage.items().await;
    let dry = stage.erase(&["--recipient", &spelt(&number)]).await.unwrap();
    assert_eq!(stage.items().await, before, "a dry run changes nothing");
    assert_eq!(stage.record(), [Value::Null; 0]);
    assert!(dry.done.is_none());
    let told = dry.to_string();
    assert!(told.contains("nothing was changed; add --yes"), "{told}");
    assert!(!told.contains(&number), "{told}");

    let done = stage
        .erase(&["--recipient", &spelt(&number), "--yes"])
        .await
        .unwrap();
    assert_eq!(done.traces, dry.traces);
    let told = format!("{done}{}", done.done.as_ref().unwrap());
    assert!(!told.contains(&number) && !told.contains("add --yes"), "{told}");
    assert_eq!(done.done.as_ref().unwrap().events, done.traces.len());
    let after = stage.items().await;
    let gone: BTreeSet<&Key> = before.keys().filter(|key| !after.contains_key(*key)).collect();
    assert_eq!(gone, done.traces.keys().collect());
    for (key, item) in &after {
        assert_eq!(before.get(key), Some(item), "others stay as they are");
        let told = Value::Object(item::to_json(item)).to_string();
        assert!(
            !told.contains(&format!("{number}\"")) && !told.contains(&format!("-{number}-")),
            "{told}"
        );
        assert!(!told.contains(&id), "{told}");
    }
    for item in [&unaddressed, &named, &answers] {
        assert!(gone.contains(&key(item)), "{:?}", key(item));
    }
    assert!(after.contains_key(&key(&like)), "a longer number is another one");
    assert_eq!(done.traces[&key(&named)].why, MatchReason::Mention);
    assert!(
        before.len() - after.len() < before.len() / 4,
        "most belong to others"
    );

    let again = stage.erase(&["--recipient", &number, "--yes"]).await.unwrap();
    assert_eq!(again.traces.len(), 0);
    assert_eq!(stage.items().await, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn quick_is_blind_to_what_only_names_the_person() {
    let stage = Stage::set().await;
    let items = stage.items().await;
    let number = somebody(&items);
    let named = other(&items, &number, "Mx-named", "content", &number);
    stage.put(named.clone()).await;
    let quick = stage.erase(&["--recipient", &number, "--quick"]).await.unwrap();
    let thorough = stage.erase(&["--recipient", &number]).await.unwrap();
    assert!(!quick.traces.contains_key(&key(&named)));
    assert!(thorough.traces.contains_key(&key(&named)));
    assert_eq!(thorough.traces.len(), quick.traces.len() + 1);
    assert!(quick.to_string().contains("only recipient-index was searched"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_comes_again_is_stored_and_erased_again() {
    let stage = Stage::set().await;
    let items = stage.items().await;
    let number = somebody(&items);
    stage.erase(&["--recipient", &number, "--yes"]).await.unwrap();
    let old = items
        .values()
        .find(|item| text(item, item::RECIPIENT) == number)
        .unwrap();
    stage.put(old.clone()).await;
    let report = stage.erase(&["--recipient", &number, "--yes"]).await.unwrap();
    assert_eq!(report.done.unwrap().events, 1);
    assert!(!stage.items().await.contains_key(&key(old)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_refuses_what_is_no_number() {
    let stage = Stage::set().await;
    let number = somebody(&stage.items().await);
    let run = |words: &[&str]| {
        let mut command = Command::new(binary::command());
        command
            .env_clear()
            .args(["erase", "--data"])
            .arg(stage.data())
            .args(words);
        command.output().unwrap()
    };
    for bad in ["12345", "somebody", "+1 2 3"] {
        let refused = run(&["--recipient", bad, "--yes"]);
        assert_eq!(refused.status.code(), Some(1), "{bad}");
        assert!(
            String::from_utf8_lossy(&refused.stderr).contains("--recipient"),
            "{bad}"
        );
    }
    let dry = run(&["--recipient", &spelt(&number)]);
    let told = String::from_utf8(dry.stdout).unwrap();
    assert!(dry.status.success(), "{told}");
    assert!(told.contains("nothing was changed"), "{told}");
    assert!(!told.contains(&number), "{told}");
}
