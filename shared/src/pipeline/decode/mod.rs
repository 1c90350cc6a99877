//! Turns an authenticated body into the JSON text that [`Batch`](super::batch::Batch) parses. Events are queued
//! as this text, so a retry decodes nothing. A body that is rejected is kept as it arrived; after a change of
//! the formats, `redrive` decodes it here again.
//!
//! Looks at the text only, because a queue keeps neither method nor content type. Safe on untrusted input.

pub mod form;

use super::batch::{JSON_SPACE, Malformed};
use crate::{
    auth::{Verified, VerifiedBody},
    operations::config::MAX_BODY_BYTES,
    provider::FormatId,
};

/// A body as JSON text.
pub enum Decoded<'a> {
    /// The body as it was sent.
    AsSent(Verified<'a>),
    /// Another text with the same content, of at most [`MAX_BODY_BYTES`].
    Rewritten(VerifiedBody),
}

impl Decoded<'_> {
    /// The text, for a parser.
    pub fn verified(&self) -> Verified<'_> {
        match self {
            Self::AsSent(verified) => *verified,
            Self::Rewritten(body) => body.verified(),
        }
    }
}

/// Decodes a body for a function with these formats. A body in no known encoding stays as it is.
///
/// # Errors
/// [`Malformed`] if the decoded text would be longer than [`MAX_BODY_BYTES`].
pub fn decode<'a>(verified: Verified<'a>, formats: &[FormatId]) -> Result<Decoded<'a>, Malformed> {
    let json = if !is_json(verified.body()) && form::is_known_to(formats) {
        form::to_json(verified.body())
    } else {
        return Ok(Decoded::AsSent(verified));
    };
    if json.len() > MAX_BODY_BYTES {
        return Err(Malformed::new(format!(
            "the decoded body is longer than {MAX_BODY_BYTES} bytes"
        )));
    }
    Ok(Decoded::Rewritten(VerifiedBody::part_of(
        verified,
        json.into_bytes(),
    )))
}

/// Whether a body begins like a JSON array or object.
pub fn is_json(body: &[u8]) -> bool {
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    let is_space = |byte: &u8| JSON_SPACE.contains(&char::from(*byte));
    matches!(body.iter().find(|byte| !is_space(byte)), Some(b'[' | b'{'))
}
