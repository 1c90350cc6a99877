//! Authenticates requests: turns [`Unverified`] bytes into [`Verified`] ones.
//!
//! A parser takes only [`Verified`]. [`Policy::verify`] makes one from a request. A queue message carries a
//! [`VerifiedBody`], which is made from a `Verified` or read from one of our queues, where only this program
//! may write. So the types keep unauthenticated input away from the parsers.

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

/// A request before authentication.
#[derive(Clone, Copy)]
pub struct Unverified<'a> {
    /// The headers; names are case-insensitive.
    pub headers: &'a HeaderMap,
    /// The URL's query as the sender wrote it, without the question mark.
    pub query: &'a str,
    /// The raw body, with the function URL's base64 decoded.
    pub body: &'a [u8],
}

/// The result of a handshake, by which a sender checks a URL before it uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// The sender proved its identity and expects this value: at most 1,024 printable ASCII characters.
    Answered(String),
    /// A handshake without a valid token, or with a value that cannot be sent back.
    Refused(Refusal),
}

/// A body whose authentication succeeded, now or before it was queued.
#[derive(Clone, Copy)]
pub struct Verified<'a> {
    body: &'a [u8],
    bot: Option<&'a str>,
}

impl<'a> Verified<'a> {
    /// The body.
    pub fn body(self) -> &'a [u8] {
        self.body
    }

    /// The bot that the URL of the request names.
    pub fn bot(self) -> Option<&'a str> {
        self.bot
    }

    /// The same body of a request whose URL names this bot.
    pub(crate) fn with_bot(self, bot: Option<&'a str>) -> Self {
        Self { bot, ..self }
    }

    /// A copy that outlives the request.
    pub fn to_body(self) -> VerifiedBody {
        VerifiedBody::part_of(self, self.body.to_vec())
    }

    /// A body for unit tests.
    #[cfg(test)]
    pub(crate) fn in_test(body: &'a [u8]) -> Self {
        Self { body, bot: None }
    }
}

/// A verified body that outlives its request. Queue messages carry it.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifiedBody {
    body: Vec<u8>,
    bot: Option<String>,
}

impl VerifiedBody {
    /// The body.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The body, for a parser.
    pub fn verified(&self) -> Verified<'_> {
        Verified {
            body: &self.body,
            bot: self.bot.as_deref(),
        }
    }

    /// A body with some records of a verified body.
    pub(crate) fn part_of(whole: Verified<'_>, records: Vec<u8>) -> Self {
        Self {
            body: records,
            bot: whole.bot.map(str::to_owned),
        }
    }

    /// The body of a message from one of our queues. It was verified before it was queued, and the queues'
    /// policies restrict who may write.
    pub(crate) fn from_queue(body: Vec<u8>, bot: Option<String>) -> Self {
        Self { body, bot }
    }
}

impl fmt::Debug for VerifiedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedBody({} bytes)", self.body.len())
    }
}

/// Why a request was refused: a class for the log, without content. The answer is the same for all classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("missing, wrong or stale authentication")]
pub enum Refusal {
    /// The request has no header or parameter that the policy reads.
    None,
    /// A header or parameter in an unknown form: another prefix, encoding or scheme, not text, or repeated where
    /// one value is expected; or a signature of something that the request does not contain.
    Unknown,
    /// The time is too far from now.
    Stale,
    /// The token, password or signature differs.
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
            tracing::warn!("WEBHOOK_AUTH accepts anything: anyone who knows the URL can write events");
        }
        Ok(policy)
    }

    fn missing(why: String) -> PolicyError {
        PolicyError(why)
    }
}

impl Policy {
    /// Accepts a request that satisfies one of the policy's schemes. Safe on untrusted input. Secrets are
    /// compared in constant time.
    ///
    /// # Errors
    /// [`Refusal`] if no scheme is satisfied: the class of the scheme that came closest.
    pub fn verify<'a>(&self, request: Unverified<'a>, now: EpochMillis) -> Result<Verified<'a>, Refusal> {
        self.check(request, now)?;
        Ok(Verified {
            body: request.body,
            bot: None,
        })
    }
}
