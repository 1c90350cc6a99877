//! Code that all receivers share: types, provider formats and the request pipeline.
//!
//! Data flows in one direction, and so do the dependencies of the modules: from the top of this table to the
//! bottom.
//!
//! | step | module |
//! |---|---|
//! | requests and responses of a function URL | [`http`] |
//! | splits a body into records; stores, queues or dead-letters each | [`pipeline`] |
//! | links between the ids of a person | [`links`] |
//! | values by which events are counted and filtered | [`facets`] |
//! | counters and their names | [`counters`] |
//! | messages of the retry queue and the dead-letter queue | [`queue`] |
//! | converts an event to an item; compares two events with one key | [`events_table`] |
//! | converts a record to an event | [`provider`] |
//! | authenticates the bytes of a request | [`auth`] |
//! | configuration, AWS clients, logs, metrics | [`operations`] |
//! | an event, its key, its time, and the state of a message | [`event`] |
//! | finds and redacts ids of people in free text | [`personal`] |
//! | finds and redacts phone numbers in free text | [`phone`] |
//! | parses the JSON of untrusted senders, exactly | [`record`] |

pub mod auth;
pub mod counters;
pub mod dead_letters;
pub mod event;
pub mod events_table;
pub mod facets;
pub mod http;
pub mod links;
pub mod operations;
pub mod personal;
pub mod phone;
pub mod pipeline;
pub mod provider;
pub mod queue;
pub mod record;
