//! What a simulation says at its end.

use std::{collections::BTreeMap, fmt};

use super::{account::Found, answers::Sent, happening::Happening};

/// No more differences than this are listed; the rest is counted.
const LISTED: usize = 50;

/// What was sent, how it was answered, and whether the table says the same.
#[derive(Debug)]
pub struct Report {
    /// Repeats this simulation.
    pub seed: u64,
    /// The moment it ends at, epoch milliseconds.
    pub until: i64,
    /// Messages that were asked for.
    pub messages: usize,
    /// Events that were told, each counted once.
    pub events: usize,
    /// How they were answered.
    pub sent: Sent,
    /// What the table says.
    pub found: Found,
    /// Ids to look at, and why.
    pub examples: Vec<(String, &'static str)>,
}

impl Report {
    /// What is not as it must be, one line each.
    pub fn differences(&self) -> Vec<String> {
        let mut all = self.sent.faults.clone();
        all.extend(self.found.differences.iter().cloned());
        all.extend(self.sums());
        all
    }

    /// The answers' sums against the number of events. That each answer's own counts add up is
    /// checked where it comes in.
    fn sums(&self) -> Option<String> {
        let counts = self.sent.counts;
        (counts.stored > self.events).then(|| {
            format!(
                "the answers say that {} events were stored, but there are only {}",
                counts.stored, self.events
            )
        })
    }

    /// First deliveries that were counted as duplicates: the receiver or the sender had to try
    /// twice, and the first try had worked.
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
        let c = sent.counts;
        writeln!(
            f,
            "answers     received {}, stored {}, duplicates {}, queued {}, dead-lettered {}",
            c.received, c.stored, c.duplicates, c.queued, c.dead_lettered
        )?;
        if self.tried_twice() > 0 {
            writeln!(
                f,
                "            {} first deliveries count as duplicates: their answer got lost and they were tried twice",
                self.tried_twice()
            )?;
        }
        writeln!(
            f,
            "time        p50 {} ms, p95 {} ms, p99 {} ms, most {} ms",
            sent.within(50).as_millis(),
            sent.within(95).as_millis(),
            sent.within(99).as_millis(),
            sent.within(100).as_millis(),
        )?;
        writeln!(
            f,
            "table       {} events of {} message ids, {} of them late",
            found.events, found.messages, found.late
        )?;
        for (id, why) in &self.examples {
            writeln!(f, "look at     {id}  {why}")?;
        }
        writeln!(
            f,
            "repeat      --seed {} --until {}",
            self.seed,
            jiff::Timestamp::from_millisecond(self.until).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        )?;
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

#[expect(clippy::cast_precision_loss, reason = "a figure to read")]
fn records_a_second(sent: &Sent) -> f64 {
    sent.counts.received as f64 / sent.took.as_secs_f64().max(0.001)
}

/// Some messages that are worth a look: a journey to SMS, one that was tapped, one that was answered.
pub(super) fn examples(told: &[Happening]) -> Vec<(String, &'static str)> {
    let mut of: BTreeMap<&str, Vec<&Happening>> = BTreeMap::new();
    for happening in told {
        of.entry(&happening.message_id).or_default().push(happening);
    }
    let find = |wanted: &dyn Fn(&Happening) -> bool, why| {
        let found = of.iter().find(|(_, events)| events.iter().any(|e| wanted(e)));
        found.map(|(id, _)| ((*id).to_owned(), why))
    };
    let over_sms = |e: &Happening| e.channel == "SMS" && e.status == "delivered";
    let taps = of
        .iter()
        .find(|(_, events)| events.iter().filter(|e| e.status == "clicked").count() > 1)
        .map(|(id, _)| ((*id).to_owned(), "tapped more than once"));
    [
        find(&over_sms, "went on as SMS"),
        taps,
        find(&|e| e.status == "received", "what a person wrote"),
    ]
    .into_iter()
    .flatten()
    .collect()
}
