//! Netcore's `WhatsApp` messages: delivery status with prices, and replies.

use serde_json::{Value, json};
use webhook_ingest::event::EpochMillis;

use super::{
    chance::Chance,
    happening::{Envelope, Form, Happening, Life},
    people::{Sending, indian},
};

/// Incoming messages.
pub(super) const INCOMING_MESSAGES: Form = Form {
    function: "incoming-webhook",
    envelope: Envelope::Field("incoming_message"),
};

/// Delivery status.
pub(super) const DELIVERY_STATUS: Form = Form {
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
    sending: &'a Sending,
    id: String,
    number: String,
    source: &'static str,
    header: String,
    /// Category of the conversation, which determines the price.
    category: &'static str,
    billable: bool,
}

/// Simulates one message.
pub(super) static LIFE: Life = Life {
    weight: 25,
    forms: &[DELIVERY_STATUS, INCOMING_MESSAGES],
    live,
};

fn live(sending: &Sending, _: f64, chance: &mut Chance) -> Vec<Happening> {
    let campaign = matches!(sending.campaign.tag, "order-updates" | "appointments");
    let category = match sending.campaign.tag {
        "otp" => "authentication",
        _ if campaign => "utility",
        _ => chance.weighed(&[(4, "marketing"), (1, "marketing_lite")]),
    };
    let message = Message {
        sending,
        id: chance.uuid(),
        number: indian(sending.person),
        source: chance.one_of(&["", "crm", "journey"]),
        header: if chance.is(0.5) {
            format!("order-{}", chance.hex(8))
        } else {
            String::new()
        },
        category,
        // Utility messages in an open conversation are free.
        billable: category != "utility" || chance.is(0.4),
    };
    message.lives(chance)
}

impl Message<'_> {
    fn lives(&self, chance: &mut Chance) -> Vec<Happening> {
        let sent = self.sending.at + chance.around(900, 0.5);
        if chance.is(0.03) {
            return vec![self.status("failed", sent, chance.one_of(&FAILED))];
        }
        let mut told = vec![self.status("sent", sent, "")];
        if chance.is(0.03) {
            let at = sent + chance.around(20_000, 1.0);
            told.push(self.status("failed", at, chance.one_of(&FAILED)));
            return told;
        }
        if chance.is(0.04) {
            return told;
        }
        let wait = if chance.is(0.85) { 2_500 } else { 60 * 60_000 };
        let delivered = sent + chance.around(wait, 0.8);
        told.push(self.status("delivered", delivered, ""));
        if chance.is(0.25) {
            return told;
        }
        let read = delivered + chance.around(12 * 60_000, 1.4);
        told.push(self.status("read", read, ""));
        if chance.is(0.15) {
            told.push(self.answer(read + 3_000 + chance.around(120_000, 1.0), chance));
        }
        // An undocumented status.
        if chance.is(0.003) {
            told.push(self.status("deleted", read + 60_000, ""));
        }
        told
    }

    fn status(&self, status: &'static str, at: EpochMillis, remark: &str) -> Happening {
        let mut record = json!({
            "ncmessage_id": self.id,
            "phoneNumber": self.sending.bot.phone,
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
        Happening {
            form: DELIVERY_STATUS,
            function: DELIVERY_STATUS.function,
            record,
            message_id: self.id.clone(),
            channel: "WHATSAPP",
            status,
            at: at / 1000 * 1000,
            recipient: self.number.clone(),
        }
    }

    fn answer(&self, at: EpochMillis, chance: &mut Chance) -> Happening {
        let (kind, field, content): (&str, &str, Value) =
            match chance.weighed(&[(5, 0), (4, 1), (1, 2), (1, 3)]) {
                0 => ("TEXT", "text_type", json!({"text": chance.one_of(&WORDS)})),
                1 => {
                    let text = self.sending.campaign.reply;
                    let payload = text.to_uppercase().replace(' ', "_");
                    ("BUTTON", "button_type", json!({"payload": payload, "text": text}))
                }
                2 => {
                    let image = json!({
                        "id": chance.uuid(),
                        "mime_type": "image/jpeg",
                        "sha256": chance.hex(64),
                        "caption": chance.one_of(&["", "like this one?"]),
                    });
                    ("IMAGE", "image_type", image)
                }
                _ => {
                    let reaction = json!({"message_id": format!("gBEG{}", chance.token(24)), "emoji": "❤️"});
                    ("REACTION", "reaction_type", reaction)
                }
            };
        let id = format!("ABEG{}", chance.token(24));
        // A button tap always has the id of the original message; other replies rarely do.
        let answered = if kind == "BUTTON" || chance.is(0.3) {
            Value::from(self.id.as_str())
        } else {
            chance.one_of(&[Some(""), None]).into()
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
        Happening {
            form: INCOMING_MESSAGES,
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
