//! Messages of an RCS gateway: content, states, blocks, taps and replies, one callback each.

use jiff::Timestamp;
use serde_json::{Value, json};
use webhook_ingest::event::EpochMillis;

use super::{
    chance::Chance,
    happening::{Envelope, Form, Happening, Life},
    people::{Sending, brazilian},
};

/// Callbacks, one per body.
pub(super) const CALLBACKS: Form = Form {
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
    sending: &'a Sending,
    reference: String,
    event: String,
    session: String,
    number: String,
    vars: Value,
}

/// Fields of one callback besides the shared ones.
struct Said {
    at: EpochMillis,
    event: String,
    inbound: bool,
    channel: &'static str,
    kind: &'static str,
    message: Value,
}

/// Simulates one message.
pub(super) static LIFE: Life = Life {
    weight: 20,
    forms: &[CALLBACKS],
    live,
};

fn live(sending: &Sending, fallback: f64, chance: &mut Chance) -> Vec<Happening> {
    let vars = if chance.is(0.5) {
        json!({"name": chance.one_of(&["Ana", "Caio", "Lia", "Davi"]), "code": format!("A-{}", chance.number(1000..9999))})
    } else {
        json!({})
    };
    let message = Message {
        sending,
        reference: chance.uuid(),
        event: chance.uuid(),
        session: chance.uuid(),
        number: brazilian(sending.person),
        vars,
    };
    let mut told = Vec::new();
    if chance.is(0.03) {
        told.push(message.is_blocked(chance));
    } else if chance.is(fallback) {
        message.goes_on_as_sms(&mut told, chance);
    } else {
        message.arrives(&mut told, chance);
    }
    told
}

