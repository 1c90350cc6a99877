//! A list of events as a table for a spreadsheet.

use serde_json::Value;

use crate::answers::Event;

const COLUMNS: [&str; 16] = [
    "event_time",
    "received_at",
    "message_id",
    "channel",
    "status",
    "recipient",
    "provider",
    "bot_id",
    "request_id",
    "callback_data",
    "tags",
    "message_type",
    "last_channel",
    "remarks",
    "campaign",
    "in_reply_to",
];

/// The table, with a header; times in ISO 8601.
///
/// # Errors
/// If the writer fails, which memory does not.
pub(crate) fn table(events: &[Event]) -> Result<String, csv::Error> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(COLUMNS)?;
    for event in events {
        out.write_record(COLUMNS.map(|column| cell(column, event.0.get(column))))?;
    }
    let bytes = out.into_inner().map_err(csv::IntoInnerError::into_error)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn cell(column: &str, value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => return String::new(),
        Some(Value::Number(at)) if column.ends_with("_time") || column.ends_with("_at") => {
            let time = at
                .as_i64()
                .and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
            return time.map_or_else(|| at.to_string(), |time| time.to_string());
        }
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) => {
            let words: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
            words.join(" ")
        }
        Some(other) => other.to_string(),
    };
    // Texts come from strangers, and a spreadsheet runs what looks like a formula:
    // https://owasp.org/www-community/attacks/CSV_Injection
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_are_quoted_and_formulas_disarmed() {
        let Value::Object(event) = json!({
            "event_time": 1_704_876_828_000_i64, "message_id": "a,\"b\"", "channel": "RCS", "status": "failed",
            "tags": ["x", "y"], "remarks": "=HYPERLINK(\"http://evil\")",
        }) else {
            unreachable!()
        };
        let table = table(&[Event(event)]).unwrap();
        let rows: Vec<&str> = table.lines().collect();
        assert_eq!(
            rows[1],
            "2024-01-10T08:53:48Z,,\"a,\"\"b\"\"\",RCS,failed,,,,,,x y,,,\"'=HYPERLINK(\"\"http://evil\"\")\",,"
        );
    }
}
