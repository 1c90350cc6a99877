//! The counters of an item, and the names of their attributes.

use std::borrow::Cow;

use super::{
    Names, OTHER, OTHER_CHANNEL, is_listed_channel, is_listed_status, join, latency::Interval, unescaped,
};

/// How far a message got. Each message is counted once for each step that it reached, under the time of its first
/// event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Progress {
    /// There is a message.
    Messages,
    /// It arrived.
    Reached,
    /// The person read it.
    Read,
    /// The person tapped something in it.
    Clicked,
    /// It did not arrive, and nothing that could still arrive was sent after the failure.
    Failed,
}

impl Progress {
    /// All steps.
    pub const ALL: [Self; 5] = [
        Self::Messages,
        Self::Reached,
        Self::Read,
        Self::Clicked,
        Self::Failed,
    ];

    /// The word in the names of counters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Reached => "reached",
            Self::Read => "read",
            Self::Clicked => "clicked",
            Self::Failed => "failed",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|progress| progress.as_str() == word)
    }
}

/// What a provider may charge for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Charged {
    /// A message that was sent.
    Sent,
    /// A message that arrived.
    Delivered,
}

impl Charged {
    /// The word in the names of counters and in a rate card.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
        }
    }
}

/// One counter: a quantity on a channel.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Counter {
    /// The channel.
    pub channel: String,
    /// What is counted.
    pub quantity: Quantity,
}

/// What a counter counts on its channel.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Quantity {
    /// Events of a status.
    Status(String),
    /// Events with a price.
    Billing {
        /// The provider's word for the kind of conversation.
        category: String,
        /// Whether the provider charges for it.
        billable: bool,
        /// The event's status.
        status: String,
    },
    /// Events of a failure, by the provider's text, with redacted phone numbers.
    Failure(String),
    /// Events by message type: the provider's word, in lower case.
    Kind(String),
    /// Messages on one channel, by how far they got on it. A message that continued on another channel counts on both.
    Leg(Progress),
    /// Messages, each once, whatever channels it took, by how far they got. The channel is the first one for
    /// `messages`, the last one for `failed`, and the one on which the message got furthest for the other steps.
    Journey(Progress),
    /// Messages by the time between two of their events, see [`latency`](super::latency). Counted under the
    /// time of the later event, whose channel it is.
    Latency {
        /// The two events.
        interval: Interval,
        /// The bucket of the time between them.
        bucket: u8,
    },
    /// Messages that a provider may charge for: not those that it declares free.
    Charge {
        /// The person's country, ISO 3166-1 alpha-2, or [`NO_COUNTRY`](super::NO_COUNTRY).
        country: String,
        /// The provider's word for the kind of conversation, or [`NO_CATEGORY`](super::NO_CATEGORY).
        category: String,
        /// Whether this counts messages that were sent or that arrived.
        charged: Charged,
    },
}

impl Quantity {
    /// The counter of this quantity on a channel.
    pub fn on(self, channel: impl Into<String>) -> Counter {
        Counter {
            channel: channel.into(),
            quantity: self,
        }
    }
}

impl Counter {
    /// The counter's attribute name.
    pub fn name(&self) -> String {
        let channel = &self.channel;
        match &self.quantity {
            Quantity::Status(status) => join("s", &[channel, status]),
            Quantity::Billing {
                category,
                billable,
                status,
            } => join(
                "b",
                &[channel, category, if *billable { "1" } else { "0" }, status],
            ),
            Quantity::Failure(reason) => join("f", &[channel, reason]),
            Quantity::Kind(message_type) => join("t", &[channel, message_type]),
            Quantity::Leg(progress) => join("l", &[channel, progress.as_str()]),
            Quantity::Journey(progress) => join("j", &[channel, progress.as_str()]),
            Quantity::Latency { interval, bucket } => {
                join("d", &[channel, interval.as_str(), &bucket.to_string()])
            }
            Quantity::Charge {
                country,
                category,
                charged,
            } => join("c", &[channel, country, category, charged.as_str()]),
        }
    }

    /// Whether an attribute's name is that of a count of events with a status.
    pub fn is_of_status(name: &str) -> bool {
        name.starts_with("s|")
    }

