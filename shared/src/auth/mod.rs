//! Who sent a request: the way from [`Unverified`] bytes to [`Verified`] ones.
//!
//! A parser takes only [`Verified`]. [`Policy::verify`] makes one from a request. A queue message carries a
//! [`VerifiedBody`], which is made from a `Verified` or read from one of our queues, where only this
//! program may write. So unauthenticated input reaches no parser, as a matter of types.

mod fields;
mod policy;
mod refreshing;
mod scheme;
mod secret;
mod source;

use std::fmt;

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

/// A body whose authentication succeeded, now or before it went into one of our queues.
#[derive(Clone, Copy)]
pub struct Verified<'a> {
    body: &'a [u8],
}

impl<'a> Verified<'a> {
    /// The body.
    pub fn body(self) -> &'a [u8] {
        self.body
    }

    /// A copy that outlives the request.
    pub fn to_body(self) -> VerifiedBody {
        VerifiedBody(self.body.to_vec())
    }

    /// A body of a unit test.
    #[cfg(test)]
    pub(crate) fn in_test(body: &'a [u8]) -> Self {
        Self { body }
    }

    /// A body of some of this one's records.
    pub(crate) fn part(self, records: Vec<u8>) -> VerifiedBody {
        VerifiedBody(records)
    }
}

/// A verified body that outlives its request: what a queue message carries.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifiedBody(Vec<u8>);

impl VerifiedBody {
    /// The body.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The body, for a parser.
    pub fn verified(&self) -> Verified<'_> {
        Verified { body: &self.0 }
    }

    /// The body of a message from one of our queues: it was verified before it was queued. The queues'
    /// policies say who may write.
    pub(crate) fn from_queue(body: Vec<u8>) -> Self {
        Self(body)
    }
}

impl fmt::Debug for VerifiedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedBody({} bytes)", self.0.len())
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
