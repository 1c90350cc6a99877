//! Ids of a person, in the one spelling that is stored in `recipient` and `identities`.
//!
//! | id | stored as |
//! |---|---|
//! | phone number | its digits: `919812345678` |
//! | `WhatsApp`'s business-scoped user id | `whatsapp:IN.13491208655302741918`, exactly as received |
//! | e-mail address | `mailto:a@b.example`, in lower case |
//! | any other kind | `<kind>:<id>`, exactly as received |
//!
//! Only ids that contain a colon have a kind, so an id is never taken for a number.

use std::borrow::Cow;

/// The kind of a business-scoped user id: a country code of two letters, a period, and up to 128 letters and
/// digits. A parent id has `ENT.` after the period. The ids must be kept as received:
/// <https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids/>
pub const WHATSAPP: &str = "whatsapp";
/// The kind of an e-mail address, named after its URL scheme (RFC 6068).
pub const MAILTO: &str = "mailto";
/// The kind of a phone number in a field with other ids. Its stored form is the digits without a kind.
pub const NUMBER: &str = "tel";

/// The most bytes of an id without its kind. An address has at most 254 (RFC 5321, section 4.5.3.1.3), a
/// `WhatsApp` id 135.
pub const MAX_BYTES: usize = 320;
/// The most ids of a person that are linked to each other: a number, the ids of several `WhatsApp` accounts, their
/// parents and predecessors. A person with more is known by the first ones.
pub const MAX_IDS: usize = 16;
/// The most bytes of a kind.
const MAX_KIND_BYTES: usize = 16;

/// The stored form of an id in a field of this kind; `None` if the text is not one, so that it names nobody.
///
/// Only what every sender treats as one person gets one form. Mail servers may distinguish the letter case of
/// the part before the `@`, but RFC 5321 (section 2.4) discourages it and none of the large ones does, while
/// senders of events change it. The rest of an address is compared exactly: dots and `+tags` are not removed.
///
/// ```
/// use webhook_ingest::event::person::{MAILTO, NUMBER, WHATSAPP, identity};
/// assert_eq!(identity(MAILTO, " Anna@B.Example").as_deref(), Some("mailto:anna@b.example"));
/// assert_eq!(identity(WHATSAPP, "IN.1346aB").as_deref(), Some("whatsapp:IN.1346aB"));
/// assert_eq!(identity(NUMBER, "+91 98123-45678").as_deref(), Some("919812345678"));
/// assert_eq!(identity(MAILTO, "[email protected]"), None);
/// ```
pub fn identity(kind: &str, text: &str) -> Option<String> {
    match kind {
        NUMBER => phone_digits(text),
        MAILTO => Some(format!("{MAILTO}:{}", address(text)?)),
        kind => {
            let is_id = (1..=MAX_BYTES).contains(&text.len())
                && text.chars().all(|c| c.is_ascii_graphic())
                && text.chars().any(|c| c.is_ascii_alphanumeric());
            is_id.then(|| format!("{kind}:{text}"))
        }
    }
}

/// The stored form of an id that someone typed: a number in any spelling, `<kind>:<id>`, `tel:+91…`, an e-mail
/// address, or a `WhatsApp` user id. `None` if it is none of these.
///
/// ```
/// use webhook_ingest::event::person::parse;
/// assert_eq!(parse("+91 98123 45678").as_deref(), Some("919812345678"));
/// assert_eq!(parse("mailto:Anna@b.example").as_deref(), Some("mailto:anna@b.example"));
/// assert_eq!(parse("anna@b.example").as_deref(), Some("mailto:anna@b.example"));
/// assert_eq!(parse("US.ENT.11815799212886844830").as_deref(), Some("whatsapp:US.ENT.11815799212886844830"));
/// assert_eq!(parse("api-337-919812345678"), None);
/// ```
pub fn parse(text: &str) -> Option<String> {
    let text = text.trim();
    if let Some(digits) = phone_digits(text) {
        return Some(digits);
    }
    if let Some((kind, id)) = text.split_once(':') {
        let kind = kind.to_ascii_lowercase();
        let is_kind =
            (1..=MAX_KIND_BYTES).contains(&kind.len()) && kind.bytes().all(|b| b.is_ascii_lowercase());
        return is_kind.then(|| identity(&kind, id.trim())).flatten();
    }
    if is_user_id(text) {
        return identity(WHATSAPP, text);
    }
    identity(MAILTO, text)
}

/// The kind of a stored id; `None` for a number.
pub fn kind(id: &str) -> Option<&str> {
    id.split_once(':').map(|(kind, _)| kind)
}

