//! Meta's `WhatsApp` Cloud API: statuses and messages of people with and without a number, in several changes and
//! entries of a body.

use serde_json::{Map, Value, json};
use webhook_ingest::event::EpochMillis;

use super::{
    event::{Envelope, PostFormat, Provider, SimulatedEvent},
    people::{OutgoingMessage, indian},
    random::Random,
};

/// Changes of a business account.
pub(super) const CHANGES: PostFormat = PostFormat {
    function: "whatsapp-cloud",
    envelope: Envelope::Changes,
};

/// The most records of a simulated change, and changes of an entry.
const RECORDS: usize = 4;
const CHANGES_OF_ENTRY: usize = 2;

const FAILED: [(u32, &str); 3] = [
    (131_026, "Message undeliverable"),
    (
        131_049,
        "This message was not delivered to maintain healthy ecosystem engagement.",
    ),
    (131_047, "Re-engagement message"),
];
const WORDS: [&str; 4] = ["Hello", "Is it open today?", "Thank you 🙏", "Please call me"];

/// A message, with the fields that its events share.
struct Message<'a> {
    outgoing: &'a OutgoingMessage,
    id: String,
    person: Person,
}

/// Ids of a person. People with a username may hide their number.
struct Person {
    number: Option<String>,
    user: String,
}

impl Person {
    fn of(person: u64, hides_number: bool) -> Self {
        let number = indian(person);
        Self {
            user: format!("IN.1{number}0000000"),
            number: (!hides_number).then_some(number),
        }
    }

    /// As it is stored.
    fn stored(&self) -> String {
        match &self.number {
            Some(number) => number.clone(),
            None => format!("whatsapp:{}", self.user),
        }
    }
}

/// Simulates one message.
pub(super) static PROVIDER: Provider = Provider {
    weight: 15,
    formats: &[CHANGES],
    simulate,
};

fn simulate(outgoing: &OutgoingMessage, _: f64, random: &mut Random) -> Vec<SimulatedEvent> {
    let message = Message {
        outgoing,
        id: format!("wamid.{}", random.token(40)),
        // A person always or never hides the number.
        person: Person::of(outgoing.person, outgoing.person.is_multiple_of(4)),
    };
    message.events(random)
}

