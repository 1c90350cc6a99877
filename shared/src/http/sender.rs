//! The senders: how long each waits for an answer, and what it does with one. `docs/senders.md` shows these rows
//! and their sources; a test compares them.

use http::StatusCode;

/// A sender of webhooks.
#[derive(Debug, PartialEq, Eq)]
pub struct Sender {
    /// Its name for people.
    pub name: &'static str,
    /// How long it waits for an answer, in seconds; `None` if that is not documented.
    pub waits_seconds: Option<u16>,
    /// When it sends a request again that was not answered with success.
    pub retries: &'static str,
    /// What it does after an answer with a status from 400 to 499.
    pub client_error: &'static str,
    /// The status for a body without any event that is safe in the dead-letter queue: the one after which it
    /// does not send the body again.
    pub rejected: StatusCode,
    /// The status for missing, wrong or stale authentication: one after which it sends the request again, so
    /// that a rotation of a secret loses nothing.
    pub unauthenticated: StatusCode,
}

/// Netcore's RCS, SMS fallback and `WhatsApp` webhooks. Its page asks for a 4xx or 5xx for what is rejected.
pub static NETCORE: Sender = Sender {
    name: "Netcore RCS, SMS fallback and WhatsApp",
    waits_seconds: Some(2),
    retries: "not documented",
    client_error: "not documented",
    rejected: StatusCode::BAD_REQUEST,
    unauthenticated: StatusCode::UNAUTHORIZED,
};

/// Netcore's SMS delivery reports.
pub static NETCORE_SMS: Sender = Sender {
    name: "Netcore SMS delivery reports",
    waits_seconds: None,
    ..NETCORE
};

/// Netcore's e-mail events.
pub static NETCORE_EMAIL: Sender = Sender {
    name: "Netcore e-mail",
    waits_seconds: Some(60),
    retries: "after 15, 45, 60, 75 and 90 minutes; then the events are lost",
    client_error: "sends again",
    rejected: StatusCode::OK,
    unauthenticated: StatusCode::UNAUTHORIZED,
};

/// The RCS gateway whose callbacks `rcs-callback` receives.
pub static RCS_GATEWAY: Sender = Sender {
    name: "RCS gateway (`rcs-callback`)",
    waits_seconds: Some(10),
    retries: "after 10 s, 30 s, 2 min, 10 min, 30 min, 1 h, 3 h, 6 h, 12 h and 1 day",
    client_error: "sends again, as after every status but 200",
    rejected: StatusCode::OK,
    unauthenticated: StatusCode::UNAUTHORIZED,
};

/// Google RCS Business Messaging. An agent whose webhook fails delays the events of the partner's others.
pub static GOOGLE: Sender = Sender {
    name: "Google RCS Business Messaging",
    waits_seconds: None,
    retries: "for 7 days",
    client_error: "sends again; other agents of the partner are delayed",
    rejected: StatusCode::OK,
    unauthenticated: StatusCode::UNAUTHORIZED,
};

/// Meta's `WhatsApp` Cloud API.
pub static META: Sender = Sender {
    name: "Meta WhatsApp Cloud API",
    waits_seconds: None,
    retries: "for 7 days",
    client_error: "sends again",
    rejected: StatusCode::OK,
    unauthenticated: StatusCode::UNAUTHORIZED,
};

/// Paytm Pi, which resells Netcore's RCS and `WhatsApp`.
pub static PAYTM: Sender = Sender {
    name: "Paytm Pi",
    waits_seconds: Some(10),
    retries: "after 408, 429 and 5xx: after 30 s, 1, 15 and 30 minutes and 12 hours",
    client_error: "stops the webhook at once and for good, except after 408 and 429",
    rejected: StatusCode::OK,
    unauthenticated: StatusCode::TOO_MANY_REQUESTS,
};

/// Gupshup, which checks a URL with a `platform-event`.
pub static GUPSHUP: Sender = Sender {
    name: "Gupshup",
    waits_seconds: None,
    retries: "not documented",
    client_error: "refuses the URL if its check, a `platform-event`, is not answered with 2xx",
    rejected: StatusCode::OK,
    unauthenticated: StatusCode::UNAUTHORIZED,
};

/// All senders, in the order of the documentation.
pub static ALL: [&Sender; 8] = [
    &NETCORE,
    &NETCORE_SMS,
    &NETCORE_EMAIL,
    &RCS_GATEWAY,
    &GOOGLE,
    &META,
    &PAYTM,
    &GUPSHUP,
];