    /// Parses an attribute's name. `None` if it is not a counter.
    pub fn parse(name: &str) -> Option<Self> {
        let parts: Vec<Cow<'_, str>> = name.split('|').map(unescaped).collect();
        let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
        let [letter, channel, parts @ ..] = parts.as_slice() else {
            return None;
        };
        let quantity = match (*letter, parts) {
            ("s", [status]) => Quantity::Status((*status).to_owned()),
            ("b", [category, billable, status]) => Quantity::Billing {
                category: (*category).to_owned(),
                billable: *billable == "1",
                status: (*status).to_owned(),
            },
            ("f", [reason]) => Quantity::Failure((*reason).to_owned()),
            ("t", [message_type]) => Quantity::Kind((*message_type).to_owned()),
            ("l", [progress]) => Quantity::Leg(Progress::parse(progress)?),
            ("j", [progress]) => Quantity::Journey(Progress::parse(progress)?),
            ("d", [interval, bucket]) => Quantity::Latency {
                interval: Interval::parse(interval)?,
                bucket: bucket.parse().ok()?,
            },
            ("c", [country, category, charged]) => Quantity::Charge {
                country: (*country).to_owned(),
                category: (*category).to_owned(),
                charged: [Charged::Sent, Charged::Delivered]
                    .into_iter()
                    .find(|known| known.as_str() == *charged)?,
            },
            _ => return None,
        };
        Some(quantity.on(*channel))
    }

    /// The kind of names that it belongs to. `None` if it always has its own counter.
    pub fn names(&self) -> Option<Names> {
        Some(match &self.quantity {
            Quantity::Status(status) if is_listed_status(status) => return None,
            Quantity::Leg(_) | Quantity::Journey(_) | Quantity::Latency { .. } => return None,
            Quantity::Status(_) => Names::Statuses,
            Quantity::Billing { .. } => Names::Prices,
            Quantity::Failure(_) => Names::Reasons,
            Quantity::Kind(_) => Names::MessageTypes,
            Quantity::Charge { .. } => Names::Charges,
        })
    }

    /// The counter that counts instead if the day has no room for this one. Its channel must have its own
    /// counter, or be [`OTHER_CHANNEL`].
    #[must_use]
    pub fn folded(&self) -> Self {
        let listed = |status: &str| {
            if is_listed_status(status) {
                status.to_owned()
            } else {
                OTHER.to_owned()
            }
        };
        let channel = match self.quantity {
            // Several counters for each channel would be too many.
            Quantity::Billing { .. } | Quantity::Charge { .. } if !is_listed_channel(&self.channel) => {
                OTHER_CHANNEL
            }
            _ => &self.channel,
        };
        let quantity = match &self.quantity {
            Quantity::Status(status) => Quantity::Status(listed(status)),
            Quantity::Billing { billable, status, .. } => Quantity::Billing {
                category: OTHER.to_owned(),
                billable: *billable,
                status: listed(status),
            },
            Quantity::Failure(_) => Quantity::Failure(OTHER.to_owned()),
            Quantity::Kind(_) => Quantity::Kind(OTHER.to_owned()),
            Quantity::Charge { charged, .. } => Quantity::Charge {
                country: OTHER.to_owned(),
                category: OTHER.to_owned(),
                charged: *charged,
            },
            of_messages @ (Quantity::Leg(_) | Quantity::Journey(_) | Quantity::Latency { .. }) => {
                of_messages.clone()
            }
        };
        quantity.on(channel)
    }

    /// The same counter with another channel.
    #[must_use]
    pub fn of_channel(self, channel: &str) -> Self {
        self.quantity.on(channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names are stored: a table keeps them for ever.
    #[test]
    fn names_stay_as_they_are_stored() {
        let text = |text: &str| text.to_owned();
        for (quantity, name) in [
            (Quantity::Status(text("not_sent")), "s|RCS|not_sent"),
            (
                Quantity::Billing {
                    category: text("a|b"),
                    billable: true,
                    status: text("sent"),
                },
                "b|RCS|a%7Cb|1|sent",
            ),
            (
                Quantity::Billing {
                    category: text("utility"),
                    billable: false,
                    status: text("read"),
                },
                "b|RCS|utility|0|read",
            ),
            (Quantity::Failure(text("no RCS, 100%")), "f|RCS|no RCS, 100%25"),
            (Quantity::Kind(text("carousel")), "t|RCS|carousel"),
            (Quantity::Leg(Progress::Failed), "l|RCS|failed"),
            (Quantity::Journey(Progress::Messages), "j|RCS|messages"),
            (
                Quantity::Latency {
                    interval: Interval::DeliveredRead,
                    bucket: 57,
                },
                "d|RCS|dr|57",
            ),
            (
                Quantity::Charge {
                    country: text("IN"),
                    category: text("-"),
                    charged: Charged::Delivered,
                },
                "c|RCS|IN|-|delivered",
            ),
        ] {
            let counter = quantity.on("RCS");
            assert_eq!(counter.name(), name);
            assert_eq!(Counter::parse(name), Some(counter));
        }
    }
}
