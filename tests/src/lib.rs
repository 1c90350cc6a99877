//! What the tests of the whole share. A test starts the functions in one of two ways:
//!
//! - [`scene::Scene`]: the functions' real binaries, each a process on a Lambda Runtime API, with a
//!   [`proxy`] that injects faults in front of the tables and of the queues. For what happens on Lambda.
//! - [`instance::Instance`]: `netcore-webhooks serve`, all functions behind one HTTP address. For what
//!   a sender or a reader is answered, by the thousands.
//!
//! Both keep their data in the same embedded tables and queues, and both have a [`ledger::Ledger`] that
//! reads and writes these past every proxy. [`samples`] and [`fixtures`] hold what is posted,
//! [`command`] runs the command.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper that fails fails its test, and the message says where"
)]

pub mod binary;
pub mod command;
pub mod fixtures;
pub mod instance;
pub mod ledger;
pub mod proxy;
pub mod release;
pub mod runtime_api;
pub mod samples;
pub mod scene;
pub mod simulated;
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
