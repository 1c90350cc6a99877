//! Netcore's `WhatsApp` messages: delivery status with prices, and replies.

use serde_json::{Value, json};
use webhook_ingest::event::EpochMillis;

use super::{
    event::{Envelope, PostFormat, Provider, SimulatedEvent},
    people::{OutgoingMessage, indian},
    random::Random,
};

/// Incoming messages.
pub(super) const INCOMING_MESSAGES: PostFormat = PostFormat {
    function: "incoming-webhook",
    envelope: Envelope::Field("incoming_message"),
};

/// Delivery status.
pub(super) const DELIVERY_STATUS: PostFormat = PostFormat {
    function: "delivery-status",
    envelope: Envelope::Field("delivery_status"),
};

const FAILED: [&str; 5] = [
    "Operator rejected the message",
    "Message undeliverable",
    "Message undeliverable",
    "Re-engagement message",
    "User's number is part of an experiment",
];
const WORDS: [&str; 6] = [
    "Hello",
    "Yes, that one\nthanks",
    "Please call me back",
    "Kitna time lagega?",
    "Not interested",
    "👍",
];

/// A message, with the fields that its events share.
struct Message<'a> {
    outgoing: &'a OutgoingMessage,
    id: String,
    number: String,
    source: &'static str,
    header: String,
    /// Category of the conversation, which determines the price.
    category: &'static str,
    billable: bool,
}

/// Simulates one message.
pub(super) static PROVIDER: Provider = Provider {
    weight: 25,
    formats: &[DELIVERY_STATUS, INCOMING_MESSAGES],
    simulate,
};

fn simulate(outgoing: &OutgoingMessage, _: f64, random: &mut Random) -> Vec<SimulatedEvent> {
    let campaign = matches!(outgoing.campaign.tag, "order-updates" | "appointments");
    let category = match outgoing.campaign.tag {
        "otp" => "authentication",
        _ if campaign => "utility",
        _ => random.weighted(&[(4, "marketing"), (1, "marketing_lite")]),
    };
    let message = Message {
        outgoing,
        id: random.uuid(),
        number: indian(outgoing.person),
        source: random.choice(&["", "crm", "journey"]),
        header: if random.bool(0.5) {
            format!("order-{}", random.hex(8))
        } else {
            String::new()
        },
        category,
        // Utility messages in an open conversation are free.
        billable: category != "utility" || random.bool(0.4),
    };
    message.events(random)
}

impl Message<'_> {
    fn events(&self, random: &mut Random) -> Vec<SimulatedEvent> {
        let sent = self.outgoing.at + random.log_normal(900, 0.5);
        if random.bool(0.03) {
            return vec![self.status("failed", sent, random.choice(&FAILED))];
        }
        let mut events = vec![self.status("sent", sent, "")];
        if random.bool(0.03) {
            let at = sent + random.log_normal(20_000, 1.0);
            events.push(self.status("failed", at, random.choice(&FAILED)));
            return events;
        }
        if random.bool(0.04) {
            return events;
        }
        let wait = if random.bool(0.85) { 2_500 } else { 60 * 60_000 };
        let delivered = sent + random.log_normal(wait, 0.8);
        events.push(self.status("delivered", delivered, ""));
        if random.bool(0.25) {
            return events;
        }
        let read = delivered + random.log_normal(12 * 60_000, 1.4);
        events.push(self.status("read", read, ""));
        if random.bool(0.15) {
            events.push(self.reply(read + 3_000 + random.log_normal(120_000, 1.0), random));
        }
        // An undocumented status.
        if random.bool(0.003) {
            events.push(self.status("deleted", read + 60_000, ""));
        }
        events
    }

    fn status(&self, status: &'static str, at: EpochMillis, remark: &str) -> SimulatedEvent {
        let mut record = json!({
            "ncmessage_id": self.id,
            "phoneNumber": self.outgoing.bot.phone,
            "received_at": (at / 1000).to_string(),
            "recipient": self.number,
            "source": self.source,
            "status": status,
            "status_remark": remark,
            "x-apiheader": self.header,
        });
        // A failed message has no price.
        if let (true, Some(fields)) = (status != "failed", record.as_object_mut()) {
            let pricing = json!({
                "billable": self.billable,
                "category": self.category,
                "pricing_model": "PMP",
                "type": "regular",
            });
            fields.insert("pricing".to_owned(), pricing);
        }
        SimulatedEvent {
            format: DELIVERY_STATUS,
            function: DELIVERY_STATUS.function,
            record,
            message_id: self.id.clone(),
            channel: "WHATSAPP",
            status,
            at: at / 1000 * 1000,
            recipient: self.number.clone(),
        }
    }

    fn reply(&self, at: EpochMillis, random: &mut Random) -> SimulatedEvent {
        let (kind, field, content): (&str, &str, Value) =
            match random.weighted(&[(5, 0), (4, 1), (1, 2), (1, 3)]) {
                0 => ("TEXT", "text_type", json!({"text": random.choice(&WORDS)})),
                1 => {
                    let text = self.outgoing.campaign.reply;
                    let payload = text.to_uppercase().replace(' ', "_");
                    ("BUTTON", "button_type", json!({"payload": payload, "text": text}))
                }
                2 => {
                    let image = json!({
                        "id": random.uuid(),
                        "mime_type": "image/jpeg",
                        "sha256": random.hex(64),
                        "caption": random.choice(&["", "like this one?"]),
                    });
                    ("IMAGE", "image_type", image)
                }
                _ => {
                    let reaction = json!({"message_id": format!("gBEG{}", random.token(24)), "emoji": "❤️"});
                    ("REACTION", "reaction_type", reaction)
                }
            };
        let id = format!("ABEG{}", random.token(24));
        // A button tap always has the id of the original message; other replies rarely do.
        let answered = if kind == "BUTTON" || random.bool(0.3) {
            Value::from(self.id.as_str())
        } else {
            random.choice(&[Some(""), None]).into()
        };
        let mut record = json!({
            "message_id": id,
            "from": self.number,
            "received_at": (at / 1000).to_string(),
            "context": {"ncmessage_id": answered, "message_id": ""},
            "message_type": kind,
        });
        if let Some(fields) = record.as_object_mut() {
            fields.insert(field.to_owned(), content);
        }
        SimulatedEvent {
            format: INCOMING_MESSAGES,
            function: INCOMING_MESSAGES.function,
            record,
            message_id: id,
            channel: "WHATSAPP",
            status: if kind == "BUTTON" { "clicked" } else { "received" },
            at: at / 1000 * 1000,
            recipient: self.number.clone(),
        }
    }
}
