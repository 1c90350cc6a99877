//! Reproducible random values. Events depend only on the seed. Names and ids also depend on the end
//! of the simulated time, so that a later simulation with the same seed creates new ids.

use std::ops::Range;

use webhook_ingest::event::EpochMillis;

/// Two random number generators.
pub(super) struct Random {
    events: fastrand::Rng,
    names: fastrand::Rng,
}

impl Random {
    pub(super) fn new(seed: u64, until: EpochMillis) -> Self {
        let moment = until.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self {
            events: fastrand::Rng::with_seed(seed),
            names: fastrand::Rng::with_seed(seed ^ moment),
        }
    }

    /// `true` with this probability.
    pub(super) fn bool(&mut self, probability: f64) -> bool {
        self.events.f64() < probability
    }

    pub(super) fn number(&mut self, range: Range<u64>) -> u64 {
        self.events.u64(range)
    }

    pub(super) fn index(&mut self, below: usize) -> usize {
        self.events.usize(0..below.max(1))
    }

    /// A random element of a list.
    pub(super) fn choice<T: Copy + Default>(&mut self, list: &[T]) -> T {
        self.events.choice(list).copied().unwrap_or_default()
    }

    /// A random element of a list, by weight.
    pub(super) fn weighted<T: Copy + Default>(&mut self, list: &[(u32, T)]) -> T {
        let all: u32 = list.iter().map(|(weight, _)| weight).sum();
        let mut left = self.events.u32(0..all.max(1));
        for (weight, value) in list {
            if left < *weight {
                return *value;
            }
            left -= weight;
        }
        T::default()
    }

    /// A random duration in milliseconds, log-normal with this median: half of the values are
    /// smaller. With `spread` 0.5, most are within a factor of 3 of the median; with 1.2, of 10.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "far from the limits of both types, and fractions of a millisecond do not matter"
    )]
    pub(super) fn log_normal(&mut self, median: u32, spread: f64) -> i64 {
        // The sum of twelve uniform numbers is approximately normal.
        let normal: f64 = (0..12).map(|_| self.events.f64()).sum::<f64>() - 6.0;
        (f64::from(median) * (spread * normal).exp()).clamp(1.0, 1e10) as i64
    }

    pub(super) fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| self.names.digit(16)).collect()
    }

    /// A random number of 17 digits, beyond 2^53.
    pub(super) fn long_number(&mut self) -> u64 {
        self.names.u64(10_000_000_000_000_000..100_000_000_000_000_000)
    }

    /// Random letters and digits, as in the provider's tokens.
    pub(super) fn token(&mut self, length: usize) -> String {
        (0..length).map(|_| self.names.alphanumeric()).collect()
    }

    /// A random UUID, RFC 9562 version 4.
    pub(super) fn uuid(&mut self) -> String {
        let variant = self.names.choice(['8', '9', 'a', 'b']).unwrap_or('8');
        let [time, mid, version, sequence, node] = [8, 4, 3, 3, 12].map(|digits| self.hex(digits));
        format!("{time}-{mid}-4{version}-{variant}{sequence}-{node}")
    }
}
