//! Prints the report of an erasure on a terminal, with ids of people redacted.

use std::{collections::BTreeMap, fmt};

use webhook_ingest::{event::person, personal};

use super::{Counters, Done, FoundMessages, MatchReason, Report};

/// Maximum number of message ids in each list.
const LISTED: usize = 50;

/// Result of the search.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} events of {} messages",
            self.numbers.join(", "),
            self.traces.len(),
            self.messages().len()
        )?;
        self.events(f)?;
        if self.has_more {
            writeln!(
                f,
                "more ids are linked to this person than are followed ({}): erase the others by their own ids",
                person::MAX_IDS
            )?;
        }
        if !self.thorough {
            writeln!(
                f,
                "only recipient-index was searched; without --quick the whole table is read"
            )?;
        }
        match &self.dead {
            Ok(messages) => found(messages, "dead-letter queue", f)?,
            Err(why) => writeln!(f, "the queues were not looked at: {why}")?,
        }
        match &self.retry {
            Some(messages) => found(messages, "retry queue", f)?,
            None if self.waiting > 0 => writeln!(
                f,
                "about {} messages wait in the retry queue and were not read: use --queues, or run the command again when the queue is empty",
                self.waiting
            )?,
            None => {}
        }
        if !self.queues && self.dead.as_ref().is_ok_and(|found| !found.ids.is_empty()) {
            writeln!(
                f,
                "messages stay; --queues removes the person's records from them"
            )?;
        }
        match &self.counters {
            Ok(counters) => counters.summary(f)?,
            Err(why) => writeln!(f, "the counters were not read: {why}")?,
        }
        for file in &self.files {
            writeln!(
                f,
                "{} names the person; delete it if it is no longer needed",
                file.display()
            )?;
        }
        if let Some(bucket) = &self.analytics {
            writeln!(
                f,
                "s3://{bucket}/events/ keeps copies of the person's events: replace them after the deletion, as docs/analytics.md describes under Erasure"
            )?;
        }
        if self.yes {
            return Ok(());
        }
        writeln!(f, "nothing was changed; add --yes to delete")
    }
}

impl Report {
    /// Each message with its statuses.
    fn events(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut messages: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for ((id, _), trace) in &self.traces {
            let mention = if trace.why == MatchReason::Mention {
                " (names the person)"
            } else {
                ""
            };
            let event = format!("{} {}{mention}", trace.channel, trace.status);
            messages.entry(id).or_default().push(event);
        }
        for (id, events) in messages.iter().take(LISTED) {
            writeln!(
                f,
                "  {}  {}",
                plain(&personal::redact_id(id)),
                safe(&events.join(", "))
            )?;
        }
        if messages.len() > LISTED {
            writeln!(f, "  and {} more messages", messages.len() - LISTED)?;
        }
        Ok(())
    }
}

fn found(found: &FoundMessages, queue: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if !found.ids.is_empty() {
        writeln!(f, "{queue}: {} messages name the person", found.ids.len())?;
        for id in found.ids.iter().take(LISTED) {
            // SQS creates the id of a message, and the id of a message in parts is a digest: neither contains an id of a person.
            writeln!(f, "  {}", plain(id))?;
        }
        if found.ids.len() > LISTED {
            writeln!(f, "  and {} more messages", found.ids.len() - LISTED)?;
        }
    }
    if !found.all {
        writeln!(
            f,
            "{queue}: not every message could be looked at: there are too many, or another command or function holds some; run the command again later"
        )?;
    }
    Ok(())
}

impl Counters {
    fn summary(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lookups = self.linked.iter().filter(|link| link.key.is_lookup()).count();
        let links = self.linked.len() - lookups;
        if links > 0 {
            writeln!(f, "links: {links} ids are linked with the person")?;
        }
        if lookups > 0 {
            writeln!(f, "search: {lookups} lookups lead to the person or its messages")?;
        }
        if self.found == 0 {
            return writeln!(f, "counters: none of {} items names the person", self.read);
        }
        writeln!(
            f,
            "counters: {} of {} items name the person and stay; after the deletion, run `netcore-webhooks rollups rebuild`, which counts again with ids of people redacted, and then this command again",
            self.found, self.read
        )?;
        for name in &self.names {
            writeln!(f, "  {}", safe(name))?;
        }
        Ok(())
    }
}

/// Result of the deletion.
impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "deleted: {} events", self.events)?;
        for (found, queue) in [(&self.dead, "dead-letter queue"), (&self.retry, "retry queue")] {
            if found.deleted > 0 {
                writeln!(
                    f,
                    "{queue}: removed the person's records from {} messages; {} records of other people stay",
                    found.deleted, found.kept
                )?;
            }
        }
        match self.purged {
            Some(true) => writeln!(f, "local files: no data of the person is left")?,
            Some(false) => writeln!(
                f,
                "local files: the stream still contains unread records, possibly of the person; run the command again later"
            )?,
            None => {}
        }
        writeln!(f, "recorded in {}", self.record.display())
    }
}

/// Providers choose these texts: ids of people are redacted, and control characters must not reach the terminal.
fn safe(text: &str) -> String {
    plain(&personal::redact(text))
}

fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
