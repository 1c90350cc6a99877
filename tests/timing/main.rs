//! Tests of time budgets and of memory, in a binary of their own, which Cargo runs after that of the other tests:
//! these would take the processor from them.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "an unexpected result must fail the test"
)]

mod faults;
mod footprint;
