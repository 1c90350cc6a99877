//! All integration tests, in one binary: it is linked once, and tests that wait leave the processor to others.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "an unexpected result must fail the test"
)]
#![allow(
    clippy::cast_precision_loss,
    clippy::float_cmp,
    reason = "figures of tests are small, and their expected values are literals"
)]

mod api;
mod bad_input;
mod binaries;
mod bots;
mod command;
mod compression;
mod contract;
mod cost;
mod counters;
mod counters_bounded;
mod dashboard;
mod erase;
mod exactly_once;
mod explorer;
mod export;
mod formats;
mod indexes;
mod inserts;
mod insight;
mod journeys;
mod local;
mod parameters;
mod people;
mod presets;
mod providers;
mod redrive;
mod refusals;
mod restore;
mod roles;
mod search;
mod senders;
mod simulate;
mod sizes;
