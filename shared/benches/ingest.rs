//! The CPU time of a body before any call: authenticate, parse, normalize, build the items. For comparison,
//! the minimum for the same bytes: SHA-256 and `serde_json`, which every receiver needs.
//!
//! `cargo bench -p webhook-ingest`; compare within one run.

use std::hint::black_box;

use divan::{Bencher, counter::BytesCount};
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};
use webhook_ingest::{
    auth::{Policy, Unverified},
    events_table::item::{self, Arrival},
    pipeline::batch::Batch,
    provider::{FormatId, netcore_events},
};

const EVENTS: [usize; 3] = [1, 100, 10_000];
const NOW: i64 = 1_704_876_900_000;
static FORMATS: [FormatId; 1] = [&netcore_events::FORMAT];

fn main() {
    divan::main();
}

/// The documented sample of a delivery, `n` times, each with a different id.
fn body(n: usize) -> Vec<u8> {
    let records: Vec<String> = (0..n)
        .map(|i| {
            format!(
                r#"{{"callbackdata":"7890986","channel":"RCS","click_data":{{}},"event_time":1704876833,"last_channel":"","message_id":"api-337-919209209291-3c9094b5cd72fdcaafbb633502{i:06}-1704876827","mobile":"919209209291","remarks":"","requestid":"f95e99645268169422abc9cd0ae3a8b7","status":"Delivered","tags":["12"],"type":"Template"}}"#
            )
        })
        .collect();
    format!("[{}]", records.join(",")).into_bytes()
}

fn policy() -> Policy {
    match Policy::parse(
        r#"{"accept":[{"type":"hmac","header":"x-signature","secrets":["the-secret-of-the-benchmark"]}]}"#,
    ) {
        Ok(policy) => policy,
        Err(error) => unreachable!("{error}"),
    }
}

fn signed(policy: &Policy, body: &[u8]) -> HeaderMap {
    policy
        .sign(body, NOW)
        .into_iter()
        .filter_map(|(name, value)| {
            Some((
                HeaderName::try_from(name).ok()?,
                HeaderValue::try_from(value).ok()?,
            ))
        })
        .collect()
}

/// Our code: from signed bytes to items.
#[divan::bench(args = EVENTS)]
fn a_ours(bencher: Bencher<'_, '_>, n: usize) {
    let (body, policy) = (body(n), policy());
    let headers = signed(&policy, &body);
    let arrival = Arrival {
        stored_at: None,
        at: NOW,
        retention_days: 180,
        late_after_hours: 72,
    };
    bencher.counter(BytesCount::of_slice(&body)).bench(|| {
        let request = Unverified {
            headers: &headers,
            query: "",
            body: &body,
        };
        let Ok(verified) = policy.verify(request, NOW) else {
            unreachable!("signed above");
        };
        let Ok(batch) = Batch::parse(verified, &FORMATS) else {
            unreachable!("written above");
        };
        let built = batch
            .positions()
            .filter_map(|position| {
                let event = batch.read(position).ok()?;
                item::build(event, arrival).ok().map(black_box)
            })
            .count();
        assert_eq!(built, n);
    });
}

/// The minimum: a digest and a parse of the same bytes.
#[divan::bench(args = EVENTS)]
fn b_floor(bencher: Bencher<'_, '_>, n: usize) {
    let body = body(n);
    bencher.counter(BytesCount::of_slice(&body)).bench(|| {
        let digest = Sha256::digest(black_box(&body));
        let value: Result<serde_json::Value, _> = serde_json::from_slice(black_box(&body));
        (digest, value)
    });
}

/// Only the digest.
#[divan::bench(args = EVENTS)]
fn c_floor_sha256(bencher: Bencher<'_, '_>, n: usize) {
    let body = body(n);
    bencher
        .counter(BytesCount::of_slice(&body))
        .bench(|| Sha256::digest(black_box(&body)));
}

/// Only the parse.
#[divan::bench(args = EVENTS)]
fn d_floor_serde_json(bencher: Bencher<'_, '_>, n: usize) {
    let body = body(n);
    bencher
        .counter(BytesCount::of_slice(&body))
        .bench(|| serde_json::from_slice::<serde_json::Value>(black_box(&body)));
}
