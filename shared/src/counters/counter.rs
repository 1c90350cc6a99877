//! The counters of an item, and the names of their attributes.

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

/// One counter. Every counter has a channel.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Counter {
    /// Events of a status.
    Status {
        /// The event's channel.
        channel: String,
        /// The event's status.
        status: String,
    },
    /// Events with a price.
    Billing {
        /// The event's channel.
        channel: String,
        /// The provider's word for the kind of conversation.
        category: String,
        /// Whether the provider charges for it.
        billable: bool,
        /// The event's status.
        status: String,
    },
    /// Events of a failure.
    Failure {
        /// The event's channel.
        channel: String,
        /// The provider's text, with redacted phone numbers.
        reason: String,
    },
    /// Events by message type.
    Kind {
        /// The event's channel.
        channel: String,
        /// The provider's word for the type, in lower case.
        message_type: String,
    },
    /// Messages on one channel. A message that continued on another channel counts on both.
    Leg {
        /// The channel.
        channel: String,
        /// How far the message got on the channel.
        progress: Progress,
    },
    /// Messages, each once, whatever channels it took. The channel is the first one for `messages`, the last one
    /// for `failed`, and the one on which the message got furthest for the other steps.
    Journey {
        /// The channel.
        channel: String,
        /// How far the message got.
        progress: Progress,
    },
    /// Messages by the time between two of their events, see [`latency`](super::latency). Counted under the
    /// time of the later event.
    Latency {
        /// The channel of the later event.
        channel: String,
        /// The two events.
        interval: Interval,
        /// The bucket of the time between them.
        bucket: u8,
    },
    /// Messages that a provider may charge for: not those that it declares free.
    Charge {
        /// The channel.
        channel: String,
        /// The person's country, ISO 3166-1 alpha-2, or [`NO_COUNTRY`](super::NO_COUNTRY).
        country: String,
        /// The provider's word for the kind of conversation, or [`NO_CATEGORY`](super::NO_CATEGORY).
        category: String,
        /// Whether this counts messages that were sent or that arrived.
        charged: Charged,
    },
}

impl Counter {
    /// The counter's attribute name.
    pub fn name(&self) -> String {
        match self {
            Self::Status { channel, status } => join("s", &[channel, status]),
            Self::Billing {
                channel,
                category,
                billable,
                status,
            } => join(
                "b",
                &[channel, category, if *billable { "1" } else { "0" }, status],
            ),
            Self::Failure { channel, reason } => join("f", &[channel, reason]),
            Self::Kind {
                channel,
                message_type,
            } => join("t", &[channel, message_type]),
            Self::Leg { channel, progress } => join("l", &[channel, progress.as_str()]),
            Self::Journey { channel, progress } => join("j", &[channel, progress.as_str()]),
            Self::Latency {
                channel,
                interval,
                bucket,
            } => join("d", &[channel, interval.as_str(), &bucket.to_string()]),
            Self::Charge {
                channel,
                country,
                category,
                charged,
            } => join("c", &[channel, country, category, charged.as_str()]),
        }
    }

    /// Parses an attribute's name. `None` if it is not a counter.
    pub fn parse(name: &str) -> Option<Self> {
        let parts: Vec<String> = name.split('|').map(unescaped).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Some(match *parts.as_slice() {
            ["s", channel, status] => Self::Status {
                channel: channel.into(),
                status: status.into(),
            },
            ["b", channel, category, billable, status] => Self::Billing {
                channel: channel.into(),
                category: category.into(),
                billable: billable == "1",
                status: status.into(),
            },
            ["f", channel, reason] => Self::Failure {
                channel: channel.into(),
                reason: reason.into(),
            },
            ["t", channel, message_type] => Self::Kind {
                channel: channel.into(),
                message_type: message_type.into(),
            },
            ["l", channel, progress] => Self::Leg {
                channel: channel.into(),
                progress: Progress::parse(progress)?,
            },
            ["j", channel, progress] => Self::Journey {
                channel: channel.into(),
                progress: Progress::parse(progress)?,
            },
            ["d", channel, interval, bucket] => Self::Latency {
                channel: channel.into(),
                interval: Interval::parse(interval)?,
                bucket: bucket.parse().ok()?,
            },
            ["c", channel, country, category, charged] => Self::Charge {
                channel: channel.into(),
                country: country.into(),
                category: category.into(),
                charged: [Charged::Sent, Charged::Delivered]
                    .into_iter()
                    .find(|known| known.as_str() == charged)?,
            },
            _ => return None,
        })
    }

    /// The kind of names that it belongs to. `None` if it always has its own counter.
    pub fn names(&self) -> Option<Names> {
        Some(match self {
            Self::Status { status, .. } if is_listed_status(status) => return None,
            Self::Leg { .. } | Self::Journey { .. } | Self::Latency { .. } => return None,
            Self::Status { .. } => Names::Statuses,
            Self::Billing { .. } => Names::Prices,
            Self::Failure { .. } => Names::Reasons,
            Self::Kind { .. } => Names::MessageTypes,
            Self::Charge { .. } => Names::Charges,
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
        // Several counters for each channel would be too many.
        let listed_channel = |channel: &str| {
            if is_listed_channel(channel) {
                channel.to_owned()
            } else {
                OTHER_CHANNEL.to_owned()
            }
        };
        match self {
            Self::Status { channel, status } => Self::Status {
                channel: channel.clone(),
                status: listed(status),
            },
            Self::Billing {
                channel,
                billable,
                status,
                ..
            } => Self::Billing {
                channel: listed_channel(channel),
                category: OTHER.to_owned(),
                billable: *billable,
                status: listed(status),
            },
            Self::Failure { channel, .. } => Self::Failure {
                channel: channel.clone(),
                reason: OTHER.to_owned(),
            },
            Self::Kind { channel, .. } => Self::Kind {
                channel: channel.clone(),
                message_type: OTHER.to_owned(),
            },
            Self::Charge { channel, charged, .. } => Self::Charge {
                channel: listed_channel(channel),
                country: OTHER.to_owned(),
                category: OTHER.to_owned(),
                charged: *charged,
            },
            Self::Leg { .. } | Self::Journey { .. } | Self::Latency { .. } => self.clone(),
        }
    }

    /// The same counter with another channel.
    #[must_use]
    pub fn of_channel(mut self, of: &str) -> Self {
        of.clone_into(self.channel_mut());
        self
    }

    fn channel_mut(&mut self) -> &mut String {
        match self {
            Self::Status { channel, .. }
            | Self::Billing { channel, .. }
            | Self::Failure { channel, .. }
            | Self::Kind { channel, .. }
            | Self::Leg { channel, .. }
            | Self::Journey { channel, .. }
            | Self::Latency { channel, .. }
            | Self::Charge { channel, .. } => channel,
        }
    }

    /// The counter's channel.
    pub fn channel(&self) -> &str {
        match self {
            Self::Status { channel, .. }
            | Self::Billing { channel, .. }
            | Self::Failure { channel, .. }
            | Self::Kind { channel, .. }
            | Self::Leg { channel, .. }
            | Self::Journey { channel, .. }
            | Self::Latency { channel, .. }
            | Self::Charge { channel, .. } => channel,
        }
    }
}
