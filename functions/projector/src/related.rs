//! Whether other messages may belong to the journey of a message: one that did not arrive may have a fallback, and a
//! fallback continues another message.
//!
//! The result for an event depends only on the events of its message that were stored up to it. So a later event can
//! compute which messages an earlier one has seen.

use webhook_ingest::{
    event::{Attribute, Channel, EpochMillis, Status, journey::Step, state},
    events_table::item::{self, Item, MESSAGE_ID, RECEIVED_AT, STATUS_KEY, STORED_AT, number_at, text_at},
};

/// The shortest time between an RCS message and its fallback, unless a failure is reported. Netcore sends the SMS after
/// a configured window, and Google recommends to wait at least ten seconds before a message is revoked:
/// <https://developers.google.com/business-communications/rcs-business-messaging/guides/build/messages/send>
const NO_FALLBACK_MS: i64 = 10_000;

/// Position of an event in the order of storage: the time, and its key.
pub(crate) type Order<'i> = (EpochMillis, &'i str, &'i str);

/// The order of an item; `None` if it is not an event.
pub(crate) fn order(item: &Item) -> Option<Order<'_>> {
    let stored_at = number_at(item, STORED_AT).or_else(|| number_at(item, RECEIVED_AT))?;
    Some((stored_at, text_at(item, MESSAGE_ID)?, text_at(item, STATUS_KEY)?))
}

/// The channel that the message was tried on before.
pub(crate) fn last_channel(item: &Item) -> Option<&str> {
    text_at(item, Attribute::LastChannel.name()).filter(|channel| !channel.is_empty())
}

/// What the events of a message up to some event say about other messages.
#[derive(Debug, Default)]
pub(crate) struct Related<'e> {
    may_have_others: bool,
    channel: Option<&'e Channel>,
    is_rcs: bool,
    has_reference: bool,
    /// When the RCS message was sent, by its first event that says so.
    sent_at: Option<EpochMillis>,
    /// When the first proof of its delivery was stored.
    proved_at: Option<EpochMillis>,
}

impl<'e> Related<'e> {
    /// Adds the next event of the message. Returns whether other messages may belong to it, which stays true.
    pub(crate) fn add(
        &mut self,
        step: &'e Step<'e>,
        stored_at: EpochMillis,
        last_channel: Option<&str>,
    ) -> bool {
        let (channel, status) = (&step.update.channel, &step.update.status);
        self.may_have_others |= *self.channel.get_or_insert(channel) != channel;
        if step.is_incoming() {
            return self.may_have_others;
        }
        let is_continuation = last_channel.is_some_and(|last| last != channel.as_str());
        self.may_have_others |= state::is_failure(status.as_str()) || is_continuation;
        let is_given = |text: Option<&str>| text.is_some_and(|text| !text.is_empty());
        self.has_reference |= is_given(step.request_id) || is_given(step.callback_data);
        if channel.as_str() == Channel::RCS && state::is_progress(status) {
            self.is_rcs = true;
            match status {
                Status::Sent => {
                    let at = step.update.at;
                    self.sent_at = Some(self.sent_at.map_or(at, |sent_at| sent_at.min(at)));
                }
                Status::Delivered | Status::Read | Status::Clicked => {
                    self.proved_at.get_or_insert(stored_at);
                }
                _ => {}
            }
        }
        let is_early = |at: EpochMillis| {
            self.sent_at
                .is_some_and(|sent_at| at < sent_at.saturating_add(NO_FALLBACK_MS))
        };
        let has_no_fallback = is_early(stored_at) || self.proved_at.is_some_and(is_early);
        self.may_have_others |= self.is_rcs && self.has_reference && !has_no_fallback;
        self.may_have_others
    }
}

/// Whether other messages may belong to the message with these events.
pub(crate) fn may_have_others(events: &[Item]) -> bool {
    let mut steps: Vec<(Order<'_>, Step<'_>, Option<&str>)> = events
        .iter()
        .filter_map(|item| Some((order(item)?, item::step(item)?, last_channel(item))))
        .collect();
    steps.sort_by_key(|(order, ..)| *order);
    let mut related = Related::default();
    steps
        .iter()
        .any(|((stored_at, ..), step, last)| related.add(step, *stored_at, *last))
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;

    use super::*;

    const SENT: i64 = 1_795_120_000_000;

    /// An event: channel, status, seconds after [`SENT`] at which it happened and at which it was stored, and texts.
    fn event(channel: &str, status: &str, (at, stored): (i64, i64), more: &[(&str, &str)]) -> Item {
        let text = |t: &str| AttributeValue::S(t.into());
        let time = |seconds: i64| AttributeValue::N((SENT + seconds * 1_000).to_string());
        let mut item = Item::from([
            ("message_id".into(), text("m")),
            ("status_key".into(), text(&format!("{channel}#{status}"))),
            ("channel".into(), text(channel)),
            ("status".into(), text(status)),
            ("event_time".into(), time(at)),
            ("received_at".into(), time(stored)),
            ("request_id".into(), text("r")),
        ]);
        item.extend(more.iter().map(|(name, value)| ((*name).to_owned(), text(value))));
        item
    }

    #[test]
    fn a_prompt_message_has_no_others_and_needs_no_further_read() {
        let mut events = vec![event("RCS", "sent", (0, 1), &[])];
        assert!(!may_have_others(&events));
        events.push(event("RCS", "delivered", (2, 4), &[]));
        events.push(event("RCS", "read", (4_000, 4_002), &[]));
        events.push(event("RCS", "clicked", (4_010, 4_012), &[]));
        assert!(!may_have_others(&events));
        for channel in ["SMS", "WHATSAPP", "EMAIL"] {
            let late = [
                event(channel, "sent", (0, 1), &[]),
                event(channel, "delivered", (900, 901), &[]),
            ];
            assert!(!may_have_others(&late), "{channel}");
        }
    }

    #[test]
    fn a_failure_a_continuation_a_second_channel_and_a_late_delivery_may_have_others() {
        for events in [
            vec![event("RCS", "not_sent", (0, 1), &[])],
            vec![event("SMS", "sent", (0, 1), &[("last_channel", "RCS")])],
            vec![
                event("RCS", "sent", (0, 1), &[]),
                event("SMS", "clicked", (5, 6), &[]),
            ],
            vec![
                event("RCS", "sent", (0, 1), &[]),
                event("RCS", "delivered", (40, 41), &[]),
            ],
            // Delivered at once, but reported when a fallback may have been sent.
            vec![
                event("RCS", "sent", (0, 1), &[]),
                event("RCS", "delivered", (2, 11), &[]),
            ],
            // Stored late, for example from the retry queue.
            vec![event("RCS", "sent", (0, 10), &[])],
            vec![event("RCS", "sent", (0, 1), &[]), {
                let mut queued = event("RCS", "delivered", (2, 3), &[]);
                queued.insert("stored_at".into(), AttributeValue::N((SENT + 60_000).to_string()));
                queued
            }],
            vec![event("RCS", "delivered", (2, 3), &[])],
        ] {
            assert!(may_have_others(&events), "{events:?}");
        }
    }

    #[test]
    fn a_message_without_a_reference_has_no_fallback_that_could_be_found() {
        let mut late = event("RCS", "delivered", (40, 41), &[]);
        late.remove("request_id");
        assert!(!may_have_others(&[late.clone()]));
        late.insert("callback_data".into(), AttributeValue::S("c".into()));
        assert!(may_have_others(&[late]));
    }
}
