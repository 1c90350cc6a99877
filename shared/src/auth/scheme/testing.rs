//! Requests for the tests of the schemes.

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::{
    auth::{Challenge, Policy, Refusal, Unverified},
    event::EpochMillis,
};

/// The time of the example of Standard Webhooks.
pub(super) const NOW: EpochMillis = 1_614_265_330_000;

pub(super) fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::try_from(*name).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect()
}

/// The refusal of a request with these headers, query and body at this time.
pub(super) fn check(
    policy: &str,
    pairs: &[(&str, &str)],
    query: &str,
    body: &[u8],
    now: EpochMillis,
) -> Result<(), Refusal> {
    let headers = headers(pairs);
    let request = Unverified {
        headers: &headers,
        query,
        body,
    };
    let verified = Policy::parse(policy).unwrap().verify(request, now)?;
    assert_eq!(verified.body(), body);
    Ok(())
}

/// The answer to a handshake.
pub(super) fn challenge(policy: &str, method: &Method, query: &str, body: &[u8]) -> Option<Challenge> {
    let headers = HeaderMap::new();
    let request = Unverified {
        headers: &headers,
        query,
        body,
    };
    Policy::parse(policy).unwrap().challenge(method, request)
}

/// Whether a body that the policy signs is accepted, with the query of the URL that it returns.
pub(super) fn accepts_own(policy: &str, body: &[u8]) -> Result<(), Refusal> {
    let parsed = Policy::parse(policy).unwrap();
    let signed = parsed.sign(body, NOW);
    let pairs: Vec<(&str, &str)> = signed.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let url = parsed.signed_url("https://example.org/");
    let query = url.split_once('?').map_or("", |(_, query)| query);
    check(policy, &pairs, query, body, NOW)
}
