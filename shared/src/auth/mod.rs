//! Who sent a request: the way from [`Unverified`] bytes to [`Verified`] ones.
//!
//! A parser takes only `Verified`, and only [`Policy::verify`] makes one from a request: that
//! unverified input reaches no parser is a matter of types, not of care.

mod live;
mod policy;
mod scheme;
mod secret;
mod source;

use http::HeaderMap;

pub use live::{Kept, Live, is_reference};
pub use policy::{Policy, PolicyError};
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

/// A body somebody with a secret vouched for, or one that comes from our own queue.
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

/// Missing, wrong or stale authentication. Says no more, so that an answer built from it cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("missing, wrong or stale authentication")]
pub struct Unauthorised;

impl Kept for Policy {
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
    /// [`Unauthorised`] if no scheme is satisfied.
    pub fn verify<'a>(
        &self,
        request: Unverified<'a>,
        now: EpochMillis,
    ) -> Result<Verified<'a>, Unauthorised> {
        if self.accepts(request, now) {
            Ok(Verified { body: request.body })
        } else {
            Err(Unauthorised)
        }
    }
}
