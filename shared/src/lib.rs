//! The receivers' shared house: types, provider formats and the one way of a request.
//!
//! Data runs downhill, and each step owns one module:
//!
//! | step | module |
//! |---|---|
//! | a function URL's request comes in | [`lambda`], [`function_url`], [`receiver`] |
//! | somebody vouches for its bytes | [`auth`] |
//! | a body becomes records | [`batch`], [`record`] |
//! | a record becomes an event | [`provider`], [`time`], [`event`] |
//! | an event becomes an item with a key | [`item`], [`key`] |
//! | two events with one key are the same or not | [`exact`], [`item`] |
//! | the item is stored, or the record queued or put aside | [`pipeline`], [`events_table`], [`queue`], [`letter`] |
//! | the sender is answered, the operator told | [`answer`], [`metrics`], [`logging`] |
//!
//! [`phone`] finds and masks phone numbers in free text. [`state`] reads the other way: from a message's events to what became of it. [`rollup`] names the
//! counters that are kept of them.

pub mod answer;
pub mod auth;
pub mod aws;
pub mod batch;
pub mod config;
pub mod event;
pub mod events_table;
pub mod exact;
pub mod function_url;
pub mod item;
pub mod key;
pub mod lambda;
pub mod letter;
pub mod logging;
pub mod metrics;
pub mod phone;
pub mod pipeline;
pub mod provider;
pub mod queue;
pub mod receiver;
pub mod record;
pub mod rollup;
pub mod state;
pub mod time;