impl Message<'_> {
    fn events(&self, random: &mut Random) -> Vec<SimulatedEvent> {
        let sent = self.outgoing.at + random.log_normal(900, 0.5);
        let mut events = vec![self.status("sent", sent, true)];
        if random.bool(0.05) {
            let mut failed = self.status("failed", sent + random.log_normal(5_000, 1.0), false);
            let (code, title) = random.choice(&FAILED);
            if let Some(fields) = failed.record.as_object_mut() {
                let error = json!({"code": code, "title": title, "message": title});
                fields.insert("errors".to_owned(), json!([error]));
            }
            events.push(failed);
            return events;
        }
        let delivered = sent + random.log_normal(2_500, 0.8);
        let is_read = random.bool(0.7);
        // Of a message that is read at once, `delivered` may be left out.
        if !is_read || random.bool(0.9) {
            events.push(self.status("delivered", delivered, true));
        }
        if !is_read {
            return events;
        }
        let read = delivered + random.log_normal(10 * 60_000, 1.4);
        events.push(self.status("read", read, false));
        if random.bool(0.2) {
            events.push(self.reply(read + 3_000 + random.log_normal(90_000, 1.0), random));
        }
        events
    }

    fn status(&self, status: &'static str, at: EpochMillis, has_price: bool) -> SimulatedEvent {
        let mut record = json!({
            "id": self.id,
            "status": status,
            "timestamp": (at / 1000).to_string(),
            "recipient_user_id": self.person.user,
            "biz_opaque_callback_data": self.outgoing.campaign.tag,
        });
        if let Some(fields) = record.as_object_mut() {
            if let Some(number) = &self.person.number {
                fields.insert("recipient_id".to_owned(), number.as_str().into());
            }
            if has_price {
                let category = if self.outgoing.campaign.tag == "otp" {
                    "authentication"
                } else {
                    "marketing"
                };
                let pricing = json!({"billable": true, "pricing_model": "PMP", "type": "regular", "category": category});
                fields.insert("pricing".to_owned(), pricing);
            }
        }
        self.event(self.id.clone(), status, at, record)
    }

    fn reply(&self, at: EpochMillis, random: &mut Random) -> SimulatedEvent {
        let reply = self.outgoing.campaign.reply;
        let (kind, content) = match random.weighted(&[(4, 0), (3, 1), (2, 2), (1, 3)]) {
            0 => ("text", json!({"body": random.choice(&WORDS)})),
            1 => ("button", json!({"payload": reply.to_uppercase(), "text": reply})),
            2 => {
                let chosen = json!({"id": reply.to_lowercase(), "title": reply});
                (
                    "interactive",
                    json!({"type": "button_reply", "button_reply": chosen}),
                )
            }
            _ => ("reaction", json!({"message_id": self.id, "emoji": "❤️"})),
        };
        let is_tap = matches!(kind, "button" | "interactive");
        let id = format!("wamid.{}", random.token(40));
        let mut fields = Map::new();
        fields.insert("id".to_owned(), id.as_str().into());
        fields.insert("timestamp".to_owned(), (at / 1000).to_string().into());
        fields.insert("type".to_owned(), kind.into());
        fields.insert(kind.to_owned(), content);
        fields.insert("from_user_id".to_owned(), self.person.user.as_str().into());
        if let Some(number) = &self.person.number {
            fields.insert("from".to_owned(), number.as_str().into());
        }
        if is_tap {
            fields.insert(
                "context".to_owned(),
                json!({"from": self.outgoing.bot.phone, "id": self.id}),
            );
        }
        self.event(
            id,
            if is_tap { "clicked" } else { "received" },
            at,
            Value::Object(fields),
        )
    }

    fn event(
        &self,
        message_id: String,
        status: &'static str,
        at: EpochMillis,
        record: Value,
    ) -> SimulatedEvent {
        SimulatedEvent {
            format: CHANGES,
            function: CHANGES.function,
            record,
            message_id,
            channel: "WHATSAPP",
            status,
            at: at / 1000 * 1000,
            recipient: self.person.stored(),
        }
    }
}

/// A body with these records: a few in each change, and a few changes in each entry.
pub(super) fn body(records: &[&Value]) -> Value {
    let changes: Vec<Value> = records.chunks(RECORDS).map(change).collect();
    let entries: Vec<Value> = changes.chunks(CHANGES_OF_ENTRY).map(entry).collect();
    json!({"object": "whatsapp_business_account", "entry": entries})
}

/// The fields around a record.
pub(super) fn around(record: &Value) -> Value {
    let mut change = change(&[record]);
    if let Some(value) = change.get_mut("value").and_then(Value::as_object_mut) {
        value.remove(list_of(record));
    }
    json!({"object": "whatsapp_business_account", "entry": [entry(&[change])]})
}

fn entry(changes: &[Value]) -> Value {
    json!({"id": "910900000799", "changes": changes})
}

/// Statuses and messages with the contacts that they name.
fn change(records: &[&Value]) -> Value {
    let mut value = json!({
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "910900000700", "phone_number_id": "910900000701"},
    });
    let mut contacts: Vec<Value> = records.iter().map(|record| contact(record)).collect();
    contacts.dedup();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("contacts".to_owned(), contacts.into());
        for list in ["statuses", "messages"] {
            let listed: Vec<&Value> = (records.iter().copied())
                .filter(|record| list_of(record) == list)
                .collect();
            if !listed.is_empty() {
                fields.insert(list.to_owned(), json!(listed));
            }
        }
    }
    json!({"field": "messages", "value": value})
}

fn list_of(record: &Value) -> &'static str {
    if record.get("status").is_some() {
        "statuses"
    } else {
        "messages"
    }
}

fn contact(record: &Value) -> Value {
    let id = |names: [&str; 2]| names.iter().find_map(|name| record.get(name)).cloned();
    let mut contact = json!({"profile": {"name": "Asha"}});
    if let Some(fields) = contact.as_object_mut() {
        fields.extend(id(["recipient_user_id", "from_user_id"]).map(|id| ("user_id".to_owned(), id)));
        fields.extend(id(["recipient_id", "from"]).map(|id| ("wa_id".to_owned(), id)));
    }
    contact
}
