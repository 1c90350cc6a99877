//! Percent-encoded JSON: the old form of Netcore's e-mail events. Netcore's own receiver for it decodes the whole
//! body once, as a form value: <https://github.com/pepipost/sendy-webhook-pepipost>
//!
//! Safe on untrusted input.

use percent_encoding::percent_decode;

/// Whether a body begins with a percent-encoded bracket or brace.
pub(super) fn is_json(body: &[u8]) -> bool {
    let start = body.trim_ascii_start().get(..3).unwrap_or_default();
    ["%5b", "%7b"]
        .iter()
        .any(|open| start.eq_ignore_ascii_case(open.as_bytes()))
}

/// Decodes a body once, so that an encoded percent sign in the JSON stays encoded. A plus is a space. Incomplete
/// sequences stay as they are. The result is at most as long as the body.
pub(super) fn decode(body: &[u8]) -> Vec<u8> {
    let mut json = Vec::with_capacity(body.len());
    for (index, part) in body.split(|byte| *byte == b'+').enumerate() {
        if index > 0 {
            json.push(b' ');
        }
        json.extend(percent_decode(part));
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
    use proptest::prelude::*;

    fn decoded(body: &str) -> String {
        assert!(is_json(body.as_bytes()), "{body}");
        String::from_utf8(decode(body.as_bytes())).unwrap()
    }

    #[test]
    fn an_encoded_list_or_object_is_decoded_once() {
        for (body, expected) in [
            (
                "%5B%7B%22EMAIL%22%3A%22a%40b.example%22%7D%5D",
                r#"[{"EMAIL":"a@b.example"}]"#,
            ),
            ("%7b%22a%22:%22x%2By+z%22%7d", r#"{"a":"x+y z"}"#),
            (" \r\n%5B1%5D", " \r\n[1]"),
            ("%5B%22100%2525%22%5D", r#"["100%25"]"#),
            ("%5B%22%zz%2%22%5D%", r#"["%zz%2"]%"#),
        ] {
            assert_eq!(decoded(body), expected, "{body}");
        }
    }

    #[test]
    fn other_bodies_stay_as_they_are() {
        for body in [
            "",
            "%5",
            "[{\"a\":\"%5B\"}]",
            "{}",
            "%22%5B%5D%22",
            "a=%5B%5D",
            "%255B%255D",
        ] {
            assert!(!is_json(body.as_bytes()), "{body}");
        }
    }

    proptest! {
        #[test]
        fn every_encoded_text_is_decoded(text in "[\\[{]\\PC{0,60}") {
            let encoded = percent_encode(text.as_bytes(), NON_ALPHANUMERIC).to_string();
            prop_assert!(is_json(encoded.as_bytes()));
            prop_assert_eq!(decode(encoded.as_bytes()), text.into_bytes());
        }

        #[test]
        fn arbitrary_bytes_never_grow(body in prop::collection::vec(any::<u8>(), 0..60)) {
            prop_assert!(decode(&body).len() <= body.len());
        }
    }
}
