//! The sort key: two events with the same message id and sort key are the same event.

use sha2::{Digest as _, Sha256};

use crate::event::{Channel, EpochMillis, Status};

/// The longest channel or status that goes into a key unchanged. A longer one is cut and gets a digest, so
/// that the key stays under DynamoDB's 1,024 bytes.
const MAX_WORD_BYTES: usize = 96;

/// `word`, or its beginning and a digest if it is too long for a key.
pub(crate) fn bounded(word: String) -> String {
    if word.len() <= MAX_WORD_BYTES {
        return word;
    }
    let mut end = MAX_WORD_BYTES - 24;
    while !word.is_char_boundary(end) {
        end -= 1;
    }
    let digest = digest([word.as_bytes()]);
    format!("{}~{digest}", word.get(..end).unwrap_or_default())
}

/// The table's sort key: `<CHANNEL>#<status>`, and `#<distinction>` for events that may repeat and for messages
/// with several recipients. At most 1,024 bytes:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusKey(String);

/// Distinguishes two events of one message with the same status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distinction<'a> {
    /// The provider's id of the event.
    EventId(&'a str),
    /// The event's time and a digest of its content, for providers without event ids.
    Content(Option<EpochMillis>, &'a str),
    /// A digest of the recipient, for a status that cannot repeat and an id with several recipients. Not the
    /// recipient itself, because a key is no place for an address: it is repeated in every index.
    Recipient(&'a str),
}

impl StatusKey {
    /// The key of an event. If the status cannot repeat, only a recipient distinguishes events.
    pub fn new(channel: &Channel, status: &Status, distinction: Distinction<'_>) -> Self {
        let mut key = String::with_capacity(48);
        escape(channel.as_str(), &mut key);
        key.push('#');
        escape(status.as_str(), &mut key);
        if status.repeats() || matches!(distinction, Distinction::Recipient(_)) {
            key.push('#');
            match distinction {
                Distinction::EventId(id) => push_id(id, &mut key),
                Distinction::Content(at, content) => {
                    if let Some(at) = at {
                        key.push_str(&at.to_string());
                    }
                    key.push('.');
                    key.push_str(content);
                }
                Distinction::Recipient(recipient) => key.push_str(recipient),
            }
        }
        Self(key)
    }

    /// The key as stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key as stored.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// Appends an id. A long one becomes a digest: escaping can triple its length, which would exceed the limit.
fn push_id(id: &str, key: &mut String) {
    if id.len() > MAX_WORD_BYTES {
        key.push_str(&digest([id.as_bytes()]));
    } else {
        escape(id, key);
    }
}

/// Escapes `%` and `#` as `%25` and `%23`. Parts joined by `#` then stay distinguishable, so two different
/// events never have the same key.
fn escape(part: &str, key: &mut String) {
    for c in part.chars() {
        match c {
            '#' => key.push_str("%23"),
            '%' => key.push_str("%25"),
            c => key.push(c),
        }
    }
}

/// 128 bits of SHA-256 in 22 characters: enough to make accidental collisions practically impossible.
pub(crate) fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    use base64::Engine as _;
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let hash = hash.finalize();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hash.get(..16).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(channel: &str, status: &str, id: &str) -> String {
        StatusKey::new(
            &Channel::from_word(channel),
            &Status::from_word(status).unwrap(),
            Distinction::EventId(id),
        )
        .into_string()
    }

    #[test]
    fn only_repeatable_events_have_a_third_part() {
        assert_eq!(key("RCS", "Delivered", "x"), "RCS#delivered");
        assert_eq!(key("rcs", "Clicked", "e#1%"), "RCS#clicked#e%231%25");
        assert_eq!(key("Push", "Template paused", "7"), "PUSH#template_paused#7");
        // These words had no meaning in earlier versions, which therefore let them repeat.
        for word in [
            "opened",
            "bounced",
            "dropped",
            "invalid",
            "expired",
            "revoked",
            "unsubscribed",
            "spam",
            "abuse",
        ] {
            assert_eq!(key("RCS", word, "7"), format!("RCS#{word}#7"));
        }
        assert_eq!(
            StatusKey::new(
                &Channel::from_word("RCS"),
                &Status::Clicked,
                Distinction::Content(Some(5), "abc")
            )
            .as_str(),
            "RCS#clicked#5.abc"
        );
        assert_eq!(
            StatusKey::new(
                &Channel::from_word("email"),
                &Status::Sent,
                Distinction::Recipient("abc")
            )
            .as_str(),
            "EMAIL#sent#abc"
        );
    }

    proptest! {
        #[test]
        fn no_two_events_share_a_key(
            a in (".{0,300}", "[a-zA-Z#% ]{0,300}x", ".{0,300}"),
            b in (".{0,300}", "[a-zA-Z#% ]{0,300}x", ".{0,300}"),
        ) {
            let parts = |t: &(String, String, String)| (Channel::from_word(&t.0), Status::from_word(&t.1).unwrap());
            let same = parts(&a) == parts(&b) && (!parts(&a).1.repeats() || a.2 == b.2);
            let (ka, kb) = (key(&a.0, &a.1, &a.2), key(&b.0, &b.1, &b.2));
            prop_assert_eq!(ka == kb, same, "{} {}", ka, kb);
            prop_assert!(ka.len() <= 1024);
        }

        #[test]
        fn separators_cannot_be_forged(left in "[#%a]{0,6}", right in "[#%a]{0,6}", other in "[#%a]{0,6}") {
            let of = |c: &str, id: &str| StatusKey::new(&Channel::from_word(c), &Status::Clicked, Distinction::EventId(id));
            let (one, two) = (of(&left, &right), of(&other, &format!("{left}{right}")));
            prop_assert_eq!(one == two, left == other && right == format!("{left}{right}"));
        }
    }
}
