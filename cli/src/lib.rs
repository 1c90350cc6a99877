//! The command `netcore-webhooks`: the local instance and the commands for operators.
//!
//! [`serve`] runs every function on the embedded servers of [`local`], and [`function_url`] builds
//! events in the format of function URLs. [`sign`], [`get`], [`simulate`], [`cost`], [`erase`],
//! [`restore`], [`export`], [`formats`] and [`dead_letters`] are commands; [`target`] finds their table and queues.
//! [`init`] and [`doctor`] prepare and check a deployment in an AWS account, [`listen`] shows its events.

mod account;
pub mod cost;
pub mod counting;
pub mod dead_letters;
pub mod doctor;
pub mod erase;
pub mod export;
pub mod formats;
pub mod function_url;
pub mod get;
mod http_client;
pub mod init;
pub mod listen;
mod listener;
pub mod local;
pub mod manual;
mod private;
mod progress;
mod quantities;
pub mod restore;
mod retry_poller;
pub mod serve;
pub mod sign;
pub mod simulate;
pub mod stdout;
mod stream_poller;
pub mod target;
mod template;
