//! Responses of the dashboard are compressed if the request accepts it, as Lambda delivers them: bytes in base64.

use std::io::Read as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::read::GzDecoder;
use http::Method;
use integration_tests::{
    fixtures::{noise_text, request_to},
    stack::Stack,
};
use serde_json::{Value, json};

/// The same request with and without compression: the payload of the function, and the text that is in it.
async fn asked(
    dashboard: &integration_tests::function::Function,
    path: &str,
    query: &str,
    accept: &str,
) -> (Value, String) {
    let headers = [("accept-encoding", accept)];
    let event = request_to(&Method::GET, path, query, &headers, b"");
    let payload = dashboard.invoke(&event).await.payload;
    let body = payload["body"].as_str().unwrap_or_default();
    if payload["isBase64Encoded"] == false {
        let text = body.to_owned();
        return (payload, text);
    }
    let bytes = STANDARD.decode(body).unwrap();
    let mut text = String::new();
    GzDecoder::new(bytes.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    (payload, text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_compressed_if_the_request_accepts_gzip() {
    let stack = Stack::start().await;
    let dashboard = stack.function("dashboard", &[]).await;
    let (plain, expected) = asked(&dashboard, "/openapi.json", "", "identity").await;
    assert_eq!(plain["isBase64Encoded"], false);
    assert_eq!(plain["headers"]["content-encoding"], Value::Null);
    for accept in ["gzip", "br, gzip;q=0.5"] {
        let (packed, text) = asked(&dashboard, "/openapi.json", "", accept).await;
        assert_eq!(packed["isBase64Encoded"], true, "{accept}");
        assert_eq!(packed["headers"]["content-encoding"], "gzip", "{accept}");
        assert_eq!(packed["headers"]["vary"], "accept-encoding", "{accept}");
        assert_eq!(text, expected, "{accept}");
        let size = packed["body"].as_str().unwrap().len();
        assert!(size * 2 < expected.len(), "{size} of {} bytes", expected.len());
    }
    for accept in ["gzip;q=0", "br", ""] {
        let (answer, text) = asked(&dashboard, "/openapi.json", "", accept).await;
        assert_eq!(
            (&answer["isBase64Encoded"], text.as_str()),
            (&json!(false), expected.as_str())
        );
    }
    // Below one packet, compression saves nothing.
    let (small, text) = asked(&dashboard, "/healthz", "", "gzip").await;
    assert_eq!(
        (&small["isBase64Encoded"], text.as_str()),
        (&json!(false), r#"{"status":"ok"}"#)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_answer_that_hardly_compresses_stays_within_the_limit_of_lambda() {
    const LAMBDA_BYTES: usize = 6_291_556;
    let stack = Stack::start().await;
    let receiver = stack
        .function("event-webhook", &[("ACK_BUDGET_MS", "60000")])
        .await;
    for number in 0..30 {
        let record = json!([{
            "message_id": format!("large-{number}"), "mobile": "919876543210", "status": "Failed", "channel": "RCS",
            "event_time": 1_749_988_800 + number, "remarks": noise_text(200_000),
        }]);
        assert_eq!(receiver.post(record.to_string().as_bytes()).await.status, 200);
    }
    let dashboard = stack.function("dashboard", &[]).await;
    let (packed, text) = asked(&dashboard, "/api/events", "day=2025-06-15&limit=200", "gzip").await;
    assert_eq!(
        (&packed["statusCode"], &packed["isBase64Encoded"]),
        (&json!(200), &json!(true))
    );
    assert!(text.len() > 4_000_000, "{} bytes", text.len());
    assert!(packed["body"].as_str().unwrap().len() < LAMBDA_BYTES);
}
