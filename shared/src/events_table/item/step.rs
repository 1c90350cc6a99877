//! The part of an item that a state or a journey needs.

use super::{CHANNEL, EVENT_TIME, FORMAT, Item, MESSAGE_ID, STATUS, number_at, text_at};
use crate::event::{
    Attribute, Channel, Status,
    journey::Step,
    state::{self, StatusUpdate},
};

/// The channel, status and time of an event; `None` if the item is not an event.
pub fn status_update(item: &Item) -> Option<StatusUpdate> {
    let status = Status::from_word(text_at(item, STATUS)?).ok()?;
    let by_machine = text_at(item, Attribute::OpenedBy.name()).is_some();
    Some(StatusUpdate {
        channel: Channel::from_word(text_at(item, CHANNEL)?),
        status: if by_machine {
            state::proved_by_machine(status)
        } else {
            status
        },
        at: number_at(item, EVENT_TIME)?,
    })
}

/// The data of an event for its journey; `None` if the item is not an event.
pub fn step(item: &Item) -> Option<Step<'_>> {
    let attribute = |attribute: Attribute| text_at(item, attribute.name());
    Some(Step {
        message_id: text_at(item, MESSAGE_ID)?,
        update: status_update(item)?,
        request_id: attribute(Attribute::RequestId),
        callback_data: attribute(Attribute::CallbackData),
        in_reply_to: attribute(Attribute::InReplyTo),
        remarks: attribute(Attribute::Remarks),
        format: text_at(item, FORMAT),
    })
}
