//! Netcore's RCS messages: events, the SMS that follows where RCS does not reach, and what people
//! answer. Every record has exactly the fields of the documented samples.

use serde_json::{Value, json};
use webhook_ingest::event::EpochMillis;

use super::{
    chance::Chance,
    life::{Form, Happening},
    people::{MINUTE, Sending, indian},
};

const NOT_SENT: [&str; 3] = [
    "Number is RCS disabled or Bot is not launched with the number's provider",
    "Number is RCS disabled or Bot is not launched with the number's provider",
    "Capability check failed",
];
const FAILED: [&str; 5] = [
    "Message expired before delivery",
    "Message expired before delivery",
    "Device is offline",
    "User has blocked the agent",
    "Internal error at the operator",
];
const SMS_FAILED: [&str; 4] = [
    "Absent subscriber",
    "Absent subscriber",
    "DND number",
    "Template mismatch",
];
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

/// One message and what its events share.
struct Message<'a> {
    sending: &'a Sending,
    id: String,
    number: String,
    request: String,
    callback: String,
    kind: &'static str,
}

pub(super) fn life(sending: &Sending, fallback: f64, chance: &mut Chance) -> Vec<Happening> {
    let number = indian(sending.person);
    let epoch = sending.at / 1000;
    let message = Message {
        sending,
        id: format!("api-337-{number}-{}-{epoch}", chance.hex(32)),
        number,
        request: chance.hex(32),
        callback: format!("order-{}", chance.hex(8)),
        kind: chance.one_of(&["Template", "Template", "Template", "Text"]),
    };
    let mut told = Vec::new();
    if chance.is(fallback) {
        let at = message.falls_short(&mut told, chance);
        message.goes_on_as_sms(at, &mut told, chance);
    } else if chance.is(0.02) {
        message.falls_short(&mut told, chance);
    } else {
        message.arrives(&mut told, chance);
    }
    told
}

