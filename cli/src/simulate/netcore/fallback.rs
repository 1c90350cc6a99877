//! The fallback SMS after an RCS failure.

use serde_json::json;
use webhook_ingest::event::EpochMillis;

use super::{
    super::{
        event::{Envelope, PostFormat, SimulatedEvent},
        random::Random,
    },
    Message,
};

/// SMS fallback events.
pub(in super::super) const SMS_EVENTS: PostFormat = PostFormat {
    function: "fallback-sms",
    envelope: Envelope::Array,
};

const SMS_FAILED: [&str; 4] = [
    "Absent subscriber",
    "Absent subscriber",
    "DND number",
    "Template mismatch",
];

impl Message<'_> {
    /// The SMS has a new message id; request id, callback data and number are those of the RCS message.
    pub(super) fn fall_back_to_sms(
        &self,
        failed: EpochMillis,
        events: &mut Vec<SimulatedEvent>,
        random: &mut Random,
    ) {
        let sent = failed + 1_000 + random.log_normal(3_000, 0.6);
        let id = format!(
            "sms-337-{}-{}-{}-{}",
            random.hex(12),
            self.outgoing.bot.key,
            random.hex(9),
            sent / 1000
        );
        events.push(self.sms(&id, "Sent", "sent", sent, ""));
        if random.bool(0.12) {
            let at = sent + random.log_normal(60_000, 1.0);
            events.push(self.sms(&id, "Failed", "failed", at, random.choice(&SMS_FAILED)));
            return;
        }
        if random.bool(0.04) {
            return;
        }
        // Often in the same second as `sent`.
        let delivered = sent + random.log_normal(2_500, 1.2);
        events.push(self.sms(&id, "Delivered", "delivered", delivered, ""));
        if random.bool(0.1) {
            events.push(self.sms_tap(delivered + 2_000 + random.log_normal(10 * 60_000, 1.0), random));
        }
    }

    fn sms(
        &self,
        id: &str,
        provider_status: &str,
        status: &'static str,
        at: EpochMillis,
        remarks: &str,
    ) -> SimulatedEvent {
        let record = json!({
            "callbackdata": self.callback,
            "channel": "SMS",
            "event_time": at / 1000,
            "last_channel": "RCS",
            "message_id": id,
            "mobile": self.number,
            "nc_bot_id": self.outgoing.bot.number,
            "remarks": remarks,
            "requestid": self.request,
            "status": provider_status,
            "tags": [self.outgoing.campaign.tag],
            "type": "Text",
        });
        SimulatedEvent {
            format: SMS_EVENTS,
            function: SMS_EVENTS.function,
            record,
            message_id: id.to_owned(),
            channel: "SMS",
            status,
            at: at / 1000 * 1000,
            recipient: self.number.clone(),
        }
    }

    /// As documented: with the id of the RCS message, and without last channel and callback data.
    fn sms_tap(&self, at: EpochMillis, random: &mut Random) -> SimulatedEvent {
        let mut tap = self.sms(&self.id, "Clicked", "clicked", at, "");
        let link = format!("https://shop.example.com/{}", self.outgoing.campaign.tag);
        if let Some(fields) = tap.record.as_object_mut() {
            fields.insert("callbackdata".into(), "".into());
            fields.insert("last_channel".into(), "".into());
            fields.insert("type".into(), "Template".into());
            fields.insert(
                "click_data".into(),
                json!({"postbackData": random.token(7), "text": link, "type": "CLICK"}),
            );
        }
        tap
    }
}
