//! Who sent a request: the way from [`Unverified`] bytes to [`Verified`] ones.
//!
//! A parser takes only `Verified`, and only [`Policy::verify`] makes one from a request: that
//! unverified input reaches no parser is a matter of types, not of care.

mod fields;
mod policy;
mod refreshing;
mod scheme;
mod secret;
mod source;

use http::HeaderMap;

pub use policy::{Policy, PolicyError};
pub use refreshing::{RefreshingSecret, SecretText, is_reference};
pub use secret::Secret;
pub use source::{Sources, Verdict};

use crate::event::EpochMillis;

/// A request as it came, before anybody vouched for it.
#[derive(Clone, Copy)]
pub struct Unverified<'a> {
    /// The headers; names are case-insensitive.
    pub headers: &'a HeaderMap,
    /// The raw body, after the function URL's base64 was undone.
    pub body: &'a [u8],
}

/// A body whose authentication succeeded, or the body of a message of our own queues.
#[derive(Clone, Copy)]
pub struct Verified<'a> {
    body: &'a [u8],
}

impl<'a> Verified<'a> {
    /// The body.
    pub fn body(self) -> &'a [u8] {
        self.body
    }

    /// A body that was verified before it went into one of our queues; only a letter has one.
    pub(crate) fn before(body: &'a [u8]) -> Self {
        Self { body }
    }
}

/// Why a request was refused: a class for the log, never content. The answer is the same for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("missing, wrong or stale authentication")]
pub enum Refusal {
    /// No header that the policy reads.
    None,
    /// A header in a form that the policy does not know: another prefix, encoding or scheme, no
    /// text, or repeated where one value is expected.
    Unknown,
    /// A time that is too far from now.
    Stale,
    /// A token, password or signature that differs.
    Mismatch,
}

impl Refusal {
    /// The word for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Unknown => "unknown",
            Self::Stale => "stale",
            Self::Mismatch => "mismatch",
        }
    }
}

impl SecretText for Policy {
    type Error = PolicyError;

    fn parse(text: &str) -> Result<Self, PolicyError> {
        let policy = Self::parse(text)?;
        if policy.accepts_anything() {
            tracing::warn!("WEBHOOK_AUTH accepts anything: whoever knows the URL can write events");
        }
        Ok(policy)
    }

    fn missing(why: String) -> PolicyError {
        PolicyError(why)
    }
}

impl Policy {
    /// Accepts a request that satisfies any one of the policy's schemes. Safe on untrusted input;
    /// secrets are compared in constant time.
    ///
    /// # Errors
    /// [`Refusal`] if no scheme is satisfied: the class of the scheme that came nearest.
    pub fn verify<'a>(&self, request: Unverified<'a>, now: EpochMillis) -> Result<Verified<'a>, Refusal> {
        self.judge(request, now)?;
        Ok(Verified { body: request.body })
    }
}
