//! The harness of the integration tests.
//!
//! A [`stack::Stack`] is embedded tables and queues with a fault [`proxy`] in front of each. Two kinds of
//! processes run on it:
//!
//! - [`function::Function`]: the real binary of one function on a Lambda Runtime API. For behavior on Lambda.
//! - [`server::Server`]: `netcore-webhooks serve` in the process of the test, with all functions at one HTTP
//!   address. For thousands of requests.
//!
//! Both return an [`answer::Answer`]. [`storage::Storage`] reads and writes tables and queues past the proxies.
//! [`samples`] and [`fixtures`] contain the bodies. [`command`] runs the command, [`account`] stands for the services of an AWS account.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper that fails fails its test"
)]

pub mod account;
pub mod answer;
pub mod command;
pub mod fixtures;
pub mod function;
pub mod proxy;
pub mod runtime_api;
pub mod samples;
pub mod server;
pub mod simulated;
pub mod stack;
pub mod storage;
pub mod throttle;

use std::path::Path;

/// The folder of the repository.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