/// A stored id without its kind: what the record says, except for the letter case of an address.
pub fn bare(id: &str) -> &str {
    id.split_once(':').map_or(id, |(_, id)| id)
}

/// Whether a text looks like a business-scoped user id.
fn is_user_id(text: &str) -> bool {
    let mut parts = text.split('.');
    let is_country = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_uppercase());
    let is_id =
        |part: &str| (1..=128).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    parts.next().is_some_and(is_country)
        && match (parts.next(), parts.next(), parts.next()) {
            (Some("ENT"), Some(id), None) | (Some(id), None, None) => is_id(id),
            _ => false,
        }
}

/// An e-mail address without display name, in lower case.
fn address(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@')?;
    let is_foreign = |c: char| c.is_whitespace() || c.is_control() || "@<>()[],;:\\\"*".contains(c);
    let is_part = |part: &str| !part.is_empty() && !part.contains(is_foreign);
    if text.len() > MAX_BYTES || !is_part(local) || !is_part(domain) {
        return None;
    }
    Some(if text.bytes().any(|b| b.is_ascii_uppercase() || !b.is_ascii()) {
        Cow::Owned(text.to_lowercase())
    } else {
        Cow::Borrowed(text)
    })
}

/// The digits of a text that looks like a phone number. E.164 allows 15 digits; a few more are accepted.
pub fn phone_digits(text: &str) -> Option<String> {
    let written_like_one = text
        .chars()
        .all(|c| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '(' | ')' | '.'));
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    (written_like_one && (4..=20).contains(&digits.len())).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_has_one_spelling_and_two_people_have_two() {
        for text in ["Anna@B.example", "anna@b.EXAMPLE", "\tANNA@B.EXAMPLE\r\n"] {
            assert_eq!(
                identity(MAILTO, text).as_deref(),
                Some("mailto:anna@b.example"),
                "{text:?}"
            );
        }
        for text in [
            "an.na@b.example",
            "anna+x@b.example",
            "anna@b.example.org",
            "äanna@b.example",
        ] {
            assert_ne!(
                identity(MAILTO, text).as_deref(),
                Some("mailto:anna@b.example"),
                "{text}"
            );
            assert!(identity(MAILTO, text).is_some(), "{text}");
        }
        let long = format!("{}@b.example", "x".repeat(320));
        for text in [
            "",
            "@",
            "a@",
            "@b",
            "a b@c",
            "a@b@c",
            "Anna <a@b.example>",
            "a***@b.example",
            "a,b@c",
            &long,
        ] {
            assert_eq!(identity(MAILTO, text), None, "{text}");
        }
    }

    #[test]
    fn a_user_id_is_kept_as_received() {
        for id in ["IN.1346", "US.aBc9", "US.ENT.1", "919812345678"] {
            assert_eq!(identity(WHATSAPP, id), Some(format!("whatsapp:{id}")));
        }
        for text in ["", "  ", "IN 1", "****", "é", &"x".repeat(321)] {
            assert_eq!(identity(WHATSAPP, text), None, "{text}");
        }
    }

    #[test]
    fn only_unambiguous_words_are_read_as_ids() {
        for (text, id) in [
            ("919812345678", Some("919812345678")),
            ("tel:+91 98123 45678", Some("919812345678")),
            ("WhatsApp:IN.1346", Some("whatsapp:IN.1346")),
            ("whatsapp: in.1346", Some("whatsapp:in.1346")),
            ("IN.1346", Some("whatsapp:IN.1346")),
            ("IN.1346.2", None),
            ("in.1346", None),
            ("a@b.example", Some("mailto:a@b.example")),
            ("mailto:nobody", None),
            ("mailto:919812345678", None),
            ("two words:x", None),
            ("1:2", None),
            ("", None),
            (":", None),
            ("name", None),
        ] {
            assert_eq!(parse(text).as_deref(), id, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_stored_id_is_read_as_itself(
            kind in "(whatsapp|mailto|tel|other)",
            text in "[ -~]{0,20}|[a-zA-Zäß.+]{1,8}@[a-z.]{1,9}|\\+?[0-9 ]{4,16}",
        ) {
            if let Some(id) = identity(&kind, &text) {
                prop_assert_eq!(parse(&id), Some(id.clone()));
                prop_assert_eq!(identity(&kind, bare(&id)), Some(id.clone()));
                prop_assert!(id.len() <= MAX_BYTES + MAX_KIND_BYTES + 1);
                prop_assert_eq!(super::kind(&id).is_none(), kind == "tel");
            }
        }
    }
}
