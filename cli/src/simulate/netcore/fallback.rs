//! The fallback SMS after an RCS failure.

use serde_json::json;
use webhook_ingest::event::EpochMillis;

use super::{
    super::{
        chance::Chance,
        happening::{Envelope, Form, Happening},
    },
    Message,
};

/// SMS fallback events.
pub(in super::super) const SMS_EVENTS: Form = Form {
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
    pub(super) fn goes_on_as_sms(&self, failed: EpochMillis, told: &mut Vec<Happening>, chance: &mut Chance) {
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
        // Often in the same second as `sent`.
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
            form: SMS_EVENTS,
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
}
