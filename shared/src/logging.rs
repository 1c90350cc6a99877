//! Structured logs: JSON lines on standard output, and a lid on what libraries may say.

use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer as _, filter::filter_fn, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// Libraries that log requests, answers or whole events below this level: never shown, whatever
/// `RUST_LOG` says, since bodies hold personal data and requests hold credentials.
const LOUDEST_LIBRARY: Level = Level::INFO;

/// Starts logging by `RUST_LOG` (default `info`). Does nothing if logging was started before.
pub fn start() {
    let by_variable = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false)
        .with_filter(filter_fn(harmless));
    let _ = tracing_subscriber::registry()
        .with(by_variable)
        .with(lines)
        .try_init();
}

/// The same for a person's terminal: lines of text on standard error, by `RUST_LOG` or `default`.
pub fn start_terminal(default: &str) {
    let by_variable = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_target(false)
        .with_writer(std::io::stderr)
        .with_filter(filter_fn(harmless));
    let _ = tracing_subscriber::registry()
        .with(by_variable)
        .with(lines)
        .try_init();
}

fn harmless(line: &Metadata<'_>) -> bool {
    const OURS: [&str; 5] = [
        "webhook_ingest",
        "redrive",
        "projector",
        "dashboard",
        "netcore_webhooks",
    ];
    OURS.iter().any(|ours| line.target().starts_with(ours)) || *line.level() <= LOUDEST_LIBRARY
}
