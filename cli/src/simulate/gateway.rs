//! Messages of an RCS gateway: content, states, blocks, taps and replies, one callback each.

use jiff::Timestamp;
use serde_json::{Value, json};
use webhook_ingest::event::EpochMillis;

use super::{
    event::{Envelope, PostFormat, Provider, SimulatedEvent},
    people::{OutgoingMessage, brazilian},
    random::Random,
};

/// Callbacks, one per body.
pub(super) const CALLBACKS: PostFormat = PostFormat {
    function: "rcs-callback",
    envelope: Envelope::Single,
};

const CREDITS: [&str; 2] = [
    "Limite de créditos do cliente atingido",
    "Limite de créditos da conta atingido",
];
const EXCEPTIONS: [&str; 4] = [
    "Request failed with status code 404: Device does not support RCS.",
    "Request failed with status code 404: Device does not support RCS.",
    "Request failed with status code 403: Device does not support RCS.",
    "Request failed with status code 401: Failed to fetch the authentication token.",
];
const ERRORS: [&str; 2] = [
    "Request failed with status code 502: Bad Gateway.",
    "Request failed with status code 503: Service Unavailable",
];
const ANSWERS: [&str; 4] = [
    "Quero sim, obrigado! 😀",
    "Qual o prazo de entrega?",
    "Não, obrigada",
    "PARAR",
];

/// A message, with the fields that its callbacks share.
struct Message<'a> {
    outgoing: &'a OutgoingMessage,
    reference: String,
    event: String,
    session: String,
    number: String,
    vars: Value,
}

/// Fields of one callback besides the shared ones.
struct Callback {
    at: EpochMillis,
    event: String,
    inbound: bool,
    channel: &'static str,
    kind: &'static str,
    message: Value,
}

/// Simulates one message.
pub(super) static PROVIDER: Provider = Provider {
    weight: 20,
    formats: &[CALLBACKS],
    simulate,
};

fn simulate(outgoing: &OutgoingMessage, fallback: f64, random: &mut Random) -> Vec<SimulatedEvent> {
    let vars = if random.bool(0.5) {
        json!({"name": random.choice(&["Ana", "Caio", "Lia", "Davi"]), "code": format!("A-{}", random.number(1000..9999))})
    } else {
        json!({})
    };
    let message = Message {
        outgoing,
        reference: random.uuid(),
        event: random.uuid(),
        session: random.uuid(),
        number: brazilian(outgoing.person),
        vars,
    };
    let mut events = Vec::new();
    if random.bool(0.03) {
        events.push(message.block(random));
    } else if random.bool(fallback) {
        message.fall_back_to_sms(&mut events, random);
    } else {
        message.deliver(&mut events, random);
    }
    events
}

