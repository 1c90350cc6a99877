//! Pauses between tries, until a deadline. Each pause is twice as long as the one before, with jitter.

use std::time::Duration;

use tokio::time::{Instant, sleep};

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);

/// The pauses between the tries of one operation.
#[derive(Debug, Clone)]
pub struct Backoff {
    pause: Duration,
    longest: Duration,
    until: Instant,
}

impl Backoff {
    /// Pauses of 50 ms to a second.
    pub fn until(until: Instant) -> Self {
        Self {
            pause: FIRST,
            longest: LONGEST,
            until,
        }
    }

    /// The same, with another longest pause.
    #[must_use]
    pub fn with_longest(self, longest: Duration) -> Self {
        Self { longest, ..self }
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// Returns `why` if the deadline is before the end of the pause.
    pub async fn pause<E>(&mut self, why: E) -> Result<(), E> {
        if Instant::now() + self.pause >= self.until {
            return Err(why);
        }
        // Between half and the whole pause, so that writers do not return together.
        sleep(self.pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        self.pause = (self.pause * 2).min(self.longest);
        Ok(())
    }
}
