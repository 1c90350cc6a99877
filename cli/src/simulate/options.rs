//! Options of `simulate`.

use anyhow::{Context as _, bail};
use clap::{Args, builder::RangedU64ValueParser};
use receivers::RECEIVERS;
use webhook_ingest::event::EpochMillis;

use super::{Receivers, providers::formats};
use crate::{quantities::share, serve::DEFAULT_ADDRESS};

/// Simulates the providers, then checks that every event is stored exactly once. The phone numbers
/// and e-mail addresses do not exist: `91 0…`, `55 00…` and `…@mail.example`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Base URL, with the receivers at /lambda-url/FUNCTION/ below it; or the URL of one function, to
    /// send only the events of that function; or FUNCTION=URL, which can be repeated. The default is the local
    /// instance.
    #[arg(long)]
    pub url: Vec<String>,
    /// Number of messages; each has one to about ten events.
    #[arg(long, default_value_t = 1000, value_parser = RangedU64ValueParser::<usize>::new().range(1..=10_000_000))]
    pub messages: usize,
    /// Maximum of events per second; default: no limit.
    #[arg(long, value_parser = positive)]
    pub rate: Option<f64>,
    /// Records per body, in formats that allow several.
    #[arg(long, default_value_t = 20, value_parser = RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    pub batch: usize,
    /// Concurrent requests.
    #[arg(long, default_value_t = 16, value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000))]
    pub parallel: usize,
    /// Share of events that are sent twice: a fraction such as 0.05, or 5%.
    #[arg(long, default_value = "0.05", value_parser = share)]
    pub duplicates: f64,
    /// Events are delayed by up to this many positions; 0 keeps their order.
    #[arg(long, default_value_t = 100)]
    pub shuffle: usize,
    /// Share of RCS messages that fail and continue as SMS: a fraction or a percentage.
    #[arg(long, default_value = "0.12", value_parser = share)]
    pub fallback: f64,
    /// Additional broken bodies, as a share of the valid ones: a fraction or a percentage.
    #[arg(long, default_value = "0.01", value_parser = share)]
    pub malformed: f64,
    /// Days before now over which the messages are spread.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
    /// Seed; the same seed creates the same messages, with other ids.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Time that counts as now, such as 2026-11-21T10:00:00Z; together with --seed it repeats exactly
    /// the same bodies.
    #[arg(long)]
    pub until: Option<String>,
    /// Seconds to wait for queued events.
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    pub wait: u64,
    /// Policy, or a reference to it; default: the policy of the local instance.
    #[arg(long, env = "WEBHOOK_AUTH", hide_env_values = true)]
    pub auth: Option<String>,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

impl Options {
    /// The receivers of the URLs; without URLs, those of an instance at the default address.
    pub(super) fn receivers(&self) -> anyhow::Result<Receivers> {
        let mut receivers = Receivers::default();
        if self.url.is_empty() {
            add(&mut receivers, &format!("http://{DEFAULT_ADDRESS}"))?;
        }
        for url in &self.url {
            add(&mut receivers, url)?;
        }
        Ok(receivers)
    }

    pub(super) fn until(&self) -> anyhow::Result<Option<EpochMillis>> {
        let Some(text) = &self.until else { return Ok(None) };
        let at: jiff::Timestamp = text
            .parse()
            .with_context(|| format!("--until {text}: expected a time such as 2026-11-21T10:00:00Z"))?;
        Ok(Some(at.as_millisecond()))
    }
}

fn add(receivers: &mut Receivers, url: &str) -> anyhow::Result<()> {
    let known = |name: &str| RECEIVERS.into_iter().map(|r| r.function).find(|f| *f == name);
    let (name, url) = match url.split_once('=') {
        Some((name, url)) if !name.contains('/') => (Some(name), url),
        _ => (None, url),
    };
    let parsed: http::Uri = url
        .parse()
        .with_context(|| format!("--url {url} is not a valid address"))?;
    if !matches!(parsed.scheme_str(), Some("http" | "https")) || parsed.authority().is_none() {
        bail!("--url {url}: expected an address such as http://127.0.0.1:9000");
    }
    let base = url.trim_end_matches('/');
    let name = name.or_else(|| {
        parsed
            .path()
            .strip_prefix("/lambda-url/")
            .map(|path| path.trim_end_matches('/'))
    });
    let Some(name) = name else {
        for format in formats() {
            let function = format.function;
            receivers
                .urls
                .insert(function, format!("{base}/lambda-url/{function}/"));
        }
        return Ok(());
    };
    let function = known(name).with_context(|| {
        let names: Vec<&str> = RECEIVERS.iter().map(|r| r.function).collect();
        format!(
            "--url: no receiver is called {name}; the receivers are {}",
            names.join(", ")
        )
    })?;
    receivers.urls.insert(function, format!("{base}/"));
    Ok(())
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(n) if n > 0.0 && n.is_finite() => Ok(n),
        _ => Err("expected a number above 0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(given: &[&str]) -> Result<Vec<(&'static str, String)>, String> {
        let mut receivers = Receivers::default();
        for url in given {
            add(&mut receivers, url).map_err(|e| e.to_string())?;
        }
        Ok(receivers.urls.into_iter().collect())
    }

    #[test]
    fn an_address_is_a_base_one_function_or_several() {
        assert_eq!(urls(&["http://h:1/"]).unwrap().len(), RECEIVERS.len());
        assert_eq!(
            urls(&["http://h/lambda-url/rcs-callback/"]),
            Ok(vec![("rcs-callback", "http://h/lambda-url/rcs-callback/".into())])
        );
        assert_eq!(
            urls(&[
                "event-webhook=https://a.on.aws/",
                "fallback-sms=https://b.on.aws/"
            ]),
            Ok(vec![
                ("event-webhook", "https://a.on.aws/".into()),
                ("fallback-sms", "https://b.on.aws/".into())
            ])
        );
        assert!(
            urls(&["127.0.0.1:9000"])
                .unwrap_err()
                .contains("expected an address")
        );
        assert!(
            urls(&["http://h/lambda-url/redrive/"])
                .unwrap_err()
                .contains("no receiver is called redrive")
        );
    }
}
