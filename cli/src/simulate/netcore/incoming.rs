//! Incoming RCS messages: taps, texts, pictures and locations.

use serde_json::{Value, json};
use webhook_ingest::event::EpochMillis;

use super::{
    super::{
        event::{Envelope, PostFormat, SimulatedEvent},
        people::MINUTE,
        random::Random,
    },
    Message,
};

/// Incoming RCS messages.
pub(in super::super) const RCS_MESSAGES: PostFormat = PostFormat {
    function: "incoming-webhook",
    envelope: Envelope::Array,
};

const ANSWERS: [&str; 8] = [
    "Yes please",
    "ok 👍",
    "When will it arrive?",
    "haan, bhej do",
    "STOP",
    "Is there a discount for two?",
    "Thank you 😊",
    "नमस्ते, कीमत क्या है?",
];

impl Message<'_> {
    /// A tap on a suggested reply is also posted as an incoming message, with the id of the original message.
    pub(super) fn tap_as_message(&self, at: EpochMillis, text: &str, random: &mut Random) -> SimulatedEvent {
        let metadata = json!({
            "msgId": self.id,
            "a2pMsgDate": webhook_ingest::event::time::utc_day(self.outgoing.at),
            "templateCode": format!("temp_{}", self.outgoing.campaign.tag.replace('-', "_")),
            "templateType": "rich_card",
            "suggestionType": "reply",
            "suggestionIndex": 1,
        });
        let tap = json!({"suggestionResponse": {
            "metadata": metadata.to_string(),
            "postbackData": text,
            "text": text,
            "type": "REPLY",
        }});
        let later = at + random.log_normal(400, 0.5);
        self.incoming("click", &tap, "clicked", later, random)
    }

    pub(super) fn reply(&self, at: EpochMillis, events: &mut Vec<SimulatedEvent>, random: &mut Random) {
        let (kind, details) = match random.weighted(&[(8, 0), (2, 1), (1, 2)]) {
            0 => ("text", json!({"text": random.choice(&ANSWERS)})),
            1 => {
                let uri = |random: &mut Random| {
                    let (folder, file) = (random.uuid(), random.hex(60));
                    format!("https://rcs-user-content.example.com/{folder}/{file}")
                };
                let file = json!({"userFile": {
                    "payload": {
                        "fileName": format!("{}.jpg", random.number(1_000_000..9_999_999)),
                        "fileSizeBytes": random.number(40_000..900_000),
                        "fileUri": uri(random),
                        "mimeType": "image/jpeg",
                    },
                    "thumbnail": {
                        "fileSizeBytes": random.number(4_000..12_000),
                        "fileUri": uri(random),
                        "mimeType": "image/jpeg",
                    },
                }});
                ("image", file)
            }
            _ => (
                "location",
                json!({"location": {"latitude": 19.076, "longitude": 72.8777}}),
            ),
        };
        events.push(self.incoming(kind, &details, "received", at, random));
        if random.bool(0.3) {
            let text = json!({"text": random.choice(&ANSWERS)});
            events.push(self.incoming("text", &text, "received", at + MINUTE, random));
        }
    }

    fn incoming(
        &self,
        kind: &str,
        details: &Value,
        status: &'static str,
        at: EpochMillis,
        random: &mut Random,
    ) -> SimulatedEvent {
        let id = format!("Mx{}", random.token(22));
        let record = json!({
            "message_id": id,
            "from": self.outgoing.bot.key,
            "from_name": self.outgoing.bot.name,
            "received_at": at,
            "message_type": kind,
            "message_details": details,
            "to": format!("+{}", self.number),
        });
        SimulatedEvent {
            format: RCS_MESSAGES,
            function: RCS_MESSAGES.function,
            record,
            message_id: id,
            channel: "RCS",
            status,
            at,
            recipient: self.number.clone(),
        }
    }
}
