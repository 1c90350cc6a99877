//! Limits the rate of writes, and repeats calls that the table throttled or did not answer. Counts every such call.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{anyhow, bail};
use aws_sdk_dynamodb::{
    Client,
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use tokio::time::{Instant, sleep_until};
use webhook_ingest::operations::{
    backoff::Backoff,
    clients::{self, Cause},
};

/// How long a call is repeated.
pub(super) const PATIENCE: Duration = Duration::from_mins(5);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Limits the write units of a second.
pub(super) struct Pace {
    each: Duration,
    /// When the next unit is free.
    next: Mutex<Instant>,
}

impl Pace {
    pub(super) fn new(units_a_second: u32) -> Self {
        Self {
            each: Duration::from_secs(1) / units_a_second.max(1),
            next: Mutex::new(Instant::now()),
        }
    }

    /// Waits until a write of so many units may begin.
    pub(super) async fn wait(&self, units: u32) {
        sleep_until(self.reserve(units, Instant::now())).await;
    }

    fn reserve(&self, units: u32, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let begins = (*next).max(now);
        *next = begins + self.each * units;
        begins
    }
}

/// A table, and the calls that were repeated.
pub(super) struct Persistent {
    pub(super) client: Client,
    pub(super) table: String,
    throttled: AtomicU64,
    unanswered: AtomicU64,
}

/// The tries of one call.
pub(super) struct Tries {
    backoff: Backoff,
    /// Whether an earlier call may have been executed.
    pub(super) is_uncertain: bool,
}

impl Tries {
    pub(super) fn new() -> Self {
        Self {
            backoff: Backoff::until(Instant::now() + PATIENCE).with_longest(LONGEST_PAUSE),
            is_uncertain: false,
        }
    }
}

impl Persistent {
    pub(super) fn new(client: Client, table: String) -> Self {
        Self {
            client,
            table,
            throttled: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
        }
    }

    /// The calls, and parts of calls, that were throttled since the last call of this function.
    pub(super) fn take_throttled(&self) -> u64 {
        self.throttled.swap(0, Ordering::Relaxed)
    }

    /// The calls that were not answered, or failed in the service, since the last call of this function.
    pub(super) fn take_unanswered(&self) -> u64 {
        self.unanswered.swap(0, Ordering::Relaxed)
    }

    /// Calls until the table answers.
    ///
    /// # Errors
    /// If the table refuses the call, or throttles it for [`PATIENCE`].
    pub(super) async fn call<T, E, F>(&self, call: impl Fn() -> F) -> anyhow::Result<T>
    where
        E: ProvideErrorMetadata,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let mut tries = Tries::new();
        loop {
            match call().await {
                Ok(answer) => return Ok(answer),
                Err(error) => self.failed(&error, &mut tries).await?,
            }
        }
    }

    /// Counts a failed call, and waits before the next one.
    ///
    /// # Errors
    /// If no further call makes sense.
    pub(super) async fn failed<E: ProvideErrorMetadata>(
        &self,
        error: &SdkError<E, HttpResponse>,
        tries: &mut Tries,
    ) -> anyhow::Result<()> {
        let why = clients::failure(error);
        match clients::cause(error) {
            Cause::Caller => bail!("the table {} refused a call: {why}", self.table),
            Cause::Throttled => {
                self.throttled.fetch_add(1, Ordering::Relaxed);
            }
            Cause::NoAnswer | Cause::Server => {
                tries.is_uncertain = true;
                self.unanswered.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.pause(why, tries).await
    }

    /// Counts keys that a call left unprocessed, and waits before the next one.
    ///
    /// # Errors
    /// After [`PATIENCE`].
    pub(super) async fn unprocessed(&self, tries: &mut Tries) -> anyhow::Result<()> {
        self.throttled.fetch_add(1, Ordering::Relaxed);
        self.pause("keys were left unprocessed", tries).await
    }

    async fn pause(&self, why: &str, tries: &mut Tries) -> anyhow::Result<()> {
        tries.backoff.pause(why).await.map_err(|why| {
            anyhow!(
                "the table {} did not accept a call within {} minutes ({why}); run the same command again to continue, with a lower --write-units if it is throttled",
                self.table,
                PATIENCE.as_secs() / 60
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_begin_at_the_given_rate() {
        let pace = Pace::new(100);
        let now = Instant::now() + Duration::from_secs(1);
        let begins = |units| (pace.reserve(units, now) - now).as_millis();
        assert_eq!([begins(1), begins(5), begins(1), begins(1)], [0, 10, 60, 70]);
        // Unused time is not saved.
        let later = now + Duration::from_secs(10);
        assert_eq!(pace.reserve(1, later), later);
        assert_eq!(pace.reserve(1, later), later + Duration::from_millis(10));
    }
}
