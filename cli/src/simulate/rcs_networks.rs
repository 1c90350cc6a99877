//! Messages over the RCS networks: Google, plain and as a Pub/Sub push, Jio, Airtel and Vi. The networks report no
//! `sent`.

use jiff::Timestamp;
use serde_json::{Value, json};
use webhook_ingest::event::EpochMillis;

use super::{
    event::{Envelope, PostFormat, Provider, SimulatedEvent},
    people::{OutgoingMessage, indian},
    random::Random,
};

const FUNCTION: &str = "rbm-event";

/// One event per body.
const PLAIN: PostFormat = PostFormat {
    function: FUNCTION,
    envelope: Envelope::Single,
};

/// One event per Pub/Sub push.
const PUSH: PostFormat = PostFormat {
    function: FUNCTION,
    envelope: Envelope::PubSub,
};

const ANSWERS: [&str; 4] = ["Yes please", "ok 👍", "When will it arrive?", "STOP"];

/// The shapes of the networks' records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Network {
    #[default]
    Google,
    GooglePush,
    Jio,
    Airtel,
    Vi,
}

/// A message, with the fields that its events share.
struct Message<'a> {
    outgoing: &'a OutgoingMessage,
    network: Network,
    id: String,
    number: String,
}

/// Simulates one message.
pub(super) static PROVIDER: Provider = Provider {
    weight: 6,
    formats: &[PLAIN, PUSH],
    simulate,
};

fn simulate(outgoing: &OutgoingMessage, fallback: f64, random: &mut Random) -> Vec<SimulatedEvent> {
    let message = Message {
        outgoing,
        network: random.weighted(&[
            (3, Network::Google),
            (3, Network::GooglePush),
            (3, Network::Jio),
            (2, Network::Airtel),
            (2, Network::Vi),
        ]),
        id: random.uuid(),
        number: indian(outgoing.person),
    };
    let mut events = Vec::new();
    let at = outgoing.at + 500;
    if random.bool(fallback) {
        // The sender then sends an SMS with another provider.
        let at = at + random.log_normal(4 * 3_600_000, 0.4);
        events.push(message.state("TTL_EXPIRATION_REVOKED", "expired", at, random));
    } else if random.bool(0.03) {
        events.push(message.failure(at + random.log_normal(1_500, 0.4), random));
    } else {
        message.deliver(at, &mut events, random);
    }
    events
}

