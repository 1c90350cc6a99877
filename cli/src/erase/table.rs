//! The report of an erasure for a terminal: numbers of people masked.

use std::{collections::BTreeMap, fmt};

use webhook_ingest::phone;

use super::{Letters, Report, Why};

/// No more messages than this are listed.
const LISTED: usize = 50;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.done { "deleted" } else { "would be deleted" };
        writeln!(
            f,
            "{}: {} events of {} messages {verb}",
            self.whom.join(", "),
            self.traces.len(),
            self.messages().len()
        )?;
        self.list(f)?;
        if !self.thorough {
            writeln!(
                f,
                "only recipient-index was searched; without --quick the whole table is read"
            )?;
        }
        match &self.letters {
            Some(letters) => told(letters, f)?,
            None => writeln!(
                f,
                "the queues were not looked at: set RETRY_QUEUE_URL and DEAD_LETTER_QUEUE_URL"
            )?,
        }
        writeln!(f, "counters stay; they hold no number")?;
        if self.done {
            writeln!(f, "recorded in {}", self.record.display())
        } else {
            writeln!(f, "nothing was changed; add --yes to do it")
        }
    }
}

impl Report {
    /// Each message with its statuses.
    fn list(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut messages: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for ((id, _), trace) in &self.traces {
            let mention = if trace.why == Why::Mention {
                " (names the person)"
            } else {
                ""
            };
            let told = format!("{} {}{mention}", trace.channel, trace.status);
            messages.entry(id).or_default().push(told);
        }
        for (id, told) in messages.iter().take(LISTED) {
            writeln!(
                f,
                "  {}  {}",
                harmless(&phone::redact(id)),
                harmless(&told.join(", "))
            )?;
        }
        if messages.len() > LISTED {
            writeln!(f, "  and {} more messages", messages.len() - LISTED)?;
        }
        Ok(())
    }
}

fn told(letters: &Letters, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match (letters.ids.len(), letters.deleted) {
        (0, _) => {}
        (found, 0) => {
            writeln!(
                f,
                "{found} dead letters name the person and stay: delete them with --queues, or with"
            )?;
            writeln!(
                f,
                "  netcore-webhooks dead-letters discard {}",
                letters.ids.join(" ")
            )?;
        }
        (_, deleted) => writeln!(f, "{deleted} dead letters deleted")?,
    }
    if letters.waiting > 0 {
        writeln!(
            f,
            "about {} messages wait in the retry queue and may hold more: run this again when it is empty",
            letters.waiting
        )?;
    }
    for file in &letters.files {
        writeln!(f, "{file} names the person; delete it if it is no longer needed")?;
    }
    Ok(())
}

/// Ids come from strangers: a terminal must not obey them.
fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
