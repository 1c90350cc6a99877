//! Netcore RCS events and SMS fallback: one record format; `channel` distinguishes them.
//!
//! Documented under «Event Webhook» and «Fallback to SMS» of Netcore's RCS webhooks.

use super::{Format, Role};
use crate::event::{Attribute, FormatName, Status, time::Unit};

/// `[{"message_id","mobile","status","channel","event_time",…}]`
pub static FORMAT: Format = Format {
    name: FormatName::new("netcore-events"),
    provider: "netcore",
    envelope: None,
    parameters: false,
    aliases: &[],
    recognizes: |_| true,
    fields: &[
        ("message_id", Role::MessageId),
        ("status", Role::Status(spell)),
        ("channel", Role::Channel { documented: true }),
        ("event_time", Role::Time(Unit::Seconds)),
        ("mobile", Role::Recipient { plus: false }),
        ("callbackdata", Role::Text(Attribute::CallbackData)),
        ("requestid", Role::Text(Attribute::RequestId)),
        ("nc_bot_id", Role::Text(Attribute::BotId)),
        ("tags", Role::Texts(Attribute::Tags)),
        ("type", Role::Text(Attribute::MessageType)),
        ("last_channel", Role::Text(Attribute::LastChannel)),
        ("remarks", Role::Text(Attribute::Remarks)),
        ("click_data", Role::Any(Attribute::Click)),
    ],
    also: &[],
    derive: |_| {},
    restore: |_, _| {},
};

fn spell(status: &Status) -> Option<&'static str> {
    Some(match status {
        Status::Sent => "Sent",
        Status::NotSent => "Not sent",
        Status::Delivered => "Delivered",
        Status::Read => "Read",
        Status::Clicked => "Clicked",
        Status::Failed => "Failed",
        _ => return None,
    })
}
