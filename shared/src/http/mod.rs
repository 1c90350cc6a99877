//! Requests and responses of a function URL, and the receiver between them.

pub mod function_url;
pub mod receiver;
pub mod response;
pub mod runtime;
pub mod sender;
mod unlisted;