impl Message<'_> {
    fn says(&self, at: EpochMillis, kind: &'static str, message: Value) -> Said {
        Said {
            at,
            event: self.event.clone(),
            inbound: false,
            channel: "RCS",
            kind,
            message,
        }
    }

    fn told(&self, status: &'static str, said: Said) -> Happening {
        let mut record = json!({
            "reference": self.reference,
            "campaign_name": self.sending.campaign.name,
            "event_id": said.event,
            "direction": if said.inbound { "inbound" } else { "outbound" },
            "session_id": if said.channel == "SMS" { Value::Null } else { self.session.as_str().into() },
            "user_id": self.number,
            "timestamp": iso(said.at),
            "channel": said.channel,
            "type": said.kind,
            "vars": self.vars,
        });
        if let Some(fields) = record.as_object_mut() {
            fields.insert("message".to_owned(), said.message);
        }
        Happening {
            form: CALLBACKS,
            function: CALLBACKS.function,
            record,
            message_id: self.reference.clone(),
            channel: said.channel,
            status,
            at: said.at,
            recipient: self.number.clone(),
        }
    }

    fn is_blocked(&self, chance: &mut Chance) -> Happening {
        let at = self.sending.at + chance.around(800, 0.4);
        match chance.weighed(&[(3, 0), (1, 1), (1, 2)]) {
            0 => {
                let why = chance.one_of(&CREDITS);
                self.told("blocked", self.says(at, "PREPAID_BLOCKED", why.into()))
            }
            1 => self.told("blocked", self.says(at, "bloqueado por duplicidade", Value::Null)),
            _ => {
                let mut blocked = self.told("blocked", self.says(at, "text", self.text()));
                if let Some(fields) = blocked.record.as_object_mut() {
                    fields.insert("status".into(), "bloqueado por duplicidade".into());
                }
                blocked
            }
        }
    }

    /// The message continues on SMS with the same reference and another event id.
    fn goes_on_as_sms(&self, told: &mut Vec<Happening>, chance: &mut Chance) {
        let failed = self.sending.at + 500 + chance.around(1_500, 0.5);
        let (kind, why) = if chance.is(0.85) {
            ("EXCEPTION", chance.one_of(&EXCEPTIONS))
        } else {
            ("ERROR", chance.one_of(&ERRORS))
        };
        told.push(self.told("failed", self.says(failed, kind, why.into())));
        let event = chance.uuid();
        let over_sms = |said: Said| Said {
            event: event.clone(),
            channel: "SMS",
            ..said
        };
        let sent = failed + chance.around(1_200, 0.4);
        told.push(self.told("sent", over_sms(self.says(sent, "text", self.text()))));
        if chance.is(0.9) {
            let at = sent + chance.around(4_000, 1.0);
            let delivered = Said {
                inbound: true,
                ..self.says(at, "DELIVERED", Value::Null)
            };
            told.push(self.told("delivered", over_sms(delivered)));
        }
    }

    fn arrives(&self, told: &mut Vec<Happening>, chance: &mut Chance) {
        let sent = self.sending.at + chance.around(600, 0.4);
        let (kind, content) = self.content(chance);
        told.push(self.told("sent", self.says(sent, kind, content)));
        if chance.is(0.05) {
            return;
        }
        let delivered = sent + 300 + chance.around(3_000, 1.0);
        let inbound = |said: Said| Said {
            inbound: true,
            ..said
        };
        told.push(self.told(
            "delivered",
            inbound(self.says(delivered, "DELIVERED", Value::Null)),
        ));
        if chance.is(0.4) {
            return;
        }
        let read = delivered + 500 + chance.around(15 * 60_000, 1.3);
        told.push(self.told("read", inbound(self.says(read, "READ", Value::Null))));
        // An undocumented type.
        if chance.is(0.01) {
            let typing = Said {
                event: chance.uuid(),
                ..inbound(self.says(read + 2_000, "IS_TYPING", Value::Null))
            };
            told.push(self.told("is_typing", typing));
        }
        if chance.is(0.25) {
            self.is_tapped(read, told, chance);
        }
        if chance.is(0.06) {
            told.push(self.answer(read + chance.around(60_000, 0.8), chance));
        }
    }

    fn is_tapped(&self, read: EpochMillis, told: &mut Vec<Happening>, chance: &mut Chance) {
        let campaign = self.sending.campaign;
        for _ in 0..chance.weighed(&[(5, 1), (2, 2), (1, 3)]) {
            let (kind, text) =
                chance.weighed(&[(3, ("ACTION", campaign.link)), (1, ("REPLY", campaign.reply))]);
            let response = json!({"type": kind, "text": text, "postbackData": text.to_lowercase()});
            let tap = Said {
                event: chance.uuid(),
                inbound: true,
                ..self.says(
                    read + chance.around(20_000, 0.9),
                    "suggestionResponse",
                    json!({ "suggestionResponse": response }),
                )
            };
            told.push(self.told("clicked", tap));
        }
    }

    /// An incoming message has its own reference and belongs to no campaign.
    fn answer(&self, at: EpochMillis, chance: &mut Chance) -> Happening {
        let reference = chance.uuid();
        let said = Said {
            event: chance.uuid(),
            inbound: true,
            ..self.says(at, "text", json!({"text": chance.one_of(&ANSWERS)}))
        };
        let mut answer = self.told("received", said);
        if let Some(fields) = answer.record.as_object_mut() {
            fields.insert("reference".into(), reference.as_str().into());
            fields.insert("campaign_name".into(), "".into());
            fields.insert("vars".into(), json!({}));
        }
        answer.message_id = reference;
        answer
    }

    fn text(&self) -> Value {
        json!({"text": format!("{}: veja as novidades 🌷", self.sending.campaign.name)})
    }

    fn content(&self, chance: &mut Chance) -> (&'static str, Value) {
        let campaign = self.sending.campaign;
        let picture = format!("https://files.example.com/{}.jpg", campaign.tag);
        match chance.weighed(&[(4, 0), (3, 1), (1, 2)]) {
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
