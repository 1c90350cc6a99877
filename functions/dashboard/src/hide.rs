//! Numbers of people out of an answer, for a role that may not see them.

use serde_json::Value;
use webhook_ingest::phone;

/// Times: long numbers that belong to nobody.
const TIMES: [&str; 6] = [
    "event_time",
    "received_at",
    "state_time",
    "sent_at",
    "expires_at",
    "updated_at",
];

/// Masks every run of seven or more digits, in texts, names and numbers.
pub(crate) fn numbers(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(phone::redact(&text).into_owned()),
        Value::Number(number) => {
            let shown = number.to_string();
            let masked = phone::redact(&shown);
            if shown == masked {
                Value::Number(number)
            } else {
                Value::String(masked.into_owned())
            }
        }
        Value::Array(list) => Value::Array(list.into_iter().map(numbers).collect()),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| {
                let value = if TIMES.contains(&name.as_str()) && value.is_i64() {
                    value
                } else {
                    numbers(value)
                };
                (phone::redact(&name).into_owned(), value)
            })
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_go_and_times_stay() {
        assert_eq!(
            numbers(json!({
                "message_id": "api-337-919209209291-3c90", "event_time": 1_704_876_828_000_i64,
                "extra": {"phone": 919_209_209_291_u64, "919209209291": [true, "x 9192092"]}, "count": 12_345,
            })),
            json!({
                "message_id": "api-***-*********291-*c90", "event_time": 1_704_876_828_000_i64,
                "extra": {"phone": "*********291", "*********291": [true, "x ****092"]}, "count": 12_345,
            })
        );
    }
}
