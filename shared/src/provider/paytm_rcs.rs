//! RCS events as Paytm Pi resells them: Jio's shape, with `agentId` and a number without a plus. They arrive at the
//! same URL as Paytm's flat form, which is [`netcore_events`](super::netcore_events).

use super::{Format, Role, jio_rcs};
use crate::event::FormatName;

/// `{"agentId","entityType","userPhoneNumber","entity":{"eventId","eventType","messageId","sendTime","error"}}`
pub static FORMAT: Format = Format {
    name: FormatName::new("paytm-rcs"),
    provider: "paytm-pi",
    envelope: None,
    parameters: false,
    aliases: &[],
    recognizes: |has| has("agentId") && !has("botId"),
    fields: &FIELDS,
    also: &jio_rcs::ALSO,
    derive: jio_rcs::derive,
    restore: jio_rcs::restore,
};

static FIELDS: [(&str, Role); 8] = jio_rcs::fields("agentId", false);