impl Message<'_> {
    /// Never handed over, or handed over and lost. Returns when that was known.
    fn falls_short(&self, told: &mut Vec<Happening>, chance: &mut Chance) -> EpochMillis {
        if chance.is(0.7) {
            let at = self.sending.at + 1_000 + chance.around(1_500, 0.4);
            told.push(self.rcs("Not sent", "not_sent", at, chance.one_of(&NOT_SENT), None));
            return at;
        }
        let sent = self.sending.at + 1_000;
        told.push(self.rcs("Sent", "sent", sent, "", Some(json!({}))));
        let at = sent + chance.around(5 * 60_000, 1.2);
        told.push(self.rcs("Failed", "failed", at, chance.one_of(&FAILED), None));
        at
    }

    fn arrives(&self, told: &mut Vec<Happening>, chance: &mut Chance) {
        let sent = self.sending.at + 1_000;
        told.push(self.rcs("Sent", "sent", sent, "", Some(json!({}))));
        // A status that no document lists.
        if chance.is(0.004) {
            let at = sent + chance.around(30_000, 0.5);
            told.push(self.rcs(
                "Queued at Operator",
                "queued_at_operator",
                at,
                "",
                Some(json!({})),
            ));
        }
        if chance.is(0.04) {
            return;
        }
        let wait = if chance.is(0.8) { 4_000 } else { 40 * 60_000 };
        let delivered = sent + chance.around(wait, 0.8);
        told.push(self.rcs("Delivered", "delivered", delivered, "", Some(json!({}))));
        if chance.is(0.35) {
            return;
        }
        let read = delivered + 1_000 + chance.around(25 * 60_000, 1.4);
        told.push(self.rcs("Read", "read", read, "", Some(json!({}))));
        if chance.is(0.3) {
            self.is_tapped(read, told, chance);
        }
        if chance.is(0.08) {
            self.is_answered(read + chance.around(90_000, 0.9), told, chance);
        }
    }

    /// One to four taps, on several buttons or twice on one.
    fn is_tapped(&self, read: EpochMillis, told: &mut Vec<Happening>, chance: &mut Chance) {
        let campaign = self.sending.campaign;
        let taps = chance.weighed(&[(12, 1), (4, 2), (1, 3), (1, 4)]);
        let mut at = read;
        for _ in 0..taps {
            // At least a second apart: time and content are all that tells two taps apart.
            at += 2_000 + chance.around(15_000, 0.9);
            let (text, suggestion, kind) = chance.weighed(&[
                (6, (campaign.link, "url_action", "ACTION")),
                (2, ("Call us", "dialer_action", "ACTION")),
                (2, (campaign.reply, "reply", "REPLY")),
            ]);
            let tap = json!({
                "postbackData": format!("{}: {text}", campaign.tag),
                "suggestionType": suggestion,
                "text": text,
                "type": kind,
            });
            told.push(self.rcs("Clicked", "clicked", at, "", Some(tap)));
            if suggestion == "reply" {
                told.push(self.tap_as_message(at, text, chance));
            }
        }
    }

    fn rcs(
        &self,
        spelt: &str,
        status: &'static str,
        at: EpochMillis,
        remarks: &str,
        click: Option<Value>,
    ) -> Happening {
        let mut record = json!({
            "callbackdata": self.callback,
            "channel": "RCS",
            "event_time": at / 1000,
            "last_channel": "",
            "message_id": self.id,
            "mobile": self.number,
            "remarks": remarks,
            "requestid": self.request,
            "status": spelt,
            "tags": [self.sending.campaign.tag],
            "type": self.kind,
        });
        if let (Some(click), Some(fields)) = (click, record.as_object_mut()) {
            fields.insert("click_data".to_owned(), click);
        }
        Happening {
            form: Form::RcsEvents,
            function: Form::RcsEvents.function(),
            record,
            message_id: self.id.clone(),
            channel: "RCS",
            status,
            at: at / 1000 * 1000,
            recipient: self.number.clone(),
        }
    }

    /// An id of its own; request, callback data and number are shared.
    fn goes_on_as_sms(&self, failed: EpochMillis, told: &mut Vec<Happening>, chance: &mut Chance) {
        let sent = failed + 1_000 + chance.around(3_000, 0.6);
        let id = format!(
            "sms-337-{}-{}-{}-{}",
            chance.hex(12),
            self.sending.bot.key,
            chance.hex(9),
            sent / 1000
        );
        told.push(self.sms(&id, "Sent", "sent", sent, ""));
        if chance.is(0.12) {
            let at = sent + chance.around(60_000, 1.0);
            told.push(self.sms(&id, "Failed", "failed", at, chance.one_of(&SMS_FAILED)));
            return;
        }
        if chance.is(0.04) {
            return;
        }
        // Often within the second in which it was sent.
        let delivered = sent + chance.around(2_500, 1.2);
        told.push(self.sms(&id, "Delivered", "delivered", delivered, ""));
        if chance.is(0.1) {
            told.push(self.sms_tap(delivered + 2_000 + chance.around(10 * 60_000, 1.0), chance));
        }
    }

    fn sms(&self, id: &str, spelt: &str, status: &'static str, at: EpochMillis, remarks: &str) -> Happening {
        let record = json!({
            "callbackdata": self.callback,
            "channel": "SMS",
            "event_time": at / 1000,
            "last_channel": "RCS",
            "message_id": id,
            "mobile": self.number,
            "nc_bot_id": self.sending.bot.number,
            "remarks": remarks,
            "requestid": self.request,
            "status": spelt,
            "tags": [self.sending.campaign.tag],
            "type": "Text",
        });
        Happening {
            form: Form::SmsFallback,
            function: Form::SmsFallback.function(),
            record,
            message_id: id.to_owned(),
            channel: "SMS",
            status,
            at: at / 1000 * 1000,
            recipient: self.number.clone(),
        }
    }

    /// As documented: under the id of the RCS message, and without last channel and callback data.
    fn sms_tap(&self, at: EpochMillis, chance: &mut Chance) -> Happening {
        let mut tap = self.sms(&self.id, "Clicked", "clicked", at, "");
        let link = format!("https://shop.example.com/{}", self.sending.campaign.tag);
        if let Some(fields) = tap.record.as_object_mut() {
            fields.insert("callbackdata".into(), "".into());
            fields.insert("last_channel".into(), "".into());
            fields.insert("type".into(), "Template".into());
            fields.insert(
                "click_data".into(),
                json!({"postbackData": chance.token(7), "text": link, "type": "CLICK"}),
            );
        }
        tap
    }

    /// A tapped reply also comes as an incoming message, which names the message that it answers.
    fn tap_as_message(&self, at: EpochMillis, text: &str, chance: &mut Chance) -> Happening {
        let metadata = json!({
            "msgId": self.id,
            "a2pMsgDate": webhook_ingest::time::utc_day(self.sending.at),
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

    fn is_answered(&self, at: EpochMillis, told: &mut Vec<Happening>, chance: &mut Chance) {
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
            form: Form::RcsIncoming,
            function: Form::RcsIncoming.function(),
            record,
            message_id: id,
            channel: "RCS",
            status,
            at,
            recipient: self.number.clone(),
        }
    }
}
