//! Configuration, AWS clients, logs and metrics of all functions.

pub mod backoff;
pub mod clients;
pub mod config;
pub mod dynamodb;
pub mod logging;
pub mod metrics;
