//! The report of a simulation.

use std::{collections::BTreeMap, fmt};

use super::{event::SimulatedEvent, reconciliation::Reconciliation, responses::SendResult};

/// Maximum of listed differences; the others are counted.
const LISTED: usize = 50;

/// Requests, responses, and the comparison with the table.
#[derive(Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// End of the simulated time, epoch milliseconds.
    pub until: i64,
    /// Requested number of messages.
    pub messages: usize,
    /// Sent events, without repetitions.
    pub events: usize,
    /// Result of sending.
    pub sent: SendResult,
    /// Result of the reconciliation.
    pub found: Reconciliation,
    /// Message ids worth a look, each with a reason.
    pub examples: Vec<(String, &'static str)>,
}

impl Report {
    /// Differences, one line each.
    pub fn differences(&self) -> Vec<String> {
        let mut all = self.sent.faults.clone();
        all.extend(self.found.differences.iter().cloned());
        all.extend(self.sums());
        all
    }

    /// Compares the sum of the responses with the number of events. [`super::responses`] checks the
    /// counts of each response.
    fn sums(&self) -> Option<String> {
        let counts = self.sent.counts;
        (counts.stored > self.events).then(|| {
            format!(
                "the responses report {} stored events, but only {} were sent",
                counts.stored, self.events
            )
        })
    }

    /// First deliveries that were reported as duplicates: the first try stored the event, but its
    /// response was lost, and the receiver or the sender tried again.
    fn tried_twice(&self) -> usize {
        let counts = self.sent.counts;
        self.events
            .saturating_sub(counts.stored + counts.queued + self.found.before)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sent, found) = (&self.sent, &self.found);
        writeln!(
            f,
            "sent        {} events of {} messages in {} requests, {:.1} s ({:.0} records a second)",
            self.events,
            self.messages,
            sent.answers.values().sum::<usize>(),
            sent.took.as_secs_f64(),
            records_a_second(sent),
        )?;
        for ((function, status), count) in &sent.answers {
            writeln!(f, "              {function:<16} {status}  {count}")?;
        }
        writeln!(f, "answers     {}", sent.counts)?;
        if self.tried_twice() > 0 {
            writeln!(
                f,
                "            {} first deliveries count as duplicates: the first response was lost, and a second try found the event stored",
                self.tried_twice()
            )?;
        }
        writeln!(
            f,
            "time        p50 {} ms, p95 {} ms, p99 {} ms, most {} ms",
            sent.percentile(50).as_millis(),
            sent.percentile(95).as_millis(),
            sent.percentile(99).as_millis(),
            sent.percentile(100).as_millis(),
        )?;
        writeln!(
            f,
            "table       {} events of {} message ids, {} of them late",
            found.events, found.messages, found.late
        )?;
        for (id, why) in &self.examples {
            writeln!(f, "look at     {id}  {why}")?;
        }
        writeln!(f, "repeat      --seed {} --until {}", self.seed, iso(self.until))?;
        self.verdict(f)
    }
}

impl Report {
    fn verdict(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let differences = self.differences();
        if differences.is_empty() {
            return writeln!(
                f,
                "reconciled  each event is stored exactly once, and nothing else"
            );
        }
        writeln!(f, "differs     {}", differences.len())?;
        for line in differences.iter().take(LISTED) {
            writeln!(f, "  {line}")?;
        }
        if differences.len() > LISTED {
            writeln!(f, "  and {} more", differences.len() - LISTED)?;
        }
        Ok(())
    }
}

/// A time in ISO 8601, as `--until` takes it.
pub(super) fn iso(at: i64) -> String {
    jiff::Timestamp::from_millisecond(at)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_string()
}

#[expect(clippy::cast_precision_loss, reason = "a rounded figure is enough")]
fn records_a_second(sent: &SendResult) -> f64 {
    sent.counts.received as f64 / sent.took.as_secs_f64().max(0.001)
}

/// Example messages: an SMS fallback, a message with several taps, and a reply.
pub(super) fn examples(events: &[SimulatedEvent]) -> Vec<(String, &'static str)> {
    let mut of: BTreeMap<&str, Vec<&SimulatedEvent>> = BTreeMap::new();
    for event in events {
        of.entry(&event.message_id).or_default().push(event);
    }
    let find = |wanted: &dyn Fn(&SimulatedEvent) -> bool, why| {
        let found = of.iter().find(|(_, events)| events.iter().any(|e| wanted(e)));
        found.map(|(id, _)| ((*id).to_owned(), why))
    };
    let over_sms = |e: &SimulatedEvent| e.channel == "SMS" && e.status == "delivered";
    let taps = of
        .iter()
        .find(|(_, events)| events.iter().filter(|e| e.status == "clicked").count() > 1)
        .map(|(id, _)| ((*id).to_owned(), "tapped more than once"));
    [
        find(&over_sms, "went on as SMS"),
        taps,
        find(&|e| e.status == "received", "incoming message"),
    ]
    .into_iter()
    .flatten()
    .collect()
}
