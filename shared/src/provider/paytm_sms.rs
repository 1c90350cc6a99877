//! SMS delivery reports of Paytm Pi Commerce, one object per POST. Paytm sends them to the URL that also gets
//! its RCS events, which have Netcore's record format.

use super::{Format, Role, mapping::Draft};
use crate::event::{Attribute, Channel, FormatName, Status, time::Unit};

/// `{"referenceId","deliveryTimestamp","status","receiver","code","sender"}`
pub static FORMAT: Format = Format {
    name: FormatName::new("paytm-sms"),
    provider: "paytm-pi",
    envelope: None,
    parameters: false,
    aliases: &[],
    recognizes: |_| true,
    fields: &[
        ("referenceId", Role::MessageId),
        ("status", Role::Status(spell)),
        ("deliveryTimestamp", Role::Time(Unit::Iso)),
        ("receiver", Role::Recipient { plus: false }),
        ("sender", Role::Text(Attribute::BotId)),
        // `000` for a delivery. A text, because leading zeros belong to the code.
        ("code", Role::Text(Attribute::Remarks)),
    ],
    also: &[],
    derive,
    restore: |_, _| {},
};

fn derive(draft: &mut Draft<'_>) {
    draft.channel = Some(Channel::from_word(Channel::SMS));
}

fn spell(status: &Status) -> Option<&'static str> {
    Some(match status {
        Status::Delivered => "DELIVERED",
        Status::Failed => "FAILED",
        _ => return None,
    })
}
