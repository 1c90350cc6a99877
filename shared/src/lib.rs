//! What all receivers share: types, provider formats and the pipeline of a request.
//!
//! Data flows in one direction. Each step has one module:
//!
//! | step | module |
//! |---|---|
//! | a function URL's request comes in | [`lambda`], [`function_url`], [`receiver`] |
//! | its bytes are authenticated | [`auth`] |
//! | a body becomes records | [`batch`], [`record`] |
//! | a record becomes an event | [`provider`], [`time`], [`event`] |
//! | an event becomes an item with a key | [`item`], [`key`] |
//! | two events with one key are compared | [`exact`], [`item`] |
//! | the item is stored, or the record queued or dead-lettered | [`pipeline`], [`events_table`], [`queue`], [`letter`] |
//! | the sender gets a response, the operator a log line and metrics | [`answer`], [`metrics`], [`logging`] |
//!
//! [`phone`] finds and masks phone numbers in free text. [`state`] computes the state of a
//! message from its events. [`rollup`] names the counters.

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
