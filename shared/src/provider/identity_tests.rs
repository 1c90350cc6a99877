//! People without numbers, with formats that only these tests know.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    event::person::{MAILTO, NUMBER, WHATSAPP},
    events_table::item::{Arrival, build},
};

static MEMBER: Format = Format {
    // An item is read back by the name of a real format, so `rebuilt` names this one itself.
    name: FormatName::new("identity-test"),
    provider: "test",
    envelope: None,
    parameters: false,
    aliases: &[],
    recognizes: |_| true,
    fields: &[
        ("id", Role::MessageId),
        ("status", Role::Status(|_| None)),
        ("user", Role::Identity { kind: WHATSAPP }),
        ("number", Role::Recipient { plus: false }),
        ("parent", Role::Identity { kind: WHATSAPP }),
        ("former_number", Role::Identity { kind: NUMBER }),
        ("mail", Role::Identity { kind: MAILTO }),
    ],
    also: &[],
    derive: |draft| {
        let agent = draft
            .record
            .get("agent")
            .and_then(Value::as_str)
            .map(str::to_owned);
        draft.mark_machine_open(agent.as_deref());
        let contact = draft
            .record
            .get("contact")
            .and_then(Value::as_str)
            .map(str::to_owned);
        if let Some(contact) = contact {
            draft.add_identity(WHATSAPP, &contact);
        }
    },
    restore: |_, _| {},
};

fn read(record: &Value) -> Event {
    MEMBER.read(&record.to_string()).unwrap()
}

fn rebuilt(event: &Event) -> Value {
    let content = EventContent::in_format(event, &MEMBER);
    Value::Object(exact::into_map(content.record()))
}

/// The recipient and the other ids.
fn person(record: &Value) -> (Option<String>, Value) {
    let event = read(record);
    assert_eq!(&rebuilt(&event), record);
    let identities = event.attributes.get(&Attribute::Identities);
    (event.recipient, identities.cloned().unwrap_or_default())
}

#[test]
fn the_recipient_is_the_number_or_else_the_first_id() {
    for (record, recipient, identities) in [
        (
            json!({"number": "919812345678"}),
            Some("919812345678"),
            Value::Null,
        ),
        (json!({"user": "IN.1346"}), Some("whatsapp:IN.1346"), Value::Null),
        (
            json!({"mail": "a@b.example"}),
            Some("mailto:a@b.example"),
            Value::Null,
        ),
        (
            json!({"number": "919812345678", "user": "IN.1346"}),
            Some("919812345678"),
            json!(["whatsapp:IN.1346"]),
        ),
        (
            json!({"user": "IN.1346", "parent": "IN.ENT.7"}),
            Some("whatsapp:IN.1346"),
            json!(["whatsapp:IN.ENT.7"]),
        ),
        (
            json!({"parent": "IN.ENT.7"}),
            Some("whatsapp:IN.ENT.7"),
            Value::Null,
        ),
        (
            json!({"number": "919812345678", "former_number": "+91 98123 45679"}),
            Some("919812345678"),
            json!(["919812345679"]),
        ),
        (
            json!({"former_number": "919812345679"}),
            None,
            json!(["919812345679"]),
        ),
        (
            json!({"user": "", "number": null, "mail": {"a": 1}, "parent": "a b"}),
            None,
            Value::Null,
        ),
        (
            json!({"user": "IN.1346", "parent": "IN.1346", "mail": "A@b.example"}),
            Some("whatsapp:IN.1346"),
            json!(["mailto:a@b.example"]),
        ),
        (
            json!({"user": "IN.1", "contact": "IN.2"}),
            Some("whatsapp:IN.1"),
            json!(["whatsapp:IN.2"]),
        ),
    ] {
        let mut record = record;
        record["id"] = "m".into();
        record["status"] = "sent".into();
        assert_eq!(
            person(&record),
            (recipient.map(str::to_owned), identities),
            "{record}"
        );
    }
}

#[test]
fn an_id_that_is_written_back_is_stored_once() {
    let event = read(&json!({"id": "m", "status": "sent", "user": "IN.1", "parent": "IN.ENT.2"}));
    assert_eq!(event.as_sent.keys().collect::<Vec<_>>(), ["status"]);
    assert_eq!(event.verbatim, None);
}

#[test]
fn opens_by_machines_are_marked_and_keep_their_key() {
    let open =
        |agent: &str| read(&json!({"id": "m", "status": "opened", "mail": "a@b.example", "agent": agent}));
    let by = |event: &Event| event.attributes.get(&Attribute::OpenedBy).cloned();
    let machine = open("Mozilla/5.0 (via ggpht.com GoogleImageProxy)");
    assert_eq!(by(&machine), Some("GoogleImageProxy".into()));
    assert_eq!(by(&open("Mozilla/5.0 (X11) Firefox/60.0")), None);
    assert_eq!(
        by(&read(
            &json!({"id": "m", "status": "clicked", "agent": "GoogleImageProxy"})
        )),
        None
    );
    // An earlier version may not know the machine.
    let mut unmarked = machine.clone();
    unmarked.attributes.clear();
    assert_eq!(status_key(machine), status_key(unmarked));
}

fn status_key(event: Event) -> String {
    let arrival = Arrival {
        stored_at: None,
        at: 1,
        retention_days: 0,
        late_after_hours: 72,
    };
    let item = build(event, arrival).unwrap();
    item.key().1.unwrap().to_owned()
}

fn any_id() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!("")),
        Just(json!({"a": [1]})),
        Just(json!(919_812_345_678_u64)),
        "[A-Z]{2}\\.[0-9]{1,3}".prop_map(Value::from),
        "(IN\\.1|IN\\.2)".prop_map(Value::from),
        "[aA]@[bB]\\.c".prop_map(Value::from),
        "\\+?[0-9]{5}( [0-9]{2})?".prop_map(Value::from),
    ]
}

proptest! {
    #[test]
    fn every_record_is_rebuilt_exactly(
        fields in prop::collection::btree_map(
            prop::sample::select(vec!["user", "number", "parent", "former_number", "mail", "contact", "other"]),
            any_id(),
            0..7,
        ),
    ) {
        let mut record = json!({"id": "m", "status": "sent"});
        for (name, value) in fields {
            record[name] = value;
        }
        let event = read(&record);
        prop_assert_eq!(rebuilt(&event), record);
        for id in event.recipient.iter().map(String::as_str).chain(
            event.attributes.get(&Attribute::Identities).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str),
        ) {
            prop_assert_eq!(crate::event::person::parse(id), Some(id.to_owned()));
        }
    }
}
