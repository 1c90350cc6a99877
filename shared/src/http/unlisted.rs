//! Source addresses that are not on the list, for report mode: each is reported once a day.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use crate::event::EpochMillis;

/// The most addresses of a day that one execution environment reports. An address takes about 40 bytes.
pub(crate) const MOST: usize = 256;

const DAY_MS: EpochMillis = 86_400_000;

/// The reported addresses of the current day (UTC). Other execution environments report the same address again.
pub(crate) struct Unlisted(Mutex<Day>);

struct Day {
    number: EpochMillis,
    addresses: BTreeSet<Option<IpAddr>>,
    is_full: bool,
}

/// What to write about an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    /// It is new today.
    New,
    /// It is the first one beyond [`MOST`]: the last line of the day.
    Full,
}

impl Unlisted {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Day {
            number: 0,
            addresses: BTreeSet::new(),
            is_full: false,
        }))
    }

    /// Whether to write a line about an address; `None` is an unknown one.
    pub(crate) fn report(&self, address: Option<IpAddr>, now: EpochMillis) -> Option<Report> {
        let mut day = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = now.div_euclid(DAY_MS);
        if day.number != number {
            *day = Day {
                number,
                addresses: BTreeSet::new(),
                is_full: false,
            };
        }
        if day.addresses.contains(&address) {
            None
        } else if day.addresses.len() < MOST {
            day.addresses.insert(address);
            Some(Report::New)
        } else if day.is_full {
            None
        } else {
            day.is_full = true;
            Some(Report::Full)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: EpochMillis = 1_704_844_800_000; // 2024-01-10T00:00:00Z

    #[test]
    fn an_address_is_reported_once_a_day() {
        let unlisted = Unlisted::new();
        let report = |address: &str, ms| unlisted.report(address.parse().ok(), START + ms);
        assert_eq!(report("192.0.2.1", 0), Some(Report::New));
        assert_eq!(report("192.0.2.1", 1), None);
        assert_eq!(report("2001:db8::1", 2), Some(Report::New));
        assert_eq!(report("no address", 3), Some(Report::New));
        assert_eq!(report("no address", 4), None);
        assert_eq!(report("192.0.2.1", 86_399_999), None);
        assert_eq!(report("192.0.2.1", 86_400_000), Some(Report::New));
        assert_eq!(report("192.0.2.1", 86_400_001), None);
    }

    #[test]
    fn a_flood_of_addresses_takes_bounded_memory_and_lines() {
        let unlisted = Unlisted::new();
        let report = |n: u32, ms| unlisted.report(Some(IpAddr::from(n.to_be_bytes())), START + ms);
        let lines: Vec<Report> = (0..10_000).filter_map(|n| report(n, 0)).collect();
        assert_eq!(lines.len(), 257);
        assert_eq!(lines.last(), Some(&Report::Full));
        assert_eq!(unlisted.0.lock().unwrap().addresses.len(), 256);
        assert_eq!(report(9_999, 86_400_000), Some(Report::New));
    }
}
