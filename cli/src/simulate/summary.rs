//! The report of a simulation as JSON.

use serde::Serialize;

use super::{
    report::{Report, iso},
    responses::Counts,
};

/// The JSON shape of a [`Report`]. docs/reference.md describes it.
#[derive(Debug, Serialize)]
pub struct Summary<'r> {
    reconciled: bool,
    differences: Vec<String>,
    seed: u64,
    until: String,
    messages: usize,
    events: usize,
    requests: Vec<Requests>,
    answers: Counts,
    seconds: f64,
    response_ms: Percentiles,
    stored: Stored,
    examples: Vec<Example<'r>>,
}

#[derive(Debug, Serialize)]
struct Requests {
    function: &'static str,
    status: u16,
    count: usize,
}

#[derive(Debug, Serialize)]
struct Percentiles {
    p50: u128,
    p95: u128,
    p99: u128,
    max: u128,
}

#[derive(Debug, Serialize)]
struct Stored {
    events: usize,
    message_ids: usize,
    late: usize,
}

#[derive(Debug, Serialize)]
struct Example<'r> {
    message_id: &'r str,
    why: &'static str,
}

impl<'r> From<&'r Report> for Summary<'r> {
    fn from(report: &'r Report) -> Self {
        let (sent, found) = (&report.sent, &report.found);
        let differences = report.differences();
        let ms = |percent| sent.percentile(percent).as_millis();
        Self {
            reconciled: differences.is_empty(),
            differences,
            seed: report.seed,
            until: iso(report.until),
            messages: report.messages,
            events: report.events,
            requests: sent
                .answers
                .iter()
                .map(|((function, status), count)| Requests {
                    function,
                    status: *status,
                    count: *count,
                })
                .collect(),
            answers: sent.counts,
            seconds: sent.took.as_secs_f64(),
            response_ms: Percentiles {
                p50: ms(50),
                p95: ms(95),
                p99: ms(99),
                max: ms(100),
            },
            stored: Stored {
                events: found.events,
                message_ids: found.messages,
                late: found.late,
            },
            examples: report
                .examples
                .iter()
                .map(|(message_id, why)| Example { message_id, why })
                .collect(),
        }
    }
}
