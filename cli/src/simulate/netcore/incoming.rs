//! Incoming RCS messages: taps, texts, pictures and locations.

use serde_json::{Value, json};
use webhook_ingest::event::EpochMillis;

use super::{
    super::{
        chance::Chance,
        happening::{Envelope, Form, Happening},
        people::MINUTE,
    },
    Message,
};

/// Incoming RCS messages.
pub(in super::super) const RCS_MESSAGES: Form = Form {
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
    pub(super) fn tap_as_message(&self, at: EpochMillis, text: &str, chance: &mut Chance) -> Happening {
        let metadata = json!({
            "msgId": self.id,
            "a2pMsgDate": webhook_ingest::event::time::utc_day(self.sending.at),
            "templateCode": format!("temp_{}", self.sending.campaign.tag.replace('-', "_")),
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
        let later = at + chance.around(400, 0.5);
        self.incoming("click", &tap, "clicked", later, chance)
    }

    pub(super) fn is_answered(&self, at: EpochMillis, told: &mut Vec<Happening>, chance: &mut Chance) {
        let (kind, details) = match chance.weighed(&[(8, 0), (2, 1), (1, 2)]) {
            0 => ("text", json!({"text": chance.one_of(&ANSWERS)})),
            1 => {
                let uri = |chance: &mut Chance| {
                    let (folder, file) = (chance.uuid(), chance.hex(60));
                    format!("https://rcs-user-content.example.com/{folder}/{file}")
                };
                let file = json!({"userFile": {
                    "payload": {
                        "fileName": format!("{}.jpg", chance.number(1_000_000..9_999_999)),
                        "fileSizeBytes": chance.number(40_000..900_000),
                        "fileUri": uri(chance),
                        "mimeType": "image/jpeg",
                    },
                    "thumbnail": {
                        "fileSizeBytes": chance.number(4_000..12_000),
                        "fileUri": uri(chance),
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
        told.push(self.incoming(kind, &details, "received", at, chance));
        if chance.is(0.3) {
            let text = json!({"text": chance.one_of(&ANSWERS)});
            told.push(self.incoming("text", &text, "received", at + MINUTE, chance));
        }
    }

    fn incoming(
        &self,
        kind: &str,
        details: &Value,
        status: &'static str,
        at: EpochMillis,
        chance: &mut Chance,
    ) -> Happening {
        let id = format!("Mx{}", chance.token(22));
        let record = json!({
            "message_id": id,
            "from": self.sending.bot.key,
            "from_name": self.sending.bot.name,
            "received_at": at,
            "message_type": kind,
            "message_details": details,
            "to": format!("+{}", self.number),
        });
        Happening {
            form: RCS_MESSAGES,
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
