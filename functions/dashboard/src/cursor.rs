//! A position in a list as an opaque text, which the caller sends back to get the next part.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};

use crate::refusal::{self, Refusal};

/// The cursor of a position.
pub(crate) fn write(position: &impl Serialize) -> String {
    // Positions are plain data, which always is JSON.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(position).unwrap_or_default())
}

/// The position of a cursor. Safe on untrusted input.
///
/// # Errors
/// [`Refusal`] if the text is not a cursor of this type of position.
pub(crate) fn read<P: DeserializeOwned>(cursor: &str) -> Result<P, Refusal> {
    let json = URL_SAFE_NO_PAD
        .decode(cursor)
        .map_err(|_| refusal::foreign_cursor())?;
    serde_json::from_slice(&json).map_err(|_| refusal::foreign_cursor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_position_of_this_type_is_a_cursor() {
        let position = ("91".to_owned(), 1_704_876_828_000_i64);
        assert_eq!(read::<(String, i64)>(&write(&position)).unwrap(), position);
        for bad in ["", "!", "e30x", "W10", &URL_SAFE_NO_PAD.encode("[\"a\",\"b\"]")] {
            assert!(
                matches!(read::<(String, i64)>(bad), Err(Refusal::BadRequest(_))),
                "{bad}"
            );
        }
    }
}
