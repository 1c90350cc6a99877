//! Netcore's RCS messages and their events. Each record has exactly the fields of the documented
//! samples.

mod fallback;
mod incoming;

use serde_json::{Value, json};
use webhook_ingest::event::EpochMillis;

use super::{
    chance::Chance,
    happening::{Envelope, Form, Happening, Life},
    people::{Sending, indian},
};

pub(super) use fallback::SMS_EVENTS;

/// RCS events.
pub(super) const RCS_EVENTS: Form = Form {
    function: "event-webhook",
    envelope: Envelope::Array,
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

/// A message, with the fields that its events share.
pub(super) struct Message<'a> {
    pub(super) sending: &'a Sending,
    pub(super) id: String,
    pub(super) number: String,
    pub(super) request: String,
    pub(super) callback: String,
    kind: &'static str,
}

/// Simulates one message.
pub(super) static LIFE: Life = Life {
    weight: 55,
    forms: &[RCS_EVENTS, SMS_EVENTS, incoming::RCS_MESSAGES],
    live,
};

fn live(sending: &Sending, fallback: f64, chance: &mut Chance) -> Vec<Happening> {
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
    /// Not sent, or sent and failed. Returns the time of the last event.
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
        // An undocumented status.
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

    /// One to four taps, on different buttons or repeatedly on one.
    fn is_tapped(&self, read: EpochMillis, told: &mut Vec<Happening>, chance: &mut Chance) {
        let campaign = self.sending.campaign;
        let taps = chance.weighed(&[(12, 1), (4, 2), (1, 3), (1, 4)]);
        let mut at = read;
        for _ in 0..taps {
            // At least a second apart: two taps differ only in time and content.
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
            form: RCS_EVENTS,
            function: RCS_EVENTS.function,
            record,
            message_id: self.id.clone(),
            channel: "RCS",
            status,
            at: at / 1000 * 1000,
            recipient: self.number.clone(),
        }
    }
}
