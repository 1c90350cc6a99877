//! Pauses between tries, until a deadline. Each pause is twice as long as the one before, with jitter.

use std::time::Duration;

use tokio::time::{Instant, sleep};

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);

/// The pauses between the tries of one operation.
pub(crate) struct Backoff {
    pause: Duration,
    until: Instant,
}

impl Backoff {
    pub(crate) fn until(until: Instant) -> Self {
        Self { pause: FIRST, until }
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// Returns `why` if the deadline is before the end of the pause.
    pub(crate) async fn pause<E>(&mut self, why: E) -> Result<(), E> {
        if Instant::now() + self.pause >= self.until {
            return Err(why);
        }
        // Between half and the whole pause, so that conflicting writers do not conflict again.
        let share = getrandom::u32().map_or(0.5, |n| f64::from(n) / f64::from(u32::MAX));
        sleep(self.pause.mul_f64(0.5 + share / 2.0)).await;
        self.pause = (self.pause * 2).min(LONGEST);
        Ok(())
    }
}