impl Message<'_> {
    fn deliver(&self, at: EpochMillis, events: &mut Vec<SimulatedEvent>, random: &mut Random) {
        let (delivered, read) = match self.network {
            Network::Jio => ("MESSAGE_DELIVERED", "MESSAGE_READ"),
            _ => ("DELIVERED", "READ"),
        };
        let at = at + random.log_normal(4_000, 0.9);
        events.push(self.state(delivered, "delivered", at, random));
        if random.bool(0.35) {
            return;
        }
        let at = at + 1_000 + random.log_normal(20 * 60_000, 1.3);
        events.push(self.state(read, "read", at, random));
        if random.bool(0.3) {
            let at = at + 2_000 + random.log_normal(15_000, 0.9);
            let tap = json!({"postbackData": self.outgoing.campaign.tag, "text": self.outgoing.campaign.reply, "type": "REPLY"});
            events.push(self.content("clicked", &tap, at, random));
        }
        if random.bool(0.15) {
            let at = at + 30_000 + random.log_normal(60_000, 0.8);
            if self.network != Network::Airtel {
                events.push(self.typing(at, random));
            }
            let text = random.choice(&ANSWERS).into();
            events.push(self.content("received", &text, at + 2_000, random));
        }
    }

    /// An event of the message.
    fn state(
        &self,
        word: &str,
        status: &'static str,
        at: EpochMillis,
        random: &mut Random,
    ) -> SimulatedEvent {
        let id = self.id.as_str();
        let record = match self.network {
            Network::Jio => self.jio(
                "USER_EVENT",
                &json!({"eventType": word, "messageId": id, "eventId": random.token(24), "sendTime": time(at, 6), "senderPhoneNumber": self.e164()}),
            ),
            Network::Airtel if status == "expired" => {
                json!({"messageId": id, "msisdn": self.e164(), "eventType": word, "sendTime": time(at, 6)})
            }
            Network::Airtel => self.airtel("OUTBOUND", id, json!({"templateId": random.token(26), "eventType": word}), at),
            network => {
                let person = if status == "expired" { "phoneNumber" } else { "senderPhoneNumber" };
                let mut record = json!({"eventType": word, "eventId": random.uuid(), "messageId": id});
                set(&mut record, person, self.e164());
                self.agent(network, record, at)
            }
        };
        self.event(id.to_owned(), status, record, at)
    }

    fn failure(&self, at: EpochMillis, random: &mut Random) -> SimulatedEvent {
        let mut failed = self.state("FAILED", "failed", at, random);
        match self.network {
            Network::Jio => {
                failed.record = self.jio(
                    "STATUS_EVENT",
                    &json!({"eventType": "SEND_MESSAGE_FAILURE", "messageId": self.id, "sendTime": time(at, 6), "error": {"code": "internal", "errCode": 5, "message": "The user is not on RCS"}}),
                );
            }
            Network::Airtel => {
                failed.record = json!({
                    "messageId": self.id,
                    "msisdn": self.e164(),
                    "eventType": "INTERNAL_ERROR",
                    "messageContent": null,
                    "error": {"errorMessage": "A variable has no value", "errorType": "VALIDATION_ERROR"},
                    "sendTime": time(at, 6),
                });
            }
            _ => set(&mut failed.record, "reason", "Too many requests".to_owned()),
        }
        failed
    }

    /// A tap or a text. It has its own message id.
    fn content(
        &self,
        status: &'static str,
        content: &Value,
        at: EpochMillis,
        random: &mut Random,
    ) -> SimulatedEvent {
        let id = format!("Mx{}", random.token(22));
        let is_tap = status == "clicked";
        let field = if is_tap { "suggestionResponse" } else { "text" };
        let record = match self.network {
            Network::Jio => {
                let (text, tap) = if is_tap {
                    let data = json!({"data": content["postbackData"]});
                    (
                        "".into(),
                        json!({"postBack": data, "plainText": content["text"], "type": "REPLY"}),
                    )
                } else {
                    (content.clone(), Value::Null)
                };
                self.jio(
                    "USER_MESSAGE",
                    &json!({"messageId": id, "sendTime": time(at, 6), "text": text, "userFile": null, "location": null, "suggestionResponse": tap}),
                )
            }
            Network::Airtel => {
                let mut content = if is_tap {
                    content.clone()
                } else {
                    json!({"text": content, "type": "TEXT"})
                };
                if is_tap {
                    set(&mut content, "contextMessageId", self.id.clone());
                }
                self.airtel(
                    "INBOUND",
                    &id,
                    json!({"messageContent": content, "eventType": "RECEIVED"}),
                    at,
                )
            }
            network => {
                let mut record = json!({"senderPhoneNumber": self.e164(), "messageId": id});
                if let Some(fields) = record.as_object_mut() {
                    fields.insert(field.to_owned(), content.clone());
                }
                self.agent(network, record, at)
            }
        };
        self.event(id, status, record, at)
    }

    /// The person types. This belongs to no message; its id is the event's.
    fn typing(&self, at: EpochMillis, random: &mut Random) -> SimulatedEvent {
        let event = random.uuid();
        let record = match self.network {
            Network::Jio => self.jio(
                "USER_EVENT",
                &json!({"eventType": "IS_TYPING", "eventId": event, "sendTime": time(at, 6), "senderPhoneNumber": self.e164()}),
            ),
            network => self.agent(
                network,
                json!({"senderPhoneNumber": self.e164(), "eventType": "IS_TYPING", "eventId": event}),
                at,
            ),
        };
        self.event(event, "is_typing", record, at)
    }

    fn event(
        &self,
        message_id: String,
        status: &'static str,
        record: Value,
        at: EpochMillis,
    ) -> SimulatedEvent {
        SimulatedEvent {
            format: if self.network == Network::GooglePush {
                PUSH
            } else {
                PLAIN
            },
            function: FUNCTION,
            record,
            message_id,
            channel: "RCS",
            status,
            at,
            recipient: self.number.clone(),
        }
    }

    fn jio(&self, kind: &str, entity: &Value) -> Value {
        json!({"userPhoneNumber": self.e164(), "botId": self.outgoing.bot.key, "entityType": kind, "entity": entity})
    }

    fn airtel(&self, stream: &str, id: &str, mut record: Value, at: EpochMillis) -> Value {
        for (name, value) in [
            ("messageId", id.to_owned()),
            ("msisdn", self.e164()),
            ("msgStream", stream.to_owned()),
            ("sendTime", time(at, 6)),
        ] {
            set(&mut record, name, value);
        }
        record
    }

    /// Google names the agent, Vi does not.
    fn agent(&self, network: Network, mut record: Value, at: EpochMillis) -> Value {
        if network == Network::Vi {
            set(&mut record, "sendTime", time(at, 9));
        } else {
            set(&mut record, "agentId", self.outgoing.bot.key.to_owned());
            set(&mut record, "sendTime", time(at, 6));
        }
        record
    }

    fn e164(&self) -> String {
        format!("+{}", self.number)
    }
}

fn set(record: &mut Value, name: &str, value: String) {
    if let Some(fields) = record.as_object_mut() {
        fields.insert(name.to_owned(), value.into());
    }
}

/// ISO 8601 with this many digits of a second, UTC.
fn time(at: EpochMillis, digits: usize) -> String {
    let format = format!("%Y-%m-%dT%H:%M:%S%.{digits}fZ");
    Timestamp::from_millisecond(at)
        .map(|at| at.strftime(&format).to_string())
        .unwrap_or_default()
}
