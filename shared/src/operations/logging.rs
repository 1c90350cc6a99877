//! Structured logs: JSON lines on standard output. Limits the log level of libraries.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer as _, filter::filter_fn, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::event::EpochMillis;

/// The most detailed level of library logs, independent of `RUST_LOG`. Below it, libraries log requests,
/// responses and whole events; bodies contain personal data, and requests contain credentials.
const MAX_LIBRARY_LEVEL: Level = Level::INFO;

/// Starts logging at the level of `RUST_LOG` (default `info`). Does nothing if logging was already started.
pub fn start() {
    let by_variable = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false)
        .with_filter(filter_fn(is_allowed));
    let _ = tracing_subscriber::registry()
        .with(by_variable)
        .with(lines)
        .try_init();
}

/// Starts logging for a terminal: lines of text on standard error, at the level of `RUST_LOG` or `default`.
pub fn start_terminal(default: &str) {
    let by_variable = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_target(false)
        .with_writer(std::io::stderr)
        .with_filter(filter_fn(is_allowed));
    let _ = tracing_subscriber::registry()
        .with(by_variable)
        .with(lines)
        .try_init();
}

/// Whether a line may be written. Spans are not kept, because lines do not contain them.
fn is_allowed(line: &Metadata<'_>) -> bool {
    const OURS: [&str; 5] = [
        "webhook_ingest",
        "redrive",
        "projector",
        "dashboard",
        "netcore_webhooks",
    ];
    let is_ours = || OURS.iter().any(|ours| line.target().starts_with(ours));
    line.is_event() && (is_ours() || *line.level() <= MAX_LIBRARY_LEVEL)
}

/// Limits log lines per kind and minute, and counts dropped lines. For lines that senders can cause as often
/// as they like. A metric counts all of them.
pub struct Sampler {
    most: u32,
    kinds: Mutex<BTreeMap<&'static str, Minute>>,
}

/// The lines of one kind in the minute that started with the first of them.
#[derive(Default)]
struct Minute {
    began: EpochMillis,
    admitted: u32,
    unlogged: u64,
}

impl Sampler {
    const MINUTE_MS: EpochMillis = 60_000;

    /// Allows `most` lines of each kind in a minute.
    pub const fn new(most: u32) -> Self {
        Self {
            most,
            kinds: Mutex::new(BTreeMap::new()),
        }
    }

    /// Whether a line of this kind may be written at `now`. If so, returns the number of lines of its kind
    /// that were dropped since the last one.
    pub fn admit(&self, kind: &'static str, now: EpochMillis) -> Option<u64> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = kinds.entry(kind).or_default();
        // A clock that was set back starts a new minute, too.
        if !(minute.began..minute.began.saturating_add(Self::MINUTE_MS)).contains(&now) {
            minute.began = now;
            minute.admitted = 0;
        }
        if minute.admitted < self.most {
            minute.admitted += 1;
            Some(std::mem::take(&mut minute.unlogged))
        } else {
            minute.unlogged += 1;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_kind_are_limited_and_dropped_ones_counted() {
        const START: EpochMillis = 1_704_876_900_000;
        let sampler = Sampler::new(2);
        let at = |kind, ms| sampler.admit(kind, START + ms);
        assert_eq!(
            [at("a", 0), at("a", 1), at("a", 2), at("a", 59_999)],
            [Some(0), Some(0), None, None]
        );
        // Another kind has a separate limit.
        assert_eq!([at("b", 3), at("b", 4), at("b", 5)], [Some(0), Some(0), None]);
        assert_eq!(
            [at("a", 60_000), at("a", 60_001), at("a", 60_002)],
            [Some(2), Some(0), None]
        );
        assert_eq!(at("a", 3_600_000), Some(1));
        // The clock was set back.
        assert_eq!([at("b", -5), at("b", -4), at("b", -3)], [Some(1), Some(0), None]);
    }
}