impl Message<'_> {
    fn callback(&self, at: EpochMillis, kind: &'static str, message: Value) -> Callback {
        Callback {
            at,
            event: self.event.clone(),
            inbound: false,
            channel: "RCS",
            kind,
            message,
        }
    }

    fn event(&self, status: &'static str, callback: Callback) -> SimulatedEvent {
        let mut record = json!({
            "reference": self.reference,
            "campaign_name": self.outgoing.campaign.name,
            "event_id": callback.event,
            "direction": if callback.inbound { "inbound" } else { "outbound" },
            "session_id": if callback.channel == "SMS" { Value::Null } else { self.session.as_str().into() },
            "user_id": self.number,
            "timestamp": iso(callback.at),
            "channel": callback.channel,
            "type": callback.kind,
            "vars": self.vars,
        });
        if let Some(fields) = record.as_object_mut() {
            fields.insert("message".to_owned(), callback.message);
        }
        SimulatedEvent {
            format: CALLBACKS,
            function: CALLBACKS.function,
            record,
            message_id: self.reference.clone(),
            channel: callback.channel,
            status,
            at: callback.at,
            recipient: self.number.clone(),
        }
    }

    fn block(&self, random: &mut Random) -> SimulatedEvent {
        let at = self.outgoing.at + random.log_normal(800, 0.4);
        match random.weighted(&[(3, 0), (1, 1), (1, 2)]) {
            0 => {
                let why = random.choice(&CREDITS);
                self.event("blocked", self.callback(at, "PREPAID_BLOCKED", why.into()))
            }
            1 => self.event(
                "blocked",
                self.callback(at, "bloqueado por duplicidade", Value::Null),
            ),
            _ => {
                let mut blocked = self.event("blocked", self.callback(at, "text", self.text()));
                if let Some(fields) = blocked.record.as_object_mut() {
                    fields.insert("status".into(), "bloqueado por duplicidade".into());
                }
                blocked
            }
        }
    }

    /// The message continues on SMS with the same reference and another event id.
    fn fall_back_to_sms(&self, events: &mut Vec<SimulatedEvent>, random: &mut Random) {
        let failed = self.outgoing.at + 500 + random.log_normal(1_500, 0.5);
        let (kind, why) = if random.bool(0.85) {
            ("EXCEPTION", random.choice(&EXCEPTIONS))
        } else {
            ("ERROR", random.choice(&ERRORS))
        };
        events.push(self.event("failed", self.callback(failed, kind, why.into())));
        let event = random.uuid();
        let over_sms = |callback: Callback| Callback {
            event: event.clone(),
            channel: "SMS",
            ..callback
        };
        let sent = failed + random.log_normal(1_200, 0.4);
        events.push(self.event("sent", over_sms(self.callback(sent, "text", self.text()))));
        if random.bool(0.9) {
            let at = sent + random.log_normal(4_000, 1.0);
            let delivered = Callback {
                inbound: true,
                ..self.callback(at, "DELIVERED", Value::Null)
            };
            events.push(self.event("delivered", over_sms(delivered)));
        }
    }

    fn deliver(&self, events: &mut Vec<SimulatedEvent>, random: &mut Random) {
        let sent = self.outgoing.at + random.log_normal(600, 0.4);
        let (kind, content) = self.content(random);
        events.push(self.event("sent", self.callback(sent, kind, content)));
        if random.bool(0.05) {
            return;
        }
        let delivered = sent + 300 + random.log_normal(3_000, 1.0);
        let inbound = |callback: Callback| Callback {
            inbound: true,
            ..callback
        };
        events.push(self.event(
            "delivered",
            inbound(self.callback(delivered, "DELIVERED", Value::Null)),
        ));
        if random.bool(0.4) {
            return;
        }
        let read = delivered + 500 + random.log_normal(15 * 60_000, 1.3);
        events.push(self.event("read", inbound(self.callback(read, "READ", Value::Null))));
        // An undocumented type.
        if random.bool(0.01) {
            let typing = Callback {
                event: random.uuid(),
                ..inbound(self.callback(read + 2_000, "IS_TYPING", Value::Null))
            };
            events.push(self.event("is_typing", typing));
        }
        if random.bool(0.25) {
            self.tap(read, events, random);
        }
        if random.bool(0.06) {
            events.push(self.reply(read + random.log_normal(60_000, 0.8), random));
        }
    }

    fn tap(&self, read: EpochMillis, events: &mut Vec<SimulatedEvent>, random: &mut Random) {
        let campaign = self.outgoing.campaign;
        for _ in 0..random.weighted(&[(5, 1), (2, 2), (1, 3)]) {
            let (kind, text) =
                random.weighted(&[(3, ("ACTION", campaign.link)), (1, ("REPLY", campaign.reply))]);
            let response = json!({"type": kind, "text": text, "postbackData": text.to_lowercase()});
            let tap = Callback {
                event: random.uuid(),
                inbound: true,
                ..self.callback(
                    read + random.log_normal(20_000, 0.9),
                    "suggestionResponse",
                    json!({ "suggestionResponse": response }),
                )
            };
            events.push(self.event("clicked", tap));
        }
    }

    /// An incoming message has its own reference and belongs to no campaign.
    fn reply(&self, at: EpochMillis, random: &mut Random) -> SimulatedEvent {
        let reference = random.uuid();
        let callback = Callback {
            event: random.uuid(),
            inbound: true,
            ..self.callback(at, "text", json!({"text": random.choice(&ANSWERS)}))
        };
        let mut answer = self.event("received", callback);
        if let Some(fields) = answer.record.as_object_mut() {
            fields.insert("reference".into(), reference.as_str().into());
            fields.insert("campaign_name".into(), "".into());
            fields.insert("vars".into(), json!({}));
        }
        answer.message_id = reference;
        answer
    }

    fn text(&self) -> Value {
        json!({"text": format!("{}: veja as novidades 🌷", self.outgoing.campaign.name)})
    }

    fn content(&self, random: &mut Random) -> (&'static str, Value) {
        let campaign = self.outgoing.campaign;
        let picture = format!("https://files.example.com/{}.jpg", campaign.tag);
        match random.weighted(&[(4, 0), (3, 1), (1, 2)]) {
            0 => ("text", self.text()),
            1 => {
                let card = json!({
                    "title": campaign.name,
                    "description": "Só esta semana",
                    "media": {"fileUrl": picture, "height": "MEDIUM"},
                    "suggestions": [
                        {"type": "openUrl", "text": campaign.link, "url": "https://shop.example.com/?a=1&b=2", "postbackData": campaign.link.to_lowercase()},
                        {"type": "reply", "text": campaign.reply, "postbackData": campaign.reply.to_lowercase()},
                    ],
                });
                ("richCard", card)
            }
            _ => ("image", json!({"fileUrl": picture, "thumbnailUrl": picture})),
        }
    }
}

/// ISO 8601 with milliseconds, UTC.
fn iso(at: EpochMillis) -> String {
    Timestamp::from_millisecond(at)
        .map(|at| at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
        .unwrap_or_default()
}
