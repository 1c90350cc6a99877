//! Parameters: the query of a GET request, or a body of the type `application/x-www-form-urlencoded`.
//! <https://url.spec.whatwg.org/#urlencoded-parsing>

use std::borrow::Cow;

use percent_encoding::percent_decode;

use crate::{operations::config::MAX_BODY_BYTES, provider::FormatId};

/// The content type of parameters in a body.
pub const CONTENT_TYPE: &str = "application/x-www-form-urlencoded";

/// Whether one of the formats is also sent as parameters.
pub fn is_known_to(formats: &[FormatId]) -> bool {
    formats.iter().any(|format| format.parameters)
}

/// Whether a content type is that of parameters, in any letter case and with any attributes.
pub fn is_form(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(CONTENT_TYPE)
}

/// The parameters as the text of one JSON object with strings, in their order. A repeated name stays repeated.
/// A name or value that is not UTF-8 stays percent-encoded, so that nothing of it is lost.
///
/// The text is at most six times as long as the parameters. It ends after the parameter with which it becomes
/// longer than [`MAX_BODY_BYTES`]; then it is refused.
pub(super) fn to_json(parameters: &[u8]) -> String {
    let mut json = Vec::with_capacity(parameters.len() + parameters.len() / 2);
    json.push(b'{');
    for parameter in parts(parameters) {
        if json.len() > MAX_BODY_BYTES {
            break;
        }
        if json.len() > 1 {
            json.push(b',');
        }
        let (name, value) = split(parameter);
        write(name, &mut json);
        json.push(b':');
        write(value, &mut json);
    }
    json.push(b'}');
    String::from_utf8(json).unwrap_or_default()
}

/// Appends a name or a value as a JSON string, without another copy of it: it can have megabytes.
fn write(text: &[u8], json: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(json, &decoded(text));
}

/// The parameters without those of these names, as they were sent. Used for parameters that hold a secret.
pub fn without(parameters: &str, names: &[String]) -> String {
    if names.is_empty() {
        return parameters.to_owned();
    }
    let others = parts(parameters.as_bytes()).filter(|parameter| {
        let name = decoded(split(parameter).0);
        !names.contains(&name)
    });
    let others: Vec<Cow<'_, str>> = others.map(String::from_utf8_lossy).collect();
    others.join("&")
}

/// The decoded value of the first parameter with this name.
pub fn value(parameters: &str, name: &str) -> Option<String> {
    let mut named = parts(parameters.as_bytes()).map(split);
    let (_, value) = named.find(|(other, _)| decoded(other) == name)?;
    Some(decoded(value))
}

fn parts(parameters: &[u8]) -> impl Iterator<Item = &[u8]> {
    let parameters = parameters.trim_ascii();
    parameters
        .split(|byte| *byte == b'&')
        .filter(|part| !part.is_empty())
}

/// A parameter's name and value.
fn split(parameter: &[u8]) -> (&[u8], &[u8]) {
    let mut halves = parameter.splitn(2, |byte| *byte == b'=');
    (
        halves.next().unwrap_or_default(),
        halves.next().unwrap_or_default(),
    )
}

fn decoded(text: &[u8]) -> String {
    let spaced: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    match percent_decode(&spaced).decode_utf8() {
        Ok(decoded) => decoded.into_owned(),
        Err(_) => percent_encoding::percent_encode(&spaced, ODD).to_string(),
    }
}

/// Only bytes outside ASCII are encoded; what is encoded already stays so.
const ODD: &percent_encoding::AsciiSet = &percent_encoding::AsciiSet::EMPTY;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_one_record_of_strings() {
        for (parameters, json) in [
            ("", "{}"),
            ("&&", "{}"),
            ("reqid=1&status=DELIVRD", r#"{"reqid":"1","status":"DELIVRD"}"#),
            // The order, empty values, repeated names and further equals signs stay.
            (
                "b=2&a=1&b=&c&=x&d=e=f\n",
                r#"{"b":"2","a":"1","b":"","c":"","":"x","d":"e=f"}"#,
            ),
            (
                "to=%2B91+99&t=a%20b%26c%3Dd+%22%0A",
                r#"{"to":"+91 99","t":"a b&c=d \"\n"}"#,
            ),
            (
                "n%61me=%E0%A4%A8&x=\u{fc}",
                "{\"name\":\"\u{928}\",\"x\":\"\u{fc}\"}",
            ),
            // Latin-1, a cut escape, and a literal percent sign.
            (
                "t=caf%E9+%41&u=100%&v=%4",
                r#"{"t":"caf%E9 %41","u":"100%","v":"%4"}"#,
            ),
        ] {
            assert_eq!(to_json(parameters.as_bytes()), json, "{parameters}");
        }
        assert_eq!(to_json(b"t=\xe9&u=1"), r#"{"t":"%E9","u":"1"}"#);
    }

    #[test]
    fn a_record_is_at_most_six_times_as_long() {
        for parameter in ["a&", "%01&", "\u{1}", "=&", "+"] {
            let parameters = parameter.repeat(1_000);
            assert!(
                to_json(parameters.as_bytes()).len() <= 6 * parameters.len() + 8,
                "{parameter}"
            );
        }
        assert!(to_json(&[0xff; 1_000]).len() <= 4_008);
    }

    #[test]
    fn secret_parameters_are_removed_in_every_spelling() {
        let secret = ["token".to_owned(), "key 2".to_owned()];
        for (query, kept) in [
            ("token=s3cret", ""),
            ("a=1&token=s3cret&b=%32", "a=1&b=%32"),
            (
                "t%6Fken=s3cret&key+2=x&key%202&tokens=1&Token=2&a",
                "tokens=1&Token=2&a",
            ),
            ("a=token", "a=token"),
        ] {
            assert_eq!(without(query, &secret), kept);
            assert_eq!(without(query, &[]), query);
        }
    }

    #[test]
    fn a_content_type_may_have_any_case_and_attributes() {
        for form in [
            CONTENT_TYPE,
            "Application/X-WWW-Form-URLEncoded; charset=UTF-8",
            " application/x-www-form-urlencoded ;x",
        ] {
            assert!(is_form(form), "{form}");
        }
        for other in [
            "",
            "application/json",
            "application/x-www-form-urlencoded2",
            "text/plain;application/x-www-form-urlencoded",
        ] {
            assert!(!is_form(other), "{other}");
        }
    }
}
