//! The events of a person: which ones `erase` finds, what it shows before deleting them, and that it deletes
//! no others.

use std::{collections::BTreeSet, process::Command};

use integration_tests::{
    function,
    storage::{Key, key},
};
use netcore_webhooks::erase::MatchReason;
use serde_json::Value;
use webhook_ingest::events_table::item;

use super::{Setup, a_person, formatted, other, text};

#[tokio::test(flavor = "multi_thread")]
async fn both_directions_of_one_person_are_erased_and_nothing_else() {
    let setup = Setup::start().await;
    let simulated = setup.items().await;
    let number = a_person(&simulated);
    let (id, _) = simulated
        .iter()
        .find(|(_, item)| text(item, item::RECIPIENT) == number)
        .map(|(key, _)| key.clone())
        .unwrap();
    // One without recipient but with the number in its id; others that mention the number or a message of the
    // person.
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
        &format!("[Mobile] {}", formatted(&number)),
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
        setup.put(item.clone()).await;
    }

    let before = setup.items().await;
    let dry = setup.erase(&["--recipient", &formatted(&number)]).await.unwrap();
    assert_eq!(setup.items().await, before, "a dry run changes nothing");
    assert_eq!(setup.record(), [Value::Null; 0]);
    assert!(dry.done.is_none());
    let output = dry.to_string();
    assert!(output.contains("nothing was changed; add --yes"), "{output}");
    assert!(!output.contains(&number), "{output}");

    let done = setup
        .erase(&["--recipient", &formatted(&number), "--yes"])
        .await
        .unwrap();
    assert_eq!(done.traces, dry.traces);
    let output = format!("{done}{}", done.done.as_ref().unwrap());
    assert!(
        !output.contains(&number) && !output.contains("add --yes"),
        "{output}"
    );
    assert_eq!(done.done.as_ref().unwrap().events, done.traces.len());
    let after = setup.items().await;
    let gone: BTreeSet<&Key> = before.keys().filter(|key| !after.contains_key(*key)).collect();
    assert_eq!(gone, done.traces.keys().collect());
    for (key, item) in &after {
        assert_eq!(before.get(key), Some(item), "other events are unchanged");
        let text = Value::Object(item::to_json(item)).to_string();
        assert!(
            !text.contains(&format!("{number}\"")) && !text.contains(&format!("-{number}-")),
            "{text}"
        );
        assert!(!text.contains(&id), "{text}");
    }
    for item in [&unaddressed, &named, &answers] {
        assert!(gone.contains(&key(item)), "{:?}", key(item));
    }
    assert!(
        after.contains_key(&key(&like)),
        "a longer number is another number"
    );
    assert_eq!(done.traces[&key(&named)].why, MatchReason::Mention);
    assert!(
        before.len() - after.len() < before.len() / 4,
        "most belong to others"
    );

    let again = setup.erase(&["--recipient", &number, "--yes"]).await.unwrap();
    assert_eq!(again.traces.len(), 0);
    assert_eq!(setup.items().await, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn quick_does_not_find_events_that_only_mention_the_person() {
    let setup = Setup::start().await;
    let items = setup.items().await;
    let number = a_person(&items);
    let named = other(&items, &number, "Mx-named", "content", &number);
    setup.put(named.clone()).await;
    let quick = setup.erase(&["--recipient", &number, "--quick"]).await.unwrap();
    let thorough = setup.erase(&["--recipient", &number]).await.unwrap();
    assert!(!quick.traces.contains_key(&key(&named)));
    assert!(thorough.traces.contains_key(&key(&named)));
    assert_eq!(thorough.traces.len(), quick.traces.len() + 1);
    assert!(quick.to_string().contains("only recipient-index was searched"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redelivered_event_is_stored_and_can_be_erased_again() {
    let setup = Setup::start().await;
    let items = setup.items().await;
    let number = a_person(&items);
    setup.erase(&["--recipient", &number, "--yes"]).await.unwrap();
    let old = items
        .values()
        .find(|item| text(item, item::RECIPIENT) == number)
        .unwrap();
    setup.put(old.clone()).await;
    let report = setup.erase(&["--recipient", &number, "--yes"]).await.unwrap();
    assert_eq!(report.done.unwrap().events, 1);
    assert!(!setup.items().await.contains_key(&key(old)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_rejects_invalid_phone_numbers() {
    let setup = Setup::start().await;
    let number = a_person(&setup.items().await);
    let run = |words: &[&str]| {
        let mut command = Command::new(function::command());
        command
            .env_clear()
            .args(["erase", "--data"])
            .arg(setup.data())
            .args(words);
        command.output().unwrap()
    };
    for bad in ["12345", "a person", "+1 2 3"] {
        let refused = run(&["--recipient", bad, "--yes"]);
        assert_eq!(refused.status.code(), Some(1), "{bad}");
        assert!(
            String::from_utf8_lossy(&refused.stderr).contains("--recipient"),
            "{bad}"
        );
    }
    let dry = run(&["--recipient", &formatted(&number)]);
    let output = String::from_utf8(dry.stdout).unwrap();
    assert!(dry.status.success(), "{output}");
    assert!(output.contains("nothing was changed"), "{output}");
    assert!(!output.contains(&number), "{output}");
}
