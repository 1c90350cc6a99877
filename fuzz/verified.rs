//! Authenticated bodies for fuzz targets.

use http::HeaderMap;
use webhook_ingest::auth::{Policy, Unverified, VerifiedBody};

/// An authenticated body, verified with a policy that accepts anything.
pub(crate) fn verified(body: &[u8]) -> VerifiedBody {
    let policy = Policy::parse(r#"{"accept":"anything"}"#).expect("a policy");
    let headers = HeaderMap::new();
    policy.verify(Unverified { headers: &headers, query: "", body }, 0).expect("verified").to_body()
}
