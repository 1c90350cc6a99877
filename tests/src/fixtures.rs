//! Test data besides the [`samples`](crate::samples): generated batches of any size, and requests as
//! function URL events.

use std::{fmt::Write as _, net::IpAddr};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use netcore_webhooks::function_url;
use serde_json::{Value, json};
use webhook_ingest::{
    auth::{Policy, Unverified, VerifiedBody},
    event::time,
    queue::message::{QueueMessage, Reason},
};

/// The default policy of functions and servers: a signature or [`TOKEN`].
pub const AUTH: &str = r#"{"accept":[
    {"type":"hmac","header":"x-webhook-signature","prefix":"sha256=","secrets":["correct-horse-battery-staple"]},
    {"type":"header","name":"x-netcore-token","values":["t0ken-of-the-tests"]}]}"#;
/// The token of [`AUTH`].
pub const TOKEN: (&str, &str) = ("x-netcore-token", "t0ken-of-the-tests");

/// The names of the functions that receive webhooks.
pub fn receiver_names() -> impl Iterator<Item = &'static str> {
    receivers::RECEIVERS.iter().map(|receiver| receiver.function)
}

/// For tests that send 6 MB: an unoptimized function takes more than a second longer to queue them.
pub const LARGE_BODY_BUDGET: (&str, &str) = ("ACK_BUDGET_MS", "8000");

/// For tests that do not measure time: on a busy machine, events are stored instead of queued.
pub const LONG_BUDGET: (&str, &str) = ("ACK_BUDGET_MS", "60000");

/// An address for documentation, RFC 5737.
const SENDER: [u8; 4] = [203, 0, 113, 7];

/// `count` events of as many messages, starting with number `first`: about 500 bytes each, with ids that do
/// not compress, like real ones.
pub fn events(first: usize, count: usize) -> Vec<Value> {
    (first..first + count).map(numbered).collect()
}

fn numbered(number: usize) -> Value {
    let noise = |salt: u64| scramble(number as u64 ^ (salt << 40));
    let mobile = 910_000_000_000 + number;
    let status = ["Sent", "Delivered", "Read", "Failed"][number % 4];
    json!({
        "message_id": format!("api-337-{mobile}-{:016x}{:016x}-1704876827", noise(1), noise(2)),
        "mobile": mobile.to_string(),
        "status": status,
        "channel": "RCS",
        "event_time": 1_704_876_833 + number,
        "callbackdata": format!("order-{:016x}{:016x}", noise(3), noise(4)),
        "requestid": format!("{:016x}{:016x}", noise(5), noise(6)),
        "tags": ["campaign-2024-01", "12"],
        "type": "Template",
        "last_channel": "",
        "remarks": "",
        "click_data": {},
        "template_name": format!("welcome_back_{:016x}{:016x}", noise(7), noise(8)),
        "agent": "netcore-demo-agent",
        "carrier": {"mcc": "404", "mnc": "45", "circle": "Delhi"},
    })
}

/// `SplitMix64`: the same noise in every run.
fn scramble(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Bytes that do not compress and are not UTF-8; the same in every run.
pub fn noise(bytes: usize) -> Vec<u8> {
    noise_states()
        .map(|state| state.to_le_bytes()[7])
        .take(bytes)
        .collect()
}

/// ASCII letters that hardly compress; the same in every run.
pub fn noise_text(letters: usize) -> String {
    let alphabet = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    noise_states()
        .map(|state| char::from(alphabet[(state >> 33) as usize % alphabet.len()]))
        .take(letters)
        .collect()
}

fn noise_states() -> impl Iterator<Item = u64> {
    let next = |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    std::iter::successors(next(&1), next)
}

/// An event with these fields added or replaced.
pub fn event(fields: Value) -> Value {
    let event = json!({"message_id": "m-1", "mobile": "919209209291", "status": "Sent", "channel": "RCS", "event_time": 1_704_876_828});
    with(event, fields)
}

/// A record with these fields added or replaced.
pub fn with(mut record: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else {
        panic!("{fields} is not an object")
    };
    record.as_object_mut().expect("an object").extend(fields);
    record
}

/// A message of the retry queue or the dead-letter queue.
pub fn queue_message(reason: Reason, function: &str, received_at: i64, body: &[u8]) -> QueueMessage {
    QueueMessage {
        reason,
        detail: "written by a test".into(),
        function: function.into(),
        received_at,
        body: verified(body).into(),
    }
}

/// A body that passed authentication, by a policy that accepts anything.
fn verified(body: &[u8]) -> VerifiedBody {
    let policy = Policy::parse(r#"{"accept":"anything"}"#).expect("a policy");
    let headers = HeaderMap::new();
    let request = Unverified {
        headers: &headers,
        query: "",
        body,
    };
    policy.verify(request, 0).expect("verified").to_body()
}

/// A text with every byte percent-encoded.
pub fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        let _ = write!(encoded, "%{byte:02X}");
        encoded
    })
}

/// Records as a body.
pub fn body(records: &[Value]) -> Vec<u8> {
    serde_json::to_vec(records).expect("JSON")
}

/// A signed POST request, delivered as text.
pub fn post(body: &[u8]) -> Value {
    signed(AUTH, body, "application/json")
}

/// A signed POST request, delivered in base64.
pub fn post_base64(body: &[u8]) -> Value {
    signed(AUTH, body, "application/octet-stream")
}

/// A POST request signed for a policy.
pub fn signed(policy: &str, body: &[u8], content_type: &str) -> Value {
    let signature = Policy::parse(policy).expect("a policy").sign(body, time::now());
    let mut headers: Vec<(&str, &str)> = vec![("content-type", content_type)];
    headers.extend(
        signature
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    request(&Method::POST, &headers, body)
}

/// Any request to a receiver.
pub fn request(method: &Method, headers: &[(&str, &str)], body: &[u8]) -> Value {
    request_to(method, "/", "", headers, body)
}

/// Any request to any path.
pub fn request_to(method: &Method, path: &str, query: &str, headers: &[(&str, &str)], body: &[u8]) -> Value {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| {
            (
                name.parse::<HeaderName>().expect("a header's name"),
                HeaderValue::from_str(value).expect("a header's value"),
            )
        })
        .collect();
    function_url::event(method, path, query, &headers, body, IpAddr::from(SENDER))
}
