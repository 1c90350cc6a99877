//! Netcore SMS delivery reports: by GET, as a form, or as JSON, as agreed with each customer.
//! <https://emaildocs.netcorecloud.com/docs/sms-webhooks>
//!
//! Netcore documents the id, `reqid` or `request_ID`, and agrees on the other parameters with each customer.
//! The names here are the usual ones of delivery reports; a name that is not listed stays in `extra`.

use super::{Format, Role, mapping::Draft};
use crate::event::{Attribute, Channel, FormatName, Status, time::Unit};

/// `{"reqid","mobile","status","timestamp",…}`, or the same as parameters
pub static FORMAT: Format = Format {
    name: FormatName::new("netcore-sms"),
    provider: "netcore",
    envelope: None,
    parameters: true,
    aliases: &[
        ("reqid", &["request_id", "requestid", "req_id"]),
        (
            "mobile",
            &[
                "msisdn",
                "to",
                "number",
                "mobile_number",
                "mobileno",
                "mobilenumber",
                "phone",
                "phone_number",
                "recipient",
                "destination",
            ],
        ),
        ("status", &["dlr_status", "dlrstatus", "delivery_status", "event"]),
        (
            "timestamp",
            &[
                "event_time",
                "dlr_time",
                "dlrtime",
                "delivery_time",
                "deliverytime",
                "delivered_time",
                "delivered_at",
                "done_time",
                "done_date",
                "donedate",
                "time",
            ],
        ),
        (
            "reason",
            &["remarks", "remark", "error", "error_description", "description"],
        ),
        ("sender", &["sender_id", "senderid", "from"]),
    ],
    recognizes: |_| true,
    fields: &[
        ("reqid", Role::MessageId),
        ("status", Role::Status(|_| None)),
        ("channel", Role::Channel { documented: false }),
        ("timestamp", Role::Time(Unit::SecondsText)),
        ("mobile", Role::Recipient { plus: false }),
        ("reason", Role::Text(Attribute::Remarks)),
        ("sender", Role::Text(Attribute::BotId)),
    ],
    also: &[],
    derive,
    restore: |_, _| {},
};

/// The words of an SMSC's delivery receipt, SMPP 3.4 appendix B. `as_sent` has the word.
fn derive(draft: &mut Draft<'_>) {
    draft
        .channel
        .get_or_insert_with(|| Channel::from_word(Channel::SMS));
    let known = draft.status.as_ref().and_then(|status| match status.as_str() {
        "delivrd" => Some(Status::Delivered),
        "undeliv" | "rejectd" => Some(Status::Failed),
        _ => None,
    });
    if known.is_some() {
        draft.status = known;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        provider::{differing, format_of, read, rebuild},
        record::exact::Exact,
    };

    fn event(record: &Value) -> crate::event::Event {
        read(&[&FORMAT], &record.to_string()).unwrap()
    }

    #[test]
    fn parameters_are_found_under_several_names_and_rebuilt_under_the_sent_one() {
        for record in [
            json!({"reqid": "7", "mobile": "919999999901", "status": "Delivered", "timestamp": "1764585432"}),
            json!({"request_ID": "7", "TO": "+91 9999999901", "DLR_Status": "DELIVRD", "Event_Time": 1_764_585_432}),
            json!({"ReqId": 7, "MSISDN": 919_999_999_901_i64, "STATUS": "delivered", "time": "2025-12-01T10:37:12Z"}),
        ] {
            let event = event(&record);
            assert_eq!(event.message_id.as_str(), "7", "{record}");
            assert_eq!(event.recipient.as_deref(), Some("919999999901"), "{record}");
            assert_eq!(event.status, Status::Delivered, "{record}");
            assert_eq!(event.channel.as_str(), "SMS");
            assert_eq!(event.event_time, Some(1_764_585_432_000), "{record}");
            assert!(event.extra.is_empty(), "{:?}", event.extra);
            assert_eq!(Value::Object(rebuild(&event)), record);
        }
    }

    #[test]
    fn of_several_names_the_first_counts_and_the_others_stay() {
        // The field's own name first, then the order of the list; not the order of the record.
        for (record, id, person, extra) in [
            (
                json!({"request_id": "b", "reqid": "a", "status": "x", "to": "9111", "number": "9122"}),
                "a",
                "9111",
                json!({"request_id": "b", "number": "9122"}),
            ),
            (
                json!({"number": "9122", "to": "9111", "requestid": "c", "request_ID": "b", "status": "x"}),
                "b",
                "9111",
                json!({"requestid": "c", "number": "9122"}),
            ),
            (
                json!({"REQID": "d", "request_id": "b", "status": "x", "Mobile": "9133", "mobile": "", "to": "9111"}),
                "d",
                "",
                json!({"request_id": "b", "Mobile": "9133", "to": "9111"}),
            ),
        ] {
            let event = event(&record);
            assert_eq!(event.message_id.as_str(), id);
            assert_eq!(event.recipient.as_deref().unwrap_or_default(), person);
            assert_eq!(Value::Object(event.extra.clone()), extra);
            assert_eq!(Value::Object(rebuild(&event)), record);
        }
    }

    #[test]
    fn a_value_without_a_meaning_keeps_its_name() {
        for record in [
            json!({"request_id": "a", "status": "x", "to": "unknown", "dlr_time": "soon", "x": [1]}),
            json!({"request_id": "a", "status": "x", "to": "", "dlr_time": null, "error": "", "from": {}}),
        ] {
            let event = event(&record);
            assert_eq!((event.recipient.as_deref(), event.event_time), (None, None));
            assert_eq!(Value::Object(rebuild(&event)), record);
        }
    }

    #[test]
    fn words_of_an_smsc_have_a_status_and_others_stay() {
        for (word, status) in [
            ("DELIVRD", "delivered"),
            ("UNDELIV", "failed"),
            ("REJECTD", "failed"),
            ("Sent", "sent"),
            ("DLT Chain Failure", "dlt_chain_failure"),
        ] {
            let event = event(&json!({"reqid": "a", "status": word}));
            assert_eq!(event.status.as_str(), status);
            assert_eq!(rebuild(&event).get("status"), Some(&json!(word)));
        }
    }

    /// The attributes in which two records differ.
    fn differences(one: &str, other: &str) -> Vec<&'static str> {
        let fields = |text| match Exact::parse(text) {
            Ok(Exact::Object(fields)) => fields,
            _ => panic!("{text}"),
        };
        let (one, other) = (fields(one), fields(other));
        assert_eq!(format_of(&[&FORMAT], &one), Some(&FORMAT));
        differing(&FORMAT, &one, &other)
    }

    #[test]
    fn records_with_different_names_are_compared_by_meaning() {
        let one = r#"{"reqid":"a","status":"Sent","mobile":"9111","timestamp":"1764585432"}"#;
        for (other, expected) in [
            (
                r#"{"Request_ID":"a","STATUS":"sent","to":"+9111","time":1764585432}"#,
                vec![],
            ),
            (
                r#"{"reqid":"a","status":"Sent","mobile":"9111","timestamp":"1764585432","to":"9122"}"#,
                vec!["extra"],
            ),
            (
                r#"{"reqid":"a","status":"Sent","msisdn":"9112","timestamp":"1764585432"}"#,
                vec!["recipient"],
            ),
            (
                r#"{"reqid":"a","status":"Sent","mobile":"9111","dlr_time":"1764585433"}"#,
                vec!["event_time"],
            ),
        ] {
            assert_eq!(differences(one, other), expected, "{other}");
            assert_eq!(differences(other, one), expected, "{other}");
        }
    }
}
