//! The report of an erasure as JSON, with ids of people redacted.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use webhook_ingest::personal;

use super::{Done, FoundMessages, MatchReason, Report};

impl Report {
    /// What was found. docs/reference.md describes the shape.
    pub fn to_json(&self) -> Value {
        let mut messages: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for ((id, _), trace) in &self.traces {
            let why = match trace.why {
                MatchReason::Recipient => "recipient",
                MatchReason::Message => "message",
                MatchReason::Mention => "mention",
            };
            messages.entry(id).or_default().push(json!({
                "channel": personal::redact(&trace.channel),
                "status": personal::redact(&trace.status),
                "why": why,
            }));
        }
        let messages: Vec<Value> = messages
            .into_iter()
            .map(|(id, events)| json!({"message_id": personal::redact_id(id), "events": events}))
            .collect();
        let counters = match &self.counters {
            Ok(counters) => {
                let lookups = counters.linked.iter().filter(|link| link.key.is_lookup()).count();
                json!({
                    "read": counters.read,
                    "name_the_person": counters.found,
                    "names": counters.names,
                    "links": counters.linked.len() - lookups,
                    "lookups": lookups,
                })
            }
            Err(why) => json!({ "not_read": why }),
        };
        json!({
            "step": "found",
            "people": self.numbers,
            "more_ids_are_linked": self.has_more,
            "whole_table": self.thorough,
            "events": self.traces.len(),
            "messages": messages,
            "dead_letters": match &self.dead {
                Ok(found) => queue(found),
                Err(why) => json!({ "not_read": why }),
            },
            "retry_queue": self.retry.as_ref().map(queue),
            "retry_queue_depth": self.waiting,
            "counters": counters,
            "files": self.files,
            "analytics_bucket": self.analytics,
            "deletes": self.yes,
        })
    }
}

impl Done {
    /// What was deleted.
    pub fn to_json(&self) -> Value {
        json!({
            "step": "deleted",
            "events": self.events,
            "dead_letters": self.dead.deleted,
            "retry_queue": self.retry.deleted,
            "records_of_others_kept": self.dead.kept + self.retry.kept,
            "local_files_are_clean": self.purged,
            "record": self.record,
        })
    }
}

fn queue(found: &FoundMessages) -> Value {
    json!({"messages": found.ids, "all_read": found.all})
}
