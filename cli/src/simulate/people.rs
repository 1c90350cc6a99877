//! People with nonexistent numbers, bots, campaigns, and the times at which messages are sent.

use webhook_ingest::event::EpochMillis;

use super::random::Random;

pub(super) const MINUTE: i64 = 60_000;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// UTC offset of India, where most of the people live.
const CLOCK: i64 = 5 * HOUR + 30 * MINUTE;

/// Weight of each hour of the local day.
const HOURS: [(u32, i64); 24] = [
    (2, 0),
    (1, 1),
    (1, 2),
    (1, 3),
    (1, 4),
    (2, 5),
    (4, 6),
    (9, 7),
    (18, 8),
    (32, 9),
    (44, 10),
    (46, 11),
    (38, 12),
    (28, 13),
    (26, 14),
    (28, 15),
    (34, 16),
    (44, 17),
    (52, 18),
    (48, 19),
    (34, 20),
    (18, 21),
    (8, 22),
    (4, 23),
];

/// A sender: its RCS bot, its number in Netcore's SMS events, and its `WhatsApp` number.
#[derive(Clone, Copy, Default)]
pub(super) struct Bot {
    pub(super) key: &'static str,
    pub(super) name: &'static str,
    pub(super) number: &'static str,
    /// `91 09…`: from an unassigned range, as people's numbers.
    pub(super) phone: &'static str,
}

/// Bots by weight.
const BOTS: [(u32, Bot); 3] = [
    (
        6,
        Bot {
            key: "kT5nWq8LrXc2VbJe",
            name: "saffron_market_Qe7TzLw2",
            number: "682",
            phone: "910900000682",
        },
    ),
    (
        3,
        Bot {
            key: "Zp4HdM7sYu9RgAfC",
            name: "monsoon_bank_Hx3NvRb8",
            number: "714",
            phone: "910900000714",
        },
    ),
    (
        1,
        Bot {
            key: "bN6vKe3JtQw8SxLm",
            name: "banyan_clinics_Ty5PcGd4",
            number: "731",
            phone: "910900000731",
        },
    ),
];

/// A campaign: name, tag and texts of its buttons.
#[derive(Clone, Copy, Default)]
pub(super) struct Campaign {
    pub(super) name: &'static str,
    pub(super) tag: &'static str,
    pub(super) link: &'static str,
    pub(super) reply: &'static str,
}

const CAMPAIGNS: [Campaign; 5] = [
    Campaign {
        name: "Festival offers",
        tag: "festival-offers",
        link: "Shop now",
        reply: "Remind me",
    },
    Campaign {
        name: "Monsoon sale",
        tag: "monsoon-sale",
        link: "See the sale",
        reply: "Not now",
    },
    Campaign {
        name: "Refer a friend",
        tag: "refer-a-friend",
        link: "Invite",
        reply: "Tell me more",
    },
    Campaign {
        name: "Loan against deposit",
        tag: "loan-offers",
        link: "Check your limit",
        reply: "Call me back",
    },
    Campaign {
        name: "Health check-up",
        tag: "health-checkup",
        link: "Book a slot",
        reply: "Later",
    },
];

/// Notifications outside campaigns, by weight.
const NOTIFICATIONS: [(u32, Campaign); 3] = [
    (
        5,
        Campaign {
            name: "Order updates",
            tag: "order-updates",
            link: "Track it",
            reply: "Change address",
        },
    ),
    (
        4,
        Campaign {
            name: "One-time passwords",
            tag: "otp",
            link: "Open the app",
            reply: "It was not me",
        },
    ),
    (
        2,
        Campaign {
            name: "Appointments",
            tag: "appointments",
            link: "Show the way",
            reply: "Reschedule",
        },
    ),
];

/// One message to send.
pub(super) struct OutgoingMessage {
    pub(super) at: EpochMillis,
    /// End of the simulated time; later events are left out.
    pub(super) until: EpochMillis,
    pub(super) bot: Bot,
    pub(super) campaign: Campaign,
    pub(super) person: u64,
}

/// People, days and campaign launches of the simulation.
pub(super) struct World {
    until: EpochMillis,
    days: u32,
    people: u64,
    launches: Vec<(Campaign, EpochMillis)>,
}

impl World {
    pub(super) fn new(until: EpochMillis, days: u32, messages: usize, random: &mut Random) -> Self {
        let mut world = Self {
            until,
            days,
            // About three messages per person, so that a number has a history.
            people: (messages as u64 / 3).max(1),
            launches: Vec::new(),
        };
        for _ in 0..=days / 4 {
            let launch = (random.choice(&CAMPAIGNS), world.moment(random));
            world.launches.push(launch);
        }
        world
    }

    /// The next message: of a campaign, soon after its launch, or a notification.
    pub(super) fn next_message(&self, random: &mut Random) -> OutgoingMessage {
        let (campaign, mut at) = if random.bool(0.55) {
            let (campaign, launch) = random.choice(&self.launches);
            let at = launch + random.log_normal(20 * 60_000, 0.7);
            (campaign, at.min(self.until - random.log_normal(60_000, 0.5)))
        } else {
            (random.weighted(&NOTIFICATIONS), self.moment(random))
        };
        // A few events arrive days late, even in a short simulation.
        if random.bool(0.01) {
            at = self.until - 80 * HOUR - random.log_normal(4 * 3_600_000, 0.5);
        }
        OutgoingMessage {
            at,
            until: self.until,
            bot: random.weighted(&BOTS),
            campaign,
            person: random.number(0..self.people),
        }
    }

    /// A random time, weighted by hour and with less traffic on weekends.
    fn moment(&self, random: &mut Random) -> EpochMillis {
        let midnight = (self.until + CLOCK).div_euclid(DAY) * DAY - CLOCK;
        for _ in 0..20 {
            let back = i64::try_from(random.number(0..u64::from(self.days.max(1)))).unwrap_or_default();
            let day = midnight - back * DAY;
            let within = i64::try_from(random.number(0..HOUR.unsigned_abs())).unwrap_or_default();
            let at = day + random.weighted(&HOURS) * HOUR + within;
            // 1970-01-01 was a Thursday.
            let weekday = ((day + CLOCK).div_euclid(DAY) + 3).rem_euclid(7);
            let quiet = weekday >= 5 && random.bool(0.4);
            if at < self.until && !quiet {
                return at;
            }
        }
        self.until - random.log_normal(30 * 60_000, 1.0)
    }
}

/// A nonexistent number: no national number in India begins with the trunk prefix 0.
pub(super) fn indian(person: u64) -> String {
    format!("9100{:08}", scattered(person))
}

/// An address that nobody has, RFC 2606. A person has several.
pub(super) fn address(person: u64, number: u32) -> String {
    format!("p{:08}.{number}@mail.example", scattered(person))
}

/// A nonexistent number: no area code in Brazil begins with 0.
pub(super) fn brazilian(person: u64) -> String {
    format!("55009{:08}", scattered(person))
}

/// Gives neighbors different digits. The factor and the modulus are coprime, so all results differ.
fn scattered(person: u64) -> u64 {
    person.wrapping_mul(48_271).wrapping_add(20_261_121) % 100_000_000
}
