//! Netcore's e-mail events with the names of `SendGrid`'s event webhook, for customers who moved from it.
//! <https://emaildev.netcorecloud.com/migration-api/new-subpage/migration-webhooks>
//!
//! The sender's custom arguments are further fields of the record, under any name.

use super::{
    Format, Role,
    netcore_email::{self, Names},
};
use crate::event::{Attribute, FormatName, person::MAILTO, time::Unit};

/// `[{"sg_message_id","email","event","timestamp","fromaddress","response","reason","tags",…}]`
pub static FORMAT: Format = Format {
    name: FormatName::new("netcore-email-sendgrid"),
    provider: "netcore",
    envelope: None,
    parameters: false,
    aliases: &[],
    recognizes: |_| true,
    fields: &[
        ("sg_message_id", Role::MessageId),
        ("event", Role::Status(netcore_email::spell)),
        ("timestamp", Role::Time(Unit::Seconds)),
        ("email", Role::Identity { kind: MAILTO }),
        ("fromaddress", Role::Text(Attribute::BotId)),
        ("response", Role::Text(Attribute::Remarks)),
        ("tags", Role::Texts(Attribute::Tags)),
        ("url", Role::Any(Attribute::Click)),
    ],
    also: &[
        ("ip", "extra"),
        ("msize", "extra"),
        ("reason", "extra"),
        ("useragent", "extra"),
    ],
    derive: |draft| netcore_email::derive(draft, &NAMES),
    restore: |_, record| netcore_email::restore(record, &NAMES),
};

static NAMES: Names = Names {
    response: "response",
    reason: "reason",
    url: "url",
    user_agent: "useragent",
    recipient: &["email"],
};
