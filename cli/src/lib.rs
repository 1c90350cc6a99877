//! The operator's side of netcore-webhooks: the local receiver and the commands.
//!
//! [`serve`] runs every function on the embedded servers of [`local`], and
//! [`function_url`] shapes requests as AWS does. [`sign`], [`get`], [`simulate`], [`cost`], [`erase`] and [`dead_letters`] are commands; [`place`] finds the
//! table and queues they work on.

pub mod cost;
pub mod dead_letters;
pub mod erase;
pub mod function_url;
pub mod get;
mod listener;
pub mod local;
pub mod place;
mod private;
mod retry_poller;
pub mod serve;
pub mod sign;
pub mod simulate;
mod stream_poller;
