//! Code that all receivers share: types, provider formats and the request pipeline.
//!
//! Data flows in one direction, and so do the dependencies of the modules: from the top of this table to the
//! bottom.
//!
//! | step | module |
//! |---|---|
//! | a function URL's request comes in, the sender gets a response | [`http`] |
//! | a body becomes records; each is stored, queued or dead-lettered | [`pipeline`] |
//! | what the counters count, and under which names | [`counters`] |
//! | messages of the retry queue and the dead-letter queue | [`queue`] |
//! | an event becomes an item; two events with one key are compared | [`events_table`] |
//! | a record becomes an event | [`provider`] |
//! | the request's bytes are authenticated | [`auth`] |
//! | configuration, AWS clients, logs, metrics | [`operations`] |
//! | an event, its key, its time, and the state of a message | [`event`] |
//! | phone numbers in free text are found and redacted | [`phone`] |
//! | JSON of an untrusted sender is read, exactly | [`record`] |

pub mod auth;
pub mod counters;
pub mod dead_letters;
pub mod event;
pub mod events_table;
pub mod http;
pub mod operations;
pub mod phone;
pub mod pipeline;
pub mod provider;
pub mod queue;
pub mod record;
