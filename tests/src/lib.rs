//! What the tests of the whole share: a stage with a table, queues and proxies before them, real
//! function binaries on a Lambda Runtime API, bodies to post, and a reader of what was kept.
//!
//! [`scene`] sets the stage, [`binary`] puts a function on it, [`fixtures`] says what is posted,
//! [`ledger`] what became of it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken stage fails the test that stands on it, and its message says where"
)]

pub mod binary;
pub mod fixtures;
pub mod ledger;
pub mod proxy;
pub mod release;
pub mod runtime_api;
pub mod scene;
pub mod throttle;

use http::HeaderMap;
use webhook_ingest::auth::{Policy, Unverified, VerifiedBody};

/// A body that passed authentication: a policy that accepts anything takes it.
pub fn verified(body: &[u8]) -> VerifiedBody {
    let policy = Policy::parse(r#"{"accept":"anything"}"#).expect("a policy");
    let headers = HeaderMap::new();
    let request = Unverified {
        headers: &headers,
        body,
    };
    policy.verify(request, 0).expect("verified").to_body()
}
