//! Netcore's RCS messages and their events. Each record has exactly the fields of the documented
//! samples.

mod fallback;
mod incoming;

use serde_json::{Value, json};
use webhook_ingest::event::EpochMillis;

use super::{
    event::{Envelope, PostFormat, Provider, SimulatedEvent},
    people::{OutgoingMessage, indian},
    random::Random,
};

pub(super) use fallback::SMS_EVENTS;

/// RCS events.
pub(super) const RCS_EVENTS: PostFormat = PostFormat {
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
    pub(super) outgoing: &'a OutgoingMessage,
    pub(super) id: String,
    pub(super) number: String,
    pub(super) request: String,
    pub(super) callback: String,
    kind: &'static str,
}

/// Simulates one message.
pub(super) static PROVIDER: Provider = Provider {
    weight: 55,
    formats: &[RCS_EVENTS, SMS_EVENTS, incoming::RCS_MESSAGES],
    simulate,
};

fn simulate(outgoing: &OutgoingMessage, fallback: f64, random: &mut Random) -> Vec<SimulatedEvent> {
    let number = indian(outgoing.person);
    let epoch = outgoing.at / 1000;
    let message = Message {
        outgoing,
        id: format!("api-337-{number}-{}-{epoch}", random.hex(32)),
        number,
        request: random.hex(32),
        callback: format!("order-{}", random.hex(8)),
        kind: random.choice(&["Template", "Template", "Template", "Text"]),
    };
    let mut events = Vec::new();
    if random.bool(fallback) {
        let at = message.fail(&mut events, random);
        message.fall_back_to_sms(at, &mut events, random);
    } else if random.bool(0.02) {
        message.fail(&mut events, random);
    } else {
        message.deliver(&mut events, random);
    }
    events
}

impl Message<'_> {
    /// Not sent, or sent and failed. Returns the time of the last event.
    fn fail(&self, events: &mut Vec<SimulatedEvent>, random: &mut Random) -> EpochMillis {
        if random.bool(0.7) {
            let at = self.outgoing.at + 1_000 + random.log_normal(1_500, 0.4);
            events.push(self.rcs("Not sent", "not_sent", at, random.choice(&NOT_SENT), None));
            return at;
        }
        let sent = self.outgoing.at + 1_000;
        events.push(self.rcs("Sent", "sent", sent, "", Some(json!({}))));
        let at = sent + random.log_normal(5 * 60_000, 1.2);
        events.push(self.rcs("Failed", "failed", at, random.choice(&FAILED), None));
        at
    }

    fn deliver(&self, events: &mut Vec<SimulatedEvent>, random: &mut Random) {
        let sent = self.outgoing.at + 1_000;
        events.push(self.rcs("Sent", "sent", sent, "", Some(json!({}))));
        // An undocumented status.
        if random.bool(0.004) {
            let at = sent + random.log_normal(30_000, 0.5);
            events.push(self.rcs(
                "Queued at Operator",
                "queued_at_operator",
                at,
                "",
                Some(json!({})),
            ));
        }
        if random.bool(0.04) {
            return;
        }
        let wait = if random.bool(0.8) { 4_000 } else { 40 * 60_000 };
        let delivered = sent + random.log_normal(wait, 0.8);
        events.push(self.rcs("Delivered", "delivered", delivered, "", Some(json!({}))));
        if random.bool(0.35) {
            return;
        }
        let read = delivered + 1_000 + random.log_normal(25 * 60_000, 1.4);
        events.push(self.rcs("Read", "read", read, "", Some(json!({}))));
        if random.bool(0.3) {
            self.tap(read, events, random);
        }
        if random.bool(0.08) {
            self.reply(read + random.log_normal(90_000, 0.9), events, random);
        }
    }

    /// One to four taps, on different buttons or repeatedly on one.
    fn tap(&self, read: EpochMillis, events: &mut Vec<SimulatedEvent>, random: &mut Random) {
        let campaign = self.outgoing.campaign;
        let taps = random.weighted(&[(12, 1), (4, 2), (1, 3), (1, 4)]);
        let mut at = read;
        for _ in 0..taps {
            // At least a second apart: two taps differ only in time and content.
            at += 2_000 + random.log_normal(15_000, 0.9);
            let (text, suggestion, kind) = random.weighted(&[
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
            events.push(self.rcs("Clicked", "clicked", at, "", Some(tap)));
            if suggestion == "reply" {
                events.push(self.tap_as_message(at, text, random));
            }
        }
    }

    fn rcs(
        &self,
        provider_status: &str,
        status: &'static str,
        at: EpochMillis,
        remarks: &str,
        click: Option<Value>,
    ) -> SimulatedEvent {
        let mut record = json!({
            "callbackdata": self.callback,
            "channel": "RCS",
            "event_time": at / 1000,
            "last_channel": "",
            "message_id": self.id,
            "mobile": self.number,
            "remarks": remarks,
            "requestid": self.request,
            "status": provider_status,
            "tags": [self.outgoing.campaign.tag],
            "type": self.kind,
        });
        if let (Some(click), Some(fields)) = (click, record.as_object_mut()) {
            fields.insert("click_data".to_owned(), click);
        }
        SimulatedEvent {
            format: RCS_EVENTS,
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
