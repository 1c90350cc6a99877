//! Events as CSV for spreadsheets.

use serde_json::Value;
use webhook_ingest::events_table::item::Item;

use crate::{answers::Event, sizes, timeline};

/// The attributes to read: the columns, the last part of an event's key for the cursor, and what a filter reads
/// besides them.
pub(crate) const ATTRIBUTES: [&str; 21] = [
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
    "identities",
    "opened_by",
    "status_key",
    "click",
    "pricing",
];

/// The columns: all attributes except the last three.
const COLUMNS: [&str; 18] = {
    let [columns @ .., _, _, _] = ATTRIBUTES;
    columns
};

/// CSV lines, with a header if `header` is set. Times are in ISO 8601.
///
/// # Errors
/// If writing fails; writing to memory does not fail.
pub(crate) fn table(events: &[Event], header: bool) -> Result<String, csv::Error> {
    let mut out = csv::Writer::from_writer(Vec::new());
    if header {
        out.write_record(COLUMNS)?;
    }
    for event in events {
        out.write_record(COLUMNS.map(|column| cell(column, event.0.get(column))))?;
    }
    let bytes = out.into_inner().map_err(csv::IntoInnerError::into_error)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Bytes of an event's line in a response.
pub(crate) fn size(item: &Item) -> usize {
    table(&[timeline::event(item)], false).map_or(usize::MAX, |line| sizes::delivered(&line))
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
    escape_formulas(&text)
}

/// Escapes formulas: puts an apostrophe before each character that could start one, because texts come from
/// outside: <https://owasp.org/www-community/attacks/CSV_Injection>
///
/// A formula can start at the beginning of a cell, and after characters that some programs treat as
/// separators: a semicolon (if the comma is the decimal separator), a tab, a vertical bar or a line break.
/// Spaces, quotes and invisible characters before it are ignored.
pub fn escape_formulas(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 1);
    if text.starts_with(['\t', '\r', '\n']) {
        out.push('\'');
    }
    let mut is_start = true;
    for c in text.chars() {
        // Also full-width forms, which some programs treat as the ASCII characters.
        if is_start && matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠') {
            out.push('\'');
        }
        is_start = match c {
            ';' | '\t' | '|' | '\r' | '\n' | '\u{0b}' | '\u{0c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => true,
            '"'
            | '\''
            | '“'
            | '”'
            | '‘'
            | '’'
            | '`'
            | '＂'
            | '＇'
            | '\u{ad}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' => is_start,
            c => is_start && (c.is_whitespace() || c.is_control()),
        };
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(fields: Value) -> Event {
        let Value::Object(fields) = fields else {
            unreachable!()
        };
        Event(fields)
    }

    #[test]
    fn cells_are_quoted_and_formulas_escaped() {
        let event = event(json!({
            "event_time": 1_704_876_828_000_i64, "message_id": "a,\"b\"", "channel": "RCS", "status": "failed",
            "tags": ["x", "y"], "remarks": "=HYPERLINK(\"http://evil\")",
        }));
        let line = "2024-01-10T08:53:48Z,,\"a,\"\"b\"\"\",RCS,failed,,,,,,x y,,,\"'=HYPERLINK(\"\"http://evil\"\")\",,,,";
        let whole = table(std::slice::from_ref(&event), true).unwrap();
        let rows: Vec<&str> = whole.lines().collect();
        assert_eq!(rows[0].split(',').count(), 18);
        assert_eq!(rows[1], line);
        assert_eq!(table(&[event], false).unwrap(), format!("{line}\n"));
    }

    #[test]
    fn no_cell_starts_a_formula() {
        for (text, safe) in [
            ("=1+1", "'=1+1"),
            ("-5", "'-5"),
            ("+91 98", "'+91 98"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("＝1", "'＝1"),
            ("＋1", "'＋1"),
            ("－1", "'－1"),
            ("＠a", "'＠a"),
            ("\t=1", "'\t'=1"),
            ("\r=1", "'\r'=1"),
            ("\n=1", "'\n'=1"),
            ("\r\n+1", "'\r\n'+1"),
            ("  =1", "  '=1"),
            ("\u{a0}\u{200b}=1", "\u{a0}\u{200b}'=1"),
            ("\u{feff}=1", "\u{feff}'=1"),
            ("\"=1", "\"'=1"),
            ("'=1", "''=1"),
            ("\" '“=1", "\" '“'=1"),
            ("x;=1", "x;'=1"),
            ("x; \"@a", "x; \"'@a"),
            ("x;y;-1", "x;y;'-1"),
            ("x\n=1", "x\n'=1"),
            ("x\r-1", "x\r'-1"),
            ("x\t+1", "x\t'+1"),
            ("x\u{2028}=1", "x\u{2028}'=1"),
            ("x|=cmd", "x|'=cmd"),
            ("\u{1}=1", "\u{1}'=1"),
            // What begins no formula stays.
            ("a=b", "a=b"),
            ("a, -1", "a, -1"),
            ("order-12", "order-12"),
            ("a@b.example", "a@b.example"),
            ("say \"-5\"", "say \"-5\""),
            ("", ""),
        ] {
            assert_eq!(escape_formulas(text), safe, "{text:?}");
        }
    }

    #[test]
    fn a_table_reads_its_columns_and_the_key() {
        assert_eq!(ATTRIBUTES[..18], COLUMNS);
        assert_eq!(ATTRIBUTES[18..], ["status_key", "click", "pricing"]);
    }
}
