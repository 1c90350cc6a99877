//! What every function needs to run: configuration, AWS clients, logs and metrics.

pub mod clients;
pub mod config;
pub mod dynamodb;
pub mod logging;
pub mod metrics;
