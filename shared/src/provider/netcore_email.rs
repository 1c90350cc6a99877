//! Netcore's e-mail events, formerly Pepipost's: an array of records with names in capitals.
//! <https://emaildev.netcorecloud.com/webhooks/repository/events>
//!
//! An older form writes every number as a string and adds `RCPTID` and `CLIENTID`. `netcore_email_sendgrid` is
//! the same event with other names.
//!
//! One message id can have several recipients, so the key of an event also contains its recipient.

use serde_json::{Value, json};

use super::{
    Format, Role,
    content::Fields,
    mapping::{Draft, text_of},
};
use crate::{
    event::{Attribute, Channel, FormatName, Status, person::MAILTO, time::Unit},
    record::exact::Exact,
};

/// `[{"TRANSID","EMAIL","EVENT","TIMESTAMP","FROMADDRESS","RESPONSE","TAGS","X-APIHEADER","URL",…}]`
pub static FORMAT: Format = Format {
    name: FormatName::new("netcore-email"),
    provider: "netcore",
    envelope: None,
    parameters: false,
    aliases: &[],
    recognizes: |_| true,
    fields: &[
        ("TRANSID", Role::MessageId),
        ("EVENT", Role::Status(spell)),
        ("TIMESTAMP", Role::Time(Unit::Seconds)),
        ("EMAIL", Role::Identity { kind: MAILTO }),
        ("FROMADDRESS", Role::Text(Attribute::BotId)),
        ("RESPONSE", Role::Text(Attribute::Remarks)),
        ("TAGS", Role::Texts(Attribute::Tags)),
        ("X-APIHEADER", Role::Text(Attribute::CallbackData)),
        ("URL", Role::Any(Attribute::Click)),
    ],
    also: &[
        ("BOUNCE_REASON", "extra"),
        ("BOUNCE_REASONID", "extra"),
        ("BOUNCE_TYPE", "extra"),
        ("CLIENTID", "extra"),
        ("IPADDRESS", "extra"),
        ("MSIZE", "extra"),
        ("RCPTID", "extra"),
        ("USERAGENT", "extra"),
    ],
    derive: |draft| derive(draft, &NAMES),
    restore: |_, record| restore(record, &NAMES),
};

static NAMES: Names = Names {
    response: "RESPONSE",
    reason: "BOUNCE_REASON",
    url: "URL",
    user_agent: "USERAGENT",
    recipient: &["EMAIL", "RCPTID"],
};

/// The names of the fields that [`derive()`] combines.
pub(super) struct Names {
    /// The mail server's response.
    pub(super) response: &'static str,
    /// The reason in Netcore's words. It takes precedence over the response.
    pub(super) reason: &'static str,
    /// The address of a tapped link.
    pub(super) url: &'static str,
    /// The program that requested the picture or the link.
    pub(super) user_agent: &'static str,
    /// The fields that name the recipient, the best one first.
    pub(super) recipient: &'static [&'static str],
}

pub(super) fn derive(draft: &mut Draft<'_>, names: &Names) {
    draft.channel = Some(Channel::from_word(Channel::EMAIL));
    draft.status = draft.status.take().map(Status::in_email);
    let user_agent = draft.record.get(names.user_agent).and_then(text_of);
    draft.mark_machine_open(user_agent.as_deref());
    if let Some(reason) = word(draft.record.get(names.reason)) {
        let response = draft.attributes.insert(Attribute::Remarks, reason.into());
        if let Some(response) = response.or_else(|| draft.unlisted.remove(names.response)) {
            draft.as_sent.entry(names.response).or_insert(response);
        }
    }
    if let Some(url) = draft.attributes.remove(&Attribute::Click) {
        draft.attributes.insert(Attribute::Click, json!({ "url": url }));
    }
    // Of an address that is none, the text distinguishes the recipients.
    let as_sent = |name: &&str| word(draft.unlisted.get(*name).or_else(|| draft.record.get(name)));
    draft.addressee = Some(names.recipient.iter().find_map(as_sent).unwrap_or_default());
}

/// A text, number or boolean that is not empty, as a text.
fn word(value: Option<&Value>) -> Option<String> {
    value.and_then(text_of).filter(|text| !text.is_empty())
}

pub(super) fn restore(record: &mut Fields<'_>, names: &Names) {
    let has_reason = record
        .get(names.reason)
        .is_some_and(|reason| !reason.is_empty() && reason.as_word().is_some());
    if has_reason {
        // `remarks` is then a copy of the reason; the response is in `as_sent`.
        record.remove(names.response);
    }
    if let Some(Exact::Object(click)) = record.remove(names.url)
        && let Some((_, url)) = click.into_iter().next()
    {
        record.insert(names.url.into(), url);
    }
}

/// The documented words that are also the stored ones.
const WORDS: [&str; 9] = [
    "sent",
    "delivered",
    "opened",
    "clicked",
    "bounced",
    "dropped",
    "unsubscribed",
    "invalid",
    "spam",
];

pub(super) fn spell(status: &Status) -> Option<&'static str> {
    WORDS.into_iter().find(|word| *word == status.as_str())
}
